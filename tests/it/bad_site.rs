//! A site that cannot be reached or does not answer as it should: the daemon says what is wrong, and when the trouble ends a
//! healthy plugin has every event once and in order.
//!
//! | what | where |
//! |---|---|
//! | each error in words, redirects, proxies, sizes, deadlines | `src/site/tests/answers.rs`, `tls.rs` |
//! | backoff, `Retry-After`, narrowing, as decisions | `src/ingest/pace.rs`, `src/ingest/tests.rs` |
//! | name, refused, TLS, 500, 502, 503, HTML, truncated, fault, reset: from the socket to `status` and to the plugin | here |
//! | the alert after two minutes | here, on a clock that stands still |
//! | rows and ids that are wrong | `bad_rows.rs` |

use std::time::Duration;

use rcgen::date_time_ymd;
use serde_json::{Value, json};

use crate::support::{
    Daemon, Site, Studio,
    door::{Authority, ShutDoor, TlsDoor},
    frozen::Frozen,
    until,
};

/// Waits until the site counts as down for this reason; an outage that is young is no alert.
async fn down(daemon: &Daemon, said: &str) -> Value {
    let status = daemon
        .status_when(said, |status| {
            let reason = status["site"]["reason"].as_str();
            status["site"]["state"] == "down" && reason.is_some_and(|reason| reason.contains(said))
        })
        .await;
    assert_eq!(status["alerts"], json!([]), "{status}");
    status
}

/// Waits until the site is back, with all of its events.
async fn back(daemon: &Daemon, site: &Site, studio: &Studio) {
    daemon
        .status_when("the site is back", |status| status["site"]["state"] == "ok")
        .await;
    daemon.delivered(studio, &site.truth()).await;
}

async fn ends_well(daemon: Daemon, site: &Site, studio: &Studio) {
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    let log = studio.log();
    assert!(!log.contains("os error"), "{log}");
}

#[tokio::test]
async fn answers_that_are_none_are_named_and_cost_nothing() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().impatient();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let troubles = [
        ("http500", "HTTP 500"),
        ("http502", "HTTP 502"),
        ("http503", "HTTP 503"),
        ("html", "answered HTML, not JSON (proxy? SSO?)"),
        ("truncated", "answer is not JSON"),
        ("reset", "was lost before an answer"),
    ];
    for (kind, said) in troubles {
        site.order(&json!({"verb": "fail", "kind": kind}));
        site.work(3);
        down(&daemon, said).await;
        site.clear();
        back(&daemon, &site, &studio).await;
    }
    ends_well(daemon, &site, &studio).await;
    let log = studio.log();
    for line in ["the site does not answer", "the site answers again"] {
        assert_eq!(log.matches(line).count(), troubles.len(), "{line}: {log}");
    }
}

/// A site that answers, and says no: no outage, so plugins' calls go on; polls are repeated all the same.
#[tokio::test]
async fn a_fault_in_place_of_rows_is_told_as_a_fault() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().impatient();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    site.order(&json!({"verb": "fail", "kind": "fault"}));
    site.work(3);
    let said = "the site refused read: API trouble on demand";
    daemon
        .status_when(said, |status| {
            status["site"]["state"] == "faulty" && status["site"]["reason"] == said
        })
        .await;
    site.clear();
    back(&daemon, &site, &studio).await;
    ends_well(daemon, &site, &studio).await;
}

#[tokio::test]
async fn a_site_that_names_a_pause_gets_it() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().impatient();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    site.order(&json!({"verb": "fail", "kind": "http503", "retry_after": 1}));
    site.work(3);
    let (begun, before) = (tokio::time::Instant::now(), site.calls());
    until("it has asked four times", || site.calls() >= before + 4).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "three pauses");
    site.clear();
    back(&daemon, &site, &studio).await;
    ends_well(daemon, &site, &studio).await;
}

/// The address is mistyped at the very first start, then right but nobody listens there yet.
#[tokio::test]
async fn an_address_can_be_mended_and_a_site_may_come_later() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .url("http://no-such-host.invalid")
        .witness()
        .impatient();
    let daemon = Daemon::start(&studio).await;
    down(&daemon, "the name was not found (DNS); is [site] url right").await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let door = ShutDoor::new();
    let studio = studio.url(door.url());
    let daemon = Daemon::start(&studio).await;
    down(&daemon, "connection refused: nobody listens there").await;
    door.open(&site);
    back(&daemon, &site, &studio).await;
    ends_well(daemon, &site, &studio).await;
}

#[tokio::test]
async fn wrong_certificates_are_refused_in_words() {
    let site = Site::quiet().await;
    let authority = Authority::new();
    let expired = authority.server("localhost", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let door = TlsDoor::open(&site, expired).await;
    let studio = Studio::new(&site)
        .url(door.url())
        .site("ca_file = \"studio.pem\"")
        .file("studio.pem", authority.pem(), 0o644)
        .witness()
        .impatient();
    let daemon = Daemon::start(&studio).await;
    down(&daemon, "certificate has expired").await;
    door.show(authority.server("other.example", |_| {}));
    down(
        &daemon,
        "certificate is for another host; is [site] url right?",
    )
    .await;
    door.show(authority.server("localhost", |_| {}));
    back(&daemon, &site, &studio).await;
    ends_well(daemon, &site, &studio).await;
}

#[tokio::test]
async fn an_unknown_authority_is_mended_as_the_hint_says() {
    let site = Site::quiet().await;
    let authority = Authority::new();
    let door = TlsDoor::open(&site, authority.server("localhost", |_| {})).await;
    let studio = Studio::new(&site).url(door.url()).witness().impatient();
    let daemon = Daemon::start(&studio).await;
    down(
        &daemon,
        "signed by an authority unknown here; if the studio has its own authority, name its certificate in [site] ca_file",
    )
    .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let studio = studio
        .site("ca_file = \"studio.pem\"")
        .file("studio.pem", authority.pem(), 0o644);
    let daemon = Daemon::start(&studio).await;
    back(&daemon, &site, &studio).await;
    ends_well(daemon, &site, &studio).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_an_alert_after_two_minutes_until_it_ends() {
    let mut ingest = Frozen::start().await;
    ingest
        .site
        .order(&json!({"verb": "fail", "kind": "http502"}));
    ingest.until_state("down").await;
    ingest.pass(Duration::from_secs(110)).await;
    assert_eq!(ingest.alerts(), [""; 0]);
    ingest.pass(Duration::from_secs(70)).await;
    assert_eq!(ingest.alerts(), ["site/down"]);
    ingest.site.work(3);
    ingest.site.clear();
    ingest.until_state("ok").await;
    assert_eq!(ingest.alerts(), [""; 0]);
    let truth = ingest.site.truth();
    assert_eq!(ingest.end().await, truth);
}
