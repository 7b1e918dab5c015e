//! Where addresses are: `cargo run -p rhumb-geoip --example locate -- [database.mmdb] address...`
//!
//! With a database that is refused, the reason. Without one, the embedded table.

use geoip::{Sources, describe, open};
use std::error::Error;
use std::io::Write;
use std::net::IpAddr;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    let is_file = addresses
        .first()
        .is_some_and(|first| first.parse::<IpAddr>().is_err());
    let database = is_file.then(|| addresses.remove(0).into());
    let start = Instant::now();
    let loaded = match open(&Sources {
        database,
        ..Sources::default()
    }) {
        Ok(loaded) => loaded,
        Err(error) => return Err(format!("refused: {error}").into()),
    };
    let about = describe(&loaded.table);
    writeln!(out, "{about:#?}\ncompiled in {:?}", start.elapsed())?;
    for address in addresses {
        let located = loaded.table.locate(address.parse()?);
        writeln!(
            out,
            "{address}: {:?} /{}",
            located.location, located.prefix_len
        )?;
    }
    Ok(())
}
