//! How quiet a trouble is: a plugin that has nothing to do with it asks the daemon all the time, and its answers are as quick as
//! before.
//!
//! ```ignore
//! let studio = Studio::new(&site).witness().pulse();
//! let calm = studio.beats().await;            // when all is well
//! …                                           // the trouble begins
//! let during = studio.beats().await;
//! run.quiet(&[(calm, during)]).judge();
//! ```

use super::{Studio, until, yardstick::Yardstick};

/// So many answers make a p99.
const BEATS: usize = 100;
/// So often they are looked at, at most.
const TURNS: usize = 3;
/// What is quicker counts as this: on two cores that many tests share, a process may wait so long for its turn, and no plugin
/// and no person notices it. A daemon that stands still for a moment is beyond it.
const UNNOTICED_S: f64 = 0.05;
/// No single answer may take so long, on a machine that is shared as that is: who waits for a restart or a deadline of another waits
/// a second or more.
const STANDSTILL_S: f64 = 0.5;

impl Studio {
    /// With a plugin whose answers are timed.
    pub(crate) fn pulse(self) -> Self {
        let book = self.book_of("pulse").display().to_string();
        self.file("pulse.py", include_str!("../../proof/pulse.py"), 0o755)
            .plugin("pulse", &["pulse.py", &book], "")
    }

    /// The p99 of the next answers, in seconds; when somebody would notice it, the least of a few, for a trouble that lasts is there
    /// each time, and the noise of the machine is not.
    pub(crate) async fn beats(&self) -> f64 {
        let mut least = f64::MAX;
        for _ in 0..TURNS {
            least = least.min(self.turn().await);
            if least <= UNNOTICED_S {
                break;
            }
        }
        least
    }

    /// How many answers the pulse has so far.
    pub(crate) fn beat(&self) -> usize {
        self.book("pulse").len()
    }

    /// None of the answers since then was held up for long: for a trouble of a moment, which a p99 passes over.
    pub(crate) fn never_stood_still(&self, since: usize) {
        let took = self.took(since);
        let slowest = took.last().expect("an answer");
        assert!(
            *slowest < STANDSTILL_S,
            "{slowest} s of {} answers",
            took.len()
        );
    }

    async fn turn(&self) -> f64 {
        let from = self.beat();
        // A question that is not answered holds up all that follow: it is waited for.
        until("answers of the daemon", || self.beat() >= from + BEATS).await;
        let took = self.took(from);
        took[(took.len() * 99).div_ceil(100) - 1]
    }

    /// How long each answer since then took, in seconds, the slowest last.
    fn took(&self, since: usize) -> Vec<f64> {
        let book = self.book("pulse").split_off(since);
        let took = book.iter().filter_map(|line| line["took"].as_f64());
        let mut took: Vec<f64> = took.collect();
        took.sort_by(f64::total_cmp);
        took
    }
}

impl Yardstick {
    /// With what `quiet` says: pairs of p99 before and during a trouble. Whatever disturbs others does it each time: the least
    /// of them counts, and the noise of the machine does not.
    pub(crate) fn quiet(mut self, pairs: &[(f64, f64)]) -> Self {
        self.quiet = Some(least(pairs, UNNOTICED_S));
        let worst = pairs.iter().map(|pair| pair.1).fold(f64::MAX, f64::min);
        self.with("answers_p99_s", (worst * 10_000.0).round() / 10_000.0)
    }
}

/// How much longer the second of a pair is than the first, in the pair where it is the least; what is below `unnoticed` seconds
/// counts as that.
pub(crate) fn least(pairs: &[(f64, f64)], unnoticed: f64) -> f64 {
    let times = |(before, during): &(f64, f64)| during.max(unnoticed) / before.max(unnoticed);
    let least = pairs.iter().map(times).fold(f64::MAX, f64::min);
    (least * 100.0).round() / 100.0
}

#[test]
fn who_is_held_up_each_time_is_not_quiet() {
    let of = |pairs| Yardstick::of("pulse", &[]).quiet(pairs).quiet;
    assert_eq!(of(&[(0.001, 0.02)]), Some(1.0));
    assert_eq!(of(&[(0.001, 0.4), (0.002, 0.003)]), Some(1.0));
    assert_eq!(of(&[(0.001, 0.4), (0.06, 0.12)]), Some(2.0));
}
