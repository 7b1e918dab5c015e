//! A bare hickory-server handler: what the library costs before any steering. It answers the A records of
//! one zone file over UDP and TCP, with NXDOMAIN and the zone's SOA for every other name below it. It does
//! nothing else, so that everything measured is the library's.
//!
//! What it does for speed is what hickory's own users would do: one thread with a current-thread runtime
//! where the machine gives it one processor (no hand-over between threads), names looked up in a hash map
//! as the lower-case names that the library has parsed already, records built once, nothing logged.
//!
//! `peer-hickory ADDRESS:PORT ZONEFILE`

#![expect(clippy::print_stdout, reason = "a program that tells its version")]

use hickory_proto::op::{Edns, LowerQuery, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};

/// The payload that is offered (RFC 9715 §3.1).
const PAYLOAD: u16 = 1232;
/// How long records may be cached, seconds.
const TTL: u32 = 60;
/// How long a TCP connection may be silent.
const SILENCE: Duration = Duration::from_secs(5);
/// Answers that wait for a slow TCP client.
const WAITING: usize = 128;

/// The zone, and what goes with every answer.
struct Handler {
    origin: LowerName,
    soa: Record,
    addresses: HashMap<LowerName, Record>,
    edns: Edns,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let edns = request.edns.as_ref().map(|_| &self.edns);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let builder = MessageResponseBuilder::new(&request.queries, edns);
        let query = request.request_info().map(|info| info.query);
        let found = match (request.metadata.op_code, query) {
            (OpCode::Query, Ok(query)) => self.find(query),
            (OpCode::Query, Err(_)) => Err(ResponseCode::FormErr),
            _ => Err(ResponseCode::NotImp),
        };
        let sent = match found {
            Ok(Found::Address(record)) => {
                metadata.authoritative = true;
                let message = builder.build(metadata, Some(record), None, None, None);
                response.send_response(message).await
            }
            Ok(Found::Nothing(code)) => {
                metadata.authoritative = true;
                metadata.response_code = code;
                let message = builder.build(metadata, None, None, Some(&self.soa), None);
                response.send_response(message).await
            }
            Err(code) => {
                let message = builder.error_msg(&request.metadata, code);
                response.send_response(message).await
            }
        };
        // A client that is gone gets nothing; what is returned is for the library's counters.
        sent.unwrap_or_else(|_| {
            let mut metadata = Metadata::response_from_request(&request.metadata);
            metadata.response_code = ResponseCode::ServFail;
            let counts = hickory_proto::op::HeaderCounts::default();
            hickory_proto::op::Header { metadata, counts }.into()
        })
    }
}

/// What the zone says to a question.
enum Found<'a> {
    Address(&'a Record),
    /// NXDOMAIN, or NOERROR for a name with no record of the type (RFC 2308 §2).
    Nothing(ResponseCode),
}

impl Handler {
    fn find(&self, query: &LowerQuery) -> Result<Found<'_>, ResponseCode> {
        let name = query.name();
        match self.addresses.get(name) {
            Some(record) if query.query_type() == RecordType::A => Ok(Found::Address(record)),
            Some(_) => Ok(Found::Nothing(ResponseCode::NoError)),
            None if *name == self.origin => Ok(Found::Nothing(ResponseCode::NoError)),
            None if self.origin.zone_of(name) => Ok(Found::Nothing(ResponseCode::NXDomain)),
            None => Err(ResponseCode::Refused),
        }
    }

    /// From a zone file of which only `$ORIGIN` and lines like `name IN A 192.0.2.1` are read.
    fn read(zone: &str) -> Result<Self, Box<dyn Error>> {
        let origin = zone.lines().find_map(|line| line.strip_prefix("$ORIGIN "));
        let origin = Name::from_ascii(origin.ok_or("the zone has no $ORIGIN")?.trim())?;
        let mut addresses = HashMap::new();
        for line in zone.lines() {
            let mut words = line.split_whitespace();
            let (Some(label), Some("IN"), Some("A"), Some(address)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let name = Name::from_ascii(label)?.append_domain(&origin)?;
            let address: Ipv4Addr = address.parse()?;
            let record = Record::from_rdata(name.clone(), TTL, RData::A(A(address)));
            addresses.insert(LowerName::from(name), record);
        }
        let (mname, rname) = (Name::from_ascii("ns1")?, Name::from_ascii("hostmaster")?);
        let (mname, rname) = (mname.append_domain(&origin)?, rname.append_domain(&origin)?);
        let soa = SOA::new(mname, rname, 1, 7200, 1800, 259_200, TTL);
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        edns.set_version(0);
        Ok(Self {
            soa: Record::from_rdata(origin.clone(), TTL, RData::SOA(soa)),
            origin: origin.into(),
            addresses,
            edns,
        })
    }
}

async fn serve(address: SocketAddr, handler: Handler) -> Result<(), Box<dyn Error>> {
    let mut server = hickory_server::Server::new(handler);
    server.register_socket(UdpSocket::bind(address).await?);
    server.register_listener(TcpListener::bind(address).await?, SILENCE, WAITING);
    server.block_until_done().await?;
    Ok(())
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if arguments.first().is_some_and(|first| first == "--version") {
        println!("peer-hickory, hickory-server {}", hickory_server::version());
        return Ok(());
    }
    let [address, zone] = arguments else {
        return Err("usage: peer-hickory ADDRESS:PORT ZONEFILE".into());
    };
    let handler = Handler::read(&std::fs::read_to_string(zone)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(address.parse()?, handler))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-hickory: {error}");
            ExitCode::FAILURE
        }
    }
}
