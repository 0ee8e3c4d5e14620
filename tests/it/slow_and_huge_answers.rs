//! Answers without an end, of a wrong length, or far too big: each costs its deadline or a bounded piece of memory, and nobody else.
//!
//! | what | where |
//! |---|---|
//! | the deadline, the largest size and the lengths, as errors of one call | `src/site/tests/answers.rs` |
//! | with the real binary: its memory, its open files, the calls of others | here |

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Daemon, Site, Studio, until, yardstick::Yardstick};

/// The calls of others are compared before and during a trouble so often, and more often while no pair is within the bound.
const PAIRS_MIN: usize = 3;
const PAIRS_MAX: usize = 8;

/// A plugin that asks the site with each event and writes down how long that took.
fn caller(method: &str, payload: &str) -> String {
    format!(
        "def handle(event, delivery):\n    begun = time.monotonic()\n    answer = call('sg.rpc', method='{method}', payload={payload})\n    note(took=time.monotonic() - begun, failed='error' in answer)\n    return {{}}"
    )
}

const COUNT: &str = "{'type': 'Task', 'filters': {'logical_operator': 'and', 'conditions': []}, 'summaries': [{'field': 'id', 'type': 'count'}]}";
const FIND: &str = "{'type': 'Task', 'filters': {'logical_operator': 'and', 'conditions': []}, 'return_fields': ['id'], 'paging': {'entities_per_page': 1, 'current_page': 1}}";

/// How long the calls of a plugin took since its book had so many lines, in seconds; whether all were answered.
fn took(studio: &Studio, name: &str, from: usize) -> (Vec<f64>, bool) {
    let book = studio.book(name);
    let lines = || book[from..].iter().filter(|line| line["took"].is_f64());
    let took = lines().filter_map(|line| line["took"].as_f64()).collect();
    (took, lines().all(|line| line["failed"] == false))
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * 99).div_ceil(100) - 1]
}

fn open_files(daemon: &Daemon) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.pid()));
    files.expect("a process that runs").count()
}

/// Kilobytes of a line of `/proc/PID/status`.
fn memory(daemon: &Daemon, line: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
    let text = text.expect("a process that runs");
    let found = text.lines().find_map(|one| one.strip_prefix(line));
    let number = found.and_then(|rest| rest.split_whitespace().nth(1));
    number.and_then(|kb| kb.parse().ok()).expect("a number")
}

async fn quick_calls(site: &Site, daemon: &Daemon, studio: &Studio, count: usize) -> f64 {
    let from = studio.book("quick").len();
    for _ in 0..count {
        site.work(1);
        daemon.delivered(studio, &site.truth()).await;
    }
    until("the calls are over", || {
        took(studio, "quick", from).0.len() >= count
    })
    .await;
    let (times, all_answered) = took(studio, "quick", from);
    assert!(all_answered, "calls of others fail");
    p99(times)
}

