//! The stage of the tests about bad input: a made-up site, a studio's folder, and the real binary as a child.

mod daemon;
pub(crate) mod disk;
pub(crate) mod door;
pub(crate) mod frozen;
#[path = "../../proof/interpose.rs"]
pub(crate) mod interpose;
pub(crate) mod interposed;
#[path = "../../proof/lost_power.rs"]
pub(crate) mod lost_power;
mod process;
pub(crate) mod proof;
pub(crate) mod pulse;
pub(crate) mod secrets;
mod site;
pub(crate) mod steered;
mod studio;
pub(crate) mod versions;
pub(crate) mod wires;
#[path = "../../proof/yardstick.rs"]
pub(crate) mod yardstick;

use std::time::Duration;

use serde_json::Value;

pub(crate) use daemon::Daemon;
pub(crate) use process::{is_alive, with_in_environment};
pub(crate) use site::Site;
pub(crate) use studio::Studio;

/// Long enough for a slow machine, short enough to notice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The key of the site's script, which must stand nowhere.
pub(crate) const KEY: &str = "zq7-a-secret-of-the-tests-41x";
/// How often something is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until something holds, for a bounded time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Says what a test lacks on this machine: a skip, but in CI a failure.
#[expect(clippy::print_stdout, reason = "who reads of a skip must know of what")]
pub(crate) fn need(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "missing: {what}");
    println!("skipped, missing: {what}");
}

/// A plugin's report in a status.
pub(crate) fn plugin<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let all = status["plugins"].as_array()?;
    all.iter().find(|plugin| plugin["name"] == name)
}
