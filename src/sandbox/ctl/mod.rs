//! Orders: what may be sent to `/_sandbox/ctl`.
//!
//! In: JSON such as `{"verb": "fail", "kind": "http503", "calls": 3}`. Out: an order that is well formed, or what is wrong with it:
//! the key, what was found, what is allowed.
//! Never: its effect; that is the state's.

mod keys;
mod words;

use serde::Serialize;
use serde_json::Value;

use self::keys::{Keys, one_of, shown};
use super::trouble::Kind;

/// The longest wait that can be ordered: an hour.
const WAIT_MAX_MS: i64 = 3_600_000;
/// The furthest that a clock can be off: ten years.
const SKEW_MAX_MS: i64 = 315_576_000_000;
/// Rows at once.
const BULK_MAX: i64 = 100_000_000;
/// What artists do at once: the site answers nobody meanwhile.
const TIMES_MAX: i64 = 100_000;
/// The widest hole of ids.
const JUMP_MAX: i64 = 1_000_000_000_000;

/// The next calls go wrong; without `calls`, all of them until cleared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Fail {
    /// How.
    pub(super) kind: Kind,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calls: Option<u32>,
    /// Which share of them; without it, each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<f64>,
    /// Seconds, of answers with a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after: Option<u32>,
    /// Only calls of this method; of REST, the verb with the address, or `rest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    /// Only this row, of the kinds about rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<i64>,
}

/// Every answer takes longer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Latency {
    /// Milliseconds.
    pub(super) ms: u64,
    /// So much more or less.
    pub(super) jitter_ms: u64,
}

/// Polls do not see the newest rows of the log, as on a replica that lags.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Lag {
    /// How many rows.
    pub(super) rows: usize,
    /// For how many polls; without it, until cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) polls: Option<u32>,
    /// Which share of the polls; without it, each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<f64>,
}

/// The rows of writes become readable after their answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Late {
    /// So much later, in milliseconds.
    pub(super) delay_ms: u64,
    /// So much more or less: rows come in another order than their ids.
    pub(super) jitter_ms: u64,
    /// Of which share of the writes.
    pub(super) rate: f64,
}

/// In which order held transactions commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Turn {
    /// As their ids were reserved.
    Reserved,
    /// The last one first.
    Reversed,
    /// In any order, by the seed.
    Shuffled,
}

