//! Trouble on demand: all that was ordered, and what it does to a call and to its answer.
//!
//! In: orders (from `ctl`), a call's method, the right answer. Out: the wrong one, and what is to become of a write's rows.
//! Never: a change of the store; what happens by a share or within a span is decided by the seed.

mod answer;
mod kind;
mod rows;

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use serde_json::{Value, json};

pub(super) use self::answer::{Answer, Outcome};
pub use self::kind::Kind;
use super::{
    ctl::{Fail, Lag, Lasting, Late, Latency, Verb},
    schema::EVENT_LOG,
    store::Fate,
};
use crate::clock::Unix;

/// An order with a chance of its own: what it does depends on no other.
#[derive(Debug)]
struct Armed<T> {
    order: T,
    chance: Rng,
}

impl<T> Armed<T> {
    /// True for a share; none: always.
    fn strikes(&mut self, rate: Option<f64>) -> bool {
        rate.is_none_or(|rate| self.chance.f64() < rate)
    }

    /// A number of milliseconds, so much more or less.
    fn about(&mut self, ms: u64, jitter_ms: u64) -> u64 {
        match jitter_ms {
            0 => ms,
            jitter => self
                .chance
                .u64(ms.saturating_sub(jitter)..=ms.saturating_add(jitter)),
        }
    }
}

/// All that is ordered.
#[derive(Debug)]
pub(super) struct Troubles {
    seed: u64,
    /// Orders that came.
    orders: u64,
    fails: Vec<Armed<Fail>>,
    /// Rows that make every page fail which has them, when a field is asked for; without one, unless only ids are.
    poison: BTreeMap<i64, Option<String>>,
    latency: Option<Armed<Latency>>,
    /// With when to come again, in seconds.
    maintenance: Option<Option<u32>>,
    skew_ms: i64,
    lag: Option<Armed<Lag>>,
    late: Option<Armed<Late>>,
    rollback: Option<Armed<f64>>,
    holds: bool,
}

