//! The smallest things that are written: durations, addresses, networks, names.
//!
//! Each is read from one text and knows what it must look like; none knows any other.

use super::defaults::MAX_ONE_IN;
use crate::de::Bad;
use crate::tree::shorten;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use steering::geo::{Continent, Subdivision};

/// The longest duration that can be written: a year.
pub const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);

macro_rules! leaf {
    ($(#[$doc:meta])* $name:ident($inner:ty), $parse:path, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map(Self).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

leaf!(
    /// A length of time: a number and a unit (ms, s, m, h, d), or several of them: `30s`, `1h30m`.
    Time(Duration), time,
    { "type": "string", "description": "a duration such as 30s, 5m, 500ms or 1h30m", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$" }
);
leaf!(
    /// An IP address and a port.
    Address(SocketAddr), address,
    { "type": "string", "description": "an IP address and a port, such as 192.0.2.10:443 or [2001:db8::10]:443" }
);
leaf!(
    /// An IP address of a DNS server, with its port unless that is 53.
    ServerAddress(SocketAddr), server_address,
    { "type": "string", "description": "an IP address, and a port unless it is 53: 192.0.2.53, [2001:db8::53]:5353" }
);
leaf!(
    /// An IP address.
    Ip(IpAddr), ip,
    { "type": "string", "description": "an IPv4 or IPv6 address" }
);
leaf!(
    /// A network in CIDR notation; a bare address is a network of one.
    Network(IpNet), network,
    { "type": "string", "description": "a network such as 10.20.0.0/16 or 2001:db8::/32" }
);
leaf!(
    /// A continent: AF, AN, AS, EU, NA, OC or SA.
    ContinentCode(Continent), continent,
    { "type": "string", "enum": ["AF", "AN", "AS", "EU", "NA", "OC", "SA"] }
);
leaf!(
    /// A subdivision of a country by its ISO 3166-2 code.
    SubdivisionCode(Subdivision), subdivision,
    { "type": "string", "description": "a subdivision by its ISO 3166-2 code, such as US-CA" }
);
leaf!(
    /// A domain name; written with or without the last dot, kept lower case and without it.
    DomainName(String), domain_name,
    { "type": "string", "description": "a domain name" }
);
leaf!(
    /// A domain name that may begin with `*.`.
    WildcardName(String), wildcard_name,
    { "type": "string", "description": "a domain name, or *. and a domain name" }
);
leaf!(
    /// A host: a domain name, `*.` and a domain name, or `*` for every host.
    HostName(String), host_name,
    { "type": "string", "description": "a domain name, *. and a domain name, or * for every host" }
);
leaf!(
    /// A path: begins with `/`, has no query.
    UrlPath(String), url_path,
    { "type": "string", "description": "a path beginning with /", "pattern": "^/" }
);
leaf!(
    /// A status code or an inclusive range of them.
    Statuses((u16, u16)), statuses,
    { "type": ["integer", "string"], "description": "an HTTP status such as 200, or a range such as 200-299" }
);
leaf!(
    /// The serial of a zone: a number, or none for one that is made.
    SerialSetting(Option<u32>), serial,
    { "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 4294967295u32 }, { "enum": ["auto"] }] }
);
leaf!(
    /// A share in percent.
    Percent(f64), percent,
    { "type": "string", "description": "a share such as 40%", "pattern": "^[0-9]+(\\.[0-9]+)?%$" }
);
leaf!(
    /// A share: one in so many.
    OneIn(u32), one_in,
    { "type": "string", "description": "a share such as 1/100", "pattern": "^1/[1-9][0-9]*$" }
);
leaf!(
    /// How much of a pool must be up: a share of its weight, or a number of its endpoints.
    MinHealthy(Least), min_healthy,
    { "type": ["integer", "string"], "description": "a share of the pool's weight such as 50%, or a number of endpoints" }
);

/// How much of a pool must be up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Least {
    /// A share of the weight, 0 to 1.
    Share(f64),
    /// So many endpoints.
    Count(u32),
}

fn invalid(what: &str, text: &str) -> Bad {
    Bad::new(
        "invalid_value",
        format!("`{}` is not {what}", shorten(text)),
    )
}

/// Reads the serial of a zone.
fn serial(text: &str) -> Result<Option<u32>, Bad> {
    match text {
        "auto" => Ok(None),
        number => number.parse().map(Some).map_err(|_| {
            invalid("a serial", text).hint("write a number from 0 to 4294967295, or auto")
        }),
    }
}

/// Reads a share.
fn one_in(text: &str) -> Result<u32, Bad> {
    let whole: Option<u32> = text.strip_prefix("1/").and_then(|of| of.parse().ok());
    whole
        .filter(|of| (1..=MAX_ONE_IN).contains(of))
        .ok_or_else(|| {
            invalid("a share", text).hint(format!(
                "write 1/1 for every one, 1/100 for one in a hundred, up to 1/{MAX_ONE_IN}"
            ))
        })
}

/// Reads a duration.
fn time(text: &str) -> Result<Duration, Bad> {
    let bad =
        || invalid("a duration", text).hint("write a number and a unit: 500ms, 30s, 5m, 1h, 1d");
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("a duration", text).hint(format!(
            "a duration has a unit: {text}s for seconds, {text}ms for milliseconds"
        )));
    }
    let mut rest = text;
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        rest = &rest[letters..];
        seconds += number * unit;
    }
    if text.is_empty() {
        return Err(bad());
    }
    if !seconds.is_finite() || seconds > MAX_DURATION.as_secs_f64() {
        return Err(Bad::new(
            "out_of_range",
            format!("`{}` is longer than a year", shorten(text)),
        ));
    }
    // Rounded to microseconds, so that what is written as a decimal fraction comes out even.
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

fn address(text: &str) -> Result<SocketAddr, Bad> {
    let bad = || invalid("an IP address and a port", text);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Err(bad().hint(format!("add the port: \"{}\"", SocketAddr::new(ip, 443))));
    }
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    if host.bytes().any(|b| b.is_ascii_alphabetic()) && domain_name(host).is_ok() {
        return Err(bad().hint("write an IP address here; a host name goes under `publish`, where DNS answers it as a CNAME"));
    }
    Err(bad().hint("such as \"192.0.2.10:443\" or \"[2001:db8::10]:443\""))
}

fn server_address(text: &str) -> Result<SocketAddr, Bad> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 53));
    }
    text.parse().map_err(|_| {
        invalid("the address of a server", text)
            .hint("such as 192.0.2.53, \"192.0.2.53:5353\" or \"[2001:db8::53]:5353\"")
    })
}

