//! What one answer told its client, in the words of the lexicon: the same value for a DNS answer and an HTTP response,
//! from the core and from the wire.

use super::clients::Response;
use super::wire::Reply;
use std::collections::HashMap;
use std::net::IpAddr;

/// Regions by the addresses that DNS publishes for them.
pub type Regions = HashMap<IpAddr, String>;

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The region that serves this client; of several, the first.
    pub region: Option<String>,
    /// The addresses of a DNS answer.
    pub addresses: Vec<IpAddr>,
    /// `refused` or `no_service` where the wire says so; the core also knows `steered` from `fail_open`.
    pub verdict: Option<&'static str>,
    /// Why there is no region.
    pub reason: Option<String>,
    /// The scope of a DNS answer.
    pub scope: Option<u8>,
    /// How long a DNS answer may be kept.
    pub ttl: Option<u32>,
    /// The response code of DNS as a word, or the status of HTTP.
    pub code: String,
}

impl Seen {
    pub fn in_dns(reply: &Reply, regions: &Regions) -> Self {
        let addresses = reply.addresses();
        let region = addresses
            .first()
            .and_then(|address| regions.get(address))
            .cloned();
        let reason = reply.ede.as_ref().map(|(_, text)| text.clone());
        Self {
            region,
            verdict: reason.as_deref().and_then(verdict),
            reason,
            scope: reply.scope,
            ttl: reply.ttl(),
            code: rcode(reply.rcode).to_owned(),
            addresses,
        }
    }

    pub fn in_http(response: &Response) -> Self {
        let reason = response.header("rhumb-reason").map(str::to_owned);
        Self {
            region: response.region(),
            verdict: reason.as_deref().and_then(verdict),
            reason,
            code: response.status.to_string(),
            ..Self::default()
        }
    }
}

/// The verdict that a reason on the wire stands for.
pub fn verdict(reason: &str) -> Option<&'static str> {
    match reason {
        "residency_exhausted" | "policy_exhausted" => Some("refused"),
        "no_match" => Some("no_service"),
        _ => None,
    }
}

fn rcode(code: u16) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "BADVERS",
        _ => "another code",
    }
}