impl Troubles {
    /// Nothing is ordered.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            orders: 0,
            fails: Vec::new(),
            poison: BTreeMap::new(),
            latency: None,
            maintenance: None,
            skew_ms: 0,
            lag: None,
            late: None,
            rollback: None,
            holds: false,
        }
    }

    /// Orders trouble that lasts; other orders change nothing.
    pub(super) fn arm(&mut self, verb: &Verb) {
        self.orders += 1;
        match verb {
            Verb::Fail(fail) => {
                let armed = self.armed(fail.clone());
                self.fails.push(armed);
            }
            Verb::Poison { id, field } => {
                self.poison.insert(*id, field.clone());
            }
            Verb::Latency(latency) => {
                let armed = self.armed(latency.clone());
                self.latency = (latency.ms > 0).then_some(armed);
            }
            Verb::Maintenance { on, retry_after } => self.maintenance = on.then_some(*retry_after),
            Verb::Skew { ms } => self.skew_ms = *ms,
            Verb::Lag(lag) => self.lag = Some(self.armed(lag.clone())),
            Verb::Late(late) => self.late = Some(self.armed(late.clone())),
            Verb::Rollback { rate } => self.rollback = Some(self.armed(*rate)),
            Verb::Hold => self.holds = true,
            Verb::Release { .. } => self.holds = false,
            _ => {}
        }
    }

    /// What decides.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    fn armed<T>(&self, order: T) -> Armed<T> {
        // The same seed and the same orders give the same chances.
        let seed = self.seed.rotate_left(17) ^ self.orders.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Armed {
            order,
            chance: Rng::with_seed(seed),
        }
    }

    /// Everything works again, or one thing of it.
    pub(super) fn clear(&mut self, only: Option<Lasting>) {
        let Some(only) = only else {
            *self = Self {
                orders: self.orders,
                ..Self::new(self.seed)
            };
            return;
        };
        match only {
            Lasting::Fail => self.fails.clear(),
            Lasting::Poison => self.poison.clear(),
            Lasting::Latency => self.latency = None,
            Lasting::Maintenance => self.maintenance = None,
            Lasting::Skew => self.skew_ms = 0,
            Lasting::Lag => self.lag = None,
            Lasting::Late => self.late = None,
            Lasting::Rollback => self.rollback = None,
            Lasting::Hold => self.holds = false,
        }
    }

    /// The orders that last, as they would be given now.
    pub(super) fn armed_now(&self) -> Vec<Verb> {
        let fails = self
            .fails
            .iter()
            .map(|armed| Verb::Fail(armed.order.clone()));
        let poison = self.poison.iter().map(|(id, field)| Verb::Poison {
            id: *id,
            field: field.clone(),
        });
        let latency = self.latency.iter();
        let latency = latency.map(|armed| Verb::Latency(armed.order.clone()));
        let maintenance = self
            .maintenance
            .iter()
            .map(|retry_after| Verb::Maintenance {
                on: true,
                retry_after: *retry_after,
            });
        let skew = (self.skew_ms != 0).then_some(Verb::Skew { ms: self.skew_ms });
        let lag = self.lag.iter().map(|armed| Verb::Lag(armed.order.clone()));
        let late = self
            .late
            .iter()
            .map(|armed| Verb::Late(armed.order.clone()));
        let rollback = self.rollback.iter();
        let rollback = rollback.map(|armed| Verb::Rollback { rate: armed.order });
        let hold = self.holds.then_some(Verb::Hold);
        fails
            .chain(poison)
            .chain(latency)
            .chain(maintenance)
            .chain(skew)
            .chain(lag)
            .chain(late)
            .chain(rollback)
            .chain(hold)
            .collect()
    }

    /// The site's clock, when that of the machine shows this.
    pub(super) fn time(&self, machine: Unix) -> Unix {
        machine.moved(self.skew_ms)
    }

    /// How far the site's clock is off.
    pub(super) fn skew_ms(&self) -> i64 {
        self.skew_ms
    }

    /// How much longer the next answer takes.
    pub(super) fn delay(&mut self) -> Duration {
        let delay = self.latency.as_mut().map_or(0, |armed| {
            let Latency { ms, jitter_ms } = armed.order;
            armed.about(ms, jitter_ms)
        });
        Duration::from_millis(delay)
    }

    /// The page that everybody gets.
    pub(super) fn closed(&self) -> Option<Answer> {
        let retry_after = self.maintenance?;
        Some(Answer::page(
            503,
            retry_after,
            "Down for maintenance",
            "The site is down for maintenance. Please come back soon.",
        ))
    }

    /// What becomes of the rows of the next write.
    pub(super) fn fate(&mut self) -> Fate {
        if let Some(armed) = &mut self.rollback {
            let rate = armed.order;
            if armed.strikes(Some(rate)) {
                return Fate::RolledBack;
            }
        }
        if self.holds {
            return Fate::Held;
        }
        if let Some(armed) = &mut self.late {
            let Late {
                delay_ms,
                jitter_ms,
                rate,
            } = armed.order;
            if armed.strikes(Some(rate)) {
                return Fate::Late(armed.about(delay_ms, jitter_ms));
            }
        }
        Fate::Committed
    }

    /// How many of the newest rows a poll of the log does not see.
    pub(super) fn hidden_rows(&mut self) -> usize {
        let Some(armed) = &mut self.lag else {
            return 0;
        };
        let (rows, rate) = (armed.order.rows, armed.order.rate);
        if !armed.strikes(rate) {
            return 0;
        }
        if let Some(polls) = &mut armed.order.polls {
            *polls -= 1;
            if *polls == 0 {
                self.lag = None;
            }
        }
        rows
    }

    /// What happens instead of the call, if anything.
    pub(super) fn instead(&mut self, method: &str) -> Option<Outcome> {
        let fail = self.take(method, |fail| !fail.kind.is_after_the_call())?;
        Some(match fail.kind {
            Kind::Reset => Outcome::Reset,
            Kind::Closed => Outcome::Closed,
            Kind::Hang => Outcome::Hang,
            Kind::Empty => Outcome::Answer(Answer::json(String::new())),
            Kind::Fault => {
                let body = json!({"exception": true, "error_code": 104, "message": "API trouble on demand"});
                Outcome::Answer(Answer::json(body.to_string()))
            }
            kind if kind.is_status() || kind == Kind::Html => {
                let status = kind.status();
                let title = status.to_string();
                let page = Answer::page(status, fail.retry_after, &title, "trouble on demand");
                Outcome::Answer(page)
            }
            kind => Outcome::Raw(kind),
        })
    }

    /// What becomes of the right answer.
    pub(super) fn spoil(&mut self, method: &str, payload: &Value, body: String) -> Outcome {
        let mut body = body;
        if method == "read" && payload["type"] == EVENT_LOG {
            let Some(spoilt) = self.spoil_log(payload, body) else {
                let page = Answer::page(500, None, "500", "trouble on demand");
                return Outcome::Answer(page);
            };
            body = spoilt;
        }
        self.sent(method, Answer::json(body))
    }

    /// What becomes of a page of the log; nothing when a row on it makes it fail.
    pub(super) fn spoil_log(&mut self, payload: &Value, body: String) -> Option<String> {
        if self.is_poisoned(payload, &body) {
            return None;
        }
        Some(self.spoil_rows(body))
    }

    /// What is sent of an answer.
    pub(super) fn sent(&mut self, method: &str, mut answer: Answer) -> Outcome {
        let after = |fail: &Fail| fail.kind.is_after_the_call() && !fail.kind.is_about_rows();
        match self.take(method, after).map(|fail| fail.kind) {
            Some(Kind::Lost) => return Outcome::Closed,
            Some(_) => {
                let half = answer.body.floor_char_boundary(answer.body.len() / 2);
                answer.body.truncate(half);
            }
            None => {}
        }
        Outcome::Answer(answer)
    }

    fn is_poisoned(&self, payload: &Value, body: &str) -> bool {
        let fields = &payload["return_fields"];
        if self.poison.is_empty() || *fields == json!(["id"]) {
            return false;
        }
        let is_asked = |field: &Option<String>| {
            let asked = |name: &String| {
                fields
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == name))
            };
            field.as_ref().is_none_or(asked)
        };
        let mut body: Value = serde_json::from_str(body).unwrap_or_default();
        rows::rows(&mut body).is_some_and(|rows| {
            let mut ids = rows.iter().filter_map(|row| row["id"].as_i64());
            ids.any(|id| self.poison.get(&id).is_some_and(is_asked))
        })
    }

    fn spoil_rows(&mut self, body: String) -> String {
        if !self
            .fails
            .iter()
            .any(|armed| armed.order.kind.is_about_rows())
        {
            return body;
        }
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(rows) = rows::rows(&mut answer) else {
            return body;
        };
        let fits =
            |fail: &Fail| fail.kind.is_about_rows() && fail.id.is_none_or(|id| rows::has(rows, id));
        let Some(fail) = self.take("read", fits) else {
            return body;
        };
        rows::spoil(fail.kind, fail.id, rows);
        match fail.kind {
            Kind::OddRow => serde_json::to_string_pretty(&answer).unwrap_or(body),
            _ => answer.to_string(),
        }
    }

    /// The first order that fits a call and strikes; it is used up by one.
    fn take(&mut self, method: &str, fits: impl Fn(&Fail) -> bool) -> Option<Fail> {
        let index = self.fails.iter_mut().position(|armed| {
            let named = armed.order.method.as_deref();
            let is_meant = named.is_none_or(|name| is_named(name, method)) && fits(&armed.order);
            is_meant && armed.strikes(armed.order.rate)
        })?;
        let armed = &mut self.fails[index];
        let taken = armed.order.clone();
        if let Some(calls) = &mut armed.order.calls {
            *calls -= 1;
            if *calls == 0 {
                self.fails.remove(index);
            }
        }
        Some(taken)
    }
}

