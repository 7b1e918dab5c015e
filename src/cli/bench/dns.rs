//! `rhumb bench dns`: a DNS server under load.

use super::asking::{self, Asking};
use super::{progress, reports};
use crate::cli::UNASKABLE;
use bench::generate::dns::{self, Options, PAYLOAD, Transport, Types};
use bench::load::Live;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use steering::Plane;

#[derive(clap::Args)]
#[command(
    after_help = "The config says which names to ask for, which addresses belong to which region, and what each client \
    must get; it need not be the config of the server.\n\nExamples:\n  \
    rhumb bench dns --server 127.0.0.1:5353 --config rhumb.yaml                          as fast as it goes\n  \
    rhumb bench dns --server 127.0.0.1:5353 --config rhumb.yaml --rate 20000             latency at a steady rate\n  \
    rhumb bench dns --server 127.0.0.1:5353 --config rhumb.yaml --clients DE=20,US=80 -o report.html\n\n\
    Exit codes: 0 all is as the policy promises, 1 it is not, 2 it can't be asked."
)]
pub struct Args {
    /// The server, as ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", value_parser = asking::server)]
    server: SocketAddr,
    /// Over what
    #[arg(long, value_enum, default_value = "udp")]
    transport: Over,
    /// Connections over TCP or TLS
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Questions on a connection before it is closed and made anew; as many as the server likes when
    /// left out
    #[arg(long, value_name = "N")]
    per_connection: Option<NonZeroU32>,
    /// What is asked for
    #[arg(long = "type", value_enum, default_value = "a")]
    types: Type,
    /// Do not tell the client's network (no client subnet option): all clients are the bench itself
    #[arg(long)]
    no_ecs: bool,
    /// Ask for names that do not exist
    #[arg(long)]
    missing: bool,
    /// UDP sockets a thread, each with a port of its own
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    sockets: u16,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, ValueEnum)]
enum Over {
    Udp,
    Tcp,
    /// TCP within TLS, whatever the certificate
    Dot,
}

#[derive(Clone, Copy, ValueEnum)]
enum Type {
    /// IPv4 addresses
    A,
    /// IPv6 addresses
    Aaaa,
    /// One after the other
    Both,
}

pub fn run(args: &Args) -> u8 {
    let prepared = match args.asking.prepare(Plane::Dns) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let options = args.options();
    let live = Live::new(&prepared.load);
    let what = format!("dns {}", args.server);
    let measured = progress::during(&what, &prepared.load, &live, || {
        let subject = &prepared.subject;
        dns::run(subject, &prepared.asks, &options, &prepared.load, &live)
    });
    let measured = match measured {
        Ok(measured) => measured,
        Err(error) => {
            asking::complain(&error);
            return UNASKABLE;
        }
    };
    let over = match args.transport {
        Over::Udp => "UDP",
        Over::Tcp => "TCP",
        Over::Dot => "DoT",
    };
    let asked = reports::Asked {
        server: args.server.to_string(),
        transport: over.to_owned(),
    };
    reports::tell(&args.asking, asked, &prepared, &measured)
}

impl Args {
    fn options(&self) -> Options {
        Options {
            server: self.server,
            transport: match self.transport {
                Over::Udp => Transport::Udp,
                Over::Tcp => Transport::Tcp {
                    connections: self.connections as usize,
                    queries: self.per_connection,
                },
                Over::Dot => Transport::Dot {
                    connections: self.connections as usize,
                    queries: self.per_connection,
                },
            },
            ecs: !self.no_ecs,
            edns: Some(PAYLOAD),
            types: match self.types {
                Type::A => Types::A,
                Type::Aaaa => Types::Aaaa,
                Type::Both => Types::Both,
            },
            missing: self.missing,
            sockets: self.sockets.into(),
        }
    }
}
