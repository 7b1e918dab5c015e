//! What the DNS server tells of itself, and what its cookies are made with.

use crate::candidate::problem_at;
use config::Problem;
use config::checked::{Checked, Told};
use std::sync::OnceLock;

/// What `version.bind` is told where nothing is set: the program, but no number to look up weaknesses by.
const PROGRAM: &str = "rhumb";

/// What NSID tells.
pub(super) fn nsid(checked: &Checked, problems: &mut Vec<Problem>) -> Option<dns::Identity> {
    let told = &checked.dns.nsid;
    match dns::Identity::parse(&text(checked, told)?) {
        Ok(identity) => Some(identity),
        Err(why) => {
            let place = match told {
                Told::Text(_, place) => *place,
                _ => Default::default(),
            };
            let message = format!("this is not what NSID can tell: {why}");
            let hint =
                Some("a text or 0x and hexadecimal digits, at most 128 octets; or off".to_owned());
            problems.push(problem_at(checked, place, "invalid_value", message, hint));
            None
        }
    }
}

/// What is told in class CH.
pub(super) fn chaos(checked: &Checked) -> dns::Chaos {
    let told = |told| text(checked, told).map(Into::into);
    dns::Chaos {
        version: told(&checked.dns.version),
        hostname: told(&checked.dns.hostname),
    }
}

fn text(checked: &Checked, told: &Told) -> Option<String> {
    match told {
        Told::Nothing => None,
        Told::PopName => Some(checked.table.pop.name.to_string()),
        Told::Program => Some(PROGRAM.to_owned()),
        Told::Text(text, _) => Some(text.clone()),
    }
}

/// How cookies are made; `None` when there are to be none.
pub(super) fn cookies(checked: &Checked) -> Option<dns::Cookies> {
    let written = checked.dns.cookies.as_ref()?;
    let secret = match &written.secret {
        Some(secret) => dns::Secret::new(secret.0),
        None => dns::Secret::new(of_this_run()?),
    };
    Some(dns::Cookies {
        secret,
        previous: written
            .previous
            .as_ref()
            .map(|secret| dns::Secret::new(secret.0)),
        require: written.require,
    })
}

/// A random secret, the same for the whole run so that a reload takes no client's cookie away. `None` where
/// the system has no randomness to give: then there are no cookies, which every client can live with.
fn of_this_run() -> Option<[u8; 16]> {
    static SECRET: OnceLock<Option<[u8; 16]>> = OnceLock::new();
    *SECRET.get_or_init(|| {
        let mut secret = [0; 16];
        match getrandom::fill(&mut secret) {
            Ok(()) => Some(secret),
            Err(error) => {
                tracing::error!(%error, "there is no randomness: DNS cookies are off");
                None
            }
        }
    })
}
