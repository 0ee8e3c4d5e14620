//! What happened, in the words of the design, for whoever reads a run that failed.

use std::{collections::VecDeque, fmt::Write as _};

/// See the module.
#[derive(Debug)]
pub(crate) struct Story {
    /// So many of the last lines are kept; none: nothing is told, for words take time.
    keeps: usize,
    lines: VecDeque<(u64, String)>,
}

impl Story {
    /// One of so many lines at most.
    pub(crate) fn new(keeps: usize) -> Self {
        Self {
            keeps,
            lines: VecDeque::new(),
        }
    }

    /// Something happened.
    pub(crate) fn tell(&mut self, now: u64, what: impl FnOnce() -> String) {
        if self.keeps > 0 {
            if self.lines.len() == self.keeps {
                self.lines.pop_front();
            }
            self.lines.push_back((now, what()));
        }
    }

    /// The last lines, with their times.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (at, what) in &self.lines {
            let (minutes, seconds, ms) = (at / 60_000, at / 1000 % 60, at % 1000);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {minutes:>3}:{seconds:02}.{ms:03}  {what}");
        }
        text
    }
}
