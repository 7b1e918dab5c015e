//! Programs of others that a test asks. A person without one sees which test skipped and why; CI skips nothing.
//! What is used here is installed by `./dev ci`: tools in `look_for_test_tools`, servers by `bench/peers/install --dns`.

use std::process::{Command, Stdio};

/// Whether `program` is here. Where it is not: a loud line, or in CI (`CI=true`) a failure.
pub fn is_here(program: &str, version_flag: &str) -> bool {
    let run = Command::new(program)
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if run.is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "CI must have {program}: add it to look_for_test_tools in ./dev, or a server to bench/peers/install"
    );
    eprintln!("SKIPPED: there is no {program} here; `./dev ci` names what brings it");
    false
}
