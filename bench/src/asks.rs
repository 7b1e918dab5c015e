//! The questions of one run: which client asks for what, in which order. Made before the load starts,
//! so that asking costs nothing but sending.

use crate::clients::{ClientsError, Population};
use crate::record::RegionSet;
use crate::subject::{Subject, SubjectError, Target};
use ipnet::IpNet;
use std::net::IpAddr;
use steering::{Client, Plane};

/// The leading bits of an IPv4 client that a resolver tells (RFC 7871 §11.1).
pub const ECS_V4: u8 = 24;
/// The leading bits of an IPv6 client that a resolver tells (RFC 7871 §11.1).
pub const ECS_V6: u8 = 56;

/// One question, asked over and over.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What for: a position in [`Asks::targets`].
    pub target: u16,
    /// Who: what the server is told of the client.
    pub client: Client,
    /// The regions that may serve this client.
    pub allowed: RegionSet,
}

/// All questions of a run.
#[derive(Clone, Debug)]
pub struct Asks {
    /// Which half of Rhumb they are for.
    pub plane: Plane,
    /// What is asked for.
    pub targets: Vec<Target>,
    /// The questions, in the order they are asked; then from the first again.
    pub list: Vec<Ask>,
}

/// The most targets of one run.
const MAX_TARGETS: usize = u16::MAX as usize;

/// Why there is nothing to ask.
#[derive(Debug, thiserror::Error)]
pub enum AsksError {
    /// Nobody asks.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// Nothing can be asked for.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

impl Asks {
    /// `count` questions of `population`, the targets of the plane in turn. Over DNS the server is told
    /// of a client's network only; over HTTP of the whole address.
    ///
    /// # Errors
    /// When nothing can be asked for on this plane, or nobody can be drawn.
    pub fn new(
        subject: &Subject,
        plane: Plane,
        population: &Population,
        count: usize,
        seed: u64,
    ) -> Result<Self, AsksError> {
        let mut targets = subject.targets(plane).to_vec();
        targets.truncate(MAX_TARGETS);
        if targets.is_empty() {
            let missing = match plane {
                Plane::Dns => "DNS names (`dns: { names: […] }`)",
                Plane::Http => "HTTP hosts (`http: { hosts: […] }`)",
            };
            return Err(SubjectError::NothingToAsk(missing).into());
        }
        let addresses = population.draw(subject.snapshot.geo(), count.max(1), seed)?;
        let list = addresses.into_iter().enumerate().map(|(i, address)| {
            let target = i % targets.len();
            let client = match plane {
                Plane::Dns => told_network(address),
                Plane::Http => Client::from(address),
            };
            Ask {
                target: target as u16,
                client,
                allowed: subject.allowed(targets[target].service, &client),
            }
        });
        Ok(Self {
            plane,
            list: list.collect(),
            targets,
        })
    }

    /// The target of a question.
    pub fn target(&self, ask: &Ask) -> &Target {
        &self.targets[usize::from(ask.target)]
    }
}

/// What a resolver tells of a client: its /24 or /56.
fn told_network(address: IpAddr) -> Client {
    let bits = if address.is_ipv4() { ECS_V4 } else { ECS_V6 };
    let network = IpNet::new(address, bits).map_or(address, |net| net.network());
    Client {
        known_bits: Some(bits),
        ..Client::from(network)
    }
}
