//! Every config is whole, and every peer that is installed serves the regions that the rules promise.

use super::*;
use crate::compare::{Cannot, Peer, Place, Program, Programs, Running, Server, Work};
use crate::ports;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Programs that were built beside this test, those that `bench/peers/install` brought, and those in the
/// folders that `RHUMB_PEERS` names.
fn programs() -> Programs {
    let test = std::env::current_exe().expect("this test is a program");
    let target = test.ancestors().nth(3).map(Path::to_owned);
    let built = ["dist", "release", "debug"]
        .map(|profile| target.clone().unwrap_or_default().join(profile));
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/.programs/bin");
    let named = std::env::var_os("RHUMB_PEERS").unwrap_or_default();
    let rhumb = built
        .iter()
        .map(|folder| folder.join("rhumb"))
        .find(|path| path.is_file());
    Programs {
        rhumb: rhumb.unwrap_or_default(),
        folders: std::env::split_paths(&named)
            .chain([installed])
            .chain(built)
            .collect(),
    }
}

fn place(folder: &Path) -> Place {
    Place {
        folder: folder.to_owned(),
        address: ports::free().expect("a free port"),
        control: ports::free().expect("a free port"),
    }
}

/// The works of both kinds of config, over plain text and TLS.
const WORKS: [&str; 3] = ["http-plain", "http-steered", "http-tls"];

#[test]
fn every_config_is_whole() {
    let ground = Arc::new(Ground::new(None).expect("origins and files"));
    for peer in peers::all(&ground, &needs()) {
        for work in WORKS {
            let folder = tempfile::tempdir().expect("a folder");
            let program = Program {
                path: PathBuf::from("/bin/true"),
                version: String::new(),
            };
            match peer.launch(&program, work, &place(folder.path())) {
                Ok(_) | Err(Cannot::Do(_)) => {}
                Err(error) => panic!("{} {work}: {error}", peer.name()),
            }
        }
    }
}

#[test]
fn the_rules_pin_the_eu_and_spread_the_rest() {
    let subject = ground::subject(STEERED).expect("the config is fine");
    let asks = Asks::new(&subject, Plane::Http, &Population::World, 1000, 1);
    let asks = asks.expect("there is a host");
    let pinned = asks
        .list
        .iter()
        .filter(|ask| ask.allowed != crate::record::RegionSet::ALL);
    assert!((50..950).contains(&pinned.count()));
}

/// A German, an American, a Singaporean and unknown clients, and 300 of the world; regions and shares.
#[test]
fn installed_peers_serve_what_the_rules_promise() {
    let options = Options::default();
    let field = field(&options).expect("what the contests need");
    let programs = programs();
    for contest in field
        .contests
        .iter()
        .filter(|contest| WORKS.contains(&contest.work.id()))
    {
        for peer in &contest.peers {
            let name = peer.name();
            match peer.find(&programs) {
                Err(why) => eprintln!("SKIPPED: {name} on {}: {why}", contest.work.id()),
                Ok(program) => serves(&*contest.work, &**peer, &program),
            }
        }
    }
}

fn serves(work: &dyn Work, peer: &dyn Peer, program: &Program) {
    let who = format!("{} on {}", peer.name(), work.id());
    let folder = tempfile::tempdir().expect("a folder");
    let place = place(folder.path());
    let launch = match peer.launch(program, work.id(), &place) {
        Ok(launch) => launch,
        Err(Cannot::Do(why)) => return eprintln!("SKIPPED: {who}: {why}"),
        Err(error) => panic!("{who}: {error}"),
    };
    let running = Running {
        peer: peer.name(),
        address: place.address,
        folder: place.folder.clone(),
    };
    let mut server = Server::start(&launch, &place.folder, None).expect("it starts");
    let ready = server.wait_ready(Duration::from_secs(60), || work.ready(&running));
    ready.unwrap_or_else(|error| panic!("{who}: {error}"));
    let rightness = work
        .check(&running)
        .unwrap_or_else(|error| panic!("{who}: {error}"));
    assert_eq!(
        rightness.right, rightness.asked,
        "{who}: {:?}",
        rightness.wrong
    );
}
