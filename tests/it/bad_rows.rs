//! A site that answers, but with rows or ids that are wrong: nothing is lost, doubled or out of order, and a row that cannot be read
//! stops nobody.
//!
//! | what | where |
//! |---|---|
//! | every order of late, lost, jumping and returning ids | `src/ingest/tests.rs`, also by property |
//! | a gap given up, late gaps asked seldom, a restore that lags, after a minute | `src/ingest/tests.rs`: they take minutes |
//! | odd rows as text | `src/event.rs` |
//! | all of it through the wire, the journal and the pipe to the plugin | here |

use serde_json::{Value, json};
use sgeventd::clock::Clock;

use crate::support::{Daemon, Site, Studio, plugin, until};

/// A studio with the witness, and a plugin that writes down what stands in the events.
fn studio(site: &Site) -> Studio {
    let studio = Studio::new(site).witness().impatient();
    let book = studio.path("scribe.txt").display().to_string();
    studio
        .file("scribe.py", include_str!("../zoo/scribe.py"), 0o755)
        .plugin("scribe", &["scribe.py", &book], "")
}

/// What the scribe was handed of an event: entity and new value.
async fn scribed(studio: &Studio, id: i64) -> (Value, Value) {
    let find = || {
        let text = std::fs::read_to_string(studio.path("scribe.txt")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut rows = lines.map(|(id, entity, value): (i64, Value, Value)| (id, (entity, value)));
        rows.find(|(found, _)| *found == id).map(|(_, row)| row)
    };
    until("the scribe has the event", || find().is_some()).await;
    find().expect("it was there")
}

fn next_id(site: &Site) -> i64 {
    site.sandbox.summary()["next_id"].as_i64().expect("an id")
}

#[tokio::test]
async fn odd_rows_arrive_and_missing_ones_are_asked_for_again() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let mut odd = Vec::new();
    for (kind, calls) in [
        ("empty_page", 3),
        ("no_id", 2),
        ("null_row", 2),
        ("null_entity", 1),
        ("huge_row", 1),
        ("odd_row", 1),
    ] {
        let id = next_id(&site);
        let mut order = json!({"verb": "fail", "kind": kind, "calls": calls});
        if kind != "empty_page" {
            order["id"] = id.into();
        }
        site.order(&order);
        site.work(2);
        until(kind, || site.sandbox.summary()["troubles"] == 0).await;
        daemon.delivered(&studio, &site.truth()).await;
        odd.push(scribed(&studio, id).await);
    }
    assert_eq!(odd[3].0, Value::Null);
    assert_eq!(odd[4].1, 5 << 20);
    assert_eq!(odd[5].1, "one\u{2028}two\nthree");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    // Two rows came without their ids first: they are late, in the journal's order like every late one.
    let mut witnessed = studio.witnessed();
    assert_eq!(witnessed, studio.journaled().await);
    witnessed.sort_unstable();
    assert_eq!(witnessed, site.truth(), "each once");
    let log = studio.log();
    assert!(log.contains("rows without an id were passed over"), "{log}");
}

#[tokio::test]
async fn a_row_that_spoils_its_page_is_handed_over_with_fewer_fields() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let bad = next_id(&site);
    site.order(&json!({"verb": "poison", "id": bad, "field": "meta"}));
    site.work(4);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(scribed(&studio, bad).await.1, Value::Null);
    site.work(2);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    let log = studio.log();
    assert!(log.contains("read with fewer fields"), "{log}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_at_all_stops_nothing_and_comes_later() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let bad = next_id(&site);
    site.order(&json!({"verb": "poison", "id": bad}));
    site.work(4);
    let mut others = site.truth();
    others.retain(|id| *id != bad);
    daemon.delivered(&studio, &others).await;
    let status = daemon
        .status_when("the row is a gap", |status| status["site"]["gaps"] == 1)
        .await;
    assert_eq!(status["site"]["state"], "ok", "{status}");
    let said = format!("the site cannot show event {bad}: every page that holds it fails");
    until("it is said", || studio.log().contains(&said)).await;
    // While it runs it asks for the row once a minute; a new start asks at once.
    site.clear();
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    others.push(bad);
    assert_eq!(studio.witnessed(), others, "the late one last, each once");
}