#[tokio::test]
async fn an_answer_without_an_end_costs_its_deadline_and_nobody_else() {
    let site = Site::quiet().await;
    let keys = "scripts = [\"sgeventd\"]\ndelivery = { max_in_flight = 1 }";
    let studio = Studio::new(&site).witness().impatient().timeout("1s");
    let slow = caller("summarize", COUNT);
    let quick = caller("read", FIND);
    let studio = studio
        .actor("slow", &slow, keys)
        .actor("quick", &quick, keys);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let wanted = site.truth().len();
    until("all have called", || {
        ["slow", "quick"]
            .iter()
            .all(|name| took(&studio, name, 0).0.len() >= wanted)
    })
    .await;
    let mut quiet = f64::MAX;
    let files = open_files(&daemon);
    for (nth, kind) in ["drip", "endless_head"].into_iter().cycle().enumerate() {
        if nth >= PAIRS_MAX || nth >= PAIRS_MIN && Yardstick::is_calm(quiet) {
            break;
        }
        let before = quick_calls(&site, &daemon, &studio, 12).await;
        until("the slow one has caught up", || {
            took(&studio, "slow", 0).0.len() >= site.truth().len()
        })
        .await;
        let from = studio.book("slow").len();
        site.order(&json!({"verb": "fail", "kind": kind, "method": "summarize"}));
        let during = quick_calls(&site, &daemon, &studio, 12).await;
        // Noise of the machine is not in all of them; whoever disturbs the others does it each time.
        quiet = quiet.min(during / before);
        until("its calls run into the deadline", || {
            took(&studio, "slow", from).0.len() >= 2
        })
        .await;
        let (times, _) = took(&studio, "slow", from);
        // Two tries of a second each, and the pause between.
        let longest = times.iter().copied().fold(0.0, f64::max);
        assert!((1.0..4.0).contains(&longest), "{kind}: {times:?}");
        site.clear();
        until("the slow one goes on", || {
            took(&studio, "slow", 0).0.len() >= site.truth().len()
        })
        .await;
    }
    // The polls themselves.
    for kind in ["drip", "endless_head"] {
        site.order(&json!({"verb": "fail", "kind": kind, "method": "read"}));
        site.work(2);
        let begun = Instant::now();
        daemon
            .status_when("the deadline is said", |status| {
                let reason = status["site"]["reason"].as_str();
                reason.is_some_and(|text| text.contains("no complete answer within 1 s"))
            })
            .await;
        until("it asks again", || site.asked_since(begun).len() > 3).await;
        site.clear();
        // The site saw when each question followed the one that was given up: the machine may be busy once, not each time.
        let asked = site.asked_since(begun);
        let pauses = asked.windows(2).map(|two| two[1] - two[0]);
        let least = pauses.min().expect("it was asked");
        assert!(least < Duration::from_secs(2), "{kind}: {asked:?}");
        daemon.delivered(&studio, &site.truth()).await;
    }
    let all = site.truth().len();
    until("all have called", || {
        ["slow", "quick"]
            .iter()
            .all(|name| took(&studio, name, 0).0.len() >= all)
    })
    .await;
    let after = open_files(&daemon);
    assert!(after <= files + 2, "open files: {files}, then {after}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let mut run = studio.recheck(&site, "slowloris", &[16]);
    run.told_and_over(&[]);
    run.quiet = Some((quiet * 100.0).round() / 100.0);
    run.with("open_files_before", files)
        .with("open_files_after", after)
        .judge();
}

/// Sends far more calls than may wait, without a wait for an answer, when a file says so; goes on when the first ones are refused.
const LEAKS: &str = "def handle(event, delivery):\n    if not os.path.exists(BOOK + '.leak'):\n        return {}\n    os.unlink(BOOK + '.leak')\n    calls = [queue.Queue() for _ in range(400)]\n    for number, answer in enumerate(calls, 9000):\n        ANSWERS[number] = answer\n        send({'id': number, 'method': 'sg.rpc', 'params': {'method': 'summarize', 'payload': COUNT, '_meta': {'parent': OPEN.id}}})\n    busy = []\n    while len(busy) < 400 - 8 - 256:\n        busy += [answer.get() for answer in calls if not answer.empty()]\n        time.sleep(0.01)\n    note(busy=[answer['error'] for answer in busy])\n    return {}";

/// One plugin's calls hang, as many as may be under way and as many as may wait; the others call on and never notice.
#[tokio::test]
async fn a_plugin_whose_calls_hang_holds_up_itself_alone() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().pulse().impatient();
    let studio = studio
        .actor("leaks", &LEAKS.replace("COUNT", COUNT), "")
        .actor("quick", &caller("read", FIND), "");
    let daemon = Daemon::start(&studio).await;
    let before = quick_calls(&site, &daemon, &studio, 8).await;
    let calm = studio.beats().await;
    site.order(&json!({"verb": "fail", "kind": "hang", "method": "summarize"}));
    fs::write(studio.path("leaks.book.leak"), "").expect("a file");
    site.work(1);
    let refused = || -> Option<Vec<Value>> {
        let book = studio.book("leaks");
        let line = book.iter().find(|line| line["busy"].is_array())?;
        line["busy"].as_array().cloned()
    };
    until("what is too much is refused", || refused().is_some()).await;
    let busy = refused().expect("it was there");
    for error in &busy {
        assert_eq!(error["code"], -32011, "{error}");
        assert_eq!(error["data"]["retry_after_ms"], 500, "{error}");
    }
    let mut quick = f64::MAX;
    for _ in 0..3 {
        let during = quick_calls(&site, &daemon, &studio, 8).await;
        quick = quick.min(during);
    }
    let during = studio.beats().await;
    let leaking = daemon.plugin_when("leaks", "is held up", |_| true).await;
    assert!(
        leaking["open"].as_u64() > Some(0),
        "its calls are open: {leaking}"
    );
    site.clear();
    daemon.all_done(&site, &studio).await;
    daemon
        .plugin_when("leaks", "goes on", |report| {
            report["open"] == 0 && report["behind"] == 0
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.handed("leaks"), site.truth(), "in order, each once");
    let run = studio.recheck(&site, "leaked-calls", &[36]);
    run.told_and_over(&[]);
    // As for the pulse: what takes less is noticed by nobody.
    let ratio = quick.max(0.05) / before.max(0.05);
    assert!(ratio <= 1.5, "calls of others: {before} s, then {quick} s");
    run.with("busy", busy.len())
        .with("calls_of_others_p99_s", quick)
        .quiet(&[(calm, during)])
        .judge();
}

#[tokio::test]
async fn an_answer_that_is_far_too_big_is_dropped_early_and_asked_for_again() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().pulse();
    let studio = studio.impatient().timeout("30s");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let (mut step, mut beats) = (0, Vec::new());
    for kind in ["bomb", "huge_page", "huge_length"] {
        // The highest mark begins anew at what is held now.
        fs::write(format!("/proc/{}/clear_refs", daemon.pid()), "5").expect("our own child");
        let before = memory(&daemon, "VmRSS");
        let calm = studio.beats().await;
        site.order(&json!({"verb": "fail", "kind": kind}));
        site.work(3);
        let said = "larger than 32 MiB";
        let is_said = |status: &Value| {
            let reason = status["site"]["reason"].as_str();
            reason.is_some_and(|reason| reason.contains(said))
        };
        daemon.status_when(said, is_said).await;
        beats.push((calm, studio.beats().await));
        site.clear();
        daemon.delivered(&studio, &site.truth()).await;
        daemon
            .status_when("the site is back", |status| status["site"]["state"] == "ok")
            .await;
        step = step.max(memory(&daemon, "VmHWM").saturating_sub(before));
    }
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(step <= 64 << 10, "memory grew by {step} kB");
    let run = studio.recheck(&site, "huge-answers", &[17]);
    run.told_and_over(&[]);
    run.with("memory_step_kb", step).quiet(&beats).judge();
}
