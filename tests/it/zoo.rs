//! Plugins with one vice each: the daemon says what is wrong, and a healthy plugin beside them gets every event in order.

use serde_json::Value;

use crate::support::{Daemon, Site, Studio, is_alive, until};

/// A deadline that a test can wait for.
const FAST: &str = "delivery = { timeout = \"1s\", max_attempts = 2 }";

/// Runs a vice beside the witness until its report is as expected; then stops the daemon. Returns report and log.
async fn beside_a_witness(
    vice: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> (Value, String) {
    let site = Site::quiet().await;
    site.work(5);
    let studio = Studio::new(&site).witness().vice(vice, "", FAST);
    let daemon = Daemon::start(&studio).await;
    let report = daemon.plugin_when(vice, what, holds).await;
    site.work(5);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    (report, studio.log())
}

/// All events of the site were answered, the vice notwithstanding.
fn has_settled(report: &Value) -> bool {
    report["state"] == "ok"
        && report["counts"]["ok"]
            .as_u64()
            .is_some_and(|count| count >= 3)
}

fn reason(report: &Value) -> String {
    let part = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    part("reason") + " " + &part("last_error")
}

#[tokio::test]
async fn exits_at_once() {
    let is_restarting = |report: &Value| report["state"] == "restarting" && report["restarts"] != 0;
    let (report, log) = beside_a_witness("exits_at_once", "restarting", is_restarting).await;
    assert!(reason(&report).contains("exit 1"), "{report}");
    assert!(log.contains("no licence for today"), "{log}");
}

#[tokio::test]
async fn exits_78() {
    let is_disabled = |report: &Value| report["state"] == "disabled";
    let (report, _log) = beside_a_witness("exits_78", "disabled", is_disabled).await;
    assert!(reason(&report).contains("78"), "{report}");
    assert!(report["remedy"].is_string(), "{report}");
}

#[tokio::test]
async fn never_answers_handshake() {
    let is_starting = |report: &Value| report["state"] == "starting" && report["pid"].is_i64();
    beside_a_witness("never_answers_handshake", "starting", is_starting).await;
}

#[tokio::test]
async fn prints_before_it_speaks() {
    let (_report, log) = beside_a_witness("prints_before_it_speaks", "works", has_settled).await;
    assert!(log.contains("Loading the studio's library"), "{log}");
}

#[tokio::test]
async fn answers_garbage() {
    let (report, _log) = beside_a_witness("answers_garbage", "works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
}

#[tokio::test]
async fn echoes() {
    let (report, _log) = beside_a_witness("echoes", "works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
}

#[tokio::test]
async fn wrong_id() {
    let (report, log) = beside_a_witness("wrong_id", "works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
    assert!(log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn answers_twice() {
    let (report, log) = beside_a_witness("answers_twice", "works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
    assert!(log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn line_of_20_mb() {
    let (report, log) = beside_a_witness("line_of_20_mb", "works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
    assert!(log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn half_a_line_and_death() {
    // Each event twice, alone; after three such events it is the plugin that fails.
    let is_failing = |report: &Value| report["state"] == "disabled";
    let (report, _log) = beside_a_witness("half_a_line_and_death", "disabled", is_failing).await;
    assert!(reason(&report).contains("exit 3"), "{report}");
    assert_eq!(report["counts"]["dead"], 3, "{report}");
    assert_eq!(report["counts"]["delivered"], 6, "{report}");
}

#[tokio::test]
async fn ignores_sigterm() {
    beside_a_witness("ignores_sigterm", "works", has_settled).await;
}

#[tokio::test]
async fn stops_reading() {
    let is_ended = |report: &Value| report["restarts"] != 0;
    let (report, log) = beside_a_witness("stops_reading", "was ended", is_ended).await;
    assert!(!reason(&report).trim().is_empty(), "{report} {log}");
}

#[tokio::test]
async fn hangs() {
    let has_timed_out = |report: &Value| report["restarts"] != 0;
    let (report, _log) = beside_a_witness("hangs", "was ended", has_timed_out).await;
    assert!(!reason(&report).trim().is_empty(), "{report}");
}

#[tokio::test]
async fn wrong_version() {
    let is_disabled = |report: &Value| report["state"] == "disabled";
    let (report, _log) = beside_a_witness("wrong_version", "disabled", is_disabled).await;
    assert!(reason(&report).contains("version"), "{report}");
    assert!(reason(&report).contains("99"), "{report}");
}

#[tokio::test]
async fn closes_stdout() {
    let is_restarting = |report: &Value| report["state"] == "restarting";
    let (report, log) = beside_a_witness("closes_stdout", "restarting", is_restarting).await;
    assert!(
        reason(&report).contains("closed its output"),
        "{report} {log}"
    );
}

#[tokio::test]
async fn leaves_grandchildren() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let note = studio.path("grandchildren").display().to_string();
    let studio = studio.vice("leaves_grandchildren", &note, FAST);
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("leaves_grandchildren", "works", has_settled)
        .await;
    let pids = std::fs::read_to_string(&note).expect("its note");
    let pids = pids.split(' ').map(|pid| pid.parse().expect("a pid"));
    let pids: Vec<i64> = pids.collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    until("the grandchildren are gone", || {
        !pids.iter().any(|pid| is_alive(*pid))
    })
    .await;
    assert_eq!(studio.witnessed(), site.truth());
}

/// A program that cannot be started is explained in `status`, in the log and by an alert; mended, it works.
async fn cannot_start(name: &str, mode: u32, bytes: &[u8], words: &str) {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().file(name, bytes, mode);
    let studio = studio.plugin(name, &[name], "");
    let daemon = Daemon::start(&studio).await;
    let is_restarting = |report: &Value| report["state"] == "restarting";
    let report = daemon.plugin_when(name, "restarting", is_restarting).await;
    assert!(reason(&report).contains(words), "{report}");
    assert_eq!(report["ok"], false, "{report}");
    let status = daemon
        .status_when("an alert", |status| {
            let alerts = status["alerts"].as_array();
            alerts.is_some_and(|all| all.iter().any(|alert| alert["plugin"] == name))
        })
        .await;
    let alert = status["alerts"][0]["sentence"].as_str().unwrap_or_default();
    assert!(
        alert.contains("cannot be started") && alert.contains(words),
        "{alert}"
    );
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    studio.replace(name, studio.actor_text(name, ""), 0o755);
    daemon.plugin_when(name, "mended", has_settled).await;
    daemon
        .status_when("the alert is over", |status| {
            status["alerts"] == serde_json::json!([])
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    assert!(studio.log().contains(words), "{}", studio.log());
}

#[tokio::test]
async fn not_executable() {
    cannot_start(
        "plain",
        0o644,
        b"#!/bin/sh\n",
        "is not executable: chmod +x",
    )
    .await;
}

#[tokio::test]
async fn no_interpreter() {
    cannot_start(
        "lost",
        0o755,
        b"#!/opt/studio/python9\n",
        "the interpreter /opt/studio/python9",
    )
    .await;
}

#[tokio::test]
async fn wrong_architecture() {
    // A big-endian 64-bit program for IBM Z, machine 22.
    let mut elf = b"\x7fELF\x02\x02\x01".to_vec();
    elf.resize(64, 0);
    (elf[17], elf[19], elf[23]) = (2, 22, 1);
    cannot_start("foreign", 0o755, &elf, "is a program for machine 22").await;
}

#[tokio::test]
async fn crashes_on_one_event() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let bad = truth[7].to_string();
    let studio = Studio::new(&site)
        .witness()
        .vice("crashes_on_one_event", &bad, FAST);
    let daemon = Daemon::start(&studio).await;
    let others = truth.len() as u64 - 1;
    let report = daemon
        .plugin_when("crashes_on_one_event", "goes on behind it", |report| {
            report["counts"]["ok"] == others
        })
        .await;
    assert_eq!(report["counts"]["dead"], 1, "{report}");
    assert_eq!(report["dead_letters"], 1, "{report}");
    assert_eq!(report["restarts"], 2, "twice, alone: {report}");
    daemon.delivered(&studio, &truth).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), truth);
    assert!(studio.log().contains(&format!("cannot bear event {bad}")));
}