/// What is armed until it is used up or cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Lasting {
    /// Calls that go wrong.
    Fail,
    /// Rows that spoil their pages.
    Poison,
    /// Answers that take longer.
    Latency,
    /// Maintenance.
    Maintenance,
    /// A clock that is off.
    Skew,
    /// Polls that do not see the newest rows.
    Lag,
    /// Rows that come late.
    Late,
    /// Writes that are rolled back.
    Rollback,
    /// Transactions that are held.
    Hold,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub(super) enum Verb {
    /// Calls go wrong.
    Fail(Fail),
    /// Every page with this row fails, unless only ids are asked for.
    Poison {
        /// The row.
        id: i64,
        /// Only when this field is asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    /// Answers take longer.
    Latency(Latency),
    /// A page with status 503 for everybody, until it is over.
    Maintenance {
        /// Whether it begins or is over.
        on: bool,
        /// Seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The site's clock is off.
    Skew {
        /// Milliseconds, to the future or to the past.
        ms: i64,
    },
    /// Polls do not see the newest rows.
    Lag(Lag),
    /// Rows of writes come late.
    Late(Late),
    /// A share of the writes is rolled back: their ids never appear.
    Rollback {
        /// Which.
        rate: f64,
    },
    /// Writes are answered, their ids reserved, and their rows not committed until they are released.
    Hold,
    /// Commits what is held, and holds no more.
    Release {
        /// In which order.
        order: Turn,
    },
    /// Leaves a hole in the ids.
    Jump {
        /// How wide.
        by: i64,
    },
    /// The log forgets all rows above an id and continues there.
    Restore {
        /// The id.
        to: i64,
    },
    /// The log forgets all rows below an id.
    Purge {
        /// The id.
        before: i64,
    },
    /// An entity is put into the trash, as a person does it.
    Retire {
        /// Its type.
        #[serde(rename = "type")]
        kind: String,
        /// Its id.
        id: i64,
    },
    /// A script's key is refused; without a name, every key.
    RevokeKey {
        /// The script.
        #[serde(skip_serializing_if = "Option::is_none")]
        script: Option<String>,
    },
    /// The key works again.
    RestoreKey {
        /// The script.
        script: Option<String>,
    },
    /// No session token is known any more.
    ExpireSessions,
    /// Somebody needs a code beside the password; without `code`, no more.
    SecondFactor {
        /// Who.
        login: String,
        /// What has to be sent.
        code: Option<String>,
    },
    /// What receivers of webhooks may take, instead of what a site lets them.
    Webhooks {
        /// Milliseconds for an answer about one event; 6000.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<i64>,
        /// Until nothing more is sent, in 24 hours; 100.
        #[serde(skip_serializing_if = "Option::is_none")]
        failures: Option<usize>,
        /// Milliseconds of all receivers together in a minute; 60000.
        #[serde(skip_serializing_if = "Option::is_none")]
        budget_ms: Option<i64>,
        /// False: no event reaches a hook.
        #[serde(skip_serializing_if = "Option::is_none")]
        events: Option<bool>,
    },
    /// Thumbnails that come from now on are so long in the making.
    Processing {
        /// Milliseconds.
        ms: i64,
    },
    /// Appends rows, dense and readable at once.
    Bulk {
        /// How many.
        count: usize,
    },
    /// Artists do things; with `late_ms`, their rows become readable so much later.
    Work {
        /// How often.
        times: u32,
        /// Milliseconds.
        late_ms: Option<i64>,
    },
    /// Artists do things that are rolled back: gaps for ever.
    Abandon {
        /// How often.
        times: u32,
    },
    /// Everything works again; keys and the log stay as they are.
    Clear {
        /// Only this.
        only: Option<Lasting>,
    },
}

type Read = fn(&mut Keys<'_>) -> Result<Verb, String>;

/// How each order is read.
const VERBS: [(&str, Read); 24] = [
    ("fail", fail),
    ("poison", |keys| {
        Ok(Verb::Poison {
            id: keys.needed(|keys| keys.whole("id", 1..=i64::MAX))?,
            field: keys.text("field")?,
        })
    }),
    ("latency", |keys| {
        let (ms, jitter_ms) = wait(keys, "ms")?;
        Ok(Verb::Latency(Latency { ms, jitter_ms }))
    }),
    ("maintenance", |keys| {
        Ok(Verb::Maintenance {
            on: keys.flag("on")?.unwrap_or(true),
            retry_after: keys.number("retry_after", 0..=86_400)?,
        })
    }),
    ("skew", |keys| {
        let ms = keys.needed(|keys| keys.whole("ms", -SKEW_MAX_MS..=SKEW_MAX_MS))?;
        Ok(Verb::Skew { ms })
    }),
    ("lag", |keys| {
        Ok(Verb::Lag(Lag {
            rows: keys.needed(|keys| keys.number("rows", 1..=BULK_MAX))?,
            polls: keys.number("polls", 1..=u32::MAX.into())?,
            rate: keys.share("rate")?,
        }))
    }),
    ("late", |keys| {
        let (delay_ms, jitter_ms) = wait(keys, "delay_ms")?;
        Ok(Verb::Late(Late {
            delay_ms,
            jitter_ms,
            rate: keys.share("rate")?.unwrap_or(1.0),
        }))
    }),
    ("rollback", |keys| {
        let rate = keys.share("rate")?.unwrap_or(1.0);
        Ok(Verb::Rollback { rate })
    }),
    ("hold", |_| Ok(Verb::Hold)),
    ("release", |keys| {
        let order = keys.word::<Turn>("order")?.unwrap_or(Turn::Reserved);
        Ok(Verb::Release { order })
    }),
    ("jump", |keys| {
        let by = keys.needed(|keys| keys.whole("by", 1..=JUMP_MAX))?;
        Ok(Verb::Jump { by })
    }),
    ("restore", |keys| {
        let to = keys.needed(|keys| keys.whole("to", 0..=i64::MAX - 1))?;
        Ok(Verb::Restore { to })
    }),
    ("purge", |keys| {
        let before = keys.needed(|keys| keys.whole("before", 1..=i64::MAX))?;
        Ok(Verb::Purge { before })
    }),
    ("retire", |keys| {
        Ok(Verb::Retire {
            kind: keys.needed(|keys| keys.text("type"))?,
            id: keys.needed(|keys| keys.whole("id", 1..=i64::MAX))?,
        })
    }),
    ("revoke_key", |keys| {
        let script = keys.text("script")?;
        Ok(Verb::RevokeKey { script })
    }),
    ("restore_key", |keys| {
        let script = keys.text("script")?;
        Ok(Verb::RestoreKey { script })
    }),
    ("expire_sessions", |_| Ok(Verb::ExpireSessions)),
    ("second_factor", |keys| {
        Ok(Verb::SecondFactor {
            login: keys.needed(|keys| keys.text("login"))?,
            code: keys.text("code")?,
        })
    }),
    ("webhooks", |keys| {
        Ok(Verb::Webhooks {
            timeout_ms: keys.whole("timeout_ms", 1..=WAIT_MAX_MS)?,
            failures: keys.number("failures", 1..=TIMES_MAX)?,
            budget_ms: keys.whole("budget_ms", 0..=WAIT_MAX_MS)?,
            events: keys.flag("events")?,
        })
    }),
    ("processing", |keys| {
        let ms = keys.needed(|keys| keys.whole("ms", 0..=WAIT_MAX_MS))?;
        Ok(Verb::Processing { ms })
    }),
    ("bulk", |keys| {
        let count = keys.needed(|keys| keys.number("count", 1..=BULK_MAX))?;
        Ok(Verb::Bulk { count })
    }),
    ("work", |keys| {
        Ok(Verb::Work {
            times: times(keys)?,
            late_ms: keys.whole("late_ms", 0..=WAIT_MAX_MS * 24)?,
        })
    }),
    ("abandon", |keys| {
        let times = times(keys)?;
        Ok(Verb::Abandon { times })
    }),
    ("clear", |keys| {
        let only = keys.word("only")?;
        Ok(Verb::Clear { only })
    }),
];

impl Verb {
    /// Reads an order.
    ///
    /// # Errors
    /// The key that is wrong, what was found, what is allowed.
    pub(super) fn read(order: &Value) -> Result<Self, String> {
        let allowed = || one_of(verbs());
        let Some(map) = order.as_object() else {
            return Err(format!(
                r#"an order is {}; allowed: an object such as {{"verb": "fail", "kind": "http503"}}"#,
                shown(order)
            ));
        };
        let Some(verb) = map.get("verb") else {
            return Err(format!("`verb` is missing; allowed: {}", allowed()));
        };
        let found = VERBS.iter().find(|(name, _)| verb == name);
        let Some((name, read)) = found else {
            let found = shown(verb);
            return Err(format!("`verb` is {found}; allowed: {}", allowed()));
        };
        let mut keys = Keys::new(name, map);
        let read = read(&mut keys)?;
        keys.end()?;
        Ok(read)
    }

    /// As it would be ordered.
    pub(super) fn json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The names of all orders.
pub fn verbs() -> impl Iterator<Item = &'static str> {
    VERBS.iter().map(|(name, _)| *name)
}

/// Whether this is an order, for who makes some.
///
/// # Errors
/// What is wrong with it.
#[cfg(test)]
pub(crate) fn check_order(order: &Value) -> Result<(), String> {
    Verb::read(order).map(drop)
}

fn fail(keys: &mut Keys<'_>) -> Result<Verb, String> {
    let kind: Kind = keys.needed(|keys| keys.word("kind"))?;
    let fail = Fail {
        kind,
        calls: keys.number("calls", 1..=u32::MAX.into())?,
        rate: keys.share("rate")?,
        retry_after: keys.number("retry_after", 0..=86_400 * 365)?,
        method: keys.method("method")?,
        id: keys.whole("id", 1..=i64::MAX)?,
    };
    if fail.retry_after.is_some() && !kind.is_status() {
        return Err(keys.refused("retry_after", "an error of HTTP such as http503"));
    }
    if fail.id.is_some() && !kind.is_about_rows() {
        return Err(keys.refused("id", "a kind about rows such as huge_row"));
    }
    Ok(Verb::Fail(fail))
}

/// A wait, and by how much it may be longer or shorter.
fn wait(keys: &mut Keys<'_>, key: &'static str) -> Result<(u64, u64), String> {
    let ms = keys.needed(|keys| keys.whole(key, 0..=WAIT_MAX_MS))?;
    let jitter = keys.whole("jitter_ms", 0..=ms)?.unwrap_or(0);
    Ok((ms.unsigned_abs(), jitter.unsigned_abs()))
}

fn times(keys: &mut Keys<'_>) -> Result<u32, String> {
    Ok(keys.number("times", 1..=TIMES_MAX)?.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_order_is_refused_by_its_key() {
        for (order, words) in [
            (json!(7), "an order is 7; allowed: an object such as {"),
            (json!({}), "`verb` is missing; allowed: fail, poison"),
            (
                json!({"verb": "explode"}),
                "`verb` is \"explode\"; allowed: fail, poison",
            ),
            (
                json!({"verb": ["fail"]}),
                "`verb` is [\"fail\"]; allowed: fail",
            ),
            (
                json!({"verb": "poison"}),
                "poison: `id` is missing; allowed: a whole number from 1",
            ),
            (
                json!({"verb": "fail", "kind": "http418"}),
                "fail: `kind` is \"http418\"; allowed: http500",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "calls": "three"}),
                "fail: `calls` is \"three\"; allowed: a whole number from 1 to 4294967295",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "calls": 0}),
                "fail: `calls` is 0; allowed",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "calls": 1.5}),
                "fail: `calls` is 1.5; allowed",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "rate": 1.5}),
                "fail: `rate` is 1.5; allowed: a number above 0 and up to 1",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "rate": 0}),
                "fail: `rate` is 0; allowed",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "retry_after": 5}),
                "fail: `retry_after` is 5; allowed: only with an error of HTTP",
            ),
            (
                json!({"verb": "fail", "kind": "http500", "id": 5}),
                "fail: `id` is 5; allowed: only with a kind about rows",
            ),
            (
                json!({"verb": "fail", "kind": "reset", "cals": 5}),
                "fail: `cals` is no key of it; allowed: kind, calls, rate, retry_after, method, id",
            ),
            (
                json!({"verb": "hold", "on": true}),
                "hold: `on` is no key of it; allowed: none",
            ),
            (
                json!({"verb": "latency", "ms": 10, "jitter_ms": 11}),
                "latency: `jitter_ms` is 11; allowed: a whole number from 0 to 10",
            ),
            (
                json!({"verb": "maintenance", "on": "yes"}),
                "maintenance: `on` is \"yes\"; allowed: true, false",
            ),
            (
                json!({"verb": "release", "order": "upwards"}),
                "release: `order` is \"upwards\"; allowed: reserved, reversed, shuffled",
            ),
            (
                json!({"verb": "retire", "type": 5, "id": 1}),
                "retire: `type` is 5; allowed: a text",
            ),
            (
                json!({"verb": "work", "times": 1e30}),
                "work: `times` is 1e+30; allowed",
            ),
        ] {
            let refused = Verb::read(&order).unwrap_err();
            assert!(refused.starts_with(words), "{order}: {refused}");
        }
    }

    #[test]
    fn an_order_is_told_as_it_was_given() {
        for order in [
            json!({"verb": "fail", "kind": "http503", "calls": 3, "retry_after": 20}),
            json!({"verb": "fail", "kind": "huge_row", "rate": 0.5, "id": 7, "method": "read"}),
            json!({"verb": "poison", "id": 5}),
            json!({"verb": "latency", "ms": 200, "jitter_ms": 100}),
            json!({"verb": "maintenance", "on": true}),
            json!({"verb": "skew", "ms": -5}),
            json!({"verb": "lag", "rows": 4, "polls": 5}),
            json!({"verb": "late", "delay_ms": 5, "jitter_ms": 0, "rate": 0.25}),
            json!({"verb": "rollback", "rate": 0.05}),
            json!({"verb": "hold"}),
            json!({"verb": "revoke_key", "script": "a"}),
        ] {
            let verb = Verb::read(&order).unwrap();
            assert_eq!(verb.json(), order);
            assert!(!verb.words().is_empty());
        }
    }
}
