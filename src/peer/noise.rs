//! How much that is of no use a plugin may say before its pipe is let lie for a while; time is handed in.
//!
//! Who floods its pipe waits in its own `write` then, and the processor is left to others.

use std::time::Duration;

use crate::clock::Mono;

/// What an item costs beside its bytes.
const ITEM: usize = 64;

/// A debt that grows with what is read and melts with time.
#[derive(Debug, Clone)]
pub struct Noise {
    per_second: usize,
    burst: usize,
    debt: usize,
    at: Mono,
}

impl Noise {
    /// At most so many bytes a second once a first burst is used up.
    #[must_use]
    pub fn new(per_second: usize, burst: usize) -> Self {
        Self {
            per_second,
            burst,
            debt: 0,
            at: Mono(0),
        }
    }

    /// One item of so many bytes was read. However long it was, it costs no more than a second of rest.
    pub fn add(&mut self, bytes: usize, now: Mono) {
        self.melt(now);
        let most = self.burst.saturating_add(self.per_second);
        self.debt = self.debt.saturating_add(bytes.saturating_add(ITEM));
        self.debt = self.debt.min(most);
    }

    /// Until when nothing more should be read; none when that is now.
    pub fn rests_until(&mut self, now: Mono) -> Option<Mono> {
        self.melt(now);
        let over = self.debt.checked_sub(self.burst).filter(|over| *over > 0)?;
        let ms = over.saturating_mul(1000).div_ceil(self.per_second.max(1));
        Some(now + Duration::from_millis(ms as u64))
    }

    fn melt(&mut self, now: Mono) {
        let elapsed = usize::try_from(crate::clock::millis(now - self.at)).unwrap_or(usize::MAX);
        self.debt = self
            .debt
            .saturating_sub(elapsed.saturating_mul(self.per_second) / 1000);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_time_is_asked_for() {
        let mut noise = Noise::new(1000 * ITEM, 10 * ITEM);
        for _ in 0..10 {
            noise.add(0, Mono(0));
        }
        assert_eq!(noise.rests_until(Mono(0)), None);
        noise.add(0, Mono(0));
        assert_eq!(noise.rests_until(Mono(0)), Some(Mono(1)));
        assert_eq!(noise.rests_until(Mono(1)), None);
        assert_eq!(noise.rests_until(Mono(100)), None);
        noise.add(usize::MAX, Mono(100));
        assert_eq!(noise.rests_until(Mono(100)), Some(Mono(1100)));
        // A clock that stands still or goes back changes nothing.
        assert_eq!(noise.rests_until(Mono(50)), Some(Mono(1050)));
        assert_eq!(noise.rests_until(Mono(1100)), None);
    }

    #[test]
    fn in_the_long_run_no_more_than_the_rate_is_read() {
        let mut noise = Noise::new(1_000_000, 1_000_000);
        let (mut now, mut read) = (Mono(0), 0);
        while now < Mono(10_000) {
            match noise.rests_until(now) {
                Some(until) => now = until,
                None => {
                    noise.add(744, now);
                    read += 744 + ITEM;
                }
            }
        }
        assert!((10_900_000..=11_100_000).contains(&read), "{read}");
    }
}
