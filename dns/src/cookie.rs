//! DNS cookies (RFC 7873): the option, and server cookies that any server with the same secret can check
//! (RFC 9018).
//!
//! What never happens here: no clock is read, no secret is made, and nothing is decided about who is
//! served: a [`Status`] says what a cookie is worth.

use crate::edns::Malformed;
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;

/// The length of a client cookie (RFC 7873 §4).
const CLIENT: usize = 8;
/// The length of a server cookie as RFC 9018 §4 makes it.
const SERVER: usize = 16;
/// What lengths the option may have, beside that of a client cookie alone (RFC 7873 §4).
const BOTH: std::ops::RangeInclusive<usize> = CLIENT + 8..=CLIENT + 32;
/// The only version of server cookies (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// How old a server cookie may be, in seconds (RFC 9018 §4.3).
const MAX_AGE: u32 = 3_600;
/// How far a server cookie may come from the future: the clocks of servers differ (RFC 9018 §4.3).
const MAX_AHEAD: u32 = 300;

/// The option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub(crate) client: [u8; CLIENT],
    pub(crate) server: Server,
}

/// The server part of the option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// There is none yet.
    None,
    /// One of the length that RFC 9018 gives it.
    Said([u8; SERVER]),
    /// One of another length: another kind of server made it.
    Other,
}

/// What the cookie of a query is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// The query has none, or cookies are off.
    #[default]
    None,
    /// The client knows no server cookie yet (RFC 7873 §5.2.3).
    Client,
    /// The server cookie is ours and fresh: the sender's address is its own (RFC 7873 §5.2.5).
    Valid,
    /// The server cookie is not one of ours, or too old (RFC 7873 §5.2.4).
    Bad,
}

impl Status {
    /// Those that are counted: the query has a cookie.
    pub const TOLD: [Self; 3] = [Self::Client, Self::Valid, Self::Bad];

    /// Its position in [`Status::TOLD`].
    pub const fn told_index(self) -> Option<usize> {
        (self as usize).checked_sub(1)
    }

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Client => "client",
            Self::Valid => "valid",
            Self::Bad => "bad",
        }
    }
}

impl Cookie {
    /// Reads the option's data (RFC 7873 §5.2.2).
    ///
    /// # Errors
    /// [`Malformed`] for a length that no cookie has.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let (client, rest) = data.split_first_chunk().ok_or(Malformed::Cookie)?;
        let server = match (rest.try_into(), data.len()) {
            (_, CLIENT) => Server::None,
            (Ok(server), _) => Server::Said(server),
            (Err(_), length) if BOTH.contains(&length) => Server::Other,
            _ => return Err(Malformed::Cookie),
        };
        Ok(Self {
            client: *client,
            server,
        })
    }
}

