//! A key that the site refuses: another alert than an outage, one try a minute, and nothing lost when the key is good again.
//!
//! | what | where |
//! |---|---|
//! | which faults speak of the key; plugins' calls do not try a refused key again | `src/site/tests/repeats.rs` |
//! | modes, owners and contents of key files | `src/config/key.rs` |
//! | one try a minute, and back without a restart | here, on a clock that stands still |
//! | the key of a plugin's own script, put right by a reload | here, with the real binary |
//! | wrong at the start, revoked while running, a key file that others can read: with the real binary | here |

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, KEY, Site, Studio, frozen::Frozen, until, yardstick::Yardstick};

/// What the site says to a key that it does not know.
const SAID: &str = "Can't authenticate script 'sgeventd'";

async fn refused(daemon: &Daemon) -> Value {
    let status = daemon
        .status_when("the key is refused", |status| {
            status["site"]["state"] == "refused" && status["alerts"] != json!([])
        })
        .await;
    assert_eq!(status["site"]["reason"], SAID, "{status}");
    assert_eq!(status["alerts"].as_array().map(Vec::len), Some(1));
    let alert = &status["alerts"][0];
    assert_eq!(alert["cause"], "site/refused", "{status}");
    let sentence = format!("the site refuses the key of script sgeventd: {SAID}");
    assert_eq!(alert["sentence"], sentence, "{status}");
    status
}

#[tokio::test]
async fn wrong_at_the_start_it_is_said_at_once_and_the_right_one_loses_nothing() {
    let wrong = "a-key-that-the-site-never-saw";
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().file("site.key", wrong, 0o600);
    let daemon = Daemon::start(&studio).await;
    refused(&daemon).await;
    site.work(3);
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(site.refused(), 1, "one try, whatever the interval of polls");
    crate::support::secrets::search(&studio.path(""), wrong);

    let studio = studio.file("site.key", KEY, 0o600);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

#[tokio::test]
async fn revoked_while_running_nothing_is_lost() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    site.order(&json!({"verb": "revoke_key"}));
    site.work(3);
    refused(&daemon).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(site.refused(), 1);

    site.order(&json!({"verb": "restore_key"}));
    site.work(3);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let status = daemon.status().await.expect("it runs");
    assert_eq!(status["alerts"], json!([]), "{status}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    let run = studio.recheck(&site, "key-revoked", &[20]);
    // The daemon ended while it lasted; that it is over without that is held below.
    run.told(&["site_refused"], &[]);
    run.with("tries", site.refused()).judge();
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_once_a_minute_and_works_again_by_itself() {
    let mut ingest = Frozen::start().await;
    let begun = tokio::time::Instant::now();
    ingest.site.order(&json!({"verb": "revoke_key"}));
    ingest.until_state("refused").await;
    assert_eq!(ingest.site.refused(), 1);
    ingest.pass(Duration::from_secs(50)).await;
    assert_eq!(ingest.site.refused(), 1, "not within a minute");
    ingest.pass(Duration::from_secs(240)).await;
    let refused = ingest.site.refused();
    assert!((4..=5).contains(&refused), "{refused} in 290 s");
    assert_eq!(ingest.alerts(), ["site/refused"], "and no outage");
    ingest.site.order(&json!({"verb": "restore_key"}));
    ingest.site.work(3);
    ingest.until_state("ok").await;
    assert_eq!(ingest.alerts(), [""; 0]);
    let told = ingest.told_since(begun);
    let told: Vec<_> = told
        .iter()
        .map(|(_, cause, begun)| (*cause, *begun))
        .collect();
    assert_eq!(told, [("site/refused", true), ("site/refused", false)]);
    let asked = ingest.asked_since(begun);
    let least = asked[1..].windows(2).map(|two| two[1] - two[0]);
    let least = least
        .take(usize::try_from(refused).expect("a few") - 1)
        .min();
    let least = least.expect("it was tried").as_secs_f64();
    assert!(least >= 59.0, "{asked:?}");
    let line = Yardstick::of("key-revoked-for-minutes", &[20])
        .with("tries", refused)
        .with("shortest_pause_s", least);
    let line = ingest.judged(line).await;
    line.told_and_over(&["site_refused"]);
    line.judge();
}

#[tokio::test]
async fn the_key_of_a_plugins_own_script_is_told_once_until_it_is_taken() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    call('sg.find', entity_type='Task', filters=[], fields=['content'], limit=1)\n    return {}";
    let studio = Studio::new(&site)
        .actor("asks", body, "scripts = [\"other\"]")
        .section("[scripts.other]\nkey = { file = \"other.key\" }\n")
        .file("other.key", "a-key-that-the-site-never-saw", 0o600);
    let daemon = Daemon::start(&studio).await;
    let status = daemon
        .status_when("an alert", |status| status["alerts"] != json!([]))
        .await;
    let alert = &status["alerts"][0];
    let sentence = alert["sentence"].as_str().unwrap_or_default();
    let said = "the site refuses the key of script other, as which asks calls: Can't authenticate";
    assert!(sentence.starts_with(said), "{status}");
    let remedy = alert["remedy"].as_str().unwrap_or_default();
    assert!(remedy.contains("[scripts.other] key"), "{status}");
    studio.edit_config("other.key", "site.key");
    daemon.signal(Signal::SIGHUP);
    until("it is applied", || studio.log().contains("config applied")).await;
    site.work(1);
    daemon
        .status_when("it is over", |status| status["alerts"] == json!([]))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let told = studio.log().matches(said).count();
    assert_eq!(told, 2, "as it begins, and as it ends: {}", studio.log());
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused_with_the_chmod() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().file("site.key", KEY, 0o644);
    let daemon = Daemon::spawn(&studio, &studio.config());
    assert_eq!(daemon.exit().await, Some(78));
    let key = studio.path("site.key").display().to_string();
    let said = studio.log();
    let mend = format!("mend it: chmod 600 {key}");
    assert!(
        said.contains("(mode 0644)") && said.contains(&mend),
        "{said}"
    );
    assert!(!studio.path("state").exists(), "nothing was begun");

    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(studio.path("site.key"), mode).expect("its mode");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    until("the plugin is done", || studio.witnessed() == site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}
