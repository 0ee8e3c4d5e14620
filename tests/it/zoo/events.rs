//! Beasts that do wrong by an event: they hang, are deaf, die of it.

use serde_json::{Value, json};

use super::{Cage, FAST, Seen, has_settled, is_disabled, reason, visits, was_ended};
use crate::support::{Site, Studio};

pub(super) async fn hangs() {
    visits(async || is_ended_at_its_deadline("hangs").await).await;
}

pub(super) async fn reads_nothing() {
    visits(async || is_ended_at_its_deadline("reads_nothing").await).await;
}

/// What is said of who has a deadline of a second.
const SILENT: &str = "no answer within 1 s, nor in the 10 s after it was cancelled";

/// Its deadline and the grace behind it, then the ladder: who says nothing is ended and starts again.
async fn is_ended_at_its_deadline(vice: &str) -> Seen {
    let mut cage = Cage::new(vice, FAST).await;
    let report = cage.sees("was ended", was_ended).await;
    assert!(reason(&report).contains(SILENT), "{report}");
    assert_eq!(report["counts"]["dead"], 0, "{report}");
    let report = cage.sees("goes on", has_settled).await;
    assert_eq!(report["counts"]["retried"], 1, "charged once: {report}");
    let first = cage.site.truth()[0];
    let seen = cage.close(&[25]).await;
    let line = format!("event {first}: {SILENT}");
    assert!(seen.log.contains(&line), "{}", seen.log);
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn answers_after_cancel() {
    visits(async || {
        let mut cage = Cage::new("answers_after_cancel", FAST).await;
        let report = cage.sees("works", has_settled).await;
        assert_eq!(report["restarts"], 0, "an answer in time counts: {report}");
        assert_eq!(report["counts"]["retried"], 0, "{report}");
        let seen = cage.close(&[25]).await;
        assert_eq!(seen.log.matches("cancelled: 10000").count(), 1);
        seen
    })
    .await;
}

/// It closed a pipe and lives on: it is ended, though no deadline is near.
async fn is_ended_for_a_closed_pipe(vice: &str, which: &str) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let report = cage.sees("was ended", was_ended).await;
    let words = format!("it closed its {which}, and lives on");
    assert!(reason(&report).contains(&words), "{report}");
    let seen = cage.close(&[25]).await;
    assert!(seen.log.contains(&words), "{}", seen.log);
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn closes_stdin() {
    visits(async || is_ended_for_a_closed_pipe("closes_stdin", "input").await).await;
}

#[tokio::test]
async fn closes_stdout() {
    visits(async || is_ended_for_a_closed_pipe("closes_stdout", "output").await).await;
}

#[tokio::test]
async fn half_a_line_and_death() {
    visits(async || {
        // Each event twice, alone; after three such events it is the plugin that fails.
        let mut cage = Cage::new("half_a_line_and_death", FAST).await;
        let report = cage.sees("disabled", is_disabled).await;
        assert!(reason(&report).contains("exit 3"), "{report}");
        assert_eq!(report["counts"]["dead"], 3, "{report}");
        assert_eq!(report["counts"]["delivered"], 6, "{report}");
        let handed = cage.handed();
        let twice = |pair: &[i64]| pair[0] == pair[1];
        assert!(
            handed.len() == 6 && handed.chunks(2).all(twice),
            "{handed:?}"
        );
        let seen = cage.close(&[25]).await;
        seen.run.told(&["dead_letter", "disabled"], &[]);
        seen
    })
    .await;
}

#[tokio::test]
async fn crashes_on_one_event() {
    visits(async || {
        let site = Site::quiet().await;
        let bad = site.truth()[7];
        let (studio, note) = (Studio::new(&site), bad.to_string());
        let mut cage = Cage::of(site, studio, "crashes_on_one_event", &note, FAST).await;
        let goes_on = |report: &Value| {
            report["counts"]["dead"] == 1 && report["counts"]["ok"].as_u64() > Some(20)
        };
        let report = cage.sees("goes on behind it", goes_on).await;
        assert_eq!(report["dead_letters"], 1, "{report}");
        assert_eq!(report["state"], "ok", "it is not disabled: {report}");
        assert_eq!(report["restarts"], 2, "twice, alone: {report}");
        let handed = cage.handed();
        assert_eq!(handed.iter().filter(|id| **id == bad).count(), 2);
        let seen = cage.close(&[37]).await;
        assert!(seen.log.contains(&format!("cannot bear event {bad}")));
        seen.run.told(&["dead_letter"], &[]);
        seen
    })
    .await;
}

#[tokio::test]
async fn crashes_when_alone() {
    visits(async || {
        let mut cage = Cage::new("crashes_when_alone", "").await;
        let report = cage.sees("works in company", has_settled).await;
        assert_eq!(report["restarts"], 0, "{report}");
        // From now on it is impatient. They came in pairs: the last one of an odd number is alone.
        std::fs::write(cage.studio.path("lonely"), "").expect("a file");
        let count = 1 + cage.site.truth().len() % 2;
        cage.site.order(&json!({"verb": "bulk", "count": count}));
        let has_given_up = |report: &Value| report["counts"]["dead"] == 1 && report["open"] == 0;
        let report = cage.rests("gives it up", has_given_up).await;
        assert!(reason(&report).contains("exit 12"), "{report}");
        assert_eq!(report["restarts"], 2, "twice, alone: {report}");
        let seen = cage.close(&[25, 37]).await;
        assert!(seen.log.contains("alone with event"), "{}", seen.log);
        seen.run.told(&["dead_letter"], &[]);
        seen
    })
    .await;
}
