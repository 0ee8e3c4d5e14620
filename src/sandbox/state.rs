//! The state behind the server: store, scripts, trouble and chance, and the one way into it for calls, orders and artists.
//!
//! In: bodies of calls, orders, the time. Out: outcomes.
//! Never: a socket, a wait.

use bytes::Bytes;
use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    artists,
    auth::Auth,
    body, demo, dump,
    fault::Fault,
    files::{self, Form},
    ground,
    method::{Call, answer},
    rest,
    schema::EVENT_LOG,
    store::{Actor, Store},
    studio,
    trouble::{Answer, Outcome, Troubles},
    webhook::{self, Hooks, Sending},
};
use crate::{clock::Unix, secret::Secret};

/// How much of what artists do changes nothing.
const LOOKS_PERCENT: u8 = 8;

/// What the site begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scenario {
    /// The scripts, one person and one project; no event.
    #[default]
    Empty,
    /// A small show with people, shots and tasks.
    Demo,
    /// A studio after months of work on three shows.
    Studio,
    /// A studio after years: a hundred thousand entities, a million events.
    Huge,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    /// What the site knows.
    pub(super) store: Store,
    /// What goes wrong.
    pub(super) troubles: Troubles,
    /// Who may call.
    pub(super) auth: Auth,
    /// Who hears of events.
    pub(super) hooks: Hooks,
    /// The luck of artists.
    pub(super) chance: Rng,
    /// Calls that came, and those among them whose key was refused.
    calls: u64,
    refused: u64,
    /// Of the last call.
    method: String,
}

impl State {
    /// A site of the builtin schema at its beginning.
    #[cfg(test)]
    pub(super) fn new(
        scripts: Vec<(String, Secret)>,
        scenario: Scenario,
        seed: u64,
        now: Unix,
    ) -> Result<Self, Fault> {
        Self::on(ground::Kind::Builtin, scripts, scenario, (seed, now))
    }

    /// A site at its beginning; one that was before goes on without a scenario.
    pub(super) fn on(
        ground: ground::Kind,
        scripts: Vec<(String, Secret)>,
        scenario: Scenario,
        (seed, now): (u64, Unix),
    ) -> Result<Self, Fault> {
        let names: Vec<&str> = scripts.iter().map(|(name, _)| name.as_str()).collect();
        let mut store = match ground {
            ground::Kind::Builtin => begun(Store::new(), &names, scenario, (seed, now))?,
            ground::Kind::Schema(schema) => {
                begun(Store::with(*schema), &names, scenario, (seed, now))?
            }
            ground::Kind::Site(store) => {
                let mut store = *store;
                demo::missing_scripts(&mut store, &names, now)?;
                store
            }
        };
        let mut chance = Rng::with_seed(seed);
        store.keys.seed(chance.u128(..));
        // Of its own, so that artists do the same whether files are there or not.
        let mut secrets = Rng::with_seed(!seed);
        store.files.sign_with(secrets.u128(..));
        store.keys.sign_with(secrets.u128(..));
        Ok(Self {
            store,
            hooks: Hooks::new(Rng::with_seed(secrets.u64(..))),
            troubles: Troubles::new(seed),
            auth: Auth::new(scripts, &mut chance),
            chance,
            calls: 0,
            refused: 0,
            method: String::new(),
        })
    }

    /// The site's clock, when that of the machine shows this; what is due by then is done.
    pub(super) fn time(&mut self, machine: Unix) -> Unix {
        let now = self.troubles.time(machine);
        self.store.log.settle(now);
        self.next_fate();
        now
    }

    /// Decides anew what becomes of the next write, when one came since the last time.
    pub(super) fn next_fate(&mut self) {
        if std::mem::take(&mut self.store.is_fated) {
            self.store.fate = self.troubles.fate();
        }
    }

    /// What everybody gets while the site is closed, whatever the address.
    pub(super) fn turn_away(&mut self, route: &str) -> Option<Answer> {
        let closed = self.troubles.closed()?;
        self.calls += 1;
        route.clone_into(&mut self.method);
        Some(closed)
    }

