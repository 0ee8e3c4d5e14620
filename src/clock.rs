//! Time as the machines see it: plain milliseconds that somebody hands in.
//!
//! Never: a clock read inside a machine. Only tasks call [`Clock`].

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Milliseconds on a monotonic clock, since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

/// Milliseconds since 1970, UTC: wall time, ours or the site's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Unix(pub i64);

/// The two clocks at one moment, as a machine takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines, waits and ages within one run.
    pub mono: Mono,
    /// For what is written down.
    pub unix: Unix,
}

impl Add<Duration> for Mono {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }
}

impl Sub for Mono {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Unix {
    /// The time that a clock shows after it was moved by so many milliseconds.
    #[must_use]
    pub const fn moved(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Add<Duration> for Unix {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(millis(wait)))
    }
}

impl Sub for Unix {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero when the clock went backwards.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The time of day, UTC, for people.
#[must_use]
pub fn time_of_day(at: Unix) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%H:%M:%S").to_string()
}

/// A duration in whole milliseconds, at most `u64::MAX`.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the clocks for the tasks. Copies share one start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts now; under tokio's paused time it moves with it.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }

    /// Both clocks at this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono: Mono(millis(self.start.elapsed())),
            unix: Self::unix(),
        }
    }

    /// The instant at which the monotonic clock shows `at`, for `sleep_until`.
    #[must_use]
    pub fn instant(&self, at: Mono) -> tokio::time::Instant {
        self.start + Duration::from_millis(at.0)
    }

    /// Wall time now.
    #[must_use]
    pub fn unix() -> Unix {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Unix(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}
