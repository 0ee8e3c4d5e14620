//! `sandbox ctl`: what may be typed, one command for each way in which the made-up site can misbehave.

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    cli::args::{SANDBOX, duration},
    clock::millis,
    sandbox::{Kind, Lasting, Turn},
};

const EXAMPLES: &str = "\
Examples:
  sgeventd sandbox ctl fail 503 --calls 3 --retry-after 20
  sgeventd sandbox ctl errors --rate 0.1 --kind 502
  sgeventd sandbox ctl latency 200ms --jitter 100ms
  sgeventd sandbox ctl maintenance on
  sgeventd sandbox ctl late --delay 30s --rate 0.2
  sgeventd sandbox ctl list                           what is armed
  sgeventd sandbox ctl clear                          everything works again";

const FAIL: &str = "\
Examples:
  sgeventd sandbox ctl fail 503 --calls 3 --retry-after 20
  sgeventd sandbox ctl fail reset --method read
  sgeventd sandbox ctl fail huge_row --id 1234 --calls 1
`sgeventd sandbox ctl kinds` lists the kinds.";

const ERRORS: &str = "\
Examples:
  sgeventd sandbox ctl errors --rate 0.1 --kind 502
  sgeventd sandbox ctl errors --rate 0.5 --kind reset --method update";

const LATE: &str = "\
Examples:
  sgeventd sandbox ctl late --delay 30s --rate 0.2
  sgeventd sandbox ctl late --delay 2s --jitter 2s     events come in another order than their ids";

const HOLD: &str = "\
Example:
  sgeventd sandbox ctl hold
  …                                                    writes: their ids are reserved
  sgeventd sandbox ctl release --order reversed        the last one commits first";

/// `sandbox ctl`
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct CtlArgs {
    /// The site, as it printed its address.
    #[arg(long, global = true, value_name = "URL", env = "SGEVENTD_SANDBOX", default_value_t = format!("http://{SANDBOX}"))]
    pub url: String,
    /// The site's answer, as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Ctl,
}

/// Which calls.
#[derive(Debug, ClapArgs)]
pub struct Which {
    /// So many; without it, until cleared.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub calls: Option<u32>,
    /// When to come again, in seconds: of errors of HTTP.
    #[arg(long, value_name = "SECONDS")]
    pub retry_after: Option<u32>,
    /// Only calls of this method, such as read.
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// From now on.
    On,
    /// No more.
    Off,
}

