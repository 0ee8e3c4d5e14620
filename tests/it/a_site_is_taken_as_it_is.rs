//! What only a person can say: a restored site is accepted, a state goes with a site to its new address. What is answered is on disk.

use std::process::Output;

use serde_json::{Value, json};
use sgeventd::clock::Clock;
use tokio::process::Command;

use crate::support::{Daemon, Site, Studio, until};

async fn sgeventd(studio: &Studio, words: &[&str]) -> (Option<i32>, String, String) {
    let config = studio.config().display().to_string();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_sgeventd"))
        .args(words)
        .args(["-c", &config])
        .env_remove("SGEVENTD_SOCKET")
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .expect("our own binary");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

fn next_id(site: &Site) -> i64 {
    site.sandbox.summary()["next_id"].as_i64().expect("an id")
}

/// The site is restored to what it was some rows ago, and lives on until its ids have passed what was read.
async fn restore(site: &Site, rows: usize) -> i64 {
    let known = site.truth();
    let (head, kept) = (known[known.len() - 1], known[known.len() - 1 - rows]);
    let second = || Clock::unix().0 / 1000;
    let begun = second();
    until("the new rows have another time", || second() > begun).await;
    site.order(&json!({"verb": "restore", "to": kept}));
    while next_id(site) <= head {
        site.work(1);
    }
    kept
}

#[tokio::test]
async fn a_restored_site_is_accepted_and_stays_so_after_a_kill() {
    let site = Site::quiet().await;
    site.work(30);
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    let known = site.truth();
    daemon.delivered(&studio, &known).await;

    let accept = ["site", "accept", "--yes", "--from", "7"];
    let (code, _, said) = sgeventd(&studio, &accept).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the site is not rewound"), "{said}");

    let kept = restore(&site, 9).await;
    let status = daemon
        .status_when("it says where the log was cut", |status| {
            status["site"]["state"] == "rewound" && !status["site"]["accept_from"].is_null()
        })
        .await;
    let from = status["site"]["accept_from"].as_i64().expect("an id");
    let first_new = site.truth().into_iter().find(|id| *id > kept);
    assert!(
        kept < from && Some(from) <= first_new,
        "{kept} {from} {first_new:?}"
    );
    let (_, shown, _) = sgeventd(&studio, &["status"]).await;
    let remedy = format!("sgeventd site accept --from {from}");
    assert!(shown.contains(&remedy), "{shown}");

    let from = from.to_string();
    let (code, _, said) = sgeventd(&studio, &["site", "accept", "--from", &from]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(
        said.contains("This cannot be undone") && said.contains("--yes"),
        "{said}"
    );
    let accept = ["site", "accept", "--from", &from, "--yes", "--json"];
    let (code, answer, said) = sgeventd(&studio, &accept).await;
    assert_eq!(code, Some(0), "{said}");
    // What was answered is on disk.
    daemon.kill().await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["timeline"], 1, "{answer}");

    let daemon = Daemon::start(&studio).await;
    let new: Vec<i64> = site.truth().into_iter().filter(|id| *id > kept).collect();
    let wanted = known.len() + new.len();
    let has_all = |report: &Value| report["behind"] == 0 && studio.witnessed().len() >= wanted;
    daemon
        .plugin_when("witness", "has all of both", has_all)
        .await;
    let status = daemon.status().await.expect("it runs");
    assert_eq!(status["site"]["state"], "ok", "{status}");
    assert_eq!(status["alerts"], json!([]), "{status}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let journaled = studio.journaled().await;
    assert_eq!(journaled[..known.len()], known);
    let mut second = journaled[known.len()..].to_vec();
    second.sort_unstable();
    assert_eq!(second, new, "the second life once, from its first row on");
}

#[tokio::test]
async fn a_state_goes_with_its_site_to_a_new_address() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let adopt = ["state", "adopt", "--yes"];
    let old = site.sandbox.url();
    let new = old.replace("127.0.0.1", "localhost");
    let studio = studio.url(&new);
    let (code, _, said) = sgeventd(&studio, &adopt).await;
    assert_eq!(code, Some(75), "a daemon has it: {said}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let daemon = Daemon::spawn(&studio, &studio.config());
    assert_eq!(daemon.exit().await, Some(65));
    assert!(
        studio.stderr().contains("sgeventd state adopt"),
        "{}",
        studio.stderr()
    );
    let (code, _, said) = sgeventd(&studio, &["state", "adopt"]).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains(&old) && said.contains(&new), "{said}");
    let (code, said, _) = sgeventd(&studio, &adopt).await;
    assert_eq!(code, Some(0));
    assert!(said.contains(&format!("belongs to {new} now")), "{said}");
    let (code, said, _) = sgeventd(&studio, &adopt).await;
    assert_eq!((code, said.contains("already")), (Some(0), true), "{said}");

    site.work(3);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");

    let empty = Studio::new(&site);
    let (code, _, said) = sgeventd(&empty, &adopt).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(!empty.path("state").exists(), "nothing was made");
}
