//! Beasts that say too much: floods, long lines, bytes that are no text.

use serde_json::{Value, json};

use super::{Cage, Seen, has_settled, visits};

/// What is said once for each process that prints where the protocol should be.
const STRAY: &str = "stray output on the protocol's pipe";
/// The most that a flood may cost the daemon's memory, MiB.
const RSS_STEP_MAX_MIB: f64 = 32.0;
/// A plugin's log in a second, in bytes, with room for what stands before each line.
const LOG_BYTES: usize = 1 << 20;

fn dropped(report: &Value) -> u64 {
    report["dropped_lines"].as_u64().expect("a number")
}

/// It works while it floods; what passes into the log is bounded, what does not is counted.
async fn is_drained(vice: &str) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let floods = |report: &Value| has_settled(report) && dropped(report) > 100_000;
    let began = tokio::time::Instant::now();
    let report = cage.sees("works and floods", floods).await;
    assert_eq!(report["restarts"], 0, "{report}");
    let seen = cage.close(&[34]).await;
    // A second may be cut in two by the clock, and one goes by while it is stopped.
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("a few") + 2;
    let most = seconds * LOG_BYTES;
    assert!(seen.log.len() < most, "{} of {most}", seen.log.len());
    let told = "lines of its output were dropped";
    assert!(seen.log.contains(told), "it is said");
    assert!(
        seen.rss_step_mib < RSS_STEP_MAX_MIB,
        "{}",
        seen.rss_step_mib
    );
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn floods_stderr() {
    visits(async || is_drained("floods_stderr").await).await;
}

#[tokio::test]
async fn floods_stdout() {
    visits(async || {
        let began = tokio::time::Instant::now();
        let seen = is_drained("floods_stdout").await;
        // Two events with 120 000 lines each: all but the first of them wait for their turn to be read.
        let took = began.elapsed().as_secs_f64();
        assert!(took > 3.0, "who floods waits: {took} s");
        seen
    })
    .await;
}

#[tokio::test]
async fn prints_ten_thousand_lines() {
    visits(async || {
        let mut cage = Cage::new("prints_ten_thousand_lines", "").await;
        let report = cage.sees("works", has_settled).await;
        assert_eq!(report["restarts"], 0, "{report}");
        let seen = cage.close(&[32]).await;
        assert_eq!(seen.log.matches(STRAY).count(), 1, "said once");
        let kept = seen.log.matches("of 10000").count() as u64;
        assert!(kept >= 200, "{kept} lines are shown");
        let dropped = dropped(&report);
        assert_eq!(dropped, 10_000 - kept, "what was sent and not kept");
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

/// It goes on working as if nothing were, with one warning.
async fn is_harmless(vice: &str, rows: &[u32], words: &str) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let report = cage.sees("works", has_settled).await;
    assert_eq!(report["restarts"], 0, "{report}");
    assert_eq!(report["counts"]["dead"], 0, "{report}");
    let seen = cage.close(rows).await;
    assert_eq!(seen.log.matches(words).count(), 1, "{}", seen.log);
    assert!(
        seen.rss_step_mib < RSS_STEP_MAX_MIB,
        "{}",
        seen.rss_step_mib
    );
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn prints_before_it_speaks() {
    visits(async || {
        let seen = is_harmless("prints_before_it_speaks", &[25], STRAY).await;
        let log = &seen.log;
        assert!(log.contains("Loading the studio's library"), "{log}");
        assert!(log.contains("half a line:"), "{log}");
        seen
    })
    .await;
}

#[tokio::test]
async fn answers_garbage() {
    visits(async || is_harmless("answers_garbage", &[25], STRAY).await).await;
}

#[tokio::test]
async fn echoes() {
    visits(async || is_harmless("echoes", &[25], "the plugin echoes what it is sent").await).await;
}

#[tokio::test]
async fn nul_bytes() {
    visits(async || is_harmless("nul_bytes", &[33], STRAY).await).await;
}

#[tokio::test]
async fn invalid_utf8() {
    visits(async || {
        let mut cage = Cage::new("invalid_utf8", "").await;
        let skips = |report: &Value| report["counts"]["skipped"].as_u64() >= Some(3);
        let report = cage.sees("works", skips).await;
        assert_eq!(
            (&report["restarts"], &report["counts"]["dead"]),
            (&json!(0), &json!(0))
        );
        let seen = cage.close(&[33]).await;
        assert_eq!(seen.log.matches(STRAY).count(), 1, "{}", seen.log);
        assert!(seen.log.contains("the artist Ren\u{fffd}"), "{}", seen.log);
        seen
    })
    .await;
}

#[tokio::test]
async fn line_of_20_mb() {
    visits(async || {
        let mut cage = Cage::new("line_of_20_mb", "").await;
        let report = cage.sees("works", has_settled).await;
        assert_eq!(report["restarts"], 0, "{report}");
        // The one without an id is nobody's; the one that was an answer is a failure, and the next attempt is a good one.
        assert_eq!(report["counts"]["retried"], 1, "{report}");
        let handed = cage.handed();
        assert_eq!(handed.iter().filter(|id| **id == handed[1]).count(), 2);
        let seen = cage.close(&[33]).await;
        let words = "a line that is too long was thrown away";
        assert_eq!(seen.log.matches(words).count(), 2, "{}", seen.log);
        assert!(
            seen.rss_step_mib < RSS_STEP_MAX_MIB,
            "{}",
            seen.rss_step_mib
        );
        seen
    })
    .await;
}

#[tokio::test]
async fn gigabyte_without_newline() {
    visits(async || {
        let words = "a line that is too long was thrown away";
        is_harmless("gigabyte_without_newline", &[33], words).await
    })
    .await;
}
