//! Hosts and paths as routes are written and looked up: lower case, no port, no trailing dot or slash.
//! Pure text; what they lead to is elsewhere.

/// The longest host name that can match; longer ones have no route (RFC 1035 §2.3.4).
pub(crate) const MAX_HOST: usize = 255;

/// The host of an authority in lower case, without port and trailing dot; `None` when it is too long
/// or empty. IPv6 literals keep their brackets.
pub(crate) fn normal_host<'b>(authority: &str, buffer: &'b mut [u8; MAX_HOST]) -> Option<&'b str> {
    let host = host_of(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    let room = buffer
        .get_mut(..host.len())
        .filter(|room| !room.is_empty())?;
    room.copy_from_slice(host.as_bytes());
    room.make_ascii_lowercase();
    std::str::from_utf8(room).ok()
}

/// An authority without its port (RFC 3986 §3.2.2).
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.find(']') {
        Some(close) if authority.starts_with('[') => authority.get(..=close).unwrap_or(authority),
        _ => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

/// What a host pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One host.
    Exact,
    /// Every host below a name.
    Wildcard,
    /// Every host.
    Any,
}

/// A path prefix without its trailing slash; `None` when it is no path.
pub(crate) fn normal_prefix(path: &str) -> Option<&str> {
    let clean = path.starts_with('/') && !path.contains(|c: char| "?#".contains(c) || c <= ' ');
    clean.then(|| path.trim_end_matches('/'))
}

/// What a host pattern stands for, and the name it is looked up by; `None` when it is none.
pub(crate) fn normal_pattern(host: &str) -> Option<(Kind, Box<str>)> {
    if host == "*" {
        return Some((Kind::Any, "*".into()));
    }
    let (kind, name) = match host.strip_prefix("*.") {
        Some(rest) => (Kind::Wildcard, rest),
        None => (Kind::Exact, host),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let literal = name.starts_with('[') && name.ends_with(']');
    let letters = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let good = match literal {
        true => name.get(1..name.len() - 1).is_some_and(address),
        false => name.len() < MAX_HOST && name.split('.').all(letters),
    };
    good.then(|| (kind, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_cut_down_to_its_host() {
        for (authority, host) in [
            ("A.Test", Some("a.test")),
            ("a.test.:80", Some("a.test")),
            ("[2001:DB8::1]:443", Some("[2001:db8::1]")),
            ("[2001:db8::1]", Some("[2001:db8::1]")),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(
                normal_host(authority, &mut [0; MAX_HOST]),
                host,
                "{authority}"
            );
        }
        assert_eq!(
            normal_host(&"a".repeat(MAX_HOST + 1), &mut [0; MAX_HOST]),
            None
        );
    }

    #[test]
    fn patterns_are_exact_wildcard_or_any() {
        for (pattern, expected) in [
            ("A.test.", Some((Kind::Exact, "a.test"))),
            ("*.a.test", Some((Kind::Wildcard, "a.test"))),
            ("*", Some((Kind::Any, "*"))),
            ("[::1]", Some((Kind::Exact, "[::1]"))),
            ("a.*.test", None),
            ("a.test:80", None),
            ("*.", None),
            ("a..test", None),
            ("[nonsense]", None),
        ] {
            let found = normal_pattern(pattern);
            let found = found.as_ref().map(|(kind, name)| (*kind, &**name));
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
