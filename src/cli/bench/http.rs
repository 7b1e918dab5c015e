//! `rhumb bench http`: an HTTP front door under load.

use super::asking::{self, Asking};
use super::{progress, reports};
use crate::cli::{UNASKABLE, out};
use bench::generate::http::{
    self, Connections, Options, REGION_HEADER, Tls, Told, Verify, Version,
};
use bench::load::Live;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::PathBuf;
use steering::Plane;

#[derive(clap::Args)]
#[command(
    after_help = "The config says which hosts and paths to ask for and what each client must get; it need not be the \
    config of the server. The server must trust this machine to say who the client is, and an origin must name its \
    region in a header.\n\nExamples:\n  \
    rhumb bench http --target http://127.0.0.1:8080 --config rhumb.yaml                   as fast as it goes\n  \
    rhumb bench http --target https://127.0.0.1:8443 --http2 --rate 2000 --config rhumb.yaml -o report.html\n\n\
    Exit codes: 0 all is as the policy promises, 1 it is not, 2 it can't be asked."
)]
pub struct Args {
    /// Where to connect: http://ADDRESS:PORT or https://ADDRESS:PORT
    #[arg(long, value_name = "URL", value_parser = target)]
    target: Target,
    /// HTTP/2: negotiated over TLS, by prior knowledge without
    #[arg(long)]
    http2: bool,
    /// Requests at a time on an HTTP/2 connection
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    streams: u16,
    /// Connections that are kept; as many as --concurrency when left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: Option<u32>,
    /// A new connection for each request
    #[arg(long, conflicts_with = "connections")]
    per_request: bool,
    /// How the server is told who the client is
    #[arg(long, value_enum, default_value = "x-forwarded-for")]
    told_by: By,
    /// Ask for this path in place of those of the services
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The response header in which origins name their region
    #[arg(long, value_name = "NAME", default_value = REGION_HEADER)]
    region_header: String,
    /// Believe the member `region` of a JSON body where that header is missing
    #[arg(long)]
    region_in_body: bool,
    /// The server name to ask for over TLS; the host of the request when left out
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Verify certificates by this PEM file of authorities, or by the system's with `system`; they are not
    /// verified when this is left out
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// Resume TLS sessions on later connections
    #[arg(long)]
    resume: bool,
    /// Connections that are opened, used once and then held idle meanwhile
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    idle: u32,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    XForwardedFor,
    Forwarded,
    ProxyV1,
    ProxyV2,
    Nothing,
}

/// Where to connect.
#[derive(Clone, Copy)]
struct Target {
    tls: bool,
    server: SocketAddr,
}

pub fn run(args: &Args) -> u8 {
    let prepared = match args.asking.prepare(Plane::Http) {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => {
            out::complaint(error);
            return UNASKABLE;
        }
    };
    let load = &prepared.load;
    let what = format!("http {}", args.target.server);
    // Idle connections are opened before the clock starts.
    let ready = http::Prepared::new(&prepared.subject, &prepared.asks, &options, load.timeout);
    let measured = ready.and_then(|ready| {
        let live = Live::new(load);
        progress::during(&what, load, &live, || ready.run(load, &live))
    });
    match measured {
        Ok(measured) => {
            let asked = reports::Asked {
                server: args.target.server.to_string(),
                transport: args.transport(),
            };
            reports::tell(&args.asking, asked, &prepared, &measured)
        }
        Err(error) => {
            asking::complain(&error);
            UNASKABLE
        }
    }
}

impl Args {
    fn options(&self) -> Result<Options, String> {
        let connections = self.connections.unwrap_or(self.asking.concurrency);
        Ok(Options {
            server: self.target.server,
            tls: self.tls()?,
            version: if self.http2 {
                Version::H2 {
                    streams: self.streams.into(),
                }
            } else {
                Version::H1
            },
            connection: if self.per_request {
                Connections::PerRequest
            } else {
                Connections::KeepAlive {
                    connections: connections as usize,
                }
            },
            told: match self.told_by {
                By::XForwardedFor => Told::XForwardedFor,
                By::Forwarded => Told::Forwarded,
                By::ProxyV1 => Told::ProxyV1,
                By::ProxyV2 => Told::ProxyV2,
                By::Nothing => Told::Nothing,
            },
            path: self.path.clone(),
            region_header: self.region_header.clone(),
            region_in_body: self.region_in_body,
            idle_connections: self.idle as usize,
        })
    }

    fn tls(&self) -> Result<Option<Tls>, String> {
        if !self.target.tls {
            return Ok(None);
        }
        let verify = match &self.verify {
            None => Verify::Nothing,
            Some(file) if file.as_os_str() == "system" => Verify::System,
            Some(file) => {
                let pem = std::fs::read(file);
                Verify::Pem(pem.map_err(|error| format!("{}: {error}", file.display()))?)
            }
        };
        Ok(Some(Tls {
            server_name: self.server_name.clone(),
            verify,
            resumption: self.resume,
            alpn: Vec::new(),
        }))
    }

    fn transport(&self) -> String {
        let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let tls = if self.target.tls { " over TLS" } else { "" };
        let each = if self.per_request {
            ", a connection for each request"
        } else {
            ""
        };
        format!("{version}{tls}{each}")
    }
}

fn target(text: &str) -> Result<Target, String> {
    let wrong = || "write http://ADDRESS:PORT or https://ADDRESS:PORT".to_owned();
    let uri: ::http::Uri = text.parse().map_err(|_| wrong())?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    if uri.path() != "/" || uri.query().is_some() {
        return Err("paths are those of the services; give another one with --path".to_owned());
    }
    let host = uri.host().ok_or_else(wrong)?;
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let server = asking::server(&format!("{host}:{port}"))?;
    Ok(Target { tls, server })
}
