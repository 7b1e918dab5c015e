//! The DNS works and peers: one zone, one country table and one set of clients for all of them.

mod ask;
mod ground;
mod peers;
mod rhumb;
#[cfg(test)]
mod tests;
mod works;

use super::{CompareError, Contest, Field, Options, Peer, Work};
use ground::Ground;
use peers::{Gdnsd, Hickory, Knot, Nsd, PowerDns};
use rhumb::Rhumb;
use std::sync::Arc;

/// Rhumb in tables of different sizes.
const SIZES: [(&str, usize); 3] = [
    ("rhumb, 1 service", 1),
    ("rhumb, 1,000 services", 1_000),
    ("rhumb, 100,000 services", 100_000),
];

/// The contests of DNS.
///
/// # Errors
/// When what they need can't be made.
pub fn field(options: &Options) -> Result<Field, CompareError> {
    let ground = Arc::new(Ground::new()?);
    let subject = Arc::new(rhumb::subject(&ground)?);
    let works = works::all(&ground, &subject, options.seed)?.into_iter();
    let mut contests: Vec<Contest> = works
        .map(|work| Contest {
            work: Box::new(work) as Box<dyn Work>,
            peers: peers(&ground),
        })
        .collect();
    contests.push(Contest {
        work: Box::new(works::services(&ground, &subject, &SIZES, options.seed)?),
        peers: SIZES
            .map(|(name, services)| sized(name, services, &ground))
            .into(),
    });
    Ok(Field {
        contests,
        keep: Box::new(ground),
    })
}

/// Everybody, Rhumb first.
fn peers(ground: &Arc<Ground>) -> Vec<Arc<dyn Peer>> {
    vec![
        sized("rhumb", 0, ground),
        Arc::new(Gdnsd(ground.clone())),
        Arc::new(Knot(ground.clone())),
        Arc::new(Nsd(ground.clone())),
        Arc::new(PowerDns(ground.clone())),
        Arc::new(Hickory(ground.clone())),
    ]
}

fn sized(name: &'static str, services: usize, ground: &Arc<Ground>) -> Arc<dyn Peer> {
    Arc::new(Rhumb {
        name,
        services,
        ground: ground.clone(),
    })
}
