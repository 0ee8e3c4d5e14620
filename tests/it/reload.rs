//! Signals: SIGHUP applies what it can of a changed config and names the rest; SIGTERM and Ctrl-C drain and end with 0.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Daemon, Site, Studio, is_alive, plugin};

/// Says once it has begun, and takes its time.
const SLOW: &str = "def handle(event, delivery):\n    time.sleep(1.5)\n    return {}";

fn is_ok(report: &Value) -> bool {
    report["state"] == "ok"
}

fn log_has(studio: &Studio, text: &str) -> bool {
    studio.log().contains(text)
}

/// What a plugin's last `start` said of its config.
fn config_of(studio: &Studio, name: &str) -> Option<Value> {
    let book = studio.book(name);
    let last = book.iter().rev().find(|line| line["method"] == "start")?;
    Some(last["params"]["config"].clone())
}

#[tokio::test]
async fn only_the_plugin_whose_section_changed_is_started_again() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .witness()
        .actor("tuned", "", "config = { limit = 3 }")
        .actor("other", "", "config = { limit = 4 }");
    let daemon = Daemon::start(&studio).await;
    for name in ["tuned", "other", "witness"] {
        daemon.plugin_when(name, "works", is_ok).await;
    }
    studio.edit_config("limit = 3", "limit = 5");
    daemon
        .status_when("the file is newer", |status| {
            status["config"]["is_newer"] == true
        })
        .await;
    assert_eq!(
        config_of(&studio, "tuned"),
        Some(serde_json::json!({"limit": 3})),
        "a save alone changes nothing"
    );
    daemon.signal(Signal::SIGHUP);
    // One more while it runs.
    daemon.signal(Signal::SIGHUP);
    let status = daemon
        .status_when("it runs with the new config", |status| {
            let new = serde_json::json!({"limit": 5});
            let is_new = |report: &Value| is_ok(report) && report["generation"] == 2;
            config_of(&studio, "tuned") == Some(new) && plugin(status, "tuned").is_some_and(is_new)
        })
        .await;
    assert_eq!(status["config"]["is_newer"], false, "{status}");
    for (name, generation) in [("tuned", 2), ("other", 1), ("witness", 1)] {
        let report = plugin(&status, name).expect("it is there");
        assert_eq!(
            (&report["generation"], &report["restarts"]),
            (&generation.into(), &0.into()),
            "{name}"
        );
    }
    site.work(5);
    daemon.delivered(&studio, &site.truth()).await;
    daemon
        .status_when("all handled", |_| {
            studio.handed("tuned").len() >= site.truth().len()
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("tuned"), site.truth(), "in order, each once");
}

