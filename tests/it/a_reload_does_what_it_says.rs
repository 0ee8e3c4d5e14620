//! SIGHUP: what can change at once does, what cannot is named, and a plugin that was off comes back.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Daemon, Site, Studio, until};

/// Writes another config and has it read.
fn reload(studio: &Studio, daemon: &Daemon, from: &str, to: &str) {
    let path = studio.path("sgeventd.toml");
    let text = fs::read_to_string(&path).expect("a config");
    assert!(text.contains(from), "{from}\n{text}");
    fs::write(&path, text.replacen(from, to, 1)).expect("a config");
    daemon.signal(Signal::SIGHUP);
}

#[tokio::test]
async fn what_can_change_at_once_does_and_the_rest_is_named() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let has = |text: &str| studio.log().contains(text);
    assert!(!has("DEBUG"), "{}", studio.log());
    reload(&studio, &daemon, "[log]\n", "[log]\nlevel = 'debug'\n");
    until("it says so", || has("log.level")).await;
    site.work(1);
    until("it says more", || has("DEBUG")).await;

    let more = "[retention]\nage = '1d'\n[poll]\ninterval = '150ms'\n";
    reload(&studio, &daemon, "[poll]\ninterval = \"100ms\"\n", more);
    until("both are named", || {
        let log = studio.log();
        log.lines().any(|line| {
            line.contains("config applied")
                && line.contains("poll.interval")
                && line.contains("retention.age")
        })
    })
    .await;

    let applied = studio.log().matches("config applied").count();
    reload(&studio, &daemon, "timeout = \"5s\"", "timeout = \"6s\"");
    let status = daemon
        .status_when("the key is named", |status| {
            status["config"]["needs_restart"] == serde_json::json!(["site.timeout"])
        })
        .await;
    assert_eq!(status["config"]["is_newer"], false);
    // `status` may be asked between the change and its line in the log.
    until("the log names it", || {
        has("needs a restart") && has("site.timeout")
    })
    .await;
    let now = studio.log().matches("config applied").count();
    assert_eq!(now, applied, "nothing was");
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn a_script_that_the_config_names_now_can_be_used_at_once() {
    let site = Site::quiet().await;
    let book = |studio: &Studio| studio.path("book.txt").display().to_string();
    let studio = Studio::new(&site).file("clerk.py", include_str!("../zoo/clerk.py"), 0o755);
    let command = ["clerk.py", &book(&studio), "clerk", "0", "asks"];
    let studio = studio.plugin("clerk", &command, "# scripts");
    let daemon = Daemon::start(&studio).await;
    let count = site.truth().len() as u64;
    daemon
        .plugin_when("clerk", "has all", |report| report["counts"]["ok"] == count)
        .await;
    let scripts = "scripts = ['other']\n[scripts.other]\nkey = { file = 'site.key' }\n";
    reload(&studio, &daemon, "# scripts", scripts);
    until("it is applied", || studio.log().contains("config applied")).await;
    site.work(1);
    let count = site.truth().len() as u64;
    let report = daemon
        .plugin_when("clerk", "asked as the other one", |report| {
            report["counts"]["ok"] == count
        })
        .await;
    assert_eq!(report["counts"]["retried"], 0, "{report:#}");
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn a_plugin_that_was_switched_off_starts_again_when_it_is_switched_on() {
    let site = Site::quiet().await;
    let book = |studio: &Studio| studio.book_of("witness").display().to_string();
    let studio = Studio::new(&site);
    let command = ["witness.py", &book(&studio)];
    let studio = studio.plugin("witness", &command, "enabled = true");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    reload(&studio, &daemon, "enabled = true", "enabled = false");
    let report = daemon
        .plugin_when("witness", "is off", |report| report["state"] == "off")
        .await;
    assert_eq!(report["reason"], "off by config", "{report:#}");
    let remedy = report["remedy"].as_str().unwrap_or_default();
    assert!(
        remedy.starts_with("enabled = true in [plugin.witness]") && remedy.contains("kill -HUP "),
        "{report:#}"
    );
    site.work(2);
    reload(&studio, &daemon, "enabled = false", "enabled = true");
    daemon.delivered(&studio, &site.truth()).await;
    daemon
        .plugin_when("witness", "is on", |report| report["state"] == "ok")
        .await;
    assert_eq!(daemon.stop().await, Some(0));
}
