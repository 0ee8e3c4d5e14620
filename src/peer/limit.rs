//! A limit per second that drops and counts; time is handed in.

use crate::clock::Mono;

/// Notifications, stray lines or lines of log above a number a second, and what they hold in bytes.
#[derive(Debug, Clone)]
pub struct RateLimit {
    per_second: u32,
    bytes_per_second: usize,
    second: u64,
    used: u32,
    used_bytes: usize,
    dropped: u64,
}

impl RateLimit {
    /// At most so many a second, with so many bytes in all.
    #[must_use]
    pub fn new(per_second: u32, bytes_per_second: usize) -> Self {
        Self {
            per_second,
            bytes_per_second,
            second: 0,
            used: 0,
            used_bytes: 0,
            dropped: 0,
        }
    }

    /// True when one more of so many bytes may pass now; else it is counted as dropped. The first of a second passes however
    /// long it is.
    pub fn allows(&mut self, bytes: usize, now: Mono) -> bool {
        let second = now.0 / 1000;
        if second != self.second {
            (self.second, self.used, self.used_bytes) = (second, 0, 0);
        }
        let fits = self.used == 0 || self.used_bytes.saturating_add(bytes) <= self.bytes_per_second;
        let is_allowed = self.used < self.per_second && fits;
        if is_allowed {
            self.used += 1;
            self.used_bytes = self.used_bytes.saturating_add(bytes);
        } else {
            self.dropped += 1;
        }
        is_allowed
    }

    /// How many were dropped in all.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut limit = RateLimit::new(200, 1000);
        let passed = (0..1000).filter(|_| limit.allows(1, Mono(5))).count();
        assert_eq!((passed, limit.dropped()), (200, 800));
        assert!(limit.allows(1, Mono(1000)));
        let passed = (0..10).filter(|_| limit.allows(300, Mono(1000))).count();
        assert_eq!((passed, limit.dropped()), (3, 807));
        let passed = (0..10).filter(|_| limit.allows(5000, Mono(2000)));
        assert_eq!(passed.count(), 1, "one that is longer than all is shown");
    }
}
