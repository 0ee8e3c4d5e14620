//! What the operator and the manifest say about delivery, and how an attempt may end.

use std::time::Duration;

pub use sgeventd_protocol::manifest::{OnError, Order};

/// Waits before the second, third … attempt; the last one repeats.
const SCHEDULE_S: [u64; 4] = [1, 5, 30, 120];
/// The longest wait that a plugin may ask for.
pub const AFTER_MAX: Duration = Duration::from_secs(3600);

/// How events are handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Lanes at work at once; 1 when everything keeps its order.
    pub window: usize,
    /// What keeps its order.
    pub order: Order,
    /// The time to answer.
    pub timeout: Duration,
    /// Attempts until a dead letter.
    pub max_attempts: u32,
    /// What a failure means.
    pub on_error: OnError,
    /// Older events are passed over; zero: none are.
    pub max_age: Duration,
    /// How long a settlement waits for company.
    pub settle_wait: Duration,
    /// How many are company enough.
    pub settle_count: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: 1,
            order: Order::All,
            timeout: Duration::from_secs(120),
            max_attempts: 5,
            on_error: OnError::Retry,
            max_age: Duration::ZERO,
            settle_wait: Duration::from_millis(100),
            settle_count: 256,
        }
    }
}

impl Policy {
    /// Lanes at work at once.
    #[must_use]
    pub fn lanes(&self) -> usize {
        if self.order == Order::All {
            1
        } else {
            self.window.clamp(1, 256)
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Done.
    Ok,
    /// Not for this plugin.
    Skip,
    /// Again later, at the plugin's wish.
    Retry {
        /// After this; none: the schedule.
        after: Option<Duration>,
        /// Why.
        reason: String,
        /// To be seen again: JSON.
        progress: Option<Box<str>>,
    },
    /// Never again.
    Dead {
        /// Why.
        reason: String,
    },
    /// The handler failed, or did not answer in time.
    Failed {
        /// In words.
        error: String,
        /// To be seen again: JSON.
        progress: Option<Box<str>>,
    },
}

/// The wait before the next attempt, ± 20 %; `random` is from 0 to 1.
#[must_use]
pub fn wait_before(attempts: u32, random: f32) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1))
        .unwrap_or(usize::MAX)
        .min(SCHEDULE_S.len() - 1);
    Duration::from_secs(SCHEDULE_S[index]).mul_f32(0.8 + 0.4 * random)
}
