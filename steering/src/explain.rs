//! Why a client gets what it gets: one decision, walked by the very code that serves, in words.
//!
//! An [`Explanation`] is a value: `Display` draws it as a tree, `Serialize` gives JSON.

use crate::client::{Client, Plane, Want};
use crate::geo::Located;
use crate::health::Status;
use crate::ids::{PoolId, ServiceId};
use crate::recorder::{Because, Level, Step, Trace, Why};
use crate::snapshot::Snapshot;
use crate::table::{GeoMatch, Node, NodeKind, Service, Table};
use crate::{Decision, Verdict};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One decision, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The service asked for.
    pub service: String,
    /// The client's address.
    pub client: IpAddr,
    /// `dns` or `http`.
    pub plane: &'static str,
    /// The generation that decided.
    pub generation: u64,
    /// Where the client is, when that was consulted.
    pub located: Option<Located>,
    /// The residency rule of the service, when it has one.
    pub residency: Option<Pin>,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, when nothing was chosen.
    pub reason: &'static str,
    /// The chosen region.
    pub region: Option<String>,
    /// The chosen pool.
    pub pool: Option<String>,
    /// The endpoints, in the order they are answered or tried.
    pub endpoints: Vec<SocketAddr>,
    /// Seconds.
    pub ttl: u32,
    /// Leading bits of the client address that the decision depended on.
    pub scope: u8,
    /// What was considered, in order.
    pub steps: Vec<Line>,
}

/// What the residency rule did.
#[derive(Clone, Debug, Serialize)]
pub struct Pin {
    /// The rule.
    pub rule: String,
    /// Whether it pins this client.
    pub pinned: bool,
    /// The pools that the pin takes out of the policy for this client.
    pub excluded: Vec<String>,
}

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How deep in the tree; 0 is the service.
    pub depth: u16,
    /// Whether this is the way the decision went.
    pub taken: bool,
    /// What is considered: `failover primary-first`, `pool us`.
    pub what: String,
    /// Why it was taken or not.
    pub why: String,
}

impl Explanation {
    /// Decides once, listening in; `None` when there is no such service.
    pub fn new(
        snapshot: &Snapshot,
        service: ServiceId,
        client: &Client,
        want: Want,
    ) -> Option<Self> {
        let table = snapshot.table();
        let named = table.services().get(service.index())?;
        let mut trace = Trace::default();
        let decision = snapshot.decide(service, client, want, &mut trace);
        let pool = decision.pool.and_then(|id| table.pools().get(id.index()));
        let region = decision
            .region
            .and_then(|id| table.regions().get(id.index()));
        let address = |id: &crate::EndpointId| table.endpoints().get(id.index()).map(|e| e.address);
        Some(Self {
            service: named.name.to_string(),
            client: client.address,
            plane: if want.plane == Plane::Dns {
                "dns"
            } else {
                "http"
            },
            generation: snapshot.generation(),
            located: decision.located,
            residency: pin(table, named, want.plane, &decision),
            verdict: decision.verdict,
            reason: decision.reason.name(),
            region: region.map(|r| r.name.to_string()),
            pool: pool.map(|p| p.name.to_string()),
            endpoints: decision.endpoints.iter().filter_map(address).collect(),
            ttl: decision.ttl,
            scope: decision.scope,
            steps: Teller::new(snapshot).tell(&trace.steps),
        })
    }
}

fn pin(table: &Table, service: &Service, plane: Plane, decision: &Decision) -> Option<Pin> {
    let rule = table.residencies().get(service.residency?.index())?;
    let roots = if plane == Plane::Dns {
        service.dns
    } else {
        service.http
    };
    let mut excluded: Vec<PoolId> = Vec::new();
    if decision.pinned {
        let allowed = table.reachable(roots.pinned);
        excluded = table.reachable(roots.free);
        excluded.retain(|pool| !allowed.contains(pool));
    }
    let name = |id: &PoolId| table.pools().get(id.index()).map(|p| p.name.to_string());
    Some(Pin {
        rule: rule.name.to_string(),
        pinned: decision.pinned,
        excluded: excluded.iter().filter_map(name).collect(),
    })
}

