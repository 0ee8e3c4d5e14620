//! The stop ladder: drain, ask, close, terminate, kill. Pure: time comes in, steps come out.

use std::time::Duration;

use crate::clock::Mono;

const ASK: Duration = Duration::from_secs(5);
const CLOSED: Duration = Duration::from_secs(2);
const TERMINATED: Duration = Duration::from_secs(5);
const KILLED: Duration = Duration::from_secs(5);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send the `shutdown` request.
    Ask,
    /// Close its input.
    CloseInput,
    /// SIGTERM, and SIGCONT for one that was stopped, to its group.
    Terminate,
    /// SIGKILL to its group.
    Kill,
    /// It does not die: a file server that is gone holds it. Told once.
    Unkillable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Drain,
    Ask,
    Close,
    Terminate,
    Kill,
    Stuck,
}

/// One process on its way down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rung: Rung,
    until: Mono,
}

impl Ladder {
    /// Begins with draining until a time.
    #[must_use]
    pub fn drain(until: Mono) -> Self {
        Self {
            rung: Rung::Drain,
            until,
        }
    }

    /// Begins at SIGTERM: it hangs.
    #[must_use]
    pub fn hung(now: Mono) -> Self {
        Self {
            rung: Rung::Close,
            until: now,
        }
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn until(&self) -> Mono {
        self.until
    }

    /// True while open events are waited for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.rung == Rung::Drain
    }

    /// Draining lasts until this time at most.
    pub fn cap(&mut self, until: Mono) {
        if self.rung == Rung::Drain {
            self.until = self.until.min(until);
        }
    }

    /// Nothing is open any more: goes on at once.
    pub fn drained(&mut self, now: Mono) {
        if self.rung == Rung::Drain {
            self.until = now;
        }
    }

    /// It answered `shutdown`: its input is closed at once.
    pub fn answered(&mut self, now: Mono) {
        if self.rung == Rung::Ask {
            self.until = now;
        }
    }

    /// It hangs: asking is over.
    pub fn hangs(&mut self, now: Mono) {
        if matches!(self.rung, Rung::Drain | Rung::Ask | Rung::Close) {
            *self = Self::hung(now);
        }
    }

    /// The next step, when its time has come.
    pub fn tick(&mut self, now: Mono) -> Option<Step> {
        if now < self.until {
            return None;
        }
        let (rung, wait, step) = match self.rung {
            Rung::Drain => (Rung::Ask, ASK, Step::Ask),
            Rung::Ask => (Rung::Close, CLOSED, Step::CloseInput),
            Rung::Close => (Rung::Terminate, TERMINATED, Step::Terminate),
            Rung::Terminate => (Rung::Kill, KILLED, Step::Kill),
            Rung::Kill => (Rung::Stuck, Duration::MAX, Step::Unkillable),
            Rung::Stuck => return None,
        };
        *self = Self {
            rung,
            until: now + wait,
        };
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(mut ladder: Ladder, from: u64) -> Vec<(u64, Step)> {
        (from..from + 60_000)
            .step_by(500)
            .filter_map(|ms| Some((ms, ladder.tick(Mono(ms))?)))
            .collect()
    }

    #[test]
    fn the_whole_ladder() {
        let steps = walk(Ladder::drain(Mono(3000)), 0);
        let expected = [
            (3000, Step::Ask),
            (8000, Step::CloseInput),
            (10_000, Step::Terminate),
            (15_000, Step::Kill),
            (20_000, Step::Unkillable),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_hangs_begins_at_sigterm_and_what_is_drained_goes_on() {
        assert_eq!(walk(Ladder::hung(Mono(0)), 0)[0], (0, Step::Terminate));
        let mut ladder = Ladder::drain(Mono(30_000));
        ladder.drained(Mono(1000));
        assert_eq!(ladder.tick(Mono(1000)), Some(Step::Ask));
        ladder.hangs(Mono(1500));
        assert_eq!(ladder.tick(Mono(1500)), Some(Step::Terminate));
        ladder.hangs(Mono(1500));
        assert_eq!(
            ladder.tick(Mono(1500)),
            None,
            "a ladder is not climbed twice"
        );
    }
}
