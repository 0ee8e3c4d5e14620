//! Beasts whose messages are not as the protocol says.

use serde_json::{Value, json};

use super::{Cage, Seen, has_settled, reason, visits, was_ended};

/// What is said once for each process that answers what nobody asked.
const ODD: &str = "an answer to nothing that is open";

/// Its events are settled by its real answers alone, and it is not killed for the others.
async fn is_put_up_with(vice: &str) -> Seen {
    let mut cage = Cage::new(vice, "").await;
    let report = cage.sees("works", has_settled).await;
    assert_eq!(
        (&report["restarts"], &report["counts"]["dead"]),
        (&json!(0), &json!(0))
    );
    let seen = cage.close(&[25]).await;
    assert_eq!(seen.log.matches(ODD).count(), 1, "{}", seen.log);
    let counted = seen.log.contains("answers to nothing that was open");
    assert!(counted, "their number is told at the end: {}", seen.log);
    seen.run.told_and_over(&[]);
    seen
}

#[tokio::test]
async fn answers_twice() {
    visits(async || is_put_up_with("answers_twice").await).await;
}

#[tokio::test]
async fn wrong_id() {
    visits(async || is_put_up_with("wrong_id").await).await;
}

#[tokio::test]
async fn answers_before_asked() {
    visits(async || is_put_up_with("answers_before_asked").await).await;
}

#[tokio::test]
async fn wrong_jsonrpc_version() {
    visits(async || {
        // Nobody is punished for a word that says nothing.
        let mut cage = Cage::new("wrong_jsonrpc_version", "").await;
        let report = cage.sees("works", has_settled).await;
        assert_eq!(report["restarts"], 0, "{report}");
        let seen = cage.close(&[25]).await;
        for complaint in [ODD, "stray output"] {
            assert!(!seen.log.contains(complaint), "{}", seen.log);
        }
        seen
    })
    .await;
}

#[tokio::test]
async fn huge_id() {
    visits(async || {
        let mut cage = Cage::new("huge_id", "").await;
        let has_answers = |report: &Value| report["counts"]["ok"].as_u64() >= Some(6);
        let report = cage.sees("works", has_answers).await;
        assert_eq!(report["restarts"], 0, "{report}");
        let book = cage.studio.book("huge_id");
        let answers = book.iter().filter_map(|line| line["answers"].as_array());
        let answers: Vec<&Value> = answers.flatten().collect();
        // Echoed byte for byte: a megabyte, 300 digits, and what Python reads as `inf` of an exponent.
        let of = |length: usize| {
            let is_it =
                |answer: &&&Value| answer[0] == length && answer[1] == json!({"value": null});
            answers.iter().filter(is_it).count()
        };
        assert!(
            of(1 << 20) >= 1 && of(300) >= 1 && of(3) >= 1,
            "{answers:?}"
        );
        let seen = cage.close(&[25, 33]).await;
        assert!(seen.rss_step_mib < 32.0, "{}", seen.rss_step_mib);
        seen
    })
    .await;
}

#[tokio::test]
async fn deep_nesting() {
    visits(async || {
        let mut cage = Cage::new("deep_nesting", "").await;
        let has_worked = |report: &Value| report["counts"]["ok"].as_u64() >= Some(6);
        let report = cage.sees("works", has_worked).await;
        assert_eq!(
            (&report["restarts"], &report["counts"]["dead"]),
            (&json!(0), &json!(0))
        );
        let seen = cage.close(&[25]).await;
        seen.run.told_and_over(&[]);
        seen
    })
    .await;
}

#[tokio::test]
async fn asks_brokenly() {
    visits(async || {
        let mut cage = Cage::new("asks_brokenly", "").await;
        let report = cage.sees("was ended", was_ended).await;
        assert!(
            reason(&report).contains("does not read the answers"),
            "{report}"
        );
        let seen = cage.close(&[25, 35]).await;
        assert!(seen.rss_step_mib < 32.0, "{}", seen.rss_step_mib);
        seen
    })
    .await;
}