/// Turns steps into lines.
struct Teller<'a> {
    snapshot: &'a Snapshot,
    table: &'a Table,
    /// The nodes entered and not yet left.
    open: Vec<&'a Node>,
    /// For each open node, the line of the child being tried.
    trying: Vec<Option<usize>>,
    lines: Vec<Line>,
}

impl<'a> Teller<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let table = snapshot.table();
        Self {
            snapshot,
            table,
            open: Vec::new(),
            trying: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn tell(mut self, steps: &'a [Step]) -> Vec<Line> {
        for step in steps {
            self.step(step);
        }
        self.lines
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Located(_) | Step::Pinned(_) | Step::Free(_) => {}
            Step::Pass(level) => {
                let why = match level {
                    Level::Up => "what is known to be up",
                    Level::NotDown => {
                        "nothing known to be up has an answer: also what was never probed"
                    }
                    Level::Any => "nothing is left: failing open, as if all were up",
                };
                self.line(0, true, "pass".to_owned(), why.to_owned());
            }
            Step::Enter(id) => self.enter(self.table.nodes().get(id.index())),
            Step::Took(child, because) => {
                let what = self.child(*child);
                let depth = self.open.len() as u16 + 1;
                let at = self.line(depth, true, what, because_text(because));
                if let Some(trying) = self.trying.last_mut() {
                    *trying = Some(at);
                }
            }
            Step::Rejected(child, why) => self.rejected(*child, why),
            Step::Exhausted(_) | Step::Leave => {
                self.open.pop();
                self.trying.pop();
            }
            Step::EndpointSkipped(id, status) => {
                let Some(endpoint) = self.table.endpoints().get(id.index()) else {
                    return;
                };
                let depth = self.open.len() as u16 + 1;
                let why = match status {
                    Status::Up => "a reserve: an endpoint with a weight is up".to_owned(),
                    status => format!("{}, and another endpoint is better", status.name()),
                };
                self.line(depth, false, format!("endpoint {}", endpoint.address), why);
            }
        }
    }

    fn enter(&mut self, node: Option<&'a Node>) {
        let Some(node) = node else { return };
        if self.open.is_empty() {
            self.line(
                1,
                true,
                self.named(node),
                "the policy of the service".to_owned(),
            );
        }
        self.open.push(node);
        self.trying.push(None);
    }

    fn rejected(&mut self, child: u32, why: &Why) {
        let text = why_text(why);
        // A child that was tried and had nothing already has its line.
        if *why == Why::Exhausted
            && let Some(at) = self.trying.last().copied().flatten()
        {
            self.lines[at].taken = false;
            self.lines[at].why = text;
            return;
        }
        let what = self.child(child);
        let depth = self.open.len() as u16 + 1;
        self.line(depth, false, what, text);
    }

    fn child(&self, position: u32) -> String {
        let edges = self
            .open
            .last()
            .map_or(&[][..], |node| self.table.children(node));
        let node = edges
            .get(position as usize)
            .and_then(|e| self.table.nodes().get(e.node.index()));
        node.map_or_else(|| format!("child {position}"), |node| self.named(node))
    }

    /// A node with what a reader wants to know of it: a pool's health.
    fn named(&self, node: &Node) -> String {
        let NodeKind::Pool(id) = node.kind else {
            return what(node);
        };
        let Some(pool) = self.table.pools().get(id.index()) else {
            return what(node);
        };
        let all = pool.endpoint_ids().len();
        let up = pool
            .endpoint_ids()
            .filter(|id| self.snapshot.status(*id) == Status::Up)
            .count();
        format!("{} ({up} of {all} up)", what(node))
    }

    fn line(&mut self, depth: u16, taken: bool, what: String, why: String) -> usize {
        self.lines.push(Line {
            depth,
            taken,
            what,
            why,
        });
        self.lines.len() - 1
    }
}

