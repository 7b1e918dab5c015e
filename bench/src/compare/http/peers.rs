//! The HTTP servers that are compared: where each is found, and the config it is started with. What a
//! config says and why stands in `bench/peers/http`.

use super::ground::{Ground, PLAIN, STEERED, address, shown};
use crate::compare::{Cannot, Launch, Peer, Place, Program, Programs, path_of, program, version};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// What brings a peer that is missing.
const BROUGHT: &str = "run bench/peers/install";

/// What a work wants of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// The rules, and the access log.
    pub steered: bool,
    /// TLS at the place's address.
    pub tls: bool,
}

/// What each work wants, by its id.
pub type Needs = Arc<dyn Fn(&str) -> Wants + Send + Sync>;

/// All of them, Rhumb first.
pub fn all(ground: &Arc<Ground>, needs: &Needs) -> Vec<Arc<dyn Peer>> {
    let kinds = [
        Kind::Rhumb,
        Kind::HaProxy,
        Kind::Nginx,
        Kind::Envoy,
        Kind::Pingora,
    ];
    let peer = |kind| -> Arc<dyn Peer> {
        Arc::new(HttpPeer {
            kind,
            ground: ground.clone(),
            needs: needs.clone(),
        })
    };
    kinds.map(peer).to_vec()
}

struct HttpPeer {
    kind: Kind,
    ground: Arc<Ground>,
    needs: Needs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rhumb,
    HaProxy,
    Nginx,
    Envoy,
    Pingora,
}

impl Kind {
    /// The template of its config; none for a peer that takes arguments.
    fn template(self, steered: bool) -> &'static str {
        match (self, steered) {
            (Self::Rhumb, false) => PLAIN,
            (Self::Rhumb, true) => STEERED,
            (Self::HaProxy, false) => include_str!("../../../peers/http/haproxy-plain.cfg"),
            (Self::HaProxy, true) => include_str!("../../../peers/http/haproxy-steered.cfg"),
            (Self::Nginx, false) => include_str!("../../../peers/http/nginx-plain.conf"),
            (Self::Nginx, true) => include_str!("../../../peers/http/nginx-steered.conf"),
            (Self::Envoy, false) => include_str!("../../../peers/http/envoy-plain.yaml"),
            (Self::Envoy, true) => include_str!("../../../peers/http/envoy-steered.yaml"),
            (Self::Pingora, _) => "",
        }
    }

    /// Its own country table, by the name of its file.
    fn networks(self) -> &'static str {
        match self {
            Self::Nginx => "networks.conf",
            _ => "networks.map",
        }
    }
}

impl Peer for HttpPeer {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Rhumb => "rhumb",
            Kind::HaProxy => "haproxy",
            Kind::Nginx => "nginx",
            Kind::Envoy => "envoy",
            Kind::Pingora => "pingora",
        }
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        match self.kind {
            Kind::Rhumb => told(&programs.rhumb),
            Kind::HaProxy => program(programs, "haproxy", &["-v"], BROUGHT),
            Kind::Nginx => program(programs, "nginx", &["-v"], BROUGHT),
            Kind::Envoy => program(programs, "envoy", &["--version"], BROUGHT),
            Kind::Pingora => {
                let path = path_of(programs, "peer-pingora");
                let path = path.ok_or_else(|| format!("peer-pingora is not here; {BROUGHT}"))?;
                told(&path)
            }
        }
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        let wants = (self.needs)(work);
        if wants.steered && self.kind == Kind::Pingora {
            return Err(Cannot::work(
                "the bare library has no rules, no locations and no access log",
            ));
        }
        if wants.steered && self.kind != Kind::Rhumb {
            self.ground.with_tables().map_err(Cannot::Start)?;
        }
        let (http, https) = match wants.tls {
            true => (place.control, place.address),
            false => (place.address, place.control),
        };
        if self.kind == Kind::Pingora {
            return Ok(self.bare(program, http, https));
        }
        let config = self.config(wants.steered, place, http, https)?;
        let mut launch = self.command(program, place, &config)?;
        if wants.steered && self.kind == Kind::Envoy {
            launch.note = Some(
                "Envoy's geoip filter finds the country only after the route was chosen; one more filter \
                 has the route chosen again"
                    .to_owned(),
            );
        }
        Ok(launch)
    }
}

impl HttpPeer {
    fn config(
        &self,
        steered: bool,
        place: &Place,
        http: SocketAddr,
        https: SocketAddr,
    ) -> Result<String, Cannot> {
        // Logs lie apart from configs, as they do on every system.
        let log = place.write("log.d/access.log", "")?;
        let mut values = Vec::new();
        address(&mut values, "HTTP", http);
        address(&mut values, "HTTPS", https);
        for (name, path) in [
            ("DIR", place.folder.clone()),
            ("LOG", log),
            ("NETWORKS", self.ground.path(self.kind.networks())),
        ] {
            values.push((name.to_owned(), shown(&path)));
        }
        let values: Vec<(&str, &str)> = values.iter().map(|(a, b)| (&**a, &**b)).collect();
        self.ground.filled(self.kind.template(steered), &values)
    }

    fn command(&self, program: &Program, place: &Place, config: &str) -> Result<Launch, Cannot> {
        let path = &program.path;
        Ok(match self.kind {
            Kind::HaProxy => {
                let file = shown(&place.write("haproxy.cfg", config)?);
                Launch::new(path, ["-db", "-f", &file])
            }
            Kind::Nginx => {
                let file = shown(&place.write("nginx.conf", config)?);
                let errors = shown(&place.folder.join("nginx-error.log"));
                let folder = shown(&place.folder);
                Launch::new(path, ["-p", &folder, "-e", &errors, "-c", &file])
            }
            Kind::Envoy => {
                let file = shown(&place.write("envoy.yaml", config)?);
                let one = ["--concurrency", "1", "--disable-hot-restart"];
                let rest = ["--log-level", "error", "-c", &file];
                Launch::new(path, one.iter().chain(&rest))
            }
            Kind::Rhumb | Kind::Pingora => {
                let file = shown(&place.write("rhumb.yaml", config)?);
                Launch::new(path, ["run", "--config", &file])
            }
        })
    }

    fn bare(&self, program: &Program, http: SocketAddr, https: SocketAddr) -> Launch {
        let arguments = [
            ("--listen", http.to_string()),
            ("--upstream", self.ground.plain_origin().to_string()),
            ("--tls-listen", https.to_string()),
            ("--certificate", shown(&self.ground.path("certificate.pem"))),
            ("--key", shown(&self.ground.path("key.pem"))),
            ("--threads", "1".to_owned()),
        ];
        let flat = arguments.into_iter();
        Launch::new(
            &program.path,
            flat.flat_map(|(name, value)| [name.to_owned(), value]),
        )
    }
}

/// A program of this project, which tells its version like everyone.
fn told(path: &Path) -> Result<Program, String> {
    let version = version(path, &["--version"]);
    Ok(Program {
        version: version.ok_or_else(|| format!("{} does not tell its version", path.display()))?,
        path: path.to_owned(),
    })
}
