//! `rhumb dns query`: an answer with its reasons, from a config or from a running PoP.

use super::ask::{Reply, ask};
use super::why::{self, Asking, Why};
use crate::admin::client;
use crate::cli::explain::supposed;
use crate::cli::{DEFAULT_ADMIN, DEFAULT_CONFIG, Format, OK, UNASKABLE, load, out};
use dns::message::{EdnsOption, Message};
use dns::{Name, RType, Transport};
use ipnet::IpNet;
use serde::Serialize;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Nobody replied; dig's code for it.
const NO_REPLY: u8 = 9;
/// How many draws are tried to find one that explains what was seen.
const DRAWS: u64 = 64;
/// Where a DNS server listens when no port is named.
const DNS_PORT: u16 = 53;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    rhumb dns query api.example.com A --from 8.8.8.8 --config rhumb.yaml     all endpoints up\n  \
    rhumb dns query api.example.com --subnet 8.8.8.0/24 --down us --config rhumb.yaml\n  \
    rhumb dns query api.example.com AAAA --server 127.0.0.1 --admin          on the wire, with the reasons of the PoP that runs\n\n\
    Exit codes: 0 answered (whatever the code), 1 the config has errors, 2 it cannot be asked, 9 no reply.")]
pub struct Args {
    /// The name
    name: String,
    /// The type, by name or as TYPE65
    #[arg(default_value = "A")]
    rtype: String,
    /// Answer from this config, with every endpoint up
    #[arg(short, long, value_name = "FILE", env = "RHUMB_CONFIG", conflicts_with_all = ["server", "admin"])]
    config: Option<PathBuf>,
    /// Ask this DNS server on the wire
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    server: Option<String>,
    /// The admin address of the PoP that is asked, to have its reasons
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = DEFAULT_ADMIN, requires = "server")]
    admin: Option<SocketAddr>,
    /// Whom the query comes from (with --config); default 127.0.0.1
    #[arg(long, value_name = "ADDRESS", conflicts_with = "server")]
    from: Option<IpAddr>,
    /// The network of the resolver's client, as EDNS client subnet
    #[arg(long, value_name = "CIDR")]
    subnet: Option<String>,
    /// Ask over TCP
    #[arg(long, group = "over")]
    tcp: bool,
    /// As if over TLS (with --config)
    #[arg(long, group = "over", conflicts_with = "server")]
    tls: bool,
    /// As if over HTTPS (with --config)
    #[arg(long, group = "over", conflicts_with = "server")]
    https: bool,
    /// As if over QUIC (with --config)
    #[arg(long, group = "over", conflicts_with = "server")]
    quic: bool,
    /// The random number of the decision (with --config): try several to see a weighted policy at work
    #[arg(long, default_value_t = 0, conflicts_with = "server")]
    draw: u64,
    /// Suppose that this pool or region is down (with --config); may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    down: Vec<String>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What was answered, for programs.
#[derive(Serialize)]
struct Told<'a> {
    status: String,
    flags: Vec<&'static str>,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
    edns: Vec<String>,
    size: usize,
    why: Option<&'a Why>,
}

pub fn run(args: &Args) -> u8 {
    let asked = (|| {
        let name = Name::parse(&args.name).map_err(|error| format!("{}: {error}", args.name))?;
        let rtype: RType = args
            .rtype
            .parse()
            .map_err(|error| format!("{}: {error}", args.rtype))?;
        let subnet = args.subnet.as_deref().map(network).transpose()?;
        Ok::<_, String>((name, rtype, subnet))
    })();
    let (name, rtype, subnet) = match asked {
        Ok(asked) => asked,
        Err(problem) => {
            out::complaint(problem);
            return UNASKABLE;
        }
    };
    match &args.server {
        Some(server) => live(args, server, name, rtype, subnet),
        None => offline(args, name, rtype, subnet),
    }
}

/// `8.8.8.0/24`, or an address for all of its bits.
fn network(text: &str) -> Result<IpNet, String> {
    let whole = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(whole);
    network.ok_or_else(|| format!("--subnet {text}: a network is such as 8.8.8.0/24"))
}

fn transport(args: &Args) -> Transport {
    match args {
        Args { tcp: true, .. } => Transport::Tcp,
        Args { tls: true, .. } => Transport::Tls,
        Args { https: true, .. } => Transport::Https,
        Args { quic: true, .. } => Transport::Quic,
        _ => Transport::Udp,
    }
}