fn what(node: &Node) -> String {
    format!("{} {}", node.kind.name(), node.name)
}

fn because_text(because: &Because) -> String {
    match because {
        Because::First => "the first usable one".to_owned(),
        Because::InUse => "in use, and failback has not happened".to_owned(),
        Because::Drawn(weight, total) => format!("drawn: weight {weight} of {total}"),
        Because::Sticky(weight) => format!("the client's network hashes to it: weight {weight}"),
        Because::Geo(GeoMatch::Subdivision) => "the client's subdivision".to_owned(),
        Because::Geo(GeoMatch::Country) => "the client's country".to_owned(),
        Because::Geo(GeoMatch::Set) => "a set with the client's country".to_owned(),
        Because::Geo(GeoMatch::Continent) => "the client's continent".to_owned(),
        Because::Geo(GeoMatch::Default) | Because::Default => "the default".to_owned(),
        Because::Fastest(ms) => format!("the fastest: {ms:.1} ms"),
        Because::Incumbent(ms) => format!("in use at {ms:.1} ms, and none is 10 % and 5 ms better"),
        Because::Nearest(km) => format!("the nearest: {km:.0} km"),
        Because::Unmeasured => "nothing is known of any distance: the first as written".to_owned(),
        Because::Network => "the client's network".to_owned(),
        Because::OneOfSeveral => "one of several".to_owned(),
    }
}

fn why_text(why: &Why) -> String {
    match why {
        Why::Down => "down".to_owned(),
        Why::Unknown => "not probed yet".to_owned(),
        Why::Exhausted => "usable, but has nothing for this client".to_owned(),
        Why::Later => "not needed: an earlier one is usable".to_owned(),
        Why::HeldBack => "usable again, but failback has not happened".to_owned(),
        Why::Reserve => "a reserve: weight 0".to_owned(),
        Why::NotDrawn => "not drawn".to_owned(),
        Why::Slower(ms) if ms.is_finite() => format!("slower: {ms:.1} ms"),
        Why::Farther(km) if km.is_finite() => format!("farther: {km:.0} km"),
        Why::Slower(_) | Why::Farther(_) => "not measured".to_owned(),
        Why::LessSpecific => "matches, but less specifically".to_owned(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "service {} for {} over {}, generation {}",
            self.service, self.client, self.plane, self.generation
        )?;
        if let Some(located) = &self.located {
            writeln!(f, "  location   {}", located)?;
        }
        if let Some(pin) = &self.residency {
            match (pin.pinned, pin.excluded.is_empty()) {
                (false, _) => writeln!(f, "  residency  {}: does not pin this client", pin.rule)?,
                (true, true) => writeln!(f, "  residency  {}: pins this client", pin.rule)?,
                (true, false) => writeln!(
                    f,
                    "  residency  {}: pins this client; not in its policy: {}",
                    pin.rule,
                    pin.excluded.join(", ")
                )?,
            }
        }
        for line in &self.steps {
            let mark = if line.taken { "->" } else { " x" };
            let indent = usize::from(line.depth) * 2;
            writeln!(f, "  {:indent$}{mark} {}: {}", "", line.what, line.why)?;
        }
        write!(f, "  verdict    {}", self.verdict.name())?;
        match (&self.region, &self.pool) {
            (Some(region), Some(pool)) => writeln!(f, ": region {region}, pool {pool}")?,
            _ => writeln!(f, ": {}", self.reason)?,
        }
        let endpoints: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
        if !endpoints.is_empty() {
            writeln!(f, "  endpoints  {}", endpoints.join(", "))?;
        }
        write!(f, "  ttl {} s, scope /{}", self.ttl, self.scope)
    }
}
