//! Every peer that is installed here answers rightly with the config that it is compared with, before
//! anything is measured. A peer that is missing is named, and skipped.

use super::ask::Asker;
use super::*;
use crate::compare::process::Server;
use crate::compare::{Cannot, Place, Programs, Running};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Where the programs of this workspace are built, where they are built.
fn programs() -> Programs {
    let here = std::env::current_exe().expect("a test knows its program");
    let built = here.ancestors().nth(3).map(PathBuf::from);
    let built = built.unwrap_or_default();
    let folders: Vec<PathBuf> = ["dist", "release", "debug"]
        .iter()
        .map(|profile| built.join(profile))
        .collect();
    let mut rhumb = folders.iter().map(|folder| folder.join("rhumb"));
    Programs {
        rhumb: rhumb.find(|path| path.is_file()).unwrap_or_default(),
        folders,
    }
}

fn place(folder: &std::path::Path) -> Place {
    let free = || {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = tcp.local_addr().expect("its address");
        UdpSocket::bind(address).expect("the same port for UDP");
        address
    };
    Place {
        folder: folder.to_owned(),
        address: free(),
        control: free(),
    }
}

/// The serial of the zone that a server serves now.
fn serial(server: &Running) -> Option<u32> {
    let mut asker = Asker::new(server.address, Duration::from_millis(100)).ok()?;
    asker.ask(ground::ZONE, ask::SOA, None).ok()?.serial
}

/// Starts a peer and judges its answers; what it can't do is no failure.
fn judge(contest: &Contest, peer: &dyn Peer, program: &crate::compare::Program) {
    let (name, work) = (peer.name(), contest.work.id());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = place(folder.path());
    let launch = match peer.launch(program, work, &place) {
        Ok(launch) => launch,
        Err(Cannot::Do(_)) => return,
        Err(Cannot::Start(why)) => {
            eprintln!("SKIPPED: {work} with {name}: {why}");
            return;
        }
    };
    let running = Running {
        peer: name,
        address: place.address,
        folder: place.folder.clone(),
    };
    let mut server = Server::start(&launch, folder.path(), None).expect(name);
    let ready = server.wait_ready(Duration::from_secs(60), || contest.work.ready(&running));
    if let Err(error) = ready {
        panic!("{work} with {name}: {error}");
    }
    for round in 1..=2 {
        let found = contest.work.check(&running).expect("it is asked");
        assert!(found.asked >= 1_000, "{work} with {name}");
        assert_eq!(
            found.right, found.asked,
            "{work} with {name}: {:?}",
            found.wrong
        );
        if let Some(reload) = &launch.reload {
            reload(round, server.pid()).unwrap_or_else(|e| panic!("{work} with {name}: {e}"));
            let serves_new = || serial(&running) == Some(round + 1);
            let ready = server.wait_ready(Duration::from_secs(60), serves_new);
            ready.unwrap_or_else(|e| panic!("{work} with {name}: reload {round}: {e}"));
        }
    }
    assert_eq!(server.has_ended(), None, "{work} with {name}");
}

#[test]
fn installed_peers_answer_rightly() {
    let field = field(&Options::default()).expect("the DNS field");
    let programs = programs();
    for contest in &field.contests {
        // A hundred thousand services take a program that was built for speed.
        for peer in contest
            .peers
            .iter()
            .filter(|peer| !peer.name().contains("100,000"))
        {
            match peer.find(&programs) {
                Ok(program) => judge(contest, &**peer, &program),
                Err(why) => eprintln!("SKIPPED: {} with {}: {why}", contest.work.id(), peer.name()),
            }
        }
    }
}