#[tokio::test]
async fn a_jump_is_one_gap_and_a_replica_that_lags_proves_nothing() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    site.order(&json!({"verb": "jump", "by": 10_000}));
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    daemon
        .status_when("one gap", |status| status["site"]["gaps"] == 1)
        .await;
    // Two of the rows that are hidden were read already.
    site.order(&json!({"verb": "lag", "rows": 4, "polls": 5}));
    site.work(2);
    until("the lag is over", || {
        site.sandbox.summary()["troubles"] == 0
    })
    .await;
    daemon.delivered(&studio, &site.truth()).await;
    let status = daemon.status().await.expect("it runs");
    assert_eq!(status["site"]["state"], "ok", "{status}");
    assert_eq!(status["alerts"], json!([]), "{status}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

#[tokio::test]
async fn a_restored_site_halts_ingest_and_plugins_go_on() {
    let site = Site::quiet().await;
    site.work(30);
    let studio = studio(&site);
    let book = studio.path("slow.txt").display().to_string();
    let studio = studio.plugin("slow", &["witness.py", &book, "0.02"], "");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let known = site.truth();
    let (head, kept) = (known[known.len() - 1], known[known.len() - 10]);
    let second = || Clock::unix().0 / 1000;
    let begun = second();
    until("the new rows have another time", || second() > begun).await;
    site.order(&json!({"verb": "restore", "to": kept}));
    while next_id(&site) <= head {
        site.work(1);
    }
    let status = daemon
        .status_when("it halts", |status| status["site"]["state"] == "rewound")
        .await;
    let alert = &status["alerts"][0];
    assert_eq!(alert["cause"], "site/rewound", "{status}");
    let sentence = alert["sentence"].as_str().expect("words");
    assert!(
        sentence.contains(&format!("another event under id {head}")),
        "{sentence}"
    );
    site.work(5);
    let has_all = |status: &Value| {
        let slow = plugin(status, "slow").expect("it runs");
        slow["counts"]["ok"] == known.len()
    };
    let status = daemon.status_when("the slow one has all", has_all).await;
    assert_eq!(status["site"]["state"], "rewound", "{status}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), known, "nothing of the second life");
}

/// Rows twice in a page, pages in no order, and known rows with another text: the journal has each event once, as it was first.
#[tokio::test]
async fn a_row_that_comes_again_is_one_row() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    for kind in ["twice", "shuffled", "edited"] {
        for _ in 0..3 {
            let head = *site.truth().last().expect("a row");
            let before = scribed(&studio, head).await;
            let mut order = json!({"verb": "fail", "kind": kind, "calls": 1});
            if kind == "edited" {
                // The newest row that was read: each poll asks for it again.
                order["id"] = head.into();
            }
            site.order(&order);
            site.work(5);
            until(kind, || site.sandbox.summary()["troubles"] == 0).await;
            daemon.delivered(&studio, &site.truth()).await;
            assert_eq!(scribed(&studio, head).await, before, "{kind}");
        }
    }
    // Replicas that show now more and now fewer rows: events of one page are in the next, too.
    for _ in 0..3 {
        site.order(&json!({"verb": "lag", "rows": 3, "polls": 2}));
        site.work(4);
        until("the lag is over", || {
            site.sandbox.summary()["troubles"] == 0
        })
        .await;
    }
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let journaled = studio.journaled().await;
    let mut once = journaled.clone();
    once.sort_unstable();
    assert_eq!(once, site.truth(), "one row for each event");
    assert_eq!(studio.witnessed(), journaled);
    let run = studio.recheck(&site, "rows-again", &[22]);
    run.told_and_over(&[]);
    run.with("rows", journaled.len()).judge();
}

/// Late, out of order, never, a hole of ten thousand ids whose end is named, and then a head that is lower than it was.
#[tokio::test]
async fn ids_in_any_order_are_each_delivered_and_a_lower_head_asks() {
    let site = Site::quiet().await;
    let studio = studio(&site).gaps("3s", "5s");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    for late_ms in [1200, 600, 300] {
        site.order(&json!({"verb": "work", "times": 2, "late_ms": late_ms}));
        site.work(1);
    }
    site.order(&json!({"verb": "abandon", "times": 2}));
    site.work(1);
    let hole = next_id(&site);
    site.order(&json!({"verb": "jump", "by": 10_000}));
    site.work(3);
    until("the late ones are there", || {
        site.sandbox.summary()["waiting"] == 0
    })
    .await;
    daemon.delivered(&studio, &site.truth()).await;
    let status = daemon
        .status_when("what never came is given up", |status| {
            status["site"]["gaps"] == 0
        })
        .await;
    let given_up = status["site"]["given_up"].as_u64();
    assert!(given_up > Some(10_000), "{status}");
    let named = format!("first={hole} last={}", hole + 9_999);
    let log = studio.log();
    let is_named = log.contains(&named) || log.contains(&format!("last={}", hole + 9_999));
    assert!(is_named, "{named}: {log}");
    let known = site.truth();
    // The highest one is asked for again, and is gone: so is one below.
    let kept = {
        let mut ids = known.clone();
        ids.sort_unstable();
        ids[ids.len() - 4]
    };
    let second = || Clock::unix().0 / 1000;
    let begun = second();
    until("the new rows have another time", || second() > begun).await;
    let head = next_id(&site) - 1;
    site.order(&json!({"verb": "restore", "to": kept}));
    while next_id(&site) <= head {
        let is_far = head - next_id(&site) > 5;
        if is_far {
            site.order(&json!({"verb": "jump", "by": head - next_id(&site) - 4}));
        }
        site.work(1);
    }
    let status = daemon
        .status_when("it halts", |status| status["site"]["state"] == "rewound")
        .await;
    assert_eq!(status["alerts"][0]["cause"], "site/rewound", "{status}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let mut witnessed = studio.witnessed();
    assert_eq!(
        witnessed,
        studio.journaled().await,
        "nothing of the second life"
    );
    witnessed.sort_unstable();
    let mut sorted = known.clone();
    sorted.sort_unstable();
    assert_eq!(witnessed, sorted, "each once");
    let run = studio.recheck_ids(&known, "ids-late-never-lower", &[21]);
    // It lasts: an operator must say where to go on.
    run.told(&["site_rewound"], &[]);
    assert_eq!(run.more["given_up"].as_u64(), given_up);
    run.judge();
}
