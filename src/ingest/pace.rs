//! Pace: when the next question may be asked.
//!
//! In: how the last answer ended. Out: how long to wait.
//! Never: a clock, chance (a random number is handed in).

use std::time::Duration;

/// First wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Wrong keys are tried this often: more would lock the script out.
const AUTH_EVERY: Duration = Duration::from_secs(60);

/// A site that asks for a longer pause is down, and polls find out when it is back.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Intervals of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacePolicy {
    /// While events flow.
    pub(super) interval: Duration,
    /// While the site is idle.
    pub(super) max_interval: Duration,
    /// Longest wait while the site is away.
    pub(super) max_retry_wait: Duration,
}

/// Remembers how idle or how broken the site is.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    idle: Option<Duration>,
    failures: u32,
}

impl Pace {
    /// The wait after a good answer.
    pub(super) fn answered(
        &mut self,
        policy: &PacePolicy,
        has_events: bool,
        is_full: bool,
    ) -> Duration {
        self.lives();
        if is_full || has_events {
            self.idle = None;
        }
        if is_full {
            return Duration::ZERO;
        }
        let wait = self
            .idle
            .map_or(policy.interval, |last| last.mul_f32(1.25))
            .min(policy.max_interval);
        self.idle = Some(wait.max(policy.interval));
        wait
    }

    /// The wait after a failure: exponential, ± 20 %, never shorter than the site asked for or the first.
    pub(super) fn failed(
        &mut self,
        policy: &PacePolicy,
        retry_after: Option<Duration>,
        random: f32,
    ) -> Duration {
        let doubled = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        let wait = doubled
            .min(policy.max_retry_wait)
            .mul_f32(0.8 + 0.4 * random)
            // A site in trouble is asked once a second at most.
            .max(BACKOFF_MIN.min(policy.max_retry_wait));
        retry_after.map_or(wait, |asked| wait.max(asked.min(RETRY_AFTER_MAX)))
    }

    /// Something was answered: failures before it say nothing of the next one.
    pub(super) fn lives(&mut self) {
        self.failures = 0;
    }

    /// The wait after a refused key.
    pub(super) fn refused(&mut self) -> Duration {
        self.failures += 1;
        AUTH_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PacePolicy = PacePolicy {
        interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(5),
        max_retry_wait: Duration::from_secs(60),
    };

    #[test]
    fn an_idle_site_is_asked_less_often_and_a_full_page_at_once() {
        let mut pace = Pace::default();
        let waits: Vec<u64> = (0..12)
            .map(|_| pace.answered(&POLICY, false, false).as_millis() as u64)
            .collect();
        assert_eq!((waits[0], waits[1], waits[11]), (1000, 1250, 5000));
        assert_eq!(pace.answered(&POLICY, true, true), Duration::ZERO);
        assert_eq!(pace.answered(&POLICY, true, false), POLICY.interval);
    }

    #[test]
    fn failures_wait_longer_and_longer_and_honour_the_site() {
        let mut pace = Pace::default();
        let waits: Vec<u64> = (0..8)
            .map(|_| pace.failed(&POLICY, None, 0.5).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(
            pace.failed(&POLICY, Some(Duration::from_secs(300)), 0.0)
                .as_secs(),
            300
        );
        let in_2099 = Duration::from_secs(70 * 365 * 86_400);
        assert_eq!(
            pace.failed(&POLICY, Some(in_2099), 0.0),
            RETRY_AFTER_MAX,
            "polls find out when the site is back"
        );
        assert_eq!(pace.answered(&POLICY, true, false), POLICY.interval);
        assert_eq!(pace.failed(&POLICY, None, 0.5).as_secs(), 1);
    }
}
