//! Which transitions of the machines were taken.

use std::fmt::Write as _;

use rustc_hash::FxHashMap;

/// A machine, where it stood, what came, where it went.
pub(crate) type Transition = (&'static str, &'static str, &'static str, &'static str);

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
