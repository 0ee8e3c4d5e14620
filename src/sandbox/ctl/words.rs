//! Orders in words: what the site does from now on, as people read it.

use std::fmt::Write as _;

use super::{Fail, Lag, Lasting, Late, Latency, Turn, Verb};
use crate::sandbox::trouble::Kind;

impl Verb {
    /// One sentence without a full stop.
    pub(in crate::sandbox) fn words(&self) -> String {
        match self {
            Self::Fail(fail) => fail.words(),
            Self::Poison { id, field: None } => {
                format!("pages with event {id} fail, unless only ids are asked for")
            }
            Self::Poison {
                id,
                field: Some(field),
            } => format!("pages with event {id} fail when {field} is asked for"),
            Self::Latency(latency) => latency.words(),
            Self::Maintenance { on: false, .. } => "the maintenance is over".into(),
            Self::Maintenance {
                retry_after: Some(seconds),
                ..
            } => format!(
                "everybody gets the page of a maintenance, status 503, with Retry-After {seconds}"
            ),
            Self::Maintenance { .. } => {
                "everybody gets the page of a maintenance, status 503".into()
            }
            Self::Skew { ms: 0 } => "the site's clock is right".into(),
            Self::Skew { ms } => {
                let side = if *ms > 0 { "ahead" } else { "behind" };
                format!("the site's clock is {} {side}", time(ms.unsigned_abs()))
            }
            Self::Lag(lag) => lag.words(),
            Self::Late(late) => late.words(),
            Self::Rollback { rate } => {
                format!("{} writes is rolled back: its ids never appear", of(*rate))
            }
            Self::Hold => {
                "writes are answered, and their events not committed until they are released".into()
            }
            Self::Release { order } => format!("what was held is committed {}", order.words()),
            Self::Jump { by } => format!("{by} ids are left out"),
            Self::Restore { to } => {
                format!("the log has forgotten every event above {to} and goes on there")
            }
            Self::Purge { before } => format!("the log has forgotten every event below {before}"),
            Self::Retire { kind, id } => format!("{kind} {id} is in the trash"),
            Self::RevokeKey { script } => format!("{} is refused", key_of(script.as_deref())),
            Self::RestoreKey { script } => format!("{} works again", key_of(script.as_deref())),
            Self::ExpireSessions => "no session token of before is known".into(),
            Self::SecondFactor {
                login,
                code: Some(_),
            } => format!("{login} needs a code beside the password"),
            Self::SecondFactor { login, code: None } => format!("{login} needs no code"),
            Self::Webhooks {
                timeout_ms,
                failures,
                budget_ms,
                events,
            } => {
                let waits = [
                    (timeout_ms, "for an answer"),
                    (budget_ms, "together in a minute"),
                ];
                let waits = waits.into_iter().filter_map(|(ms, what)| {
                    let ms = (*ms)?;
                    Some(format!("{} {what}", time(ms.unsigned_abs())))
                });
                let failures = failures.map(|failures| format!("{failures} failures in a day"));
                let all: Vec<String> = waits.chain(failures).collect();
                let taken = match all.is_empty() {
                    true => "what they did".to_owned(),
                    false => all.join(", "),
                };
                let heard = match events {
                    None => "",
                    Some(true) => ", and hear of events",
                    Some(false) => ", and hear of no event",
                };
                format!("receivers of webhooks may take {taken}{heard}")
            }
            Self::Processing { ms: 0 } => "thumbnails are ready at once".into(),
            Self::Processing { ms } => {
                format!("thumbnails are {} in the making", time(ms.unsigned_abs()))
            }
            Self::Bulk { count } => format!("{count} events were appended"),
            Self::Work {
                times,
                late_ms: None,
            } => format!("artists did {}", things(*times)),
            Self::Work {
                times,
                late_ms: Some(ms),
            } => format!(
                "artists did {}, which become readable in {}",
                things(*times),
                time(ms.unsigned_abs())
            ),
            Self::Abandon { times } => format!(
                "artists did {} and all was rolled back: the ids never appear",
                things(*times)
            ),
            Self::Clear { only: None } => "everything works again".into(),
            Self::Clear { only: Some(only) } => format!("{} any more", only.words()),
        }
    }
}