fn ip(text: &str) -> Result<IpAddr, Bad> {
    text.parse().map_err(|_| invalid("an IP address", text))
}

fn network(text: &str) -> Result<IpNet, Bad> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| invalid("a network", text).hint("such as 10.20.0.0/16 or 2001:db8::/32"))?;
    if network.addr() != network.network() {
        let bad = Bad::new(
            "host_bits",
            format!("`{text}` has bits set beyond its prefix"),
        );
        return Err(bad.hint(format!("the network is {}", network.trunc())));
    }
    Ok(network)
}

fn continent(text: &str) -> Result<Continent, Bad> {
    Continent::from_code(text)
        .ok_or_else(|| invalid("a continent", text).hint("one of AF, AN, AS, EU, NA, OC, SA"))
}

fn subdivision(text: &str) -> Result<Subdivision, Bad> {
    let bad = || invalid("a subdivision", text).hint("write its ISO 3166-2 code, such as US-CA");
    let subdivision: Subdivision = text.parse().map_err(|_| bad())?;
    if subdivision.country.is_assigned() {
        Ok(subdivision)
    } else {
        Err(bad())
    }
}

/// Reads a domain name (RFC 1035 §2.3.4 lengths; letters, digits, hyphens and underscores).
pub(crate) fn domain_name(text: &str) -> Result<String, Bad> {
    if text == "." {
        return Ok(String::new());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let bad = |why: &str| invalid("a domain name", text).hint(why.to_owned());
    if name.len() > 253 {
        return Err(bad("a domain name has at most 253 characters"));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(bad("each part between dots has 1 to 63 characters"));
        }
        if !label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            let why = if text.contains("://") || text.contains('/') {
                "only the name, without a scheme or path"
            } else if text.contains(':') {
                "only the name, without a port"
            } else if text.contains('@') {
                "write a mailbox as a domain name: hostmaster.example.com"
            } else if !text.is_ascii() {
                "write international names in their ASCII form (xn--…)"
            } else {
                "letters, digits, hyphens and dots"
            };
            return Err(bad(why));
        }
    }
    Ok(name)
}