/// Whether an order is for a call. Calls of REST are `GET /api/v1/entity/shots`, all of them `rest`.
fn is_named(order: &str, method: &str) -> bool {
    order == method || (order == "rest" && method.contains(" /api"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(troubles: &mut Troubles, order: &Value) {
        troubles.arm(&Verb::read(order).unwrap());
    }

    /// Whether a call fails, how long it takes, what becomes of a write, what a poll does not see.
    type Doings = (bool, Duration, Fate, usize);

    /// What a site with a seed does to a number of calls and writes.
    fn doings(seed: u64) -> Vec<Doings> {
        let mut troubles = Troubles::new(seed);
        for one in [
            json!({"verb": "fail", "kind": "http502", "rate": 0.3}),
            json!({"verb": "latency", "ms": 200, "jitter_ms": 100}),
            json!({"verb": "rollback", "rate": 0.2}),
            json!({"verb": "late", "delay_ms": 1000, "jitter_ms": 900, "rate": 0.5}),
            json!({"verb": "lag", "rows": 3, "rate": 0.5}),
        ] {
            order(&mut troubles, &one);
        }
        let each = |_| {
            (
                troubles.instead("read").is_some(),
                troubles.delay(),
                troubles.fate(),
                troubles.hidden_rows(),
            )
        };
        (0..1000).map(each).collect()
    }

    #[test]
    fn a_seed_decides_all_and_each_share_is_kept() {
        let first = doings(1);
        assert_eq!(first, doings(1));
        assert_ne!(first, doings(2));
        let count =
            |wanted: &dyn Fn(&Doings) -> bool| first.iter().filter(|one| wanted(one)).count();
        assert!((250..350).contains(&count(&|one| one.0)));
        assert!((150..250).contains(&count(&|one| one.2 == Fate::RolledBack)));
        let late = count(&|one| matches!(one.2, Fate::Late(100..=1900)));
        assert!((330..470).contains(&late), "half of the rest: {late}");
        assert!((430..570).contains(&count(&|one| one.3 == 3)));
        let delays = first.iter().map(|one| one.1.as_millis());
        assert!(delays.clone().all(|ms| (100..=300).contains(&ms)));
        assert!(delays.clone().max() > Some(280) && delays.min() < Some(120));
    }

    #[test]
    fn what_is_used_up_is_gone_and_one_thing_can_be_cleared() {
        let mut troubles = Troubles::new(1);
        order(
            &mut troubles,
            &json!({"verb": "fail", "kind": "http500", "calls": 2, "method": "read"}),
        );
        order(
            &mut troubles,
            &json!({"verb": "lag", "rows": 1, "polls": 2}),
        );
        order(&mut troubles, &json!({"verb": "maintenance"}));
        order(&mut troubles, &json!({"verb": "skew", "ms": -5}));
        assert_eq!(troubles.armed_now().len(), 4);
        assert!(troubles.instead("info").is_none());
        for left in [1, 0] {
            assert!(troubles.instead("read").is_some());
            let armed = troubles.armed_now();
            let calls = armed.iter().find_map(|verb| match verb {
                Verb::Fail(fail) => fail.calls,
                _ => None,
            });
            assert_eq!(calls.unwrap_or(0), left);
            assert_eq!(troubles.hidden_rows(), 1);
        }
        assert!(troubles.instead("read").is_none());
        assert_eq!(troubles.hidden_rows(), 0);
        assert_eq!(troubles.time(Unix(7)), Unix(2));
        troubles.clear(Some(Lasting::Skew));
        assert_eq!(troubles.time(Unix(7)), Unix(7));
        assert!(troubles.closed().is_some());
        troubles.clear(None);
        assert!(troubles.armed_now().is_empty() && troubles.closed().is_none());
    }
}
