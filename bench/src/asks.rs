//! The questions of one run: which client asks for what, in which order. Made before the load starts,
//! so that asking costs nothing but sending.

use crate::clients::{ClientsError, Population};
use crate::record::RegionSet;
use crate::subject::{Subject, SubjectError, Target};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use steering::geo::Country;
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
    /// Where its answers are counted with those of its target and country: a position in
    /// [`Asks::cells`].
    pub cell: u32,
}

/// What answers are counted by: one target, asked from one country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// What was asked for: a position in [`Asks::targets`].
    pub target: u16,
    /// Where the client is; `None` when nobody knows.
    pub country: Option<Country>,
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
    /// The pairs of target and country that are asked.
    pub cells: Vec<Cell>,
    /// How many regions the config has; outcomes of a cell are counted in this many counters and three.
    pub regions: usize,
    /// For how long after the recording began the policy promises what it promised at first: until the
    /// first step of a scenario that changes that, `Duration::MAX` without one. Only answers before are
    /// judged by shares and scopes.
    pub settled: Duration,
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
        let questions = addresses.into_iter().enumerate().map(|(i, address)| {
            let client = match plane {
                Plane::Dns => told_network(address),
                Plane::Http => Client::from(address),
            };
            ((i % targets.len()) as u16, client)
        });
        let questions: Vec<_> = questions.collect();
        Ok(Self::listed(subject, plane, targets, questions))
    }

    /// These questions: a position in `targets` and a client each.
    ///
    /// # Panics
    /// When a position is beyond the targets.
    pub fn listed(
        subject: &Subject,
        plane: Plane,
        targets: Vec<Target>,
        questions: impl IntoIterator<Item = (u16, Client)>,
    ) -> Self {
        let mut cells = Vec::new();
        let mut numbers = HashMap::new();
        let list = questions.into_iter().map(|(target, client)| {
            let place = subject.snapshot.locate(client.address).location;
            let cell = Cell {
                target,
                country: place.country,
            };
            let number = *numbers.entry(cell).or_insert_with(|| {
                cells.push(cell);
                cells.len() - 1
            });
            Ask {
                target,
                client,
                allowed: subject.allowed(targets[usize::from(target)].service, &client),
                cell: number as u32,
            }
        });
        Self {
            plane,
            list: list.collect(),
            cells,
            targets,
            regions: subject.snapshot.table().regions().len(),
            settled: Duration::MAX,
        }
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
