//! What every measurement needs: a folder on the disk, a runtime, rounds that take turns.
//!
//! In: words of the command line. Out: medians. Never: what is measured.

use std::path::PathBuf;

use tokio::{runtime::Runtime, time::Instant};

use crate::report::Row;

/// A module of measurements.
pub(crate) struct Part {
    /// What chooses it on the command line.
    pub(crate) name: &'static str,
    /// Measures.
    pub(crate) rows: fn(&Bench) -> Vec<Row>,
}

/// What measurements work with.
pub(crate) struct Bench {
    words: Vec<String>,
}

/// Medians of rounds that took turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    /// Of the bare loop.
    pub(crate) bare: f64,
    /// Of what we made.
    pub(crate) ours: f64,
}

impl Bench {
    /// For the words of the command line: names of parts; none means all.
    pub(crate) fn new(words: impl Iterator<Item = String>) -> Self {
        // cargo says `--bench` to whatever it runs.
        let words = words.filter(|word| !word.starts_with("--")).collect();
        Self { words }
    }

    /// True for a part that was asked for.
    pub(crate) fn wants(&self, part: &Part) -> bool {
        self.words.is_empty()
            || self
                .words
                .iter()
                .any(|word| part.name.contains(word.as_str()))
    }

    /// A runtime as the daemon's.
    pub(crate) fn runtime(&self) -> Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    }

    /// An empty folder on the disk of the build: `/tmp` may lie in memory.
    pub(crate) fn folder(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
    }

    /// Runs both in turn, so that noise of the machine hits both, and takes the medians of what they return.
    pub(crate) fn in_turn(
        &self,
        rounds: usize,
        mut bare: impl FnMut() -> f64,
        mut ours: impl FnMut() -> f64,
    ) -> Turns {
        let (mut bares, mut all_ours) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            bares.push(bare());
            all_ours.push(ours());
            let (bare, ours) = (bares[round - 1], all_ours[round - 1]);
            self.say(&format!("  round {round}: bare {bare:.3}, ours {ours:.3}"));
        }
        Turns {
            bare: median(bares),
            ours: median(all_ours),
        }
    }

    /// Tells whoever waits.
    #[expect(clippy::print_stderr, reason = "a measurement is watched by a person")]
    pub(crate) fn say(&self, text: &str) {
        eprintln!("{text}");
    }
}

/// The middle one.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// How long something takes, in seconds.
pub(crate) fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed().as_secs_f64(), done)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let tmp = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().map(Into::into).unwrap_or(tmp)
}