fn offline(args: &Args, name: Name, rtype: RType, subnet: Option<IpNet>) -> u8 {
    let file = args.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
    let candidate = match load(&file) {
        Ok(candidate) => candidate,
        Err(code) => return code,
    };
    let snapshot = match supposed(&candidate, &args.down, &file) {
        Ok(snapshot) => snapshot,
        Err(code) => return code,
    };
    let mut ask = why::ask(0, name, rtype, subnet);
    ask.options.push(EdnsOption::nsid());
    let asking = Asking {
        packet: ask.packet(),
        client: args.from.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        transport: transport(args),
        draw: args.draw,
    };
    let Some((octets, why)) = why::why(&snapshot, &asking) else {
        out::complaint("there is no response to this query");
        return NO_REPLY;
    };
    let over = format!("over {} from {}", asking.transport.name(), asking.client);
    tell(args, &octets, Some(&why), &over)
}

fn live(args: &Args, server: &str, name: Name, rtype: RType, subnet: Option<IpNet>) -> u8 {
    let with_port = server.parse::<SocketAddr>().ok();
    let bare = || Some(SocketAddr::new(server.parse().ok()?, DNS_PORT));
    let Some(address) = with_port.or_else(bare) else {
        out::complaint(format!(
            "--server {server}: an address is such as 192.0.2.1 or [2001:db8::1]:5353"
        ));
        return UNASKABLE;
    };
    let random = RandomState::new();
    let mut ask_for = why::ask(random.hash_one(0) as u16, name, rtype, subnet);
    ask_for.options.push(EdnsOption::nsid());
    let cookie = random.hash_one(1).to_be_bytes();
    ask_for.options.push(EdnsOption::cookie(cookie));
    let reply = match ask(address, &ask_for.packet(), args.tcp) {
        Ok(reply) => reply,
        Err(error) => {
            out::complaint(format!("no reply from {address}: {error}"));
            return NO_REPLY;
        }
    };
    let told = match args.admin {
        Some(admin) => match reasons(args, admin, &reply) {
            Ok(why) => why,
            Err(error) => {
                out::complaint(error);
                return UNASKABLE;
            }
        },
        None => None,
    };
    let over = format!(
        "from {address} over {} in {:.1} ms",
        if reply.tcp { "tcp" } else { "udp" },
        reply.took.as_secs_f64() * 1e3
    );
    tell(args, &reply.octets, told.as_ref(), &over)
}

/// What the PoP would answer and why, with a draw that gives what it did answer; `None` when none does.
fn reasons(args: &Args, admin: SocketAddr, reply: &Reply) -> Result<Option<Why>, String> {
    let seen = Message::read(&reply.octets)
        .map(|message| why::records(&message))
        .map_err(|error| error.to_string())?;
    let (client, mut first) = (reply.client.to_string(), None);
    let transport = if reply.tcp { "tcp" } else { "udp" };
    for draw in 0..DRAWS {
        let draw = steering::draw::mix(draw, 0).to_string();
        let mut query = vec![
            ("name", args.name.as_str()),
            ("type", args.rtype.as_str()),
            ("client", client.as_str()),
            ("transport", transport),
            ("draw", draw.as_str()),
        ];
        query.extend(args.subnet.as_deref().map(|subnet| ("subnet", subnet)));
        let text = client::get(admin, "/query", &query).map_err(|error| error.to_string())?;
        let why: Why = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if why.records == seen {
            return Ok(Some(why));
        }
        let generation = first.get_or_insert(why.generation);
        if *generation != why.generation {
            out::complaint(format!(
                "the table changed meanwhile: generation {generation} became {}",
                why.generation
            ));
            return Ok(None);
        }
    }
    out::complaint(format!(
        "the PoP at {admin} would not give this answer: is it the one that was asked, and does it see this client as {client}?"
    ));
    Ok(None)
}

fn tell(args: &Args, octets: &[u8], why: Option<&Why>, over: &str) -> u8 {
    let message = match Message::read(octets) {
        Ok(message) => message,
        Err(error) => {
            out::complaint(error);
            return UNASKABLE;
        }
    };
    if args.format == Format::Json {
        let texts = |i: usize| -> Vec<String> {
            let section = message.sections.get(i).into_iter().flatten();
            section
                .map(|record| record.to_string().replace('\t', " "))
                .collect()
        };
        let options = message.opt.iter().flat_map(|opt| &opt.options);
        out::json(&Told {
            status: dns::message::rcode_name(message.rcode()),
            flags: message.flag_names(),
            answer: texts(0),
            authority: texts(1),
            additional: texts(2),
            edns: options.map(ToString::to_string).collect(),
            size: message.size,
            why,
        });
        return OK;
    }
    out::line(&message);
    if let Some(why) = why {
        out::line(format!("{why}\n"));
    }
    out::line(format!(";; {} octets {over}", message.size));
    OK
}
