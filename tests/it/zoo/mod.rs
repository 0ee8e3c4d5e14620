//! Plugins with one vice each: what the daemon does, what the operator sees, that no event is lost, and that a healthy plugin
//! beside them keeps its pace.
//!
//! A beast is a program in `tests/zoo/beasts`, named for its vice; most are made of `tame.py`, which does all else right. A test
//! puts it into a [`Cage`]:
//!
//! ```ignore
//! visits(async || {                                                   // once more when the witness was held up: noise, or the beast?
//!     let mut cage = Cage::new("answers_twice", "").await;            // the witness alone was measured, then the beast was let in
//!     let report = cage.sees("works", has_settled).await;             // artists work on until its report is as expected
//!     assert_eq!(report["restarts"], 0, "{report}");                  // what the daemon did
//!     let seen = cage.close(&[25]).await;                             // lost, order, memory, and how quick the witness was
//!     assert!(seen.log.contains("further ones are counted"));         // what the operator saw
//!     seen
//! })
//! .await;
//! ```

mod cage;
mod calls;
mod events;
mod life;
mod output;
mod resources;
mod wire;

use serde_json::Value;

pub(crate) use cage::{Cage, Seen, visits};

/// Those for which times of the protocol go by, beside each other: one after the other they would take a minute.
/// Their sites have threads of their own: what one test waits for must not hold up the sites of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_take_their_time() {
    tokio::join!(
        Box::pin(events::hangs()),
        Box::pin(events::reads_nothing()),
        Box::pin(calls::calls_without_reading()),
        Box::pin(life::deletes_its_file()),
        Box::pin(life::never_answers_handshake()),
        Box::pin(resources::ignores_sigterm()),
        Box::pin(resources::spins()),
        Box::pin(resources::stops_itself()),
    );
}

/// A deadline that a test can wait for.
pub(crate) const FAST: &str = "delivery = { timeout = \"1s\", max_attempts = 2 }";

/// The beast has done its work on some events, and nothing is wrong with it now.
pub(crate) fn has_settled(report: &Value) -> bool {
    report["state"] == "ok" && report["counts"]["ok"].as_u64() >= Some(3)
}

/// It is between two processes.
pub(crate) fn is_restarting(report: &Value) -> bool {
    report["state"] == "restarting"
}

/// It gets no events any more.
pub(crate) fn is_disabled(report: &Value) -> bool {
    report["state"] == "disabled"
}

/// It had to be started again at least once.
pub(crate) fn was_ended(report: &Value) -> bool {
    report["restarts"].as_u64() >= Some(1)
}

/// What a report says is wrong: the reason, then the last failure.
pub(crate) fn reason(report: &Value) -> String {
    let part = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    part("reason") + " " + &part("last_error")
}

/// The sentence of the alert of a kind, empty when there is none.
pub(crate) fn alert(status: &Value, kind: &str) -> String {
    let alerts = status["alerts"].as_array();
    let mut alerts = alerts.into_iter().flatten();
    let alert = alerts.find(|alert| {
        alert["cause"]
            .as_str()
            .is_some_and(|cause| cause.ends_with(kind))
    });
    alert
        .and_then(|alert| alert["sentence"].as_str())
        .unwrap_or_default()
        .to_owned()
}
