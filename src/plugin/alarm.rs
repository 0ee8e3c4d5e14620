//! One timer that is set again and again: a time that only moves away costs nothing.
//!
//! In: the next time at which there is something to do. Out: a ring, at that time or before. Never: a ring too late.

use std::pin::Pin;

use tokio::time::{Sleep, sleep_until};

use crate::clock::{Clock, Mono};

/// See the module.
pub(super) struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// When the timer rings; none: it rang, or was never set.
    armed: Option<Mono>,
    wanted: Option<Mono>,
}

impl Alarm {
    /// One that does not ring.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            sleep: Box::pin(sleep_until(clock.instant(Mono(0)))),
            armed: None,
            wanted: None,
        }
    }

    /// Rings at this time, if not before; none: not at all.
    pub(super) fn set(&mut self, at: Option<Mono>) {
        self.wanted = at;
        if let Some(at) = at
            && self.armed.is_none_or(|armed| at < armed)
        {
            self.sleep.as_mut().reset(self.clock.instant(at));
            self.armed = Some(at);
        }
    }

    /// Waits for the ring. One that comes before the time that is wanted is only a look at the clock.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn rings(&mut self) {
        if self.wanted.is_none() && self.armed.is_none() {
            std::future::pending::<()>().await;
        }
        self.sleep.as_mut().await;
        self.armed = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_in_time_whatever_it_was_set_to_before() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let silent = tokio::time::timeout(Duration::from_secs(60), alarm.rings()).await;
        assert!(silent.is_err());
        for (set, rings) in [
            (vec![70_000], 70_000),
            (vec![90_000, 80_000], 80_000),
            (vec![90_000, 95_000], 90_000),
            (vec![95_000], 95_000),
        ] {
            for at in set {
                alarm.set(Some(Mono(at)));
            }
            alarm.rings().await;
            let now = clock.now().mono.0;
            assert!((rings..rings + 2).contains(&now), "{now} for {rings}");
        }
    }
}
