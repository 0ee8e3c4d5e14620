//! The one line that every run about faults comes to, printed and kept in `target/proof`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whoever is held up for longer than this, as a share of what it took before, is not left in peace.
const QUIET_MAX: f64 = 1.5;

/// What a run came to; none: not measured in it. The words are those of `docs/reliability.md`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Yardstick {
    /// The name of the run, such as `kill-loop` or `site-503`.
    pub(crate) run: String,
    /// Rows of the table of faults, such as `1` or `15`.
    pub(crate) rows: Vec<u32>,
    /// Events readable on the site that are in neither a settled log nor a dead letter nor named in the gap log.
    pub(crate) lost: Option<u64>,
    /// Handled more than once.
    pub(crate) dup: Option<u64>,
    /// The most that the crashes of the run allow: the window and the answers of the last commit interval, for each.
    pub(crate) dup_bound: Option<u64>,
    /// Inversions of `seq` within a lane.
    pub(crate) order: Option<u64>,
    /// Plugins with a backlog and without progress, 30 s after the fault ended.
    pub(crate) stuck: Option<u64>,
    /// Alerts that began, by kind: what the daemon said.
    pub(crate) alerts: Option<BTreeMap<String, u64>>,
    /// Alerts that it said to be over, by kind.
    pub(crate) recovered: Option<BTreeMap<String, u64>>,
    /// The p99 of other plugins during the fault, divided by that before.
    pub(crate) quiet: Option<f64>,
    /// What is special to the run.
    #[serde(default)]
    pub(crate) more: BTreeMap<String, Value>,
    /// The re-checker found something that the sums do not show, such as a repeat of what was settled on disk.
    #[serde(skip)]
    pub(crate) is_violated: bool,
}

impl Yardstick {
    /// A run in which nothing was measured yet.
    pub(crate) fn of(run: &str, rows: &[u32]) -> Self {
        Self {
            run: run.to_owned(),
            rows: rows.to_vec(),
            ..Self::default()
        }
    }

    /// With a figure of its own.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Prints the line, keeps it, and holds it against what must always be so.
    #[expect(clippy::print_stdout, reason = "the line is what a run is for")]
    pub(crate) fn judge(&self) {
        let line = serde_json::to_string(self).expect("JSON");
        println!("{line}");
        keep(&folder(), &self.run, &line);
        assert!(self.is_passed(), "{line}");
    }

    /// Adds what another run came to.
    pub(crate) fn add(&mut self, other: Self) {
        let counts = [
            (&mut self.lost, other.lost),
            (&mut self.dup, other.dup),
            (&mut self.dup_bound, other.dup_bound),
            (&mut self.order, other.order),
            (&mut self.stuck, other.stuck),
        ];
        for (sum, more) in counts {
            *sum = sum.iter().chain(&more).copied().reduce(|a, b| a + b);
        }
        let told = [
            (&mut self.alerts, other.alerts),
            (&mut self.recovered, other.recovered),
        ];
        for (sum, more) in told {
            let Some(more) = more else { continue };
            let sum = sum.get_or_insert_default();
            for (kind, count) in more {
                *sum.entry(kind).or_default() += count;
            }
        }
        self.is_violated |= other.is_violated;
    }

    /// Each of these kinds of alert began once and was over once, and there was no other.
    pub(crate) fn told_and_over(&self, kinds: &[&str]) {
        self.told(kinds, kinds);
    }

    /// Each of these kinds of alert began once, some of them were over once, and there was no other.
    pub(crate) fn told(&self, kinds: &[&str], over: &[&str]) {
        let each_once = |kinds: &[&str]| kinds.iter().map(|kind| ((*kind).to_owned(), 1)).collect();
        assert_eq!(self.alerts, Some(each_once(kinds)), "{}: begun", self.run);
        assert_eq!(self.recovered, Some(each_once(over)), "{}: over", self.run);
    }

    /// True when so much is within the bound.
    pub(crate) fn is_calm(quiet: f64) -> bool {
        quiet <= QUIET_MAX
    }

    /// True when nothing that was measured is violated.
    pub(crate) fn is_passed(&self) -> bool {
        let none_of = |figure: Option<u64>| figure.is_none_or(|count| count == 0);
        let is_clean = [self.lost, self.order, self.stuck].into_iter().all(none_of);
        let is_bounded = match (self.dup, self.dup_bound) {
            (Some(dup), bound) => dup <= bound.unwrap_or(0),
            (None, _) => true,
        };
        let is_quiet = self.quiet.is_none_or(Self::is_calm);
        is_clean && is_bounded && is_quiet && !self.is_violated
    }
}

/// A file for each run: tests run beside each other. `tests/proof/collect` makes one table of them.
fn keep(folder: &Path, run: &str, line: &str) {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join(format!("{run}.json")), line).expect("a file");
}

fn folder() -> PathBuf {
    // Tests lie in `deps` of a profile's folder.
    let own = std::env::current_exe().expect("our own binary");
    let target = own.ancestors().nth(3).expect("the target folder");
    target.join("proof/runs")
}

#[test]
fn each_figure_alone_fails_a_run() {
    let good = Yardstick::of("good", &[]).with("note", 1);
    assert!(good.is_passed());
    for spoil in [
        (|run: &mut Yardstick| run.lost = Some(1)) as fn(&mut Yardstick),
        |run| run.order = Some(1),
        |run| run.stuck = Some(1),
        |run| run.dup = Some(1),
        |run| (run.dup, run.dup_bound) = (Some(3), Some(2)),
        |run| run.quiet = Some(1.6),
        |run| run.is_violated = true,
    ] {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert!(!bad.is_passed(), "{bad:?}");
    }
}
