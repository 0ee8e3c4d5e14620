//! A hundred healthy plugins, and whether three animals of the zoo among them slow them down: one hangs, one floods stdout with garbage,
//! one crashes at once.
//!
//! Each round has a daemon without and one with the animals, in turns; the delays of all rounds count together. 100 events a
//! second, each for ten of the plugins: 1 000 handlers run a second. A delay is from the site's answer on the wire to the handler,
//! as in `latency`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::PoisonError,
    time::Duration,
};

use serde_json::json;
use sgeventd::{admin::Status, plugin::report::PluginReport};

use crate::{
    bench::Bench,
    catch_up::KINDS,
    latency::{Passed, percentile, relay},
    plugin::{BEAST, CROWD},
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const PLUGINS: usize = 100;
const BEASTS: [&str; 3] = ["hangs", "floods", "crashes"];
/// The site is asked once a second: the p99 of one round is that of its slowest second, and says more about the machine than about us.
const ROUNDS: usize = 14;
/// Events of a portion, and portions a second.
const PORTION: usize = 10;
const PACE: Duration = Duration::from_millis(100);
const SECONDS: usize = 12;

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let runtime = bench.runtime();
    let (mut without, mut beside) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let bare = runtime.block_on(measure(bench, &[]));
        let ours = runtime.block_on(measure(bench, &BEASTS));
        let (p99_bare, p99_ours) = (percentile(&bare, 0.99), percentile(&ours, 0.99));
        bench.say(&format!(
            "  round {round}: bare {p99_bare:.3}, ours {p99_ours:.3}"
        ));
        without.extend(bare);
        beside.extend(ours);
    }
    vec![Row::at_most_times(
        "delay beside three animals, p99",
        (percentile(&beside, 0.99), "ms"),
        percentile(&without, 0.99),
        1.2,
    )]
}

/// The delays of a round, in ms: of every event at every healthy plugin.
async fn measure(bench: &Bench, beasts: &[&str]) -> Vec<f64> {
    let folder = bench.folder();
    let mut site = SiteProcess::start(Duration::ZERO);
    site.bulk(PORTION).await;
    let passed = Passed::default();
    let url = relay(site.url(), Passed::clone(&passed)).await;
    let direct = site.redirect(&url);
    let sections = sections(folder.path(), beasts);
    let mut daemon = DaemonProcess::start(folder.path(), &site, &[], &sections);
    site.redirect(&direct);
    daemon
        .wait("the healthy are ready", |status| {
            let is_ok = healthy(status).filter(|plugin| plugin.state == "ok" && is_still(plugin));
            is_ok.count() == PLUGINS && status.site.polled_at.is_some()
        })
        .await;
    let portions = SECONDS * 1000 / PACE.as_millis() as usize;
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..portions {
        pace.tick().await;
        site.bulk(PORTION).await;
    }
    let rows = ((portions + 1) * PORTION) as u64;
    daemon
        .wait("the healthy have handled all", |status| {
            status.journal.seq >= rows && healthy(status).all(is_still)
        })
        .await;
    let passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    let delays = delays(folder.path(), &passed);
    // The portion of before the start is not measured: it waited for the plugins.
    assert_eq!(delays.len(), portions * PORTION * PLUGINS / KINDS.len());
    delays
}

fn healthy(status: &Status) -> impl Iterator<Item = &PluginReport> {
    let all = status.plugins.iter();
    all.filter(|plugin| !BEASTS.contains(&plugin.name.as_str()))
}

fn is_still(plugin: &PluginReport) -> bool {
    plugin.behind == 0 && plugin.open == 0
}

fn sections(folder: &Path, beasts: &[&str]) -> String {
    let own = std::env::current_exe().expect("this executable");
    let mut text = String::new();
    for number in 0..PLUGINS {
        let stamps = folder.join(format!("stamps{number}"));
        let command = json!([own, CROWD, KINDS[number % KINDS.len()], stamps]);
        let _infallible = write!(text, "[plugin.p{number:03}]\ncommand = {command}\n");
    }
    for vice in beasts {
        let command = json!([own, BEAST, vice]);
        let _infallible = write!(text, "[plugin.{vice}]\ncommand = {command}\n");
    }
    text
}

/// Of every event that came after the first portion, at every plugin that wanted it.
fn delays(folder: &Path, passed: &BTreeMap<i64, f64>) -> Vec<f64> {
    let first = passed.keys().copied().nth(PORTION);
    let mut delays = Vec::new();
    for number in 0..PLUGINS {
        let text = fs::read_to_string(folder.join(format!("stamps{number}")));
        let text = text.expect("its notes");
        delays.extend(text.lines().filter_map(|line| {
            let (id, at) = line.split_once(' ')?;
            let (id, at): (i64, f64) = (id.parse().ok()?, at.parse().ok()?);
            (Some(id) >= first).then(|| at - passed[&id])
        }));
    }
    delays
}

/// An animal, which speaks by itself: the SDK would not let it.
pub(crate) fn beast(vice: &str) -> ExitCode {
    if vice == "crashes" {
        return ExitCode::FAILURE;
    }
    let mut output = io::stdout();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        let result = match message["method"].as_str() {
            Some("initialize") => {
                json!({ "protocol": 1, "manifest": { "subscriptions": [{}] } })
            }
            Some("event") if vice == "hangs" => loop {
                std::thread::park();
            },
            _ => json!({}),
        };
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        let mut written = writeln!(output, "{answer}").and_then(|()| output.flush());
        let garbage = [b'x'; 80];
        while vice == "floods" && message["method"] == "start" && written.is_ok() {
            written = output
                .write_all(&garbage)
                .and_then(|()| output.write_all(b"\n"));
        }
        if written.is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
