//! A limit per second that drops and counts; time is handed in.

use crate::clock::Mono;

/// Notifications and stray lines above a number a second.
#[derive(Debug, Clone)]
pub struct RateLimit {
    per_second: u32,
    second: u64,
    used: u32,
    dropped: u64,
}

impl RateLimit {
    /// At most so many a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second,
            second: 0,
            used: 0,
            dropped: 0,
        }
    }

    /// True when one more may pass now; else it is counted as dropped.
    pub fn allows(&mut self, now: Mono) -> bool {
        let second = now.0 / 1000;
        if second != self.second {
            self.second = second;
            self.used = 0;
        }
        let is_allowed = self.used < self.per_second;
        if is_allowed {
            self.used += 1;
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
        let mut limit = RateLimit::new(200);
        let passed = (0..1000).filter(|_| limit.allows(Mono(5))).count();
        assert_eq!((passed, limit.dropped()), (200, 800));
        assert!(limit.allows(Mono(1000)));
    }
}