/// Reads the host name of a `publish`.
pub(crate) fn host_to_publish(text: &str) -> Result<String, Bad> {
    if text.parse::<SocketAddr>().is_ok() {
        return Err(invalid("an address or host name to publish", text)
            .hint("without the port: DNS names hosts"));
    }
    domain_name(text)
}

fn wildcard_name(text: &str) -> Result<String, Bad> {
    match text.strip_prefix("*.") {
        Some(rest) => domain_name(rest).map(|name| format!("*.{name}")),
        None => domain_name(text),
    }
}

fn host_name(text: &str) -> Result<String, Bad> {
    if text == "*" {
        Ok(text.to_owned())
    } else {
        wildcard_name(text)
    }
}

fn url_path(text: &str) -> Result<String, Bad> {
    if !text.starts_with('/') {
        return Err(
            invalid("a path", text).hint(format!("a path begins with a slash: /{}", shorten(text)))
        );
    }
    if text.bytes().any(|b| b <= b' ' || b == 0x7f || b == b'#') {
        return Err(invalid("a path", text).hint("no spaces, control characters or #"));
    }
    Ok(text.to_owned())
}

fn statuses(text: &str) -> Result<(u16, u16), Bad> {
    let bad =
        || invalid("an HTTP status", text).hint("such as 200, or a range such as \"200-299\"");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (
        first.trim().parse().map_err(|_| bad())?,
        last.trim().parse().map_err(|_| bad())?,
    );
    let known = 100..=599;
    if !known.contains(&first) || !known.contains(&last) || first > last {
        let range = Bad::new(
            "out_of_range",
            format!("`{}` is out of range", shorten(text)),
        );
        return Err(range.hint("statuses are 100 to 599, the lower one first"));
    }
    Ok((first, last))
}

fn percent(text: &str) -> Result<f64, Bad> {
    let bad = || invalid("a share", text).hint("such as 40%");
    let number: f64 = text
        .strip_suffix('%')
        .and_then(|n| n.trim().parse().ok())
        .ok_or_else(bad)?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err(Bad::new(
            "out_of_range",
            format!("`{}` is not between 0% and 100%", shorten(text)),
        ))
    }
}

fn min_healthy(text: &str) -> Result<Least, Bad> {
    if text.ends_with('%') {
        return percent(text).map(|share| Least::Share(share / 100.0));
    }
    let bad = || {
        invalid("a share of the pool or a number of its endpoints", text).hint("such as 50% or 2")
    };
    text.parse().map(Least::Count).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |ms| Ok(Duration::from_millis(ms));
        for (text, expected) in [
            ("30s", ms(30_000)),
            ("500ms", ms(500)),
            ("1h30m", ms(5_400_000)),
            ("1.5s", ms(1_500)),
            ("0.3ms", Ok(Duration::from_micros(300))),
            ("0s", ms(0)),
            ("1d", ms(86_400_000)),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        for text in [
            "", "30", "s", "30x", "-1s", "1s2", "1.2.3s", "30 s", "9999d", "1e3s", "é",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn domain_names_are_folded_and_checked() {
        assert_eq!(
            domain_name("API.Example.com."),
            Ok("api.example.com".to_owned())
        );
        assert_eq!(domain_name("."), Ok(String::new()));
        assert_eq!(
            wildcard_name("*.Example.com"),
            Ok("*.example.com".to_owned())
        );
        for text in [
            "", "a..b", "a b", "http://a", "a:80", "ä.de", "*.a.b", "a.*.b",
        ] {
            assert!(domain_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_have_no_host_bits() {
        assert_eq!(
            network("10.0.0.1").map(|n| n.to_string()),
            Ok("10.0.0.1/32".to_owned())
        );
        let bad = network("10.0.0.1/8").expect_err("host bits");
        assert!(bad.to_string().contains("10.0.0.0/8"), "{bad}");
    }

    #[test]
    fn shares_and_counts() {
        assert_eq!(min_healthy("50%"), Ok(Least::Share(0.5)));
        assert_eq!(min_healthy("2"), Ok(Least::Count(2)));
        for text in ["-1", "101%", "half", "1.5"] {
            assert!(min_healthy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn status_ranges() {
        assert_eq!(statuses("200"), Ok((200, 200)));
        assert_eq!(statuses("200-299"), Ok((200, 299)));
        for text in ["99", "600", "299-200", "ok", "2xx"] {
            assert!(statuses(text).is_err(), "{text}");
        }
    }
}
