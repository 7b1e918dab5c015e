//! What is counted of connections: TCP, DoT, DoH and DoQ.

use super::one;
use crate::query::Transport;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Why a connection came to its end, beside the client's own closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Not taken: all places were taken a moment ago.
    Full,
    /// Not taken: the client's network has as many as it may.
    ClientLimit,
    /// Not taken: a PROXY header is expected here, and the peer is no trusted front end.
    Untrusted,
    /// It did not say who its client is as the PROXY protocol wants it.
    ProxyHeader,
    /// The TLS or QUIC handshake failed or took too long.
    Handshake,
    /// It had done nothing for longest when another needed its place.
    Evicted,
    /// No query for the idle time.
    Idle,
    /// It did not take its answers.
    SlowReader,
    /// It sent what makes no sense as a stream of queries.
    Malformed,
    /// It asked as often as one connection may.
    Queries,
    /// The network or the peer broke it off.
    Broken,
}

impl Closed {
    const ALL: [Self; 11] = [
        Self::Full,
        Self::ClientLimit,
        Self::Untrusted,
        Self::ProxyHeader,
        Self::Handshake,
        Self::Evicted,
        Self::Idle,
        Self::SlowReader,
        Self::Malformed,
        Self::Queries,
        Self::Broken,
    ];

    /// The name in metrics and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ClientLimit => "client_limit",
            Self::Untrusted => "untrusted",
            Self::ProxyHeader => "proxy_header",
            Self::Handshake => "handshake",
            Self::Evicted => "evicted",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::Malformed => "malformed",
            Self::Queries => "queries",
            Self::Broken => "broken",
        }
    }
}

/// The transports that have connections.
const CONNECTED: [Transport; 4] = [
    Transport::Tcp,
    Transport::Tls,
    Transport::Https,
    Transport::Quic,
];

/// The counters of connections.
pub(crate) struct Streams {
    open: [IntGauge; CONNECTED.len()],
    accepted: [IntCounter; CONNECTED.len()],
    closed: [IntCounter; Closed::ALL.len()],
}

impl Streams {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let open = one(
            registry,
            IntGaugeVec::new(
                Opts::new("rhumb_dns_connections", "Open connections."),
                &["transport"],
            )?,
        )?;
        let counters = |name, help, label| {
            one(
                registry,
                IntCounterVec::new(Opts::new(name, help), &[label])?,
            )
        };
        let accepted = counters(
            "rhumb_dns_connections_accepted_total",
            "Connections taken.",
            "transport",
        )?;
        let closed = counters(
            "rhumb_dns_connections_closed_total",
            "Connections refused or closed by this side, by reason.",
            "reason",
        )?;
        Ok(Self {
            open: CONNECTED.map(|t| open.with_label_values(&[t.name()])),
            accepted: CONNECTED.map(|t| accepted.with_label_values(&[t.name()])),
            closed: Closed::ALL.map(|reason| closed.with_label_values(&[reason.name()])),
        })
    }

    /// One more is open until what is given is dropped.
    pub(crate) fn opened(&self, transport: Transport) -> Option<Open> {
        let index = CONNECTED.iter().position(|known| *known == transport)?;
        self.accepted.get(index)?.inc();
        let gauge = self.open.get(index)?.clone();
        gauge.inc();
        Some(Open(gauge))
    }

    pub(crate) fn closed(&self, reason: Closed) {
        if let Some(counter) = self.closed.get(reason as usize) {
            counter.inc();
        }
    }
}

/// One open connection.
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
