//! Keys, and with whom zones are exchanged: that names are known and that nothing contradicts itself. What is in a
//! secret's file is the dns crate's to read.

use super::Checker;
use crate::checked::{Grant, Key, Remote, Transfer};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, defaults};
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn transfer_keys(&mut self, config: &spec::Config) -> Vec<Key> {
        let mut keys = Vec::new();
        for (name, place, written) in given(&config.keys).into_iter().flat_map(|(n, _)| n.iter()) {
            let Some(written) = written.get() else {
                continue;
            };
            let algorithm = given(&written.algorithm).map(|(algorithm, _)| match algorithm {
                spec::KeyAlgorithm::HmacSha256 => "hmac-sha256",
                spec::KeyAlgorithm::HmacSha512 => "hmac-sha512",
                spec::KeyAlgorithm::HmacSha384 => "hmac-sha384",
                spec::KeyAlgorithm::HmacSha224 => "hmac-sha224",
                spec::KeyAlgorithm::HmacSha1 => "hmac-sha1",
            });
            if let Err(bad) = spec::domain_name(name) {
                let (code, message, hint) = bad.parts();
                self.findings.error(code, place, message).maybe_hint(hint);
            }
            if let Some(secret_file) = self.file(&written.secret_file, "secret") {
                keys.push(Key {
                    name: name.into(),
                    algorithm,
                    secret_file,
                    place: written.secret_file.place,
                });
            }
        }
        keys
    }

    /// Who a zone goes to.
    pub(super) fn transfer(&mut self, written: &spec::Zone) -> Transfer {
        let Some((transfer, _)) = given(&written.transfer) else {
            return Transfer::default();
        };
        let mut to = Vec::new();
        for grant in given(&transfer.to).into_iter().flat_map(|(list, _)| list) {
            let Some(written) = grant.get() else { continue };
            let key = self.transfer_key(&written.key);
            let network = given(&written.address).map(|(network, _)| network.0);
            if written.address.is_none() && written.key.is_none() {
                self.findings
                    .error("missing_key", grant.place, "this names nobody")
                    .hint("such as { address: 192.0.2.53, key: xfr }");
            }
            if network.is_some_and(|network| network.prefix_len() == 0) && written.key.is_none() {
                self.findings
                    .warning(
                        "open_transfer",
                        grant.place,
                        "anyone may transfer the whole zone",
                    )
                    .hint("name the secondaries' addresses, or add a key");
            }
            to.push(Grant { network, key });
        }
        let notify = self.remotes(&transfer.notify);
        Transfer { to, notify }
    }

    /// Where a zone comes from.
    pub(super) fn primaries(
        &mut self,
        apex: &str,
        place: Place,
        written: &spec::Zone,
        keeps_state: bool,
    ) -> Vec<Remote> {
        let primaries = self.remotes(&written.primary);
        let Some((list, primary)) = given(&written.primary) else {
            return primaries;
        };
        if list.is_empty() {
            self.findings
                .error("empty", primary, format!("zone {apex} has no primary"))
                .hint("such as primary: [{ address: 192.0.2.1, key: xfr }]");
        }
        for (key, is_written, at) in [
            (
                "file",
                written.file.is_some(),
                given(&written.file).map(|(_, at)| at),
            ),
            (
                "soa",
                written.soa.is_some(),
                given(&written.soa).map(|(_, at)| at),
            ),
            (
                "ns",
                written.ns.is_some(),
                given(&written.ns).map(|(_, at)| at),
            ),
        ] {
            if is_written {
                self.findings
                    .error(
                        "conflicting_keys",
                        at.unwrap_or(place),
                        format!("zone {apex} comes from its primary, and has `{key}` of its own"),
                    )
                    .hint(format!("take out `{key}`, or `primary`"));
            }
        }
        if !keeps_state {
            self.findings
                .warning(
                    "no_state_dir",
                    primary,
                    format!("zone {apex} is kept nowhere: after a start there is none until a primary was reached"),
                )
                .hint("add state_dir: /var/lib/rhumb");
        }
        primaries
    }

    fn remotes(
        &mut self,
        written: &Option<Written<Vec<Written<spec::RemoteServer>>>>,
    ) -> Vec<Remote> {
        let mut remotes = Vec::new();
        for remote in given(written).into_iter().flat_map(|(list, _)| list) {
            let Some(written) = remote.get() else {
                continue;
            };
            let key = self.transfer_key(&written.key);
            if let Some(address) = written.address.get() {
                remotes.push(Remote {
                    address: address.0,
                    key,
                });
            }
        }
        if let Some((list, place)) = given(written)
            && list.len() > defaults::MAX_REMOTES
        {
            self.findings.error(
                "out_of_range",
                place,
                format!("at most {} servers", defaults::MAX_REMOTES),
            );
        }
        remotes
    }

    fn transfer_key(&mut self, written: &Option<Written<String>>) -> Option<Arc<str>> {
        let written = written.as_ref()?;
        self.known(|checker| &mut checker.transfer_keys, written)?;
        written.get().map(|name| super::shared(name))
    }
}