    /// What happens to a call.
    pub(super) fn call(&mut self, body: &[u8], now: Unix) -> Outcome {
        self.calls += 1;
        let refused = |fault: Fault| Outcome::Answer(Answer::json(fault.body().to_string()));
        let request = match body::read(body) {
            Ok(request) => request,
            Err(why) => return refused(Fault::request(format!("API invalid JSON: {why}"))),
        };
        let method = request["method_name"].as_str().unwrap_or_default();
        method.clone_into(&mut self.method);
        if let Some(outcome) = self.troubles.instead(method) {
            return outcome;
        }
        if let Err(fault) = look(&request) {
            return refused(fault);
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
        self.troubles.spoil(method, payload, body)
    }

    /// What happens to a request of REST.
    pub(super) fn rest(&mut self, request: &rest::Request<'_>, now: Unix) -> Outcome {
        self.calls += 1;
        self.method = request.name();
        if let Some(outcome) = self.troubles.instead(&self.method) {
            return rest::instead(outcome, self.calls);
        }
        let site = rest::Site {
            store: &mut self.store,
            auth: &self.auth,
            hooks: &mut self.hooks,
            troubles: &mut self.troubles,
            now,
            serial: self.calls,
        };
        let answer = rest::respond(site, request);
        self.refused += u64::from(answer.status == 401);
        self.troubles.sent(&self.method, answer)
    }

    /// The whole site as lines of JSON, in pieces.
    pub(super) fn dump(&self) -> Vec<Bytes> {
        dump::write(&self.store)
    }

    /// The site and its scripts, for a call that is not made by one of them.
    pub(super) fn parts(&mut self) -> (&mut Store, &Auth) {
        (&mut self.store, &self.auth)
    }

    /// What happens to a post of a form: lines of text.
    pub(super) fn upload(&mut self, route: &str, form: Result<Form, String>, now: Unix) -> Outcome {
        self.calls += 1;
        route.clone_into(&mut self.method);
        if let Some(outcome) = self.troubles.instead(route) {
            return outcome;
        }
        let form = form.map_err(|why| Fault::request(format!("API upload() {why}")));
        let done = form.and_then(|form| {
            let who = self.auth.actor(&self.store, &form.fields, now)?;
            files::upload(&mut self.store, &who, route, &form, now)
        });
        let body = done.unwrap_or_else(|fault| {
            self.refused += u64::from(fault.is_about_credentials());
            format!("0\n{fault}\n")
        });
        let answer = Answer {
            content_type: "text/plain; charset=utf-8",
            ..Answer::json(body)
        };
        self.troubles.sent(route, answer)
    }

    /// What may be sent to receivers of webhooks now, and when to look again.
    pub(super) fn deliveries(&mut self, now: Unix) -> (Vec<Sending>, Option<Unix>) {
        self.hooks.look(&self.store, now);
        let ready = self.hooks.ready(self.store.files.base(), now);
        let wake = self.hooks.wake(now).into_iter();
        (ready, wake.chain(self.store.log.due()).min())
    }

    /// What came of something that was sent.
    pub(super) fn delivered(&mut self, sending: &Sending, outcome: &webhook::Outcome, now: Unix) {
        self.hooks.done(sending, outcome, now);
    }

    /// Whose session a token is.
    pub(super) fn session(&self, token: &str, now: Unix) -> Option<Actor> {
        let auth = json!({"session_token": token});
        self.auth.actor(&self.store, &auth, now).ok()
    }

    /// The method of the last call.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// One artist does one thing, with the luck of the moment; returns how many event ids that took.
    pub(super) fn artist(&mut self, now: Unix) -> Result<i64, Fault> {
        let commit = artists::commit(&mut self.chance, now);
        let looks = self.chance.u8(0..100) < LOOKS_PERCENT;
        if !looks {
            return artists::work(&mut self.store, &mut self.chance, now, commit);
        }
        match artists::look(&self.store, &mut self.chance) {
            Some(deed) => artists::carry_out(&mut self.store, &mut self.chance, deed, now, commit),
            None => Ok(0),
        }
    }

    /// The truth: what is readable, in the order of becoming so.
    pub(super) fn truth(&self) -> Value {
        let mut truth = self.summary();
        truth["ids"] = self.store.log.order().into();
        truth
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
            "troubles": self.troubles.armed_now().len(),
        })
    }
}

/// What a scenario makes of an empty site.
fn begun(
    mut store: Store,
    scripts: &[&str],
    scenario: Scenario,
    (seed, now): (u64, Unix),
) -> Result<Store, Fault> {
    demo::scripts(&mut store, scripts, now)?;
    demo::defaults(&mut store, now)?;
    match scenario {
        Scenario::Empty => {}
        Scenario::Demo => demo::show(&mut store, now)?,
        Scenario::Studio => studio::build(&mut store, &studio::STUDIO, seed, now)?,
        Scenario::Huge => studio::build(&mut store, &studio::HUGE, seed, now)?,
    }
    Ok(store)
}

/// Whether a request has the shape of one.
fn look(request: &Value) -> Result<(), Fault> {
    let wrong = |what: &str| {
        let dump = super::value::ruby(request);
        Err(Fault::request(format!(
            "API invalid/missing {what}:\n{dump}"
        )))
    };
    if !request["method_name"].is_string() {
        return wrong("string 'method_name'");
    }
    if !matches!(request["params"], Value::Array(_) | Value::Null) {
        return wrong("array 'params'");
    }
    Ok(())
}
