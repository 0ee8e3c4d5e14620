//! The working hours of the past: weekdays, nine to half past six, up to the day before today.
//!
//! In: a part of the whole time between 0 and 1. Out: a moment in working hours, later for a greater part.
//! Never: a moment in the future.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use crate::clock::Unix;

/// Seconds after midnight.
const OPENS: f64 = 9.0 * 3600.0;
/// Seconds.
const HOURS: f64 = 9.5 * 3600.0;

/// Working days, oldest first.
#[derive(Debug)]
pub(super) struct Calendar {
    days: Vec<Date>,
}

impl Calendar {
    /// The working days of so many days before today.
    pub(super) fn until(now: Unix, days: i64) -> Self {
        let now = Timestamp::from_millisecond(now.0).unwrap_or_default();
        let today = now.to_zoned(TimeZone::UTC).date();
        let past = (1..=days.max(7)).rev();
        let past = past.filter_map(|back| today.checked_sub(back.days()).ok());
        let is_worked = |day: &Date| day.weekday().to_monday_zero_offset() < 5;
        Self {
            days: past.filter(is_worked).collect(),
        }
    }

    /// The moment at a part of the whole time.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousand days, and seconds of a day"
    )]
    pub(super) fn at(&self, part: f64) -> Unix {
        let place = part.clamp(0.0, 1.0) * self.days.len() as f64;
        let index = (place as usize).min(self.days.len().saturating_sub(1));
        let within = (place - index as f64).clamp(0.0, 1.0);
        let seconds = (OPENS + within * HOURS) as i64;
        let midnight = self
            .days
            .get(index)
            .and_then(|day| day.to_zoned(TimeZone::UTC).ok());
        let midnight = midnight.map_or(0, |day| day.timestamp().as_millisecond());
        Unix(midnight + seconds * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::value::seconds;

    #[test]
    fn work_is_done_on_weekdays_and_time_goes_on() {
        // 2026-07-15, a Wednesday.
        let calendar = Calendar::until(Unix(1_784_116_800_000), 9);
        let at = |part: f64| seconds(calendar.at(part).0 / 1000);
        assert_eq!(at(0.0), "2026-07-06T09:00:00Z");
        assert_eq!(at(5.0 / 7.0 - 1e-9), "2026-07-10T18:29:59Z");
        assert_eq!(at(5.0 / 7.0 + 1e-9), "2026-07-13T09:00:00Z");
        assert_eq!(at(2.0), "2026-07-14T18:30:00Z");
        let all: Vec<i64> = (0..1000)
            .map(|n| calendar.at(f64::from(n) / 999.0).0)
            .collect();
        assert!(all.is_sorted());
    }
}
