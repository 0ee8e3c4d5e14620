//! Whether a failed try may be repeated, and when: pure.
//!
//! In: the error, what the call is, how often it failed, chance. Out: again after a wait, or the error for the caller.
//! Never: a write repeated that may have happened.

use std::time::Duration;

use super::{error::SiteError, methods::Kind};

/// Tries while polls succeed: a call that still fails then is the caller's own trouble.
const TRIES: u32 = 6;
/// Slow or mangled answers are asked for once more only.
const TRIES_WHEN_ANSWERED: u32 = 2;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again after this.
    Again(Duration),
    /// The caller's.
    Return(SiteError),
}

/// Judges one failed try. `failures` counts this one and those before it while the site was up; `chance` is in 0..1.
pub(super) fn judge(
    error: SiteError,
    kind: Kind,
    failures: u32,
    wait_max: Duration,
    chance: f64,
) -> Verdict {
    if kind == Kind::Write && error.may_have_happened() {
        return Verdict::Return(match error {
            known @ SiteError::MaybeDone(_) => known,
            other => SiteError::MaybeDone(Box::new(other)),
        });
    }
    let tries = tries(&error);
    again(error, failures, tries, wait_max, chance)
}

/// Judges one failed try at the storage, where a piece of a file is put or taken as often as it takes.
pub(super) fn judge_storage(
    error: SiteError,
    failures: u32,
    wait_max: Duration,
    chance: f64,
) -> Verdict {
    let tries = match &error {
        // The storage answers 500 when it is busy.
        SiteError::Http { status: 500, .. } | SiteError::Timeout { .. } => TRIES,
        other => tries(other),
    };
    again(error, failures, tries, wait_max, chance)
}

fn again(error: SiteError, failures: u32, tries: u32, wait_max: Duration, chance: f64) -> Verdict {
    if failures >= tries {
        return Verdict::Return(error);
    }
    let asked = error.retry_after();
    Verdict::Again(pause(failures, asked, wait_max, chance))
}

/// How often a call may fail like this before the caller hears of it; 1: never repeated.
fn tries(error: &SiteError) -> u32 {
    match error {
        SiteError::Connect { .. } | SiteError::Lost { .. } | SiteError::Truncated { .. } => TRIES,
        SiteError::Http {
            status: 429 | 502..=504,
            ..
        } => TRIES,
        SiteError::Timeout { .. } | SiteError::Html { .. } | SiteError::BadJson { .. } => {
            TRIES_WHEN_ANSWERED
        }
        _ => 1,
    }
}

/// Doubles from half a second, keeps at least half of it and draws the rest; what the site asks for is honoured, with
/// up to a tenth on top so that all callers do not come back at once.
pub(super) fn pause(
    failures: u32,
    asked: Option<Duration>,
    wait_max: Duration,
    chance: f64,
) -> Duration {
    if let Some(asked) = asked {
        // An hour: a site that asks for more is down, and polls find out when it is back.
        let asked = asked.min(Duration::from_secs(3600));
        return asked + (asked / 10).min(Duration::from_secs(1)).mul_f64(chance);
    }
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(wait_max).mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> SiteError {
        SiteError::Http {
            status,
            retry_after: None,
            detail: String::new(),
        }
    }

    fn lost(is_sent: bool) -> SiteError {
        SiteError::Lost {
            host: "h".into(),
            reason: "closed".into(),
            is_sent,
        }
    }

    #[derive(Debug, PartialEq)]
    enum Ends {
        Again,
        Returned,
        MaybeDone,
    }

    fn first(error: SiteError, kind: Kind) -> Ends {
        match judge(error, kind, 1, Duration::from_secs(60), 0.5) {
            Verdict::Again(_) => Ends::Again,
            Verdict::Return(SiteError::MaybeDone(_)) => Ends::MaybeDone,
            Verdict::Return(_) => Ends::Returned,
        }
    }

    #[test]
    fn what_is_safe_is_repeated() {
        use Ends::{Again, MaybeDone, Returned};
        let connect = SiteError::Connect {
            host: "h".into(),
            kind: super::super::ConnectKind::Refused,
            reason: String::new(),
        };
        let timeout = SiteError::Timeout {
            after: Duration::from_secs(1),
        };
        let truncated = SiteError::Truncated {
            received: 3,
            reason: String::new(),
        };
        let fault = SiteError::Fault {
            method: "read".into(),
            code: Some(104),
            message: String::new(),
        };
        for (error, read, write) in [
            (connect, Again, Again),
            (lost(false), Again, Again),
            (lost(true), Again, MaybeDone),
            (truncated, Again, MaybeDone),
            (timeout, Again, MaybeDone),
            (http(429), Again, Again),
            (http(503), Again, Again),
            (http(502), Again, MaybeDone),
            (http(504), Again, MaybeDone),
            (http(500), Returned, MaybeDone),
            (http(403), Returned, Returned),
            (fault, Returned, Returned),
            (SiteError::TooLarge { limit: 1 }, Returned, MaybeDone),
        ] {
            assert_eq!(first(error.clone(), Kind::Read), read, "read: {error}");
            assert_eq!(first(error.clone(), Kind::Write), write, "write: {error}");
        }
    }

    #[test]
    fn the_storage_is_asked_again_where_the_site_is_not() {
        for (status, is_again) in [(500, true), (503, true), (403, false), (404, false)] {
            let verdict = judge_storage(http(status), 1, Duration::from_secs(60), 0.0);
            assert_eq!(matches!(verdict, Verdict::Again(_)), is_again, "{status}");
        }
        let last = judge_storage(http(500), TRIES, Duration::from_secs(60), 0.0);
        assert!(matches!(last, Verdict::Return(_)));
    }

    #[test]
    fn tries_end() {
        let at = |error, failures| judge(error, Kind::Read, failures, Duration::from_secs(60), 0.0);
        assert!(matches!(at(http(502), TRIES - 1), Verdict::Again(_)));
        assert!(matches!(at(http(502), TRIES), Verdict::Return(_)));
        let slow = SiteError::Timeout {
            after: Duration::from_secs(60),
        };
        assert!(matches!(at(slow, 2), Verdict::Return(_)));
    }

    #[test]
    fn pauses_double_within_their_bounds() {
        let max = Duration::from_secs(60);
        for (failures, asked, low, high) in [
            (1, None, 250, 500),
            (3, None, 1_000, 2_000),
            (40, None, 30_000, 60_000),
            (1, Some(7), 7_000, 7_700),
            (1, Some(100), 100_000, 101_000),
            (1, Some(1_000_000), 3_600_000, 3_601_000),
        ] {
            let asked = asked.map(Duration::from_secs);
            let at = |chance| pause(failures, asked, max, chance).as_millis();
            assert_eq!((at(0.0), at(1.0)), (low, high), "{failures} {asked:?}");
        }
    }
}