#[tokio::test]
async fn a_plugin_is_made_switched_off_and_on_again_without_a_restart() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .witness()
        .actor("switched", "", "enabled = true");
    let daemon = Daemon::start(&studio).await;
    let on = daemon.plugin_when("switched", "works", is_ok).await;
    studio.edit_config("enabled = true", "enabled = false");
    daemon.signal(Signal::SIGHUP);
    let off = daemon
        .plugin_when("switched", "is off", |report| report["state"] == "off")
        .await;
    assert_eq!(off["ok"], true, "{off}");
    assert!(off["pid"].is_null() && !is_alive(on["pid"].as_i64().expect("a pid")));
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    assert!(studio.handed("switched").len() < site.truth().len());
    studio.edit_config("enabled = false", "enabled = true");
    daemon.signal(Signal::SIGHUP);
    daemon.plugin_when("switched", "is on again", is_ok).await;
    daemon
        .status_when("what waited is handed out", |_| {
            studio.handed("switched").len() >= site.truth().len()
        })
        .await;
    let late = studio.path("late.py").display().to_string();
    let text = studio.actor_text("late", "");
    studio.replace("late.py", text, 0o755);
    studio.edit_config(
        "[plugin.witness]",
        &format!("[plugin.late]\ncommand = [\"{late}\"]\n[plugin.witness]"),
    );
    daemon.signal(Signal::SIGHUP);
    daemon.plugin_when("late", "a new plugin", is_ok).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(
        studio.handed("switched"),
        site.truth(),
        "in order, each once"
    );
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).actor("tuned", "", "config = { limit = 3 }");
    let daemon = Daemon::start(&studio).await;
    daemon.plugin_when("tuned", "works", is_ok).await;
    studio.edit_config(
        "timeout = \"5s\"\nmax_retry_wait",
        "timeout = \"6s\"\nmax_retry_wait",
    );
    studio.edit_config("dir = \"state\"", "dir = \"elsewhere\"");
    studio.edit_config("socket = \"admin.sock\"", "socket = \"other.sock\"");
    studio.edit_config("interval = \"100ms\"", "interval = \"150ms\"");
    studio.edit_config("limit = 3", "limit = 5");
    daemon.signal(Signal::SIGHUP);
    let status = daemon
        .status_when("the plugin has its new config, the rest waits", |status| {
            let waiting = status["config"]["needs_restart"].as_array();
            config_of(&studio, "tuned") == Some(serde_json::json!({"limit": 5}))
                && waiting.is_some_and(|keys| !keys.is_empty())
        })
        .await;
    let waiting = status["config"]["needs_restart"]
        .as_array()
        .expect("a list");
    for key in ["site", "state", "admin.socket"] {
        let is_it = |one: &Value| one.as_str().is_some_and(|one| one.starts_with(key));
        assert!(waiting.iter().any(is_it), "{key} is not in {waiting:?}");
    }
    let log = studio.log();
    let line = log
        .lines()
        .find(|line| line.contains("needs a restart"))
        .expect("a line");
    assert!(
        line.contains("site") && line.contains("state") && line.contains("admin.socket"),
        "{line}"
    );
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(!studio.path("elsewhere").exists());
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_shown() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.plugin_when("witness", "works", is_ok).await;
    studio.edit_config("interval = \"100ms\"", "intervall = \"fast\"");
    daemon.signal(Signal::SIGHUP);
    let status = daemon
        .status_when("it says so", |status| {
            status["config"]["error"].is_string() && status["alerts"] != serde_json::json!([])
        })
        .await;
    let error = status["config"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("intervall") && error.contains("sgeventd.toml"),
        "{error}"
    );
    let alert = status["alerts"][0]["sentence"].as_str().unwrap_or_default();
    assert!(alert.contains("invalid and changes nothing"), "{alert}");
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    studio.edit_config("intervall = \"fast\"", "interval = \"100ms\"");
    daemon.signal(Signal::SIGHUP);
    daemon
        .status_when("all is well again", |status| {
            status["config"]["error"].is_null() && status["alerts"] == serde_json::json!([])
        })
        .await;
    let witness = daemon.plugin_when("witness", "went on", is_ok).await;
    assert_eq!(witness["generation"], 1);
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

#[tokio::test]
async fn both_signals_let_the_open_event_finish_and_settle_it() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).actor("slow", SLOW, "");
    for (signal, known) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 1)] {
        let daemon = Daemon::start(&studio).await;
        daemon
            .status_when("an event is open", |_| studio.handed("slow").len() > known)
            .await;
        daemon.signal(signal);
        assert_eq!(daemon.exit().await, Some(0), "{signal}: {}", studio.log());
        let book = studio.book("slow");
        let done = book.iter().filter(|line| line["done"].is_i64()).count();
        assert_eq!(
            (studio.handed("slow").len(), done),
            (known + 1, known + 1),
            "{signal}"
        );
        let last = book.last().map(|line| line["method"].clone());
        assert_eq!(
            last,
            Some("shutdown".into()),
            "{signal}: it was asked to go"
        );
    }
    assert!(log_has(&studio, "sgeventd has stopped"), "{}", studio.log());
    let (handed, settled) = (studio.handed("slow"), studio.settled("slow").await);
    assert_eq!(handed, site.truth()[..2], "none was repeated");
    assert!(
        handed.iter().all(|id| settled.contains(id)),
        "what was answered is on disk"
    );
}
