//! Which transitions of the machines were taken.

use std::fmt::{self, Write as _};

use rustc_hash::FxHashMap;

use crate::reach;

/// A machine, where it stood, what came, where it went.
pub(crate) type Transition = (&'static str, &'static str, &'static str, &'static str);

/// What the other machines can do in a run of the simulator, as this page promises it; of a plugin's life `reach` knows.
const OTHERS: &[Transition] = &[];

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
    let missing = possible.iter().filter(|t| !seen.0.contains_key(**t));
    let unknown = seen.0.keys().filter(|t| !possible.contains(t));
    Reached {
        taken: possible.iter().filter(|t| seen.0.contains_key(**t)).count(),
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
pub(crate) struct Coverage(FxHashMap<Transition, u64>);

impl Coverage {
    /// One was taken.
    pub(crate) fn note(
        &mut self,
        machine: &'static str,
        from: &'static str,
        what: &'static str,
        to: &'static str,
    ) {
        *self.0.entry((machine, from, what, to)).or_default() += 1;
    }

    /// Adds what another thread saw.
    pub(crate) fn add(&mut self, other: &Self) {
        for (transition, count) in &other.0 {
            *self.0.entry(*transition).or_default() += count;
        }
    }

    /// All of them, sorted, with how often.
    pub(crate) fn list(&self) -> Vec<(Transition, u64)> {
        let mut list: Vec<_> = self
            .0
            .iter()
            .map(|(transition, count)| (*transition, *count))
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
