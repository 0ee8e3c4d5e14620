//! A Python plugin that imports `sgeventd` and was never installed: the daemon brings the package.
//!
//! Whatever it prints lands in the log, what was done is not done again, and a changed import restarts it.

use std::fs;

use crate::support::{Daemon, Site, Studio, until};

/// Three handlers of one event: the first works once, the second fails at first, the third wants another attempt.
const PLUGIN: &str = r#"#!/usr/bin/env python3
import logging, os, subprocess, sys
from sgeventd import Plugin, Retry
import helper

plugin = Plugin("chatty", max_attempts=4)

@plugin.on("Shotgun_Shot_Change", attributes=["description"])
def first(event, sg):
    print("said by print", helper.WORD)
    sys.stdout.write("said by write\n")
    os.write(1, b"said by descriptor one\n")
    subprocess.check_call(["sh", "-c", "echo said by a child; cat"])
    logging.getLogger("studio.lib").error("said by logging", extra={"shot": event.meta["entity_id"]})
    plugin.state.set("runs", plugin.state.get("runs", 0) + 1)

@plugin.on("Shotgun_Shot_Change", attributes=["description"])
def second(event, sg):
    if event.attempt == 1:
        raise ValueError("not yet")

@plugin.on("Shotgun_Shot_Change", attributes=["description"])
def third(event, sg):
    if event.attempt == 2:
        raise Retry(after=0, reason="once more")
    plugin.log.info("settled after %d runs at attempt %d", plugin.state.get("runs"), event.attempt)

plugin.run()
"#;

#[tokio::test]
async fn a_python_plugin_needs_no_installation_and_cannot_break_its_pipe() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .file("chatty.py", PLUGIN, 0o755)
        .file("helper.py", "WORD = 'in the first edition'\n", 0o644)
        .plugin("chatty", &["chatty.py"], "");
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("chatty", "ready", |plugin| plugin["state"] == "ok")
        .await;
    site.describe("one").await;
    let report = daemon
        .plugin_when("chatty", "settled", |plugin| plugin["counts"]["ok"] == 1)
        .await;
    assert_eq!(report["restarts"], 0, "{report}");
    for words in [
        "said by print in the first edition",
        "said by write",
        "said by descriptor one",
        "said by a child",
        "said by logging",
        "settled after 1 runs at attempt 3",
    ] {
        until(words, || studio.log().contains(words)).await;
    }
    assert!(!studio.log().contains("stray"), "{}", studio.log());

    // The file that it imports is watched, although nobody said so.
    fs::write(studio.path("helper.py"), "WORD = 'in the second one'\n").expect("a file");
    until("the new process has taken over", || {
        let log = studio.log();
        log.lines()
            .any(|line| line.contains("ready") && line.contains("generation=2"))
    })
    .await;
    site.describe("two").await;
    let settled = daemon
        .plugin_when("chatty", "settled", |plugin| plugin["counts"]["ok"] == 2)
        .await;
    assert_eq!(settled["state"], "ok", "{settled}");
    let log = studio.log();
    assert!(log.contains("said by print in the second one"), "{log}");
    assert_eq!(daemon.stop().await, Some(0));
}