/// What the site is told.
#[derive(Debug, Subcommand)]
pub enum Ctl {
    /// The next calls go wrong.
    #[command(after_help = FAIL)]
    Fail {
        /// How: 500, 502, 503, 504, 429, html, fault, truncated, reset, hang, drip, …
        #[arg(hide_possible_values = true)]
        kind: Kind,
        /// Which.
        #[command(flatten)]
        which: Which,
        /// Only this event, of the kinds about rows.
        #[arg(long, value_name = "EVENT")]
        id: Option<i64>,
    },
    /// A share of all calls goes wrong.
    #[command(after_help = ERRORS)]
    Errors {
        /// Which share, up to 1.
        #[arg(long, value_name = "SHARE", value_parser = share)]
        rate: f64,
        /// How.
        #[arg(long, default_value = "http500", hide_possible_values = true)]
        kind: Kind,
        /// Which.
        #[command(flatten)]
        which: Which,
    },
    /// Every page with an event fails.
    Poison {
        /// The event.
        #[arg(long, value_name = "EVENT")]
        id: i64,
        /// Only when this field is asked for; without it, unless only ids are.
        #[arg(long, value_name = "FIELD")]
        field: Option<String>,
    },
    /// Every answer takes longer; 0s: at once again.
    Latency {
        /// So much, such as 200ms.
        #[arg(value_name = "TIME", value_parser = duration)]
        time: Duration,
        /// So much more or less.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        jitter: Option<Duration>,
    },
    /// A page with status 503 for everybody, until it is off.
    Maintenance {
        /// Whether it begins or ends.
        #[arg(value_enum)]
        switch: Switch,
        /// When to come again, in seconds.
        #[arg(long, value_name = "SECONDS")]
        retry_after: Option<u32>,
    },
    /// The site's clock is off; 0s: right again.
    Skew {
        /// To the future or to the past, such as +5m or -1h.
        #[arg(value_name = "TIME", value_parser = offset, allow_hyphen_values = true)]
        time: i64,
    },
    /// Polls do not see the newest events, as on a replica that lags.
    Lag {
        /// How many events.
        rows: u32,
        /// For so many polls; without it, until cleared.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        polls: Option<u32>,
        /// Only a share of the polls.
        #[arg(long, value_name = "SHARE", value_parser = share)]
        rate: Option<f64>,
    },
    /// The events of writes become readable after the answer.
    #[command(after_help = LATE)]
    Late {
        /// So much later.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        delay: Duration,
        /// So much more or less.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        jitter: Option<Duration>,
        /// Of a share of the writes only.
        #[arg(long, value_name = "SHARE", value_parser = share)]
        rate: Option<f64>,
    },
    /// A share of the writes is rolled back: the ids of their events never appear.
    Rollback {
        /// Which share, up to 1.
        #[arg(long, value_name = "SHARE", value_parser = share)]
        rate: f64,
    },
    /// Writes are answered, and not committed until `release`.
    #[command(after_help = HOLD)]
    Hold,
    /// Commits what is held.
    Release {
        /// In which order.
        #[arg(long, value_enum, default_value = "reserved")]
        order: Turn,
    },
    /// Leaves a hole in the ids of events.
    Jump {
        /// So many ids.
        by: u64,
    },
    /// The log is as it was when an event was the newest, as after a restore from a backup.
    Restore {
        /// The event.
        #[arg(long, value_name = "EVENT")]
        to_id: i64,
    },
    /// The log forgets what is old.
    Purge {
        /// The first event that stays.
        #[arg(long, value_name = "EVENT")]
        before_id: i64,
    },
    /// Puts an entity into the trash: older events do not name it any more.
    Retire {
        /// Its type, such as Shot.
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Its id.
        id: i64,
    },
    /// A script's key is refused.
    RevokeKey {
        /// The script; without it, all.
        script: Option<String>,
    },
    /// A script's key works again.
    RestoreKey {
        /// The script; without it, all.
        script: Option<String>,
    },
    /// No session token of before is known any more.
    ExpireSessions,
    /// Somebody needs a code beside the password; without a code, no more.
    SecondFactor {
        /// Who.
        login: String,
        /// The code.
        code: Option<String>,
    },
    /// What receivers of webhooks may take.
    Webhooks {
        /// For an answer about one event.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        timeout: Option<Duration>,
        /// Failures in 24 hours, until nothing more is sent.
        #[arg(long, value_name = "N")]
        failures: Option<u32>,
        /// All together, in a minute.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        budget: Option<Duration>,
        /// Whether they hear of events.
        #[arg(long, value_enum, value_name = "SWITCH")]
        events: Option<Switch>,
    },
    /// Thumbnails are so long in the making.
    Processing {
        /// So long, such as 5s.
        #[arg(value_name = "TIME", value_parser = duration)]
        time: Duration,
    },
    /// Appends many events at once.
    Bulk {
        /// How many.
        count: u32,
    },
    /// Artists do things.
    Work {
        /// How many.
        #[arg(default_value_t = 1)]
        times: u32,
        /// Their events become readable so much later.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        late: Option<Duration>,
    },
    /// Artists do things that are rolled back.
    Abandon {
        /// How many.
        #[arg(default_value_t = 1)]
        times: u32,
    },
    /// Everything works again, or one thing; keys and the log stay as they are.
    Clear {
        /// What; without it, all.
        #[arg(value_enum)]
        only: Option<Lasting>,
    },
    /// What is armed.
    #[command(visible_alias = "show")]
    List,
    /// The kinds of `fail` and `errors`.
    Kinds,
}

impl Ctl {
    /// As the site takes it; nothing for those that are no orders.
    pub(super) fn order(&self) -> Option<Value> {
        let order = match self {
            Self::List | Self::Kinds => return None,
            Self::Fail { kind, which, id } => which.order(*kind, None, *id),
            Self::Errors { rate, kind, which } => which.order(*kind, Some(*rate), None),
            Self::Poison { id, field } => json!({"verb": "poison", "id": id, "field": field}),
            Self::Latency { time, jitter } => {
                json!({"verb": "latency", "ms": millis(*time), "jitter_ms": jitter.map(millis)})
            }
            Self::Maintenance {
                switch,
                retry_after,
            } => {
                let on = *switch == Switch::On;
                json!({"verb": "maintenance", "on": on, "retry_after": retry_after})
            }
            Self::Skew { time } => json!({"verb": "skew", "ms": time}),
            Self::Lag { rows, polls, rate } => {
                json!({"verb": "lag", "rows": rows, "polls": polls, "rate": rate})
            }
            Self::Late {
                delay,
                jitter,
                rate,
            } => {
                let (delay, jitter) = (millis(*delay), jitter.map(millis));
                json!({"verb": "late", "delay_ms": delay, "jitter_ms": jitter, "rate": rate})
            }
            Self::Rollback { rate } => json!({"verb": "rollback", "rate": rate}),
            Self::Hold => json!({"verb": "hold"}),
            Self::Release { order } => json!({"verb": "release", "order": order}),
            Self::Jump { by } => json!({"verb": "jump", "by": by}),
            Self::Restore { to_id } => json!({"verb": "restore", "to": to_id}),
            Self::Purge { before_id } => json!({"verb": "purge", "before": before_id}),
            Self::Retire { kind, id } => json!({"verb": "retire", "type": kind, "id": id}),
            Self::RevokeKey { script } => json!({"verb": "revoke_key", "script": script}),
            Self::RestoreKey { script } => json!({"verb": "restore_key", "script": script}),
            Self::ExpireSessions => json!({"verb": "expire_sessions"}),
            Self::SecondFactor { login, code } => {
                json!({"verb": "second_factor", "login": login, "code": code})
            }
            Self::Webhooks {
                timeout,
                failures,
                budget,
                events,
            } => {
                let (timeout, budget) = (timeout.map(millis), budget.map(millis));
                let events = events.map(|switch| switch == Switch::On);
                json!({"verb": "webhooks", "timeout_ms": timeout, "failures": failures, "budget_ms": budget, "events": events})
            }
            Self::Processing { time } => json!({"verb": "processing", "ms": millis(*time)}),
            Self::Bulk { count } => json!({"verb": "bulk", "count": count}),
            Self::Work { times, late } => {
                json!({"verb": "work", "times": times, "late_ms": late.map(millis)})
            }
            Self::Abandon { times } => json!({"verb": "abandon", "times": times}),
            Self::Clear { only } => json!({"verb": "clear", "only": only}),
        };
        Some(order)
    }
}

