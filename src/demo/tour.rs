//! What the demo prints once it runs: what to try, and what to expect.

use super::ports::Ports;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One client of the tour: who it is, an address of its network in the embedded country table, and
/// the region that `api.demo.test` gives it.
const CLIENTS: [(&str, &str, &str, &str); 4] = [
    (
        "a German client",
        "46.4.0.0/24",
        "46.4.0.1",
        "127.0.2.1 (eu-west-1)",
    ),
    (
        "an American client",
        "8.8.8.0/24",
        "8.8.8.8",
        "127.0.1.1 (us-east-1)",
    ),
    (
        "a Singaporean client",
        "202.166.0.0/24",
        "202.166.0.1",
        "127.0.3.1 (ap-southeast-1)",
    ),
    (
        "a client from nowhere known",
        "192.0.2.0/24",
        "192.0.2.1",
        "127.0.2.1 (eu-west-1: unknown clients are pinned too)",
    ),
];

/// The text.
pub struct Tour {
    config: PathBuf,
    dns: SocketAddr,
    http: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
    us: SocketAddr,
    eu: SocketAddr,
}

impl Tour {
    /// The tour of a demo on these ports.
    pub fn new(config: &Path, ports: &Ports) -> Self {
        let [us, eu, _] = ports.origins;
        Self {
            config: config.to_owned(),
            dns: ports.dns,
            http: ports.http,
            https: ports.https,
            admin: ports.admin,
            us,
            eu,
        }
    }

    fn dig(&self, f: &mut fmt::Formatter<'_>, rest: &str) -> fmt::Result {
        writeln!(
            f,
            "  dig @{} -p {} +noall +answer {rest}",
            self.dns.ip(),
            self.dns.port()
        )
    }

    fn curl(&self, f: &mut fmt::Formatter<'_>, host: &str, client: &str) -> fmt::Result {
        writeln!(
            f,
            "  curl -s -H 'Host: {host}' -H 'X-Forwarded-For: {client}' http://{}/",
            self.http
        )
    }
}

impl fmt::Display for Tour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nRhumb is running. Its config is {}",
            self.config.display()
        )?;
        writeln!(
            f,
            "DNS {}   HTTP {}   HTTPS {}   admin http://{}/\n",
            self.dns, self.http, self.https, self.admin
        )?;
        writeln!(
            f,
            "1. By geography, with EU clients pinned to the EU. Over DNS (+subnet plays the client):"
        )?;
        for (who, network, _, expected) in CLIENTS {
            self.dig(
                f,
                &format!("api.demo.test +subnet={network}   # {who}: {expected}"),
            )?;
        }
        writeln!(f, "   and the same over HTTP:")?;
        for (_, _, client, _) in CLIENTS {
            self.curl(f, "api.demo.test", client)?;
        }
        writeln!(
            f,
            "  curl -sk --resolve api.demo.test:{0}:{1} https://api.demo.test:{0}/",
            self.https.port(),
            self.https.ip()
        )?;
        writeln!(
            f,
            "\n2. By other policies: 40/40/20, the first that is up, the nearest:"
        )?;
        for name in [
            "weighted.demo.test",
            "failover.demo.test",
            "latency.demo.test +subnet=202.166.0.0/24",
        ] {
            self.dig(f, name)?;
        }
        writeln!(
            f,
            "\n3. Fail a region, watch both planes move within two seconds, and bring it back:"
        )?;
        writeln!(f, "  curl -X PUT http://{}/health/down", self.us)?;
        self.dig(f, "failover.demo.test   # now 127.0.2.1")?;
        self.curl(f, "failover.demo.test", "8.8.8.8")?;
        writeln!(f, "  curl -X PUT http://{}/health/up", self.us)?;
        writeln!(
            f,
            "\n4. Fail the EU: its clients are refused rather than sent elsewhere (no answer; HTTP 451):"
        )?;
        writeln!(f, "  curl -X PUT http://{}/health/down", self.eu)?;
        writeln!(
            f,
            "  dig @{} -p {} api.demo.test +subnet=46.4.0.0/24",
            self.dns.ip(),
            self.dns.port()
        )?;
        writeln!(
            f,
            "  curl -i -H 'Host: api.demo.test' -H 'X-Forwarded-For: 46.4.0.1' http://{}/",
            self.http
        )?;
        writeln!(f, "  curl -X PUT http://{}/health/up", self.eu)?;
        writeln!(f, "\n5. Ask why, and see it all:")?;
        writeln!(
            f,
            "  curl -s 'http://{}/explain?service=api&client=46.4.0.1&format=text'",
            self.admin
        )?;
        writeln!(f, "  curl -s http://{}/status", self.admin)?;
        writeln!(
            f,
            "\n6. Edit {}, save, and ask again: it is reloaded at once; a mistake is",
            self.config.display()
        )?;
        writeln!(
            f,
            "   reported here with its line while the old table serves on. Ctrl-C ends the demo."
        )
    }
}
