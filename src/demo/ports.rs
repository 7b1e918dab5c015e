//! The demo's addresses: those of its config, or others where they are taken.

use super::DemoError;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// The config of the demo, for a binary that runs outside a checkout.
pub const TEMPLATE: &str = include_str!("../../deploy/examples/demo.yaml");

/// How many ports above a taken one are tried.
const TRIES: u16 = 100;

/// A port that was taken.
pub struct Moved {
    /// What the config says.
    pub wanted: SocketAddr,
    /// What is used instead.
    pub port: u16,
}

/// Where everything listens.
pub struct Ports {
    /// The three origins.
    pub origins: [SocketAddr; 3],
    /// DNS, UDP and TCP.
    pub dns: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// HTTPS.
    pub https: SocketAddr,
    /// Metrics, status, explain.
    pub admin: SocketAddr,
    /// What had to move.
    pub moved: Vec<Moved>,
}

impl Ports {
    /// The addresses of the config, moved up to the next free port where one is taken.
    pub fn find() -> Result<Self, DemoError> {
        let mut moved = Vec::new();
        let mut place = |address: [u8; 4], port: u16, udp: bool| {
            let wanted = SocketAddr::from((address, port));
            let found = free(wanted, udp).map_err(|source| DemoError::Ports { wanted, source })?;
            if found != wanted {
                moved.push(Moved {
                    wanted,
                    port: found.port(),
                });
            }
            Ok::<_, DemoError>(found)
        };
        let origins = [
            place([127, 0, 1, 1], 8081, false)?,
            place([127, 0, 2, 1], 8081, false)?,
            place([127, 0, 3, 1], 8081, false)?,
        ];
        let dns = place([127, 0, 0, 1], 5353, true)?;
        let http = place([127, 0, 0, 1], 8080, false)?;
        let https = place([127, 0, 0, 1], 8443, false)?;
        let admin = place([127, 0, 0, 1], 9900, false)?;
        Ok(Self {
            origins,
            dns,
            http,
            https,
            admin,
            moved,
        })
    }

    /// The config with the moved addresses.
    pub fn apply(&self, config: &str) -> String {
        self.moved.iter().fold(config.to_owned(), |text, moved| {
            text.replace(
                &moved.wanted.to_string(),
                &format!("{}:{}", moved.wanted.ip(), moved.port),
            )
        })
    }
}

/// The first free port from `wanted` up.
fn free(wanted: SocketAddr, udp: bool) -> io::Result<SocketAddr> {
    let mut taken = None;
    for port in wanted.port()..wanted.port().saturating_add(TRIES) {
        let address = SocketAddr::new(wanted.ip(), port);
        let bound = TcpListener::bind(address).map(drop);
        let bound = bound.and_then(|()| {
            if udp {
                UdpSocket::bind(address).map(drop)
            } else {
                Ok(())
            }
        });
        match bound {
            Ok(()) => return Ok(address),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_moves_up_and_the_config_follows() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wanted = held.local_addr().expect("an address");
        let found = free(wanted, true).expect("another port");
        assert!(found.port() > wanted.port());
        let mut ports = Ports {
            origins: [wanted; 3],
            dns: wanted,
            http: wanted,
            https: wanted,
            admin: wanted,
            moved: vec![Moved {
                wanted,
                port: found.port(),
            }],
        };
        let text = format!("dns: [{{ address: \"{wanted}\" }}]");
        assert_eq!(
            ports.apply(&text),
            format!("dns: [{{ address: \"{found}\" }}]")
        );
        ports.moved.clear();
        assert_eq!(ports.apply(&text), text);
    }

    #[test]
    fn the_config_names_every_address_that_may_move() {
        for address in [
            "127.0.1.1:8081",
            "127.0.2.1:8081",
            "127.0.3.1:8081",
            "127.0.0.1:5353",
            "127.0.0.1:8080",
            "127.0.0.1:8443",
            "127.0.0.1:9900",
        ] {
            assert!(TEMPLATE.contains(address), "{address}");
        }
    }
}
