//! A bare Pingora proxy: one upstream, HTTP/1.1 and HTTP/2, plain and TLS. It shows what the library
//! costs before any steering, as its users run it: `http_proxy_service` with nothing but
//! `upstream_peer`. It reads no config, writes no log, and changes no header.

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::io::Write;
use std::net::SocketAddr;

const USAGE: &str = "usage: peer-pingora --listen ADDRESS --upstream ADDRESS [--threads N]
                    [--tls-listen ADDRESS --certificate FILE --key FILE]
       peer-pingora --version";

/// Connections to the upstream that are kept for the next request: more than the load ever has in
/// flight, so that none is made anew (the library's 128 would churn).
const KEPT: usize = 4096;

/// The library's version; a test compares it with the lock file.
const PINGORA: &str = "0.9.1";

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        writeln!(std::io::stdout(), "peer-pingora on Pingora {PINGORA}")?;
        return Ok(());
    }
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let mut server = Server::new_with_opt_and_conf(None, conf(arguments.threads));
    server.bootstrap();
    let proxy = Bare(arguments.upstream);
    let mut service = http_proxy_service(&server.configuration, proxy);
    service.add_tcp(&arguments.listen.to_string());
    if let Some(tls) = arguments.tls {
        let mut settings = TlsSettings::intermediate(&tls.certificate, &tls.key)?;
        settings.enable_h2();
        service.add_tls_with_settings(&tls.listen.to_string(), None, settings);
    }
    server.add_service(service);
    server.run_forever()
}

fn conf(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        // With one thread there is nobody to steal from, and the simple scheduler is cheaper.
        work_stealing: threads > 1,
        upstream_keepalive_pool_size: KEPT,
        // A termination signal ends it at once instead of after five minutes.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}

struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    /// None: bodies pass as they are.
    fn init_downstream_modules(&self, _: &mut pingora_core::modules::http::HttpModules) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

struct Arguments {
    listen: SocketAddr,
    upstream: SocketAddr,
    threads: usize,
    tls: Option<Tls>,
}

struct Tls {
    listen: SocketAddr,
    certificate: String,
    key: String,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let (mut listen, mut upstream, mut tls_listen) = (None, None, None);
        let (mut certificate, mut key, mut threads) = (None, None, 1);
        while let Some(name) = words.next() {
            let value = words.next();
            let value = value.ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let wrong = |error| format!("{name} {value}: {error}\n{USAGE}");
            let address = || {
                value
                    .parse::<SocketAddr>()
                    .map_err(|e| wrong(e.to_string()))
            };
            match name.as_str() {
                "--listen" => listen = Some(address()?),
                "--upstream" => upstream = Some(address()?),
                "--tls-listen" => tls_listen = Some(address()?),
                "--certificate" => certificate = Some(value),
                "--key" => key = Some(value),
                "--threads" => {
                    threads = value
                        .parse()
                        .map_err(|e: std::num::ParseIntError| wrong(e.to_string()))?;
                }
                _ => return Err(format!("{name} is unknown\n{USAGE}")),
            }
        }
        let tls = match (tls_listen, certificate, key) {
            (Some(listen), Some(certificate), Some(key)) => Some(Tls {
                listen,
                certificate,
                key,
            }),
            (None, None, None) => None,
            _ => return Err(format!("TLS needs all of its three arguments\n{USAGE}")),
        };
        Ok(Self {
            listen: listen.ok_or(USAGE)?,
            upstream: upstream.ok_or(USAGE)?,
            threads,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_told_is_the_library_s() {
        let lock = include_str!("../../../../Cargo.lock");
        let entry = format!("name = \"pingora-proxy\"\nversion = \"{PINGORA}\"\n");
        assert!(lock.contains(&entry));
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let parse = |line: &str| Arguments::parse(line.split_whitespace().map(str::to_owned));
        let plain = "--listen 127.0.0.1:1 --upstream 127.0.0.1:2";
        assert!(parse(plain).is_ok_and(|a| a.threads == 1 && a.tls.is_none()));
        let tls = format!("{plain} --threads 2 --tls-listen 127.0.0.1:3 --certificate c --key k");
        assert!(parse(&tls).is_ok_and(|a| a.threads == 2 && a.tls.is_some()));
        for wrong in ["", "--listen", "--listen x --upstream y", "--what 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&format!("{plain} --key k")).is_err());
    }
}
