//! A handshake that hangs is seen while it lasts, is ended after a minute, and its next try is not taken for a good one.
//!
//! The clock of timers is moved on by `tests/proof/interpose.c`: a minute in some seconds.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Daemon, Site, Studio, interposed::Interposed, is_alive, steered::Control, steered::Word,
};

/// Below the 5 s by which a timer may be late before all deadlines are moved.
const STEP_MS: i64 = 3_000;

/// Moves the clock on, step by step, until the plugin is as expected.
async fn passes(
    daemon: &Daemon,
    control: &Control,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    for _ in 0..40 {
        control.set(Word::TimersMs, control.get(Word::TimersMs) + STEP_MS);
        tokio::time::sleep(Duration::from_millis(150)).await;
        let status = daemon.status().await.expect("it answers");
        if let Some(report) = crate::support::plugin(&status, "silent")
            && holds(report)
        {
            return report.clone();
        }
    }
    panic!("never: {what}: {:?}", daemon.status().await)
}

#[tokio::test]
async fn a_handshake_that_hangs_is_told_and_ended_after_a_minute() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let text = "#!/bin/sh\nexec sleep 1000\n";
    let studio = studio.file("plugins/silent.sh", text, 0o755);
    let (clock, control) = Interposed::steered(&studio);
    let daemon = clock.start(&studio).await;
    let shakes = |report: &Value| report["state"] == "starting" && report["pid"].is_i64();
    let report = daemon.plugin_when("silent", "starts", shakes).await;
    let pid = report["pid"].as_i64().expect("a process");
    let hangs = |report: &Value| report["state"] == "starting" && report["ok"] == false;
    let report = passes(&daemon, &control, "it is seen to hang", hangs).await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no answer to `initialize`"), "{report}");
    assert!(report["remedy"].is_string(), "{report}");
    let before = control.get(Word::TimersMs);
    assert!((9_000..30_000).contains(&before), "{before}");
    // The next try is not taken for a good start.
    let again = |report: &Value| report["generation"] == 2 && report["state"] == "starting";
    let report = passes(&daemon, &control, "it is ended and tried again", again).await;
    let after = control.get(Word::TimersMs);
    assert!((60_000..90_000).contains(&after), "{after}");
    assert!(!is_alive(pid), "its process is gone");
    assert_eq!(
        (&report["ok"], &report["reason"]),
        (
            &false.into(),
            &"once more, after: sent no answer to initialize within 60 s".into()
        ),
        "{report}"
    );
    // Nobody waits for it.
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}