impl Fail {
    fn words(&self) -> String {
        let called = match &self.method {
            Some(method) => format!("of {method} "),
            None => String::new(),
        };
        let mut text = match (self.calls, self.rate) {
            (None, None) => format!("every call {called}gets "),
            (Some(1), None) => format!("the next call {called}gets "),
            (Some(calls), None) => format!("the next {calls} calls {called}get "),
            (None, Some(rate)) => format!("{} calls {called}gets ", of(rate)),
            (Some(calls), Some(rate)) => {
                format!("{} calls {called}gets, {calls} times in all, ", of(rate))
            }
        };
        text.push_str(&self.kind.words());
        if let Some(seconds) = self.retry_after {
            let _written = write!(text, ", with Retry-After {seconds}");
        }
        if let Some(id) = self.id {
            let _written = write!(text, ": event {id}");
        }
        text
    }
}

impl Latency {
    fn words(&self) -> String {
        match (self.ms, self.jitter_ms) {
            (0, _) => "answers come at once".into(),
            (ms, 0) => format!("every answer takes {} longer", time(ms)),
            (ms, jitter) => format!(
                "every answer takes {} to {} longer",
                time(ms - jitter),
                time(ms + jitter)
            ),
        }
    }
}

impl Lag {
    fn words(&self) -> String {
        let polls = match (self.polls, self.rate) {
            (None, None) => "no poll".to_owned(),
            (Some(1), None) => "the next poll does not".to_owned(),
            (Some(polls), None) => format!("the next {polls} polls do not"),
            (None, Some(rate)) => format!("{} polls does not", of(rate)),
            (Some(polls), Some(rate)) => {
                format!("{} polls, {polls} times in all, does not", of(rate))
            }
        };
        let see = if self.polls.is_none() && self.rate.is_none() {
            "sees"
        } else {
            "see"
        };
        match self.rows {
            1 => format!("{polls} {see} the newest event"),
            rows => format!("{polls} {see} the newest {rows} events"),
        }
    }
}

impl Late {
    fn words(&self) -> String {
        let (delay, jitter) = (self.delay_ms, self.jitter_ms);
        let wait = match jitter {
            0 => time(delay),
            _ => format!("{} to {}", time(delay - jitter), time(delay + jitter)),
        };
        if self.rate >= 1.0 {
            return format!("the events of every write become readable {wait} later");
        }
        format!(
            "{} writes has events that become readable {wait} later",
            of(self.rate)
        )
    }
}

impl Turn {
    fn words(self) -> &'static str {
        match self {
            Self::Reserved => "in the order of the ids",
            Self::Reversed => "the last one first",
            Self::Shuffled => "in any order",
        }
    }
}

impl Lasting {
    fn words(self) -> &'static str {
        match self {
            Self::Fail => "no call goes wrong",
            Self::Poison => "no event spoils its page",
            Self::Latency => "no answer takes longer",
            Self::Maintenance => "there is no maintenance",
            Self::Skew => "the site's clock is not off",
            Self::Lag => "no poll misses the newest events",
            Self::Late => "no event comes late",
            Self::Rollback => "no write is rolled back",
            Self::Hold => "no write is held",
        }
    }
}

impl Kind {
    /// What the caller gets, as the kind's own line says it.
    fn words(self) -> String {
        let help = clap::ValueEnum::to_possible_value(&self);
        let help = help.and_then(|value| value.get_help().map(ToString::to_string));
        let help = help.unwrap_or_default();
        // The line begins a sentence there, and goes on with one here.
        let mut letters = help.chars();
        let first = letters.next().map(char::to_lowercase);
        first.into_iter().flatten().chain(letters).collect()
    }
}

fn key_of(script: Option<&str>) -> String {
    match script {
        Some(script) => format!("the key of script {script}"),
        None => "the key of every script".into(),
    }
}

fn things(times: u32) -> String {
    match times {
        1 => "one thing".into(),
        times => format!("{times} things"),
    }
}

/// A share of something that has many.
fn of(rate: f64) -> String {
    if rate >= 1.0 {
        return "each of the".into();
    }
    let one_in = (1.0 / rate).round();
    let is_even = (one_in * rate - 1.0).abs() < 1e-9;
    match is_even {
        true => format!("one in {one_in} of the"),
        false => format!("a share of {rate} of the"),
    }
}

fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    format!("{:#}", jiff::SignedDuration::from_millis(ms))
}
