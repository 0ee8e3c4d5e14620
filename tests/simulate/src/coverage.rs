//! Which transitions of the machines were taken.

use std::fmt::{self, Write as _};

use rustc_hash::FxHashMap;

use crate::reach;

/// A machine, where it stood, what came, where it went.
pub(crate) type Transition = (&'static str, &'static str, &'static str, &'static str);

/// Seeds that take what the first thousand do not: `simulate --seeds 60000 --all --rare` finds them.
pub(crate) const RARE: &[u64] = &[
    1040, 1045, 1087, 1248, 1513, 1712, 1969, 2317, 2487, 4726, 4759, 4850, 5714, 6261, 26004,
    30061, 65429,
];

/// What the other machines can do in a run of the simulator, as this page promises it; of a plugin's life `reach` knows.
const OTHERS: &[Transition] = &[
    ("alert", "known", "begins", "silence"),
    ("alert", "known", "ends", "mailed"),
    ("alert", "known", "ends", "shown as over"),
    ("alert", "known", "ends", "silence"),
    ("alert", "known", "happens", "silence"),
    ("alert", "known", "time", "mailed"),
    ("alert", "new", "begins", "shown"),
    ("alert", "new", "happens", "shown once"),
    ("event", "cancelled", "late", "hung"),
    ("event", "out", "crash alone", "back"),
    ("event", "out", "crash in company", "back"),
    ("event", "out", "dead", "charged"),
    ("event", "out", "dead", "free"),
    ("event", "out", "ended from outside", "back"),
    ("event", "out", "failed", "charged"),
    ("event", "out", "failed", "free"),
    ("event", "out", "late", "cancelled"),
    ("event", "out", "ok", "charged"),
    ("event", "out", "ok", "free"),
    ("event", "out", "retry", "charged"),
    ("event", "out", "retry", "free"),
    ("event", "out", "skip", "charged"),
    ("event", "out", "skip", "free"),
    ("event", "waiting", "handed out", "out"),
    ("event", "waiting", "handed out again", "out"),
    ("event", "waiting", "refusal", "failing"),
    ("event", "waiting", "refusal", "on_error"),
    ("ingest", "following", "answered", "following"),
    ("ingest", "following", "answered", "halted"),
    ("ingest", "following", "answered", "searching"),
    ("ingest", "following", "beside", "following"),
    ("ingest", "following", "failed", "following"),
    ("ingest", "following", "failed", "probing"),
    ("ingest", "halted", "accepted", "following"),
    ("ingest", "halted", "answered", "following"),
    ("ingest", "halted", "answered", "halted"),
    ("ingest", "halted", "beside", "halted"),
    ("ingest", "halted", "failed", "halted"),
    ("ingest", "narrowing", "answered", "following"),
    ("ingest", "narrowing", "answered", "halted"),
    ("ingest", "narrowing", "answered", "narrowing"),
    ("ingest", "narrowing", "answered", "searching"),
    ("ingest", "narrowing", "beside", "narrowing"),
    ("ingest", "narrowing", "failed", "narrowing"),
    ("ingest", "probing", "answered", "following"),
    ("ingest", "probing", "answered", "narrowing"),
    ("ingest", "probing", "beside", "probing"),
    ("ingest", "probing", "failed", "probing"),
    ("ingest", "searching", "answered", "following"),
    ("ingest", "searching", "answered", "halted"),
    ("ingest", "searching", "answered", "searching"),
    ("ingest", "searching", "beside", "searching"),
    ("ingest", "searching", "failed", "searching"),
    ("ingest", "starting", "answered", "following"),
    ("ingest", "starting", "answered", "starting"),
    ("ingest", "starting", "failed", "starting"),
];

/// How much of what the machines can do was done.
#[derive(Debug)]
pub(crate) struct Reached {
    taken: usize,
    impossible: usize,
    /// Transitions that were not taken, and those that nobody knew of.
    missing: Vec<Transition>,
    unknown: Vec<Transition>,
}

/// Holds what was seen against what there is.
pub(crate) fn judge(seen: &Coverage) -> Reached {
    let mut all = reach::transitions();
    all.extend(OTHERS);
    let (impossible, possible): (Vec<_>, Vec<_>) =
        all.iter().partition(|t| reach::impossible(t).is_some());
    let missing = possible.iter().filter(|t| !seen.taken.contains_key(**t));
    let unknown = seen.taken.keys().filter(|t| !possible.contains(t));
    Reached {
        taken: possible
            .iter()
            .filter(|t| seen.taken.contains_key(**t))
            .count(),
        impossible: impossible.len(),
        missing: missing.map(|t| **t).collect(),
        unknown: unknown.copied().collect(),
    }
}

impl Reached {
    /// True when everything was done, and nothing else.
    pub(crate) fn is_full(&self) -> bool {
        self.missing.is_empty() && self.unknown.is_empty()
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.taken + self.missing.len();
        let percent = 100.0 * self.taken as f64 / all as f64;
        write!(
            f,
            "transitions: {} of {all} ({percent:.1} %); {} can never be asked for",
            self.taken, self.impossible
        )?;
        for (machine, from, what, to) in &self.missing {
            write!(f, "\n  not taken: {machine}: {from}, {what}, {to}")?;
        }
        for (machine, from, what, to) in &self.unknown {
            write!(f, "\n  unknown: {machine}: {from}, {what}, {to}")?;
        }
        Ok(())
    }
}

/// How often each was taken.
#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage {
    /// How often, and the first seed that took it.
    taken: FxHashMap<Transition, (u64, u64)>,
    /// The seed that runs.
    pub(crate) seed: u64,
}

impl Coverage {
    /// One was taken.
    pub(crate) fn note(
        &mut self,
        machine: &'static str,
        from: &'static str,
        what: &'static str,
        to: &'static str,
    ) {
        let taken = self
            .taken
            .entry((machine, from, what, to))
            .or_insert((0, self.seed));
        taken.0 += 1;
    }

    /// Adds what another thread saw.
    pub(crate) fn add(&mut self, other: &Self) {
        for (transition, (count, seed)) in &other.taken {
            let taken = self.taken.entry(*transition).or_insert((0, *seed));
            *taken = (taken.0 + count, taken.1.min(*seed));
        }
    }

    /// The seeds above a number that took something first.
    pub(crate) fn rare(&self, above: u64) -> Vec<u64> {
        let seeds = self.taken.values().map(|(_, seed)| *seed);
        let mut rare: Vec<u64> = seeds.filter(|seed| *seed > above).collect();
        rare.sort_unstable();
        rare.dedup();
        rare
    }

    /// All of them, sorted, with how often.
    pub(crate) fn list(&self) -> Vec<(Transition, u64)> {
        let mut list: Vec<_> = self
            .taken
            .iter()
            .map(|(transition, (count, _))| (*transition, *count))
            .collect();
        list.sort_unstable();
        list
    }

    /// A table.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for ((machine, from, what, to), count) in self.list() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{machine:<7} {from:<26} {what:<20} {to:<26} {count:>10}"
            );
        }
        text
    }
}
