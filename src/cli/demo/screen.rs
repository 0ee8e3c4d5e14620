//! What the demo shows while it runs: who did what, how far behind, and what to type next.

use std::{fmt::Write as _, time::Duration};

use super::stage::Stage;
use crate::{admin::Status, cli::output::paint, plugin::report::PluginReport};

/// The first words: what this is and where everything lies.
pub(super) fn opening(stage: &Stage, url: &str) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        let _infallible = writeln!(text, "{line}");
    };
    say("sgeventd demo: a made-up site, this daemon, and plugins in three languages.");
    say("");
    say(&format!(
        "  site      {url}  (artists work on it; ids appear late, some never)"
    ));
    say(&format!("  folder    {}", stage.dir.display()));
    say(&format!("  config    {}", stage.config.display()));
    say(&format!(
        "  traffic   {}  (every message, one JSON line each)",
        stage.traffic.display()
    ));
    if !stage.has_python {
        say(
            "  python    not found: the Python plugins are left out (install python3, 3.7 or later)",
        );
    }
    text
}

/// The table.
pub(super) fn table(status: &Status, stage: &Stage, since: Duration, story: &str) -> String {
    let mut text = String::new();
    let site = &status.site;
    let head = site
        .head
        .map_or_else(|| "none".to_owned(), |head| head.to_string());
    let _infallible = writeln!(
        text,
        "\n{:>4} s   site {} · head {head} · {} events on disk · {} gaps open, {} ids filled late, {} given up",
        since.as_secs(),
        site.state,
        status.journal.rows,
        site.gaps,
        site.filled,
        site.given_up
    );
    let _infallible = writeln!(
        text,
        "  {:<14} {:<7} {:<11} {:>9} {:>6} {:>7} {:>6} {:>6} {:>8}  WHY",
        "PLUGIN", "IN", "STATE", "HANDLED", "WAIT", "RETRIED", "WRITES", "STARTS", "P50"
    );
    for plugin in &status.plugins {
        let _infallible = writeln!(text, "{}", line(plugin));
    }
    let _infallible = writeln!(text, "  {story}");
    let _infallible = writeln!(
        text,
        "  in a second terminal:  sgeventd status -c {}",
        stage.config.display()
    );
    let _infallible = writeln!(
        text,
        "                         tail -f {}",
        stage.traffic.display()
    );
    text
}

fn line(plugin: &PluginReport) -> String {
    let (style, mark) = if plugin.ok {
        (paint::OK, "✓")
    } else {
        (paint::BAD, "✗")
    };
    let p50 = plugin
        .p50_ms
        .map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms"));
    let why: String = plugin
        .reason
        .as_deref()
        .unwrap_or_default()
        .chars()
        .take(60)
        .collect();
    let why = why.lines().next().unwrap_or_default().to_owned();
    format!(
        "{} {:<14} {:<7} {:<11} {:>9} {:>6} {:>7} {:>6} {:>6} {p50:>8}  {why}",
        paint::text(style, mark),
        plugin.name.as_str(),
        plugin.language,
        plugin.state,
        plugin.counts.ok + plugin.counts.skipped,
        plugin.open as u64 + plugin.behind,
        plugin.counts.retried,
        plugin.writes,
        plugin.generation.0,
    )
}