/// What server cookies are made with. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// From its sixteen octets.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// RFC 9018 §4.4: SipHash-2-4 over client cookie, version, reserved, timestamp and client address.
    fn hash(&self, client: [u8; CLIENT], said: [u8; 8], peer: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&client);
        hasher.write(&said);
        match peer {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
        hasher.finish().to_le_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How cookies are made and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookies {
    /// The secret of new server cookies.
    pub secret: Secret,
    /// One whose cookies are still taken: the secret before, or the one to come (RFC 9018 §5).
    pub previous: Option<Secret>,
    /// Whether a client that speaks cookies must bring a valid one over UDP: BADCOOKIE otherwise.
    pub require: bool,
}

impl Cookies {
    /// With one secret, taking everyone.
    pub fn new(secret: Secret) -> Self {
        Self {
            secret,
            previous: None,
            require: false,
        }
    }

    /// What a query's cookie is worth (RFC 7873 §5.2, RFC 9018 §4).
    pub(crate) fn check(&self, cookie: &Cookie, peer: IpAddr, now: u32) -> Status {
        let server = match cookie.server {
            Server::None => return Status::Client,
            Server::Other => return Status::Bad,
            Server::Said(server) => server,
        };
        let [said @ .., _, _, _, _, _, _, _, _] = server;
        let [_, _, _, _, _, _, _, _, hash @ ..] = server;
        // RFC 9018 §4.2: what is reserved is hashed as it came.
        let [version, _, _, _, time @ ..] = said;
        if version != VERSION || !is_fresh(u32::from_be_bytes(time), now) {
            return Status::Bad;
        }
        let peer = peer.to_canonical();
        let made_with = |secret: &Secret| {
            // One comparison of a whole word: how long it takes says nothing of where they differ.
            u64::from_le_bytes(secret.hash(cookie.client, said, peer)) == u64::from_le_bytes(hash)
        };
        if made_with(&self.secret) || self.previous.as_ref().is_some_and(made_with) {
            Status::Valid
        } else {
            Status::Bad
        }
    }

    /// The whole option of a response: the client's cookie, and a new one of ours.
    pub(crate) fn make(&self, client: [u8; CLIENT], peer: IpAddr, now: u32) -> Made {
        let [a, b, c, d] = now.to_be_bytes();
        let said = [VERSION, 0, 0, 0, a, b, c, d];
        let hash = self.secret.hash(client, said, peer.to_canonical());
        let mut made = [0; CLIENT + SERVER];
        let octets = client.into_iter().chain(said).chain(hash);
        for (to, from) in made.iter_mut().zip(octets) {
            *to = from;
        }
        made
    }
}

/// The option of a response.
pub(crate) type Made = [u8; CLIENT + SERVER];

/// RFC 9018 §4.3, in the serial arithmetic of RFC 1982.
fn is_fresh(time: u32, now: u32) -> bool {
    now.wrapping_sub(time) <= MAX_AGE || time.wrapping_sub(now) <= MAX_AHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
            .collect();
        digits.try_into().expect("the right length")
    }

    const FIRST: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    fn cookies(secret: &str, previous: Option<&str>) -> Cookies {
        let read = |text| Secret::new(octets(text));
        Cookies {
            previous: previous.map(read),
            ..Cookies::new(read(secret))
        }
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// One exchange of RFC 9018 appendix A: what the client sends, what it is worth, what it gets.
    fn exchange(
        cookies: &Cookies,
        (from, now): (&str, u32),
        sent: &[u8],
        (status, made): (Status, &str),
    ) {
        let cookie = Cookie::parse(sent).expect("well-formed");
        assert_eq!(cookies.check(&cookie, peer(from), now), status);
        assert_eq!(cookies.make(cookie.client, peer(from), now), octets(made));
    }

    #[test]
    fn rfc9018_a_1_learning_a_new_server_cookie() {
        exchange(
            &cookies(FIRST, None),
            ("198.51.100.100", 1_559_731_985),
            &octets::<8>("2464c4abcf10c957"),
            (
                Status::Client,
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            ),
        );
    }

    #[test]
    fn rfc9018_a_2_the_same_client_learning_a_renewed_one() {
        exchange(
            &cookies(FIRST, None),
            ("198.51.100.100", 1_559_734_385),
            &octets::<24>("2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
            (
                Status::Valid,
                "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
            ),
        );
    }

    #[test]
    fn rfc9018_a_3_reserved_octets_are_hashed_as_they_came() {
        let cookies = cookies(FIRST, None);
        let sent: [u8; 24] = octets("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        let cookie = Cookie::parse(&sent).expect("well-formed");
        let from = peer("203.0.113.203");
        // In the appendix it is answered after almost two hours, which §4.3 no longer allows.
        assert_eq!(cookies.check(&cookie, from, 1_559_727_985), Status::Valid);
        assert_eq!(cookies.check(&cookie, from, 1_559_734_700), Status::Bad);
        assert_eq!(
            cookies.make(cookie.client, from, 1_559_734_700),
            octets("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
        );
    }

    #[test]
    fn rfc9018_a_4_an_ipv6_client_over_a_rolled_secret() {
        let rolled = cookies(
            "445536bcd2513298075a5d379663c962",
            Some("dd3bdf9344b678b185a6f5cb60fca715"),
        );
        exchange(
            &rolled,
            ("2001:db8:220:1:59de:d0f4:8769:82b8", 1_559_741_961),
            &octets::<24>("22681ab97d52c298010000005cf7c57926556bd0934c72f8"),
            (
                Status::Valid,
                "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
            ),
        );
    }

    #[test]
    fn rfc9018_4_3_a_cookie_lives_an_hour_and_comes_five_minutes_early() {
        let cookies = cookies(FIRST, None);
        let made_at = 1_000_000_u32;
        let made = cookies.make([7; 8], peer("192.0.2.1"), made_at);
        let cookie = Cookie::parse(&made).expect("well-formed");
        for (now, status) in [
            (made_at, Status::Valid),
            (made_at + MAX_AGE, Status::Valid),
            (made_at + MAX_AGE + 1, Status::Bad),
            (made_at - MAX_AHEAD, Status::Valid),
            (made_at - MAX_AHEAD - 1, Status::Bad),
        ] {
            assert_eq!(
                cookies.check(&cookie, peer("192.0.2.1"), now),
                status,
                "{now}"
            );
        }
        // RFC 1982: the clock may go round in between.
        let late = cookies.make([7; 8], peer("192.0.2.1"), u32::MAX - 9);
        let late = Cookie::parse(&late).expect("well-formed");
        assert_eq!(cookies.check(&late, peer("192.0.2.1"), 9), Status::Valid);
    }

    #[test]
    fn rfc7873_5_2_4_a_cookie_is_one_clients_at_one_address() {
        let cookies = cookies(FIRST, None);
        let made = cookies.make([7; 8], peer("192.0.2.1"), 5);
        let check = |made: &[u8], from: &str| {
            cookies.check(&Cookie::parse(made).expect("well-formed"), peer(from), 5)
        };
        assert_eq!(check(&made, "192.0.2.1"), Status::Valid);
        assert_eq!(check(&made, "::ffff:192.0.2.1"), Status::Valid);
        assert_eq!(check(&made, "192.0.2.2"), Status::Bad);
        for at in 0..made.len() {
            let mut other = made;
            other[at] ^= 1;
            assert_eq!(check(&other, "192.0.2.1"), Status::Bad, "octet {at}");
        }
    }

    #[test]
    fn rfc7873_5_2_2_only_these_lengths_are_cookies() {
        for length in 0..=64 {
            let expected = length == 8 || (16..=40).contains(&length);
            let parsed = Cookie::parse(&vec![1; length]);
            assert_eq!(parsed.is_ok(), expected, "{length}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new(octets(FIRST))), "Secret(..)");
    }
}