impl Which {
    fn order(&self, kind: Kind, rate: Option<f64>, id: Option<i64>) -> Value {
        json!({
            "verb": "fail", "kind": kind, "rate": rate, "id": id,
            "calls": self.calls, "retry_after": self.retry_after, "method": self.method,
        })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "allowed: a number above 0 and up to 1, such as 0.1".to_owned())
}

/// A time with its side, in milliseconds.
fn offset(text: &str) -> Result<i64, String> {
    let (is_past, time) = match text.strip_prefix('-') {
        Some(time) => (true, time),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let time = duration(time)
        .map_err(|_| "allowed: a duration with its side, such as +5m or -1h".to_owned())?;
    let ms = i64::try_from(millis(time)).unwrap_or(i64::MAX);
    Ok(if is_past { -ms } else { ms })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        cli::args::{Args, Command, SandboxCommand},
        sandbox::{check_order, verbs},
    };

    fn order(line: &str) -> Result<Option<Value>, clap::Error> {
        let words = ["sgeventd", "sandbox", "ctl"].into_iter();
        let args = Args::try_parse_from(words.chain(line.split(' ')))?;
        let Command::Sandbox(sandbox) = args.command else {
            panic!("{line}");
        };
        let Some(SandboxCommand::Ctl(ctl)) = sandbox.order else {
            panic!("{line}");
        };
        Ok(ctl.command.order())
    }

    #[test]
    fn each_order_can_be_typed_and_is_one() {
        let mut typed = Vec::new();
        for line in [
            "fail 503 --calls 3 --retry-after 20",
            "fail huge_row --id 7 --method read",
            "errors --rate 0.1 --kind 502 --calls 9",
            "poison --id 7 --field meta",
            "latency 200ms --jitter 100ms",
            "maintenance on --retry-after 60",
            "maintenance off",
            "skew +5m",
            "skew -1h",
            "lag 4 --polls 5 --rate 0.5",
            "late --delay 30s --jitter 10s --rate 0.2",
            "rollback --rate 0.05",
            "hold",
            "release --order shuffled",
            "jump 100000",
            "restore --to-id 7",
            "purge --before-id 7",
            "retire Shot 12",
            "revoke-key",
            "restore-key render",
            "expire-sessions",
            "second-factor ada 123456",
            "webhooks --timeout 50ms --failures 3 --budget 1s --events off",
            "processing 5s",
            "bulk 100",
            "work 3 --late 2s",
            "abandon",
            "clear late",
            "clear",
        ] {
            let order = order(line).unwrap().unwrap();
            check_order(&order).unwrap_or_else(|wrong| panic!("{line}: {wrong}"));
            typed.push(order["verb"].as_str().unwrap().to_owned());
        }
        let missing: Vec<&str> = verbs()
            .filter(|verb| !typed.iter().any(|typed| typed == verb))
            .collect();
        assert!(missing.is_empty(), "not to be typed: {missing:?}");
        assert_eq!(order("skew -1h").unwrap().unwrap()["ms"], -3_600_000);
        assert_eq!(order("list").unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_is_allowed() {
        for (line, words) in [
            ("fail 418", "503"),
            ("fail 503 --calls 0", "0 is not in 1.."),
            ("errors --rate 2", "a number above 0 and up to 1"),
            ("latency soon", "a duration such as 30s"),
            ("skew five", "+5m"),
            ("maintenance maybe", "on, off"),
            ("explode", "unrecognized subcommand"),
        ] {
            let refused = order(line).unwrap_err().to_string();
            assert!(refused.contains(words), "{line}: {refused}");
        }
    }
}
