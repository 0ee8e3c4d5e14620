//! Whatever a site can be told to do wrong, ingest has every committed event once and in order, and says what a person should know.
//!
//! | what | where |
//! |---|---|
//! | every order and every kind, and the test that it has | [`TESTS`] |
//! | those that need a plugin, its pipe or the daemon's own memory | `bad_site`, `bad_rows`, `bad_key`, `slow_and_huge_answers` |
//! | the others: ingest by itself, on a clock that stands still | here |

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use clap::ValueEnum as _;
use serde_json::json;
use sgeventd::sandbox::{Kind, verbs};
use tokio::time::Instant;

use crate::support::{frozen::Frozen, yardstick::Yardstick};

/// What can be ordered, and the test that orders it: a file and a function.
const TESTS: [(&str, &str, &str); 48] = [
    (
        "http500",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "http502",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "http503",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "http504",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "http429",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "html",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "empty",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "truncated",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "fault",
        "bad_site",
        "a_fault_in_place_of_rows_is_told_as_a_fault",
    ),
    (
        "reset",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "closed",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "lost",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "short_length",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    (
        "long_length",
        "bad_site",
        "answers_that_are_none_are_named_and_cost_nothing",
    ),
    ("hang", HERE, "a_site_that_says_nothing_is_away"),
    (
        "drip",
        "slow_and_huge_answers",
        "an_answer_without_an_end_costs_its_deadline_and_nobody_else",
    ),
    (
        "endless_head",
        "slow_and_huge_answers",
        "an_answer_without_an_end_costs_its_deadline_and_nobody_else",
    ),
    (
        "bomb",
        "slow_and_huge_answers",
        "an_answer_that_is_far_too_big_is_dropped_early_and_asked_for_again",
    ),
    (
        "huge_page",
        "slow_and_huge_answers",
        "an_answer_that_is_far_too_big_is_dropped_early_and_asked_for_again",
    ),
    (
        "huge_length",
        "slow_and_huge_answers",
        "an_answer_that_is_far_too_big_is_dropped_early_and_asked_for_again",
    ),
    (
        "empty_page",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    (
        "no_id",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    (
        "null_row",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    (
        "null_entity",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    (
        "huge_row",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    (
        "odd_row",
        "bad_rows",
        "odd_rows_arrive_and_missing_ones_are_asked_for_again",
    ),
    ("twice", "bad_rows", "a_row_that_comes_again_is_one_row"),
    ("shuffled", "bad_rows", "a_row_that_comes_again_is_one_row"),
    ("edited", "bad_rows", "a_row_that_comes_again_is_one_row"),
    ("fail", HERE, "a_share_of_the_calls_goes_wrong"),
    (
        "poison",
        "bad_rows",
        "a_row_that_cannot_be_read_at_all_stops_nothing_and_comes_later",
    ),
    (
        "latency",
        HERE,
        "slow_answers_are_waited_for_and_too_slow_ones_are_an_outage",
    ),
    ("maintenance", HERE, "a_maintenance_is_an_outage_that_ends"),
    (
        "skew",
        HERE,
        "a_clock_of_the_site_that_jumps_gives_nothing_up",
    ),
    (
        "lag",
        "bad_rows",
        "a_jump_is_one_gap_and_a_replica_that_lags_proves_nothing",
    ),
    (
        "late",
        HERE,
        "events_that_commit_late_and_in_another_order_are_each_found",
    ),
    ("rollback", HERE, "what_is_rolled_back_holds_nothing_up"),
    (
        "hold",
        HERE,
        "transactions_that_commit_in_any_order_are_each_found",
    ),
    (
        "release",
        HERE,
        "transactions_that_commit_in_any_order_are_each_found",
    ),
    (
        "jump",
        "bad_rows",
        "a_jump_is_one_gap_and_a_replica_that_lags_proves_nothing",
    ),
    (
        "restore",
        "bad_rows",
        "a_restored_site_halts_ingest_and_plugins_go_on",
    ),
    (
        "purge",
        HERE,
        "a_log_that_forgets_what_is_old_is_followed_on",
    ),
    ("retire", HERE, "what_goes_to_the_trash_changes_no_event"),
    (
        "revoke_key",
        "bad_key",
        "a_refused_key_is_tried_once_a_minute_and_works_again_by_itself",
    ),
    (
        "restore_key",
        "bad_key",
        "a_refused_key_is_tried_once_a_minute_and_works_again_by_itself",
    ),
    (
        "expire_sessions",
        HERE,
        "sessions_that_end_are_not_those_of_the_daemon",
    ),
    (
        "work",
        "bad_rows",
        "ids_in_any_order_are_each_delivered_and_a_lower_head_asks",
    ),
    (
        "abandon",
        "bad_rows",
        "ids_in_any_order_are_each_delivered_and_a_lower_head_asks",
    ),
];

/// This file.
const HERE: &str = "a_site_that_misbehaves";

/// Orders that are no misbehaviour, or none that ingest could see.
const NONE: [&str; 5] = ["bulk", "clear", "processing", "second_factor", "webhooks"];

#[test]
fn every_order_and_every_kind_has_its_test() {
    let kinds = Kind::value_variants().iter().map(|kind| kind.name());
    let all: Vec<String> = verbs().map(str::to_owned).chain(kinds).collect();
    let named: BTreeSet<&str> = TESTS.iter().map(|test| test.0).collect();
    for name in &all {
        let is_none = NONE.contains(&name.as_str());
        assert!(
            named.contains(name.as_str()) != is_none,
            "{name} has no test, or needs none"
        );
    }
    for (name, file, test) in TESTS {
        assert!(
            all.iter().any(|one| one == name),
            "{name} cannot be ordered"
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(root.join(format!("tests/it/{file}.rs"))).expect("a file");
        let body = text
            .split_once(&format!("async fn {test}("))
            .map(|(_, body)| body);
        let body = body.unwrap_or_else(|| panic!("{file} has no {test}"));
        let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
        // What all tests have of their site stands in `support`.
        let is_ordered =
            body.contains(&format!("\"{name}\"")) || (name == "work" && body.contains(".work("));
        assert!(is_ordered, "{file}::{test} does not order {name}");
    }
}

/// The line of a run in which nothing was told.
async fn ends_untold(ingest: Frozen, run: &str, rows: &[u32]) {
    let line = ingest.judged(Yardstick::of(run, rows)).await;
    line.told_and_over(&[]);
    line.judge();
}

/// Ends a run in which events came in another order than their ids: each once.
async fn ends_with_each_once(mut ingest: Frozen, run: &str, rows: &[u32]) {
    ingest.until_all().await;
    let mut line = Yardstick::of(run, rows);
    line.alerts = Some(ingest.told(true));
    line.recovered = Some(ingest.told(false));
    let mut truth = ingest.site.truth();
    let mut found = ingest.close().await;
    let lost = truth.iter().filter(|id| !found.contains(id));
    line.lost = Some(lost.count() as u64);
    found.sort_unstable();
    truth.sort_unstable();
    assert_eq!(found, truth, "each once");
    line.told_and_over(&[]);
    line.judge();
}

/// Ends a run with one outage that was told and was over.
async fn ends_told(ingest: Frozen, run: &str, rows: &[u32]) {
    let line = ingest.judged(Yardstick::of(run, rows)).await;
    line.told_and_over(&["site_down"]);
    line.judge();
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_calls_goes_wrong() {
    let mut ingest = Frozen::start().await;
    for kind in [
        "http500",
        "http502",
        "http504",
        "reset",
        "closed",
        "lost",
        "truncated",
        "html",
        "empty",
        "fault",
    ] {
        let order = json!({"verb": "fail", "kind": kind, "rate": 0.05});
        ingest.site.order(&order);
    }
    let begun = Instant::now();
    for _ in 0..30 {
        ingest.site.work(1);
        ingest.pass(Duration::from_secs(4)).await;
    }
    let asked = ingest.asked_since(begun).len();
    assert!(asked > 30, "{asked} questions");
    ingest.site.clear();
    ingest.until_state("ok").await;
    ends_untold(ingest, "site-errors-by-share", &[15]).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_that_says_nothing_is_away() {
    let mut ingest = Frozen::start().await;
    ingest.site.order(&json!({"verb": "fail", "kind": "hang"}));
    ingest.site.work(3);
    ingest.until_state("down").await;
    let reason = ingest.report().reason.expect("a reason");
    assert!(reason.contains("no complete answer within"), "{reason}");
    ingest.pass(Duration::from_secs(200)).await;
    assert_eq!(ingest.alerts(), ["site/down"]);
    ingest.site.clear();
    ingest.until_state("ok").await;
    ends_told(ingest, "site-hangs", &[16]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_waited_for_and_too_slow_ones_are_an_outage() {
    let mut ingest = Frozen::start().await;
    let order = json!({"verb": "latency", "ms": 8000, "jitter_ms": 7000});
    ingest.site.order(&order);
    for _ in 0..10 {
        ingest.site.work(2);
        ingest.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(ingest.report().state, "ok");
    assert_eq!(ingest.alerts(), [""; 0]);
    // Longer than any call is waited for.
    ingest.site.order(&json!({"verb": "latency", "ms": 90_000}));
    ingest.site.work(2);
    ingest.until_state("down").await;
    ingest.pass(Duration::from_secs(200)).await;
    assert_eq!(ingest.alerts(), ["site/down"]);
    ingest.site.order(&json!({"verb": "latency", "ms": 0}));
    ingest.until_state("ok").await;
    ends_told(ingest, "site-slow", &[16]).await;
}

#[tokio::test(start_paused = true)]
async fn a_maintenance_is_an_outage_that_ends() {
    let mut ingest = Frozen::start().await;
    let begun = Instant::now();
    ingest
        .site
        .order(&json!({"verb": "maintenance", "retry_after": 45}));
    ingest.site.work(3);
    ingest.until_state("down").await;
    let reason = ingest.report().reason.expect("a reason");
    assert!(reason.contains("HTTP 503"), "{reason}");
    ingest.pass(Duration::from_secs(600)).await;
    assert_eq!(ingest.alerts(), ["site/down"]);
    let asked = ingest.asked_since(begun);
    let least = asked[1..].windows(2).map(|two| two[1] - two[0]).min();
    assert!(
        least >= Some(Duration::from_secs(45)),
        "as it was asked to: {asked:?}"
    );
    ingest
        .site
        .order(&json!({"verb": "maintenance", "on": false}));
    ingest.until_state("ok").await;
    ends_told(ingest, "site-maintenance", &[15]).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_the_site_that_jumps_gives_nothing_up() {
    const HOUR: i64 = 3_600_000;
    let mut ingest = Frozen::start().await;
    ingest.site.order(&json!({"verb": "hold"}));
    ingest.site.work(2);
    // The rows of others commit while two transactions are under way: there is a gap.
    ingest.site.sandbox.bulk(3);
    ingest.pass(Duration::from_secs(10)).await;
    assert_eq!(ingest.report().gaps, 1, "{:?}", ingest.report());
    for ms in [
        300_000,
        -300_000,
        HOUR,
        -HOUR,
        30 * HOUR,
        -30 * HOUR,
        9 * 8766 * HOUR,
        0,
    ] {
        // Twice: a late gap is asked for once a minute, by the site's clock.
        for more in [0, 120_000] {
            ingest.site.order(&json!({"verb": "skew", "ms": ms + more}));
            ingest.site.sandbox.bulk(2);
            ingest.pass(Duration::from_secs(10)).await;
        }
        let report = ingest.report();
        assert_eq!((report.gaps, report.given_up), (1, 0), "{ms}: {report:?}");
    }
    ingest.site.order(&json!({"verb": "release"}));
    // A minute later by the site's clock it is asked for.
    ingest.site.order(&json!({"verb": "skew", "ms": 240_000}));
    ends_with_each_once(ingest, "site-clock-jumps", &[23]).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_commit_late_and_in_another_order_are_each_found() {
    let mut ingest = Frozen::start().await;
    let order = json!({"verb": "late", "delay_ms": 300, "jitter_ms": 300, "rate": 0.6});
    ingest.site.order(&order);
    for _ in 0..20 {
        ingest.site.work(2);
        ingest.pass(Duration::from_secs(2)).await;
    }
    let waiting = |ingest: &Frozen| {
        let _settled = ingest.site.truth();
        ingest.site.sandbox.summary()["waiting"].as_u64()
    };
    while waiting(&ingest) > Some(0) {
        ingest.pass(Duration::from_secs(1)).await;
    }
    assert!(!ingest.site.truth().is_sorted(), "none was overtaken");
    ends_with_each_once(ingest, "ids-late", &[21]).await;
}

#[tokio::test(start_paused = true)]
async fn transactions_that_commit_in_any_order_are_each_found() {
    let mut ingest = Frozen::start().await;
    for order in ["reversed", "shuffled", "reserved"] {
        ingest.site.order(&json!({"verb": "hold"}));
        ingest.site.work(8);
        // What others write meanwhile commits at once, above.
        ingest.site.sandbox.bulk(2);
        ingest.pass(Duration::from_secs(5)).await;
        assert_eq!(ingest.report().gaps, 1, "{order}");
        ingest
            .site
            .order(&json!({"verb": "release", "order": order}));
        ingest.until_all().await;
        ingest.pass(Duration::from_secs(2)).await;
        assert_eq!(ingest.report().gaps, 0, "{order}");
    }
    assert!(!ingest.site.truth().is_sorted(), "none was overtaken");
    ends_with_each_once(ingest, "ids-in-any-order", &[21]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_rolled_back_holds_nothing_up() {
    let mut ingest = Frozen::start().await;
    let first = ingest.site.sandbox.summary()["next_id"]
        .as_i64()
        .expect("an id");
    ingest.site.order(&json!({"verb": "rollback", "rate": 0.4}));
    for _ in 0..20 {
        ingest.site.work(2);
        ingest.pass(Duration::from_secs(1)).await;
    }
    ingest.site.clear();
    ingest.site.work(1);
    ingest.pass(Duration::from_secs(10)).await;
    let truth = ingest.site.truth();
    let last = *truth.last().expect("a row");
    let missing = (first..=last).filter(|id| !truth.contains(id)).count();
    assert!(missing > 10, "{missing} ids were taken in vain");
    assert!(ingest.report().gaps > 3, "{:?}", ingest.report());
    ends_untold(ingest, "ids-never", &[21]).await;
}

/// Half of the log, then all that was read: the first is nobody's business, the second could be a restore.
#[tokio::test(start_paused = true)]
async fn a_log_that_forgets_what_is_old_is_followed_on() {
    let mut ingest = Frozen::start().await;
    ingest.site.work(20);
    ingest.until_all().await;
    let known = ingest.site.truth();
    let half = known[known.len() / 2];
    ingest.site.order(&json!({"verb": "purge", "before": half}));
    ingest.site.work(5);
    ingest.until_all().await;
    ingest.pass(Duration::from_secs(200)).await;
    assert_eq!(
        (ingest.alerts(), ingest.report().state.as_ref()),
        (vec![], "ok")
    );

    // Even the row that proves answers is gone: newer ones alone prove nothing.
    let before = ingest.journaled().await;
    let next = ingest.site.sandbox.summary()["next_id"]
        .as_i64()
        .expect("an id");
    ingest.site.order(&json!({"verb": "purge", "before": next}));
    ingest.site.work(5);
    ingest.until_state("rewound").await;
    assert_eq!(ingest.alerts(), ["site/rewound"]);
    assert_eq!(ingest.journaled().await, before, "nothing is taken for new");
    ingest.accept(next).await;
    ingest.until_all().await;
    ingest.until_state("ok").await;
    ingest.pass(Duration::from_secs(1)).await;
    assert_eq!(ingest.alerts(), [""; 0]);
    let mut all = before;
    all.extend(ingest.site.truth());
    assert_eq!(ingest.close().await, all, "in order, each once");
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_the_trash_changes_no_event() {
    let mut ingest = Frozen::start().await;
    for id in 1..=8 {
        // The row that proves answers is about this shot, and names it no more.
        ingest
            .site
            .order(&json!({"verb": "retire", "type": "Shot", "id": id}));
        ingest.pass(Duration::from_secs(5)).await;
    }
    ingest.pass(Duration::from_secs(120)).await;
    assert_eq!(ingest.report().state, "ok");
    ends_untold(ingest, "entities-retired", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_are_not_those_of_the_daemon() {
    let mut ingest = Frozen::start().await;
    ingest.site.order(&json!({"verb": "expire_sessions"}));
    ingest.site.work(3);
    ingest.pass(Duration::from_secs(130)).await;
    assert_eq!(ingest.site.refused(), 0);
    ends_untold(ingest, "sessions-expired", &[]).await;
}
