//! How fast a plugin is: the last latencies, deliveries of the last minute.

use std::{collections::VecDeque, time::Duration};

use crate::clock::Mono;

/// Latencies that are kept.
const KEPT: usize = 256;
/// Seconds that a rate is taken over.
const SECONDS: u64 = 60;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stats {
    latencies: VecDeque<u32>,
    /// Deliveries by the second they were made in.
    seconds: VecDeque<(u64, u32)>,
}

impl Stats {
    /// An event was answered after so long.
    pub(super) fn answered(&mut self, latency: Duration, now: Mono) {
        if self.latencies.len() == KEPT {
            self.latencies.pop_front();
        }
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.latencies.push_back(micros);
        let second = now.0 / 1000;
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        while self.seconds.len() > SECONDS as usize {
            self.seconds.pop_front();
        }
    }

    /// Deliveries a second over the last minute.
    pub(super) fn rate(&self, now: Mono) -> f64 {
        let second_now = now.0 / 1000;
        let is_recent = |second: u64| second + SECONDS > second_now;
        let recent = self.seconds.iter().filter(|(second, _)| is_recent(*second));
        let count: u32 = recent.map(|(_, count)| count).sum();
        f64::from(count) / SECONDS as f64
    }

    /// The latency below which `share` of the last ones were, milliseconds.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<u32> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small index"
        )]
        let index = (last as f64 * share).round() as usize;
        Some(f64::from(sorted[index]) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_rates() {
        let mut stats = Stats::default();
        assert_eq!(stats.percentile(0.5), None);
        for ms in 1..=100u64 {
            stats.answered(Duration::from_millis(ms), Mono(ms * 10));
        }
        assert!((stats.percentile(0.95).expect("some") - 95.0).abs() < 1.5);
        assert!((stats.rate(Mono(1000)) - 100.0 / 60.0).abs() < 0.01);
        assert!(stats.rate(Mono(200_000)).abs() < 0.01);
    }
}
