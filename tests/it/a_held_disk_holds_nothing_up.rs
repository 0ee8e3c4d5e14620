//! A journal that cannot write: people hear of it, nothing is killed for it, and a stop is bounded.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Daemon, Site, Studio};

/// Less than systemd waits for.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_alert_begins_and_ends_and_a_stop_does_not_wait_for_ever() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    // Another process that holds the database is a disk on which nothing can be written.
    let held = rusqlite::Connection::open(studio.path("state/journal.db")).expect("a database");
    held.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    site.work(1);
    let has_alert = |status: &serde_json::Value| {
        let alerts = status["alerts"].as_array().cloned().unwrap_or_default();
        alerts
            .iter()
            .any(|alert| alert["cause"] == "journal/stalled")
    };
    daemon.status_when("people are told", has_alert).await;
    held.execute_batch("ROLLBACK").expect("the lock");
    daemon
        .status_when("it is over", |status| !has_alert(status))
        .await;
    daemon.delivered(&studio, &site.truth()).await;

    held.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    site.work(1);
    daemon.status_when("it is held again", has_alert).await;
    let begun = Instant::now();
    let code = daemon.stop().await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(studio.log().contains("not written"), "{}", studio.log());
    assert!(code.is_some(), "it ended by itself");
    drop(held);

    // Nothing is lost: the next daemon asks for it again.
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0));
}
