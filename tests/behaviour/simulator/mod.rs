//! A seeded simulator: clients behind caching resolvers, endpoints that flap, reload storms, time that jumps; the core in
//! the middle. After every step the checkers look for what must never be. A failure prints the seed and the last steps;
//! `RHUMB_SEED` plays it again.

mod cache;
mod checkers;

use crate::harness::chance::{Chance, seed};
use crate::harness::core::{Compiled, Core, RESOLVER, compile};
use crate::harness::wire::{Question, Subnet};
use crate::policies;
use cache::{Cache, Entry};
use std::collections::VecDeque;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::{Snapshot, Want};

/// How many worlds are played, and how many steps each.
const WORLDS: u64 = 6;
const STEPS: usize = 2_500;
const SERVICES: usize = 6;
const RESOLVERS: usize = 4;
/// How many addresses inside the scope of each new answer are asked for too.
const INSIDE: usize = 4;
/// How many steps a failure shows.
const SHOWN: usize = 25;

/// What happened, for whoever must understand a failure.
#[derive(Default)]
struct Diary(VecDeque<String>);

impl Diary {
    fn note(&mut self, line: String) {
        if self.0.len() == SHOWN {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

struct World {
    chance: Chance,
    core: Core,
    config: String,
    /// The snapshot that answers now, shared by the cache entries that it made.
    current: Arc<Snapshot>,
    resolvers: Vec<Cache>,
    /// Where clients are: few enough networks that caches are hit, and whole addresses near each other.
    clients: Vec<IpAddr>,
    diary: Diary,
    hits: usize,
}

/// What a step may find wrong.
type Checked = Result<(), String>;

#[test]
fn nothing_that_must_never_be_is_ever_seen() {
    let first = seed(1);
    let mut hits = 0;
    for seed in first..first + WORLDS {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            if let Err(wrong) = world.step() {
                let mut diary = String::new();
                for line in &world.diary.0 {
                    let _ = writeln!(diary, "  {line}");
                }
                panic!(
                    "RHUMB_SEED={seed}, step {step}: {wrong}\n{diary}\n{}",
                    world.config
                );
            }
        }
        hits += world.hits;
    }
    assert!(
        hits > 500,
        "{hits} answers came from a cache: the scopes were hardly tried"
    );
}

/// The first config that can be compiled, of those that follow from `chance`.
fn some_config(chance: &mut Chance) -> (String, Compiled) {
    for _ in 0..50 {
        let config = policies::config(chance, SERVICES);
        if let Ok(compiled) = compile(&config) {
            return (config, compiled);
        }
    }
    panic!("50 random configs were all refused");
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let (config, compiled) = some_config(&mut chance);
        let core = Core::start(compiled);
        let mut clients = Vec::new();
        for _ in 0..60 {
            let client = chance.public_address();
            clients.push(client);
            clients.extend((0..4).map(|_| near(client, &mut chance)));
        }
        Self {
            current: Arc::new(core.snapshot().clone()),
            resolvers: (0..RESOLVERS).map(|_| Cache::default()).collect(),
            core,
            config,
            clients,
            chance,
            diary: Diary::default(),
            hits: 0,
        }
    }

    fn step(&mut self) -> Checked {
        let before = self.core.snapshot().generation();
        match self.chance.below(100) {
            0..60 => self.resolve()?,
            60..75 => self.request()?,
            75..85 => self.flap(),
            85..96 => self.wait(),
            _ => self.reload(),
        }
        let after = self.core.snapshot().generation();
        if after < before {
            return Err(format!("generation {after} after {before}"));
        }
        if after != before {
            self.current = Arc::new(self.core.snapshot().clone());
        }
        Ok(())
    }

    /// A client asks its resolver, which answers from its cache or asks us.
    fn resolve(&mut self) -> Checked {
        let client = *self.chance.pick(&self.clients);
        let service = self.chance.below(SERVICES);
        let resolver = self.chance.below(RESOLVERS);
        let name = format!("s{service}.test");
        if let Some(entry) = self.resolvers[resolver].find(&name, client, self.core.now()) {
            self.hits += 1;
            self.diary.note(format!(
                "{client} gets {name} from the cache of resolver {resolver}"
            ));
            return checkers::cached(entry, client);
        }
        let draw = self.chance.draw();
        let subnet = Subnet::usual(client);
        let reply = self
            .core
            .resolve(&Question::a(&name).with(subnet), RESOLVER, draw);
        self.diary.note(format!(
            "{client} asks {name} by resolver {resolver}, draw {draw}: {:?}",
            reply.addresses()
        ));
        let id = self
            .core
            .snapshot()
            .table()
            .service(&name[..name.len() - 5])
            .ok_or("no such service")?;
        checkers::answer(&self.current, id, subnet.address, draw, &reply)?;
        let current = self.current.clone();
        let entry = Entry::new(&reply, subnet, id, draw, current, self.core.now())?;
        for _ in 0..INSIDE {
            let other = entry.covers.inside(&mut self.chance);
            checkers::cached(&entry, other)?;
        }
        self.resolvers[resolver].keep(name, entry);
        Ok(())
    }

    /// A client sends a request.
    fn request(&mut self) -> Checked {
        let client = *self.chance.pick(&self.clients);
        let service = format!("s{}", self.chance.below(SERVICES));
        let draw = self.chance.draw();
        let id = self
            .core
            .snapshot()
            .table()
            .service(&service)
            .ok_or("no such service")?;
        let decision = self.core.decide(id, client, Want::http(draw));
        self.diary.note(format!(
            "{client} requests {service}, draw {draw}: {:?}",
            decision.verdict
        ));
        checkers::decision(&self.current, id, client, &decision)
    }

    /// An endpoint, a pool or all of them fail or recover; probes will tell.
    fn flap(&mut self) {
        let endpoints = self.core.endpoints("all");
        let id = *self.chance.pick(&endpoints);
        let table = self.core.snapshot().table();
        let endpoint = &table.endpoints()[id.index()];
        let who = match self.chance.below(10) {
            0 => "all".to_owned(),
            1..5 => table.pools()[endpoint.pool.index()].name.to_string(),
            _ => endpoint.address.to_string(),
        };
        let serving = self.chance.percent(50);
        self.diary.note(format!(
            "{who} {}",
            if serving { "serves" } else { "fails" }
        ));
        self.core.set_serving(&who, serving);
    }

    fn wait(&mut self) {
        let ms = self.chance.below(4_000) as u64;
        self.diary.note(format!("{ms} ms pass"));
        self.core.pass(Duration::from_millis(ms));
    }

    /// A storm of reloads: the same config, another one, a broken one.
    fn reload(&mut self) {
        for _ in 0..1 + self.chance.below(3) {
            match self.chance.below(3) {
                0 => {
                    let compiled =
                        compile(&self.config).unwrap_or_else(|problems| panic!("{problems:?}"));
                    self.diary
                        .note("the same config is loaded again".to_owned());
                    self.core.reload(compiled);
                }
                1 => {
                    let (config, compiled) = some_config(&mut self.chance);
                    self.diary.note("another config is loaded".to_owned());
                    self.config = config;
                    self.core.reload(compiled);
                }
                _ => {
                    let broken = self
                        .config
                        .replace("health_check: origin", "health_check: orgin");
                    assert!(
                        compile(&broken).is_err(),
                        "a check that is not there is an error"
                    );
                    self.diary.note("a broken config is refused".to_owned());
                }
            }
        }
    }
}

/// An address that shares a random part of this one.
fn near(address: IpAddr, chance: &mut Chance) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let other = (1_u64 << chance.below(14)) - 1;
            IpAddr::V4((u32::from(v4) ^ (chance.draw() & other) as u32).into())
        }
        IpAddr::V6(v6) => {
            let other = (1_u128 << (64 + chance.below(20))) - 1;
            let drawn = (u128::from(chance.draw()) << 64) | u128::from(chance.draw());
            IpAddr::V6((u128::from(v6) ^ (drawn & other)).into())
        }
    }
}
