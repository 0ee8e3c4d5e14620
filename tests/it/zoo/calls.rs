//! Beasts that misuse what the daemon does for them: calls without end, in foreign names, with foreign files.

use std::path::Path;

use serde_json::{Value, json};

use super::{Cage, has_settled, reason, visits, was_ended};
use crate::support::{Site, Studio};

/// What a beast wrote down of the answers to its calls.
fn told(cage: &Cage, vice: &str) -> Value {
    let book = cage.studio.book(vice);
    let told = book.iter().find_map(|line| line.get("told"));
    told.cloned().unwrap_or_default()
}

/// Waits until it has all of them.
async fn all_told(cage: &mut Cage, vice: &str) -> Value {
    loop {
        let report = cage.sees("works", has_settled).await;
        assert_eq!(report["restarts"], 0, "{report}");
        let told = told(cage, vice);
        if !told.is_null() {
            return told;
        }
    }
}

pub(super) async fn calls_without_reading() {
    visits(async || {
        let mut cage = Cage::new("calls_without_reading", "").await;
        let report = cage.sees("was ended", was_ended).await;
        assert!(
            reason(&report).contains("does not read the answers"),
            "{report}"
        );
        let seen = cage.close(&[35]).await;
        let told = seen
            .log
            .matches("it goes on calling and does not read")
            .count();
        assert!(
            told <= 8,
            "said for each process, not for each call: {told}"
        );
        assert!(seen.rss_step_mib < 64.0, "{}", seen.rss_step_mib);
        seen
    })
    .await;
}

#[tokio::test]
async fn leaks_calls() {
    visits(async || {
        let site = Site::quiet().await;
        site.order(&json!({"verb": "latency", "ms": 100}));
        let studio = Studio::new(&site);
        let mut cage = Cage::of(site, studio, "leaks_calls", "", "").await;
        let told = all_told(&mut cage, "leaks_calls").await;
        let (busy, results) = (told["-32011"].as_u64(), told["result"].as_u64());
        // 8 at work and 256 that wait find a place at first, and as many as those make room for.
        assert!(busy >= Some(5000), "{told}");
        assert!(results >= Some(264), "{told}");
        assert_eq!(busy.unwrap_or(0) + results.unwrap_or(0), 10_000, "{told}");
        cage.site.clear();
        let seen = cage.close(&[36]).await;
        assert!(seen.rss_step_mib < 32.0, "{}", seen.rss_step_mib);
        seen
    })
    .await;
}

#[tokio::test]
async fn calls_on_after_answering() {
    visits(async || {
        let site = Site::quiet().await;
        site.order(&json!({"verb": "latency", "ms": 100}));
        let studio = Studio::new(&site);
        let vice = "calls_on_after_answering";
        let mut cage = Cage::of(site, studio, vice, "", "").await;
        let told = all_told(&mut cage, vice).await;
        let refused = [-32012; 3];
        assert_eq!(told, json!({"overlaps": 0, "late": refused}));
        cage.site.clear();
        cage.close(&[25]).await
    })
    .await;
}

#[tokio::test]
async fn names_foreign_parents() {
    visits(async || {
        let mut cage = Cage::new("names_foreign_parents", "").await;
        let told = all_told(&mut cage, "names_foreign_parents").await;
        let refused: Vec<Value> = (0..8).map(|number| json!([number, -32013])).collect();
        assert_eq!(told, json!(refused));
        let created = cage.site.sandbox.asked();
        assert!(!created.iter().any(|call| call.method == "create"));
        cage.close(&[25]).await
    })
    .await;
}

#[tokio::test]
async fn uploads_passwd() {
    visits(async || {
        let mut cage = Cage::new("uploads_passwd", "").await;
        let told = all_told(&mut cage, "uploads_passwd").await;
        let told = told.as_array().expect("a list");
        assert_eq!(told.len(), 11, "{told:?}");
        let is_refused = |answer: &Value| matches!(answer[1].as_i64(), Some(-32012 | -32602));
        assert!(told.iter().all(is_refused), "{told:?}");
        let sent = cage.site.sandbox.asked();
        assert!(!sent.iter().any(|call| call.method.contains("upload")));
        assert!(!Path::new("/etc/cron.d/of_a_plugin").exists());
        cage.close(&[42]).await
    })
    .await;
}
