//! A disk without room: nothing is fetched, plugins go on with what is on disk, people and commands are answered, and when
//! there is room all goes on within seconds.

use std::{process::Command, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    mail::{PASSWORD, STARTTLS, Server},
    support::{Daemon, KEY, PATIENCE, Site, Studio, disk::Disk, secrets, until},
};

/// How soon all goes on when there is room again.
const RESUMES: Duration = Duration::from_secs(5);
/// Settlements of a plugin that may wait for the disk.
const UNCOMMITTED: usize = sgeventd::dispatch::machine::UNCOMMITTED_MAX;

fn start(studio: &Studio, disk: &Disk) -> Daemon {
    let words = disk.enter();
    let by: Vec<&str> = words.iter().map(String::as_str).collect();
    Daemon::spawn_by(studio, &studio.config(), &by)
}

/// Waits until a plugin has handled every event, and that is written down.
async fn settled(daemon: &Daemon, plugin: &str, count: usize) -> Value {
    daemon
        .plugin_when(plugin, "has settled all", |report| {
            report["counts"]["ok"] == count
        })
        .await
}

async fn stalled(daemon: &Daemon, studio: &Studio) {
    let status = daemon
        .status_when("it is said", |status| status["alerts"] != json!([]))
        .await;
    let dir = studio.path("state").display().to_string();
    let words = format!("no space left for the journal in {dir}");
    let alert = &status["alerts"][0];
    let expected = ("journal/stalled", &*words, format!("df -h {dir}"));
    let text = |key: &str| alert[key].as_str().unwrap_or_default();
    let found = (text("cause"), text("sentence"), text("remedy").to_owned());
    assert_eq!(found, expected, "{status}");
    let state = status["journal"]["state"].as_str();
    assert!(
        state.is_some_and(|state| state.contains(&words)),
        "{status}"
    );
    assert_eq!(status["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["state"], Value::from("down"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_lasts_and_after() {
    let site = Site::quiet().await;
    let server = Server::start(&STARTTLS);
    let mail = format!(
        "[mail]\nserver = \"smtp://localhost:{}\"\ntls = \"required\"\nca_file = \"{}\"\nusername = \"sg\"\npassword = {{ file = \"mail.key\" }}\nfrom = \"sgeventd@studio.example\"\nto = [\"pipeline@studio.example\"]\n",
        server.port,
        server.certificate().display()
    );
    let studio = Studio::new(&site).section(&mail).witness().pulse();
    let studio = studio.witness_as("held", &[], "all", 1);
    let studio = studio.file("mail.key", PASSWORD, 0o600);
    let disk = Disk::mount(&studio.path("state"), 16);
    let daemon = start(&studio, &disk);
    let before = site.truth().len();
    settled(&daemon, "witness", before).await;
    let held = settled(&daemon, "held", before).await;
    let held = held["pid"].as_i64().expect("a process");
    let held = Pid::from_raw(i32::try_from(held).expect("a process id"));

    // More than a plugin may settle without the disk is on it, and one plugin has it all before it.
    kill(held, Signal::SIGSTOP).expect("it runs");
    site.order(&json!({"verb": "bulk", "count": UNCOMMITTED + 300}));
    let on_disk = site.truth().len();
    settled(&daemon, "witness", on_disk).await;
    let calm = studio.beats().await;
    disk.fill();
    site.work(5);
    stalled(&daemon, &studio).await;
    let during = studio.beats().await;
    kill(held, Signal::SIGCONT).expect("it runs");
    let handled = || studio.handed("held").len();
    until("what is on disk is handed out meanwhile", || {
        handled() >= before + UNCOMMITTED
    })
    .await;

    // People hear of it by mail, and a command answers.
    let read = tokio::task::spawn_blocking(move || {
        let mut server = server;
        (server.next(), server)
    });
    let read = tokio::time::timeout(PATIENCE, read).await;
    let (mail, server) = read.expect("a mail").expect("no panic");
    assert!(mail.to_string().contains("no space left"), "{mail}");
    let status = Command::new(env!("CARGO_BIN_EXE_sgeventd"))
        .args(["status", "-c"])
        .arg(studio.path("sgeventd.toml"))
        .output()
        .expect("our own binary");
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(2), "{said}");
    assert!(said.contains("no space left"), "{said}");
    // The last one that was handed out may be in work beyond what is settled.
    let most = before + UNCOMMITTED + 1;
    assert!(handled() <= most, "{} of {most}", handled());
    assert_eq!(studio.witnessed().len(), on_disk, "nothing was fetched");

    let freed = Instant::now();
    disk.free();
    daemon
        .status_when("it writes again", |status| {
            status["journal"]["state"] == "ok" && status["alerts"] == json!([])
        })
        .await;
    // The site saw when it was asked again: how long we took to notice does not count.
    let is_asked = || !site.asked_since(freed).is_empty();
    until("the site is asked again", is_asked).await;
    let resumed = site.asked_since(freed)[0];
    assert!(resumed < RESUMES, "{resumed:?} after there was space");
    let all = site.truth().len();
    settled(&daemon, "witness", all).await;
    settled(&daemon, "held", all).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    drop(server);

    disk.copy_out();
    let run = studio.recheck(&site, "disk-full", &[5]);
    run.told_and_over(&["journal_stalled"]);
    run.quiet(&[(calm, during)])
        .with("resumed_s", resumed.as_secs_f64())
        .with("settled_without_the_disk", UNCOMMITTED)
        .judge();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_room() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let disk = Disk::mount(&studio.path("state"), 16);
    let daemon = start(&studio, &disk);
    settled(&daemon, "witness", site.truth().len()).await;
    disk.fill();
    site.order(&json!({"verb": "bulk", "count": 500}));
    stalled(&daemon, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    disk.free();
    let daemon = start(&studio, &disk);
    settled(&daemon, "witness", site.truth().len()).await;
    secrets::search(&disk.path(""), KEY);
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}
