//! Keys and with whom zones are exchanged, from the checked config to what `dns` is told; secrets are read here.
//!
//! Nothing is connected to, and no secret is shown.

use crate::candidate::problem_at;
use config::Problem;
use config::checked::{self, Checked};
use dns::Name;
use dns::transfer::{Algorithm, Grant, Key, Keys, Peers, Remote, ZonePeers, read_key};
use std::collections::HashMap;
use std::sync::Arc;

/// The most octets of a secret's file.
const MAX_FILE: u64 = 16 << 10;

/// Reads the secrets, and says who transfers what.
pub fn peers(checked: &Checked, problems: &mut Vec<Problem>) -> Peers {
    let mut keys: HashMap<&str, Arc<Key>> = HashMap::new();
    for written in &checked.keys {
        match key(written) {
            Ok(key) => {
                keys.insert(&written.name, Arc::new(key));
            }
            Err(why) => {
                let message = format!("key {}: {why}", written.name);
                problems.push(problem_at(checked, written.place, "key", message, None));
            }
        }
    }
    let find = |name: &Option<Arc<str>>| name.as_ref().and_then(|name| keys.get(&**name).cloned());
    let remotes = |list: &[checked::Remote]| {
        let remote = |remote: &checked::Remote| Remote {
            address: remote.address,
            key: find(&remote.key),
        };
        list.iter().map(remote).collect()
    };
    let exchanged = checked.zones.iter().filter(|zone| is_exchanged(zone));
    let zones = exchanged.filter_map(|zone| {
        let grant = |grant: &checked::Grant| Grant {
            network: grant.network,
            key: find(&grant.key),
        };
        let peers = ZonePeers {
            to: zone.transfer.to.iter().map(grant).collect(),
            notify: remotes(&zone.transfer.notify),
            primaries: remotes(&zone.primaries),
        };
        Some((Name::parse(&dotted(&zone.apex)).ok()?, peers))
    });
    let zones = zones.collect();
    Peers::new(Keys::new(keys.into_values().collect()), zones)
}

fn is_exchanged(zone: &checked::Zone) -> bool {
    !(zone.primaries.is_empty() && zone.transfer.to.is_empty() && zone.transfer.notify.is_empty())
}

/// A name as the config has it, for `dns`: the root is written as a dot there.
pub fn dotted(name: &str) -> String {
    format!("{name}.")
}

fn key(written: &checked::Key) -> Result<Key, String> {
    let file = &written.secret_file;
    let unreadable = |error| format!("{} can't be read: {error}", file.display());
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > MAX_FILE {
        return Err(format!("{} is too long to be a secret", file.display()));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let read = read_key(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    if let Some(name) = &read.name
        && !name
            .trim_end_matches('.')
            .eq_ignore_ascii_case(&written.name)
    {
        return Err(format!(
            "{} holds a key of another name, `{name}`; both servers must call it the same",
            file.display()
        ));
    }
    let algorithm: Option<Algorithm> = written.algorithm.and_then(|name| name.parse().ok());
    let algorithm = match (algorithm, read.algorithm) {
        (Some(ours), Some(theirs)) if ours != theirs => {
            return Err(format!(
                "{} is for {}, and the config says {}",
                file.display(),
                theirs.name(),
                ours.name()
            ));
        }
        (ours, theirs) => ours.or(theirs).unwrap_or_default(),
    };
    let name = Name::parse(&written.name).map_err(|error| error.to_string())?;
    Ok(Key::new(name, algorithm, read.secret))
}
