//! Where this node listens: addresses that do not clash, certificates, front ends.

use super::Checker;
use crate::checked::{Certificate, DnsListener, HttpsListener, Listen, SecureListener};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, defaults};
use std::net::SocketAddr;

/// The addresses taken so far, with where that is written.
type Taken = Vec<(SocketAddr, Place)>;

impl Checker<'_> {
    pub(super) fn listen(&mut self, config: &spec::Config) -> Listen {
        let Some((written, _)) = given(&config.listen) else {
            if config.listen.is_none() && self.whole {
                self.listens_nowhere();
            }
            return Listen::default();
        };
        let (mut tcp, mut udp) = (Taken::new(), Taken::new());
        let mut listen = Listen {
            dns: self.dns_listeners(config, written, &mut tcp),
            http: addresses(&written.http, &mut tcp),
            ..Listen::default()
        };
        udp.extend_from_slice(tcp.get(..listen.dns.len()).unwrap_or_default());
        for https in items(&written.https) {
            let certificates = self.certificates(&https.certificates, "HTTPS");
            listen.https.extend(
                address(&https.address, &mut tcp).map(|address| HttpsListener {
                    address,
                    certificates,
                }),
            );
        }
        for dot in items(&written.dot) {
            let certificates = self.certificates(&dot.certificates, "DNS over TLS");
            let proxy_protocol = self.proxied(config, &dot.proxy_protocol);
            listen.dot.extend(
                address(&dot.address, &mut tcp).map(|address| SecureListener {
                    address,
                    certificates,
                    proxy_protocol,
                }),
            );
        }
        for doh in items(&written.doh) {
            let listener = self.doh(config, doh, &mut tcp);
            listen.doh.extend(listener);
        }
        for doq in items(&written.doq) {
            let certificates = self.certificates(&doq.certificates, "DNS over QUIC");
            listen.doq.extend(
                address(&doq.address, &mut udp).map(|address| SecureListener {
                    address,
                    certificates,
                    proxy_protocol: false,
                }),
            );
        }
        if let Some((admin, _)) = given(&written.admin) {
            listen.admin = address(&admin.address, &mut tcp);
        }
        self.one_listener_an_address(&tcp, 0);
        self.one_listener_an_address(&udp, listen.dns.len());
        listen
    }

    fn listens_nowhere(&mut self) {
        let here = Place {
            file: 0,
            line: 1,
            column: 1,
            width: 1,
        };
        self.findings
            .warning("no_listener", here, "Rhumb listens nowhere")
            .hint("add `listen`, such as listen: { dns: [{ address: \"0.0.0.0:53\" }] }");
    }

    fn dns_listeners(
        &mut self,
        config: &spec::Config,
        written: &spec::Listen,
        taken: &mut Taken,
    ) -> Vec<DnsListener> {
        let mut listeners = Vec::new();
        for dns in items(&written.dns) {
            let proxy_protocol = self.proxied(config, &dns.proxy_protocol);
            listeners.extend(address(&dns.address, taken).map(|address| DnsListener {
                address,
                proxy_protocol,
            }));
        }
        listeners
    }

    fn doh(
        &mut self,
        config: &spec::Config,
        doh: &spec::DohListener,
        taken: &mut Taken,
    ) -> Option<(SecureListener, String)> {
        let certificates = self.certificates(&doh.certificates, "DNS over HTTPS");
        let proxy_protocol = self.proxied(config, &doh.proxy_protocol);
        let path = match given(&doh.path) {
            Some((path, place)) => {
                if path.0.contains(['?', '{']) {
                    self.findings
                        .error("invalid_value", place, "this is more than a path")
                        .hint("only the path, such as /dns-query; the variable `dns` follows by itself");
                }
                path.0.clone()
            }
            None => defaults::DOH_PATH.to_owned(),
        };
        let listener = SecureListener {
            address: address(&doh.address, taken)?,
            certificates,
            proxy_protocol,
        };
        Some((listener, path))
    }

    /// Whether PROXY headers are expected; then somebody must be trusted to send them.
    fn proxied(&mut self, config: &spec::Config, written: &Option<Written<bool>>) -> bool {
        let Some((true, place)) = given(written).map(|(on, place)| (*on, place)) else {
            return false;
        };
        let nobody = match &config.trusted_proxies {
            None => self.whole,
            Some(trusted) => trusted.get().is_some_and(Vec::is_empty),
        };
        if nobody {
            self.findings
                .error(
                    "no_trusted_proxies",
                    place,
                    "nobody may send a PROXY header: `trusted_proxies` is empty",
                )
                .hint("add your front ends: trusted_proxies: [10.0.0.0/8]");
        }
        true
    }

    /// The first `known` were looked at before.
    fn one_listener_an_address(&mut self, listeners: &[(SocketAddr, Place)], known: usize) {
        for (i, (address, place)) in listeners.iter().enumerate().skip(known) {
            let clash = listeners
                .get(..i)
                .into_iter()
                .flatten()
                .find(|(other, _)| clashes(*other, *address));
            if let Some((other, first)) = clash {
                let hint = self.also_at(*first);
                self.findings
                    .error(
                        "listener_clash",
                        *place,
                        format!("{address} is taken by the listener on {other}"),
                    )
                    .hint(hint);
            }
        }
    }

    fn certificates(
        &mut self,
        written: &Written<Vec<Written<spec::Certificate>>>,
        what: &str,
    ) -> Vec<Certificate> {
        let mut certificates = Vec::new();
        for item in written.get().into_iter().flatten() {
            let Some(item) = item.get() else { continue };
            let (cert, key) = (
                self.file(&item.cert, "certificate"),
                self.file(&item.key, "key"),
            );
            if let (Some(cert), Some(key)) = (cert, key) {
                certificates.push(Certificate { cert, key });
            }
        }
        if written.get().is_some_and(Vec::is_empty) {
            self.findings
                .error(
                    "empty",
                    written.place,
                    format!("{what} needs a certificate"),
                )
                .hint("such as certificates: [{ cert: tls/site.pem, key: tls/site.key }]");
        }
        certificates
    }
}

fn items<T>(list: &Option<Written<Vec<Written<T>>>>) -> impl Iterator<Item = &T> {
    let items = given(list).into_iter().flat_map(|(list, _)| list);
    items.filter_map(Written::get)
}

fn address(written: &Written<spec::Address>, taken: &mut Taken) -> Option<SocketAddr> {
    let address = written.get()?.0;
    taken.push((address, written.place));
    Some(address)
}

fn addresses(
    list: &Option<Written<Vec<Written<spec::Listener>>>>,
    taken: &mut Taken,
) -> Vec<SocketAddr> {
    items(list)
        .filter_map(|listener| address(&listener.address, taken))
        .collect()
}

/// Whether two listeners want one address. Port 0 is a free port each time.
fn clashes(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip()
            || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified())))
}
