//! The state behind the server: store, scripts, trouble and chance, and the one way into it for calls, orders and artists.
//!
//! In: bodies of calls, orders, the time. Out: outcomes.
//! Never: a socket, a wait.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    auth::Auth,
    ctl::Verb,
    demo,
    fault::Fault,
    method::{Call, answer},
    schema::EVENT_LOG,
    store::{Commit, Store},
    trouble::{Answer, Armed, Outcome, Troubles},
};
use crate::{clock::Unix, secret::Secret};

/// What the site begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scenario {
    /// The scripts, one person and one project; no event.
    #[default]
    Empty,
    /// A small show with people, shots and tasks.
    Demo,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    /// What the site knows.
    pub(super) store: Store,
    /// What goes wrong.
    pub(super) troubles: Troubles,
    auth: Auth,
    chance: Rng,
    /// Calls that came, and those among them whose key was refused.
    calls: u64,
    refused: u64,
    /// Of the last call.
    method: String,
}

impl State {
    /// A site at its beginning.
    pub(super) fn new(
        scripts: Vec<(String, Secret)>,
        scenario: Scenario,
        seed: u64,
        now: Unix,
    ) -> Result<Self, Fault> {
        let mut store = Store::new();
        let mut chance = Rng::with_seed(seed);
        let names: Vec<&str> = scripts.iter().map(|(name, _)| name.as_str()).collect();
        demo::scripts(&mut store, &names, now)?;
        if scenario == Scenario::Demo {
            demo::show(&mut store, now)?;
        }
        Ok(Self {
            store,
            troubles: Troubles::default(),
            auth: Auth::new(scripts, &mut chance),
            chance,
            calls: 0,
            refused: 0,
            method: String::new(),
        })
    }

    /// What happens to a call.
    pub(super) fn call(&mut self, body: &[u8], now: Unix) -> Outcome {
        self.store.log.settle(now);
        self.calls += 1;
        let request: Value = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => {
                let fault = Fault::request(format!("API invalid JSON: {error}"));
                return Outcome::Answer(Answer::json(fault.body().to_string()));
            }
        };
        let method = request["method_name"].as_str().unwrap_or_default();
        method.clone_into(&mut self.method);
        if let Some(outcome) = self.troubles.instead(method) {
            return outcome;
        }
        let payload = &request["params"][1];
        let is_poll = method == "read" && payload["type"] == EVENT_LOG;
        let hidden = if is_poll {
            self.troubles.hidden_rows()
        } else {
            0
        };
        self.store.log.hide(hidden);
        let mut call = Call {
            store: &mut self.store,
            auth: &self.auth,
            credentials: &request["params"][0],
            payload,
            now,
        };
        let body = answer(&mut call, method).unwrap_or_else(|fault| {
            self.refused += u64::from(fault.is_about_credentials());
            fault.body().to_string()
        });
        self.store.log.hide(0);
        Outcome::Answer(self.troubles.spoil(method, payload, body))
    }

    /// The method of the last call.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Carries out an order; the answer says what there is now.
    pub(super) fn order(&mut self, verb: Verb, now: Unix) -> Result<Value, String> {
        self.store.log.settle(now);
        match verb {
            Verb::Fail {
                kind,
                calls,
                retry_after,
                method,
                id,
            } => self.troubles.arm(Armed {
                kind,
                calls,
                retry_after,
                method,
                id,
            }),
            Verb::Poison { id, field } => {
                self.troubles.poison.insert(id, field);
            }
            Verb::Latency { ms } => self.troubles.latency = Duration::from_millis(ms),
            Verb::Jump { by } => self.store.log.jump(by),
            Verb::Restore { to } => self.store.log.restore(to),
            Verb::Lag { rows, polls } => self.troubles.lag(rows, polls),
            Verb::RevokeKey { script } => self.revoke(script.as_deref(), true)?,
            Verb::RestoreKey { script } => self.revoke(script.as_deref(), false)?,
            Verb::Bulk { count } => self.store.bulk(count, now),
            Verb::Work { times, late_ms } => {
                let commit = late_ms.map_or(Commit::Now, |ms| Commit::At(Unix(now.0 + ms)));
                self.work(times, commit, now)?;
            }
            Verb::Abandon { times } => self.work(times, Commit::Never, now)?,
            Verb::Clear => self.troubles.clear(),
        }
        Ok(self.summary())
    }

    /// One artist does one thing, with the luck of the moment; returns how many event ids that took.
    pub(super) fn artist(&mut self, now: Unix) -> Result<i64, Fault> {
        self.store.log.settle(now);
        let commit = demo::commit(&mut self.chance, now);
        demo::work(&mut self.store, &mut self.chance, now, commit)
    }

    /// The truth: what is readable, in the order of becoming so.
    pub(super) fn truth(&mut self, now: Unix) -> Value {
        self.store.log.settle(now);
        let mut truth = self.summary();
        truth["ids"] = self.store.log.order().into();
        truth
    }

    fn revoke(&mut self, script: Option<&str>, is_revoked: bool) -> Result<(), String> {
        if self.auth.revoke(script, is_revoked) {
            return Ok(());
        }
        Err(format!(
            "no script is called \"{}\"",
            script.unwrap_or_default()
        ))
    }

    /// Artists' work that leaves rows: a change to the state that a task has already leaves none and is tried again.
    fn work(&mut self, times: u32, commit: Commit, now: Unix) -> Result<(), String> {
        if self.store.entities("Task").all(|task| task.is_retired) {
            return Err("there is no task to work on; start with --scenario demo".into());
        }
        let mut done = 0;
        while done < times {
            let ids = demo::work(&mut self.store, &mut self.chance, now, commit);
            done += u32::from(ids.map_err(|fault| fault.to_string())? > 0);
        }
        Ok(())
    }

    /// How much there is of everything.
    pub(super) fn summary(&self) -> Value {
        let log = &self.store.log;
        json!({
            "readable": log.order().len(),
            "waiting": log.waiting(),
            "next_id": log.next(),
            "calls": self.calls,
            "refused": self.refused,
            "troubles": self.troubles.count(),
        })
    }
}
