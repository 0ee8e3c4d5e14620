//! Webhooks: who wants to hear of which events, what was sent to whom, and what came of it.
//!
//! In: events that became readable, answers of receivers, the time. Out: requests to send; records of deliveries.
//! Never: a socket, a clock; the task sends what it is given here, outside the store. Order and exactly once are not promised.

mod delivery;
mod event;
mod hook;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use serde_json::{Value, json};

pub(super) use self::{
    delivery::{Delivery, Outcome, Sending, as_seconds},
    hook::{Draft, Hook, Subscription, Token},
    task::deliver,
};
use super::{schema::EVENT_LOG, store::Store, value::seconds};
use crate::clock::Unix;

/// Events in one request of a hook that wants them together.
const BATCH_MAX: usize = 50;
/// How long deliveries are remembered.
const KEPT_MS: i64 = 7 * 86_400_000;
/// More than any test looks at; the oldest are forgotten.
const KEPT_MAX: usize = 10_000;
/// Over which receivers' time is summed up.
const MINUTE_MS: i64 = 60_000;

/// What receivers may take; orders change it, so that a test need not wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For an answer about one event.
    pub(super) timeout_ms: i64,
    /// In 24 hours, until nothing more is sent.
    pub(super) failures: usize,
    /// Of all receivers together, in each minute.
    pub(super) budget_ms: i64,
    /// False on a site whose events reach no hook, as there is one; all else about hooks works there.
    pub(super) has_events: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms: 6_000,
            failures: 100,
            budget_ms: MINUTE_MS,
            has_events: true,
        }
    }
}

/// All hooks of the site.
#[derive(Debug)]
pub(super) struct Hooks {
    /// What receivers may take.
    pub(super) limits: Limits,
    hooks: BTreeMap<String, Hook>,
    deliveries: BTreeMap<u64, Delivery>,
    /// Events of the log, in the order of becoming readable, that were looked at.
    seen: usize,
    /// When receivers took how long.
    spent: VecDeque<(Unix, i64)>,
    begun: u64,
    chance: Rng,
}

impl Hooks {
    /// No hook yet.
    pub(super) fn new(chance: Rng) -> Self {
        Self {
            limits: Limits::default(),
            hooks: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            seen: 0,
            spent: VecDeque::new(),
            begun: 0,
            chance,
        }
    }

    /// Makes a hook; returns its id. It hears of what happens from now on.
    pub(super) fn create(&mut self, store: &Store, draft: Draft, now: Unix) -> String {
        self.look(store, now);
        let id = self.uuid();
        self.hooks.insert(id.clone(), Hook::new(id.clone(), draft));
        id
    }

    /// A hook.
    pub(super) fn get(&self, id: &str) -> Option<&Hook> {
        self.hooks.get(id)
    }

    /// All hooks.
    pub(super) fn all(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.values()
    }

    /// Changes a hook; one whose state was changed is told so.
    pub(super) fn change(&mut self, id: &str, draft: Draft, now: Unix) {
        let Some(hook) = self.hooks.get_mut(id) else {
            return;
        };
        let was = hook.status(now);
        hook.change(draft);
        let is = hook.status(now);
        if hook.is_silent() {
            self.forget_waiting(id);
        }
        if was != is {
            let item = json!({
                "id": "0", "event_type": "Webhook_Status_Change", "event_log_entry_id": 0,
                "webhook_status": is, "previous_webhook_status": was,
                "meta": {
                    "type": "webhook_status_change", "source": "client", "old_value": was, "new_value": is,
                },
            });
            self.push(id, item, now);
        }
    }

    /// Takes a hook away with all that is known of its deliveries.
    pub(super) fn delete(&mut self, id: &str) -> bool {
        self.deliveries.retain(|_, delivery| delivery.hook != id);
        self.hooks.remove(id).is_some()
    }

    /// Sends something made up, if there is such a hook.
    pub(super) fn test(&mut self, id: &str, now: Unix) {
        let item = json!({
            "id": "0", "event_type": "Webhook_Test_Connection", "event_log_entry_id": 0,
            "meta": {"type": "webhook_test_connection", "source": "client"},
        });
        self.push(id, item, now);
    }

    /// What was sent to a hook, newest first.
    pub(super) fn of_hook<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Delivery> {
        let all = self.deliveries.values().rev();
        all.filter(move |delivery| delivery.hook == id)
    }

    /// A delivery.
    pub(super) fn delivery(&self, id: &str) -> Option<&Delivery> {
        self.deliveries.values().find(|delivery| delivery.id == id)
    }

    /// The receiver says later what became of a delivery.
    pub(super) fn acknowledge(&mut self, id: &str, text: Option<String>) {
        let mut all = self.deliveries.values_mut();
        if let Some(delivery) = all.find(|delivery| delivery.id == id) {
            delivery.acknowledgement = text;
        }
    }

    /// Sends a delivery once more, under the same id.
    pub(super) fn redeliver(&mut self, id: &str) {
        let found = self.deliveries.iter_mut().find(|(_, one)| one.id == id);
        if let Some((number, delivery)) = found {
            delivery.is_waiting = true;
            let hook = self.hooks.get_mut(&delivery.hook);
            if let Some(hook) = hook.filter(|hook| !hook.waiting.contains(number)) {
                hook.waiting.push_back(*number);
            }
        }
    }

    /// Looks at the events that became readable since the last look.
    pub(super) fn look(&mut self, store: &Store, now: Unix) {
        let order = store.log.order();
        // A log that was restored is shorter than it was.
        let new = order.get(self.seen..).unwrap_or_default();
        self.seen = order.len();
        // A site begins with a million events that nobody waits for.
        let is_told = self.limits.has_events && !self.hooks.is_empty();
        let new = new.iter().filter(|_| is_told);
        for row in new.filter_map(|id| store.log.get(*id)) {
            let wants: Vec<String> = self
                .hooks
                .values()
                .filter(|hook| !hook.is_silent() && event::is_wanted(store, hook, row))
                .map(|hook| hook.id.clone())
                .collect();
            for hook in wants {
                self.push(&hook, event::item(row), now);
            }
        }
        self.forget_old(now);
    }

    fn push(&mut self, hook: &str, mut item: Value, now: Unix) {
        if !self.hooks.contains_key(hook) {
            return;
        }
        self.begun += 1;
        let (number, id) = (self.begun, self.uuid());
        item["delivery_id"] = id.as_str().into();
        let delivery = Delivery::new(id, hook.to_owned(), event::within_limit(item), now);
        self.deliveries.insert(number, delivery);
        if let Some(hook) = self.hooks.get_mut(hook) {
            hook.waiting.push_back(number);
        }
    }

    /// What may be sent now, one request for each hook that waits for no answer.
    pub(super) fn ready(&mut self, site: &str, now: Unix) -> Vec<Sending> {
        if self.wake(now).is_some() {
            return Vec::new();
        }
        let ids: Vec<String> = self
            .hooks
            .values()
            .filter(|hook| !hook.is_busy && !hook.waiting.is_empty())
            .map(|hook| hook.id.clone())
            .collect();
        let sendings = ids
            .into_iter()
            .filter_map(|id| self.sending(&id, site, now));
        sendings.collect()
    }

    fn sending(&mut self, id: &str, site: &str, now: Unix) -> Option<Sending> {
        let batch: String = (0..52).map(|_| self.chance.digit(10)).collect();
        let timeout_ms = self.limits.timeout_ms;
        let hook = self.hooks.get_mut(id)?;
        let most = if hook.is_batched { BATCH_MAX } else { 1 };
        let count = hook.waiting.len().min(most);
        let numbers: Vec<u64> = hook.waiting.drain(..count).collect();
        let items: Vec<&Value> = numbers
            .iter()
            .filter_map(|number| self.deliveries.get(number).map(|delivery| &delivery.item))
            .collect();
        let first = items.first()?["delivery_id"].as_str()?.to_owned();
        let body = event::body(&items, hook.is_batched, now);
        hook.is_busy = true;
        let mut sending = Sending::new(hook, &first, numbers, &body, timeout_ms);
        sending.headers.push(("x-sg-event-batch-id", batch));
        sending
            .headers
            .push(("x-sg-webhook-site-url", format!("{site}/")));
        for number in &sending.numbers {
            if let Some(delivery) = self.deliveries.get_mut(number) {
                delivery.begin(&sending, now);
            }
        }
        Some(sending)
    }

    /// What came of a request.
    pub(super) fn done(&mut self, sending: &Sending, outcome: &Outcome, now: Unix) {
        self.spent.push_back((now, outcome.took_ms));
        for number in &sending.numbers {
            if let Some(delivery) = self.deliveries.get_mut(number) {
                delivery.end(outcome);
            }
        }
        let Some(hook) = self.hooks.get_mut(&sending.hook) else {
            return;
        };
        hook.is_busy = false;
        hook.num_deliveries += sending.numbers.len();
        let times = sending.numbers.len();
        if !outcome.is_success() && hook.failed(times, self.limits.failures, now) {
            self.forget_waiting(&sending.hook);
        }
    }

    /// When something may be sent again, if receivers took too long.
    pub(super) fn wake(&mut self, now: Unix) -> Option<Unix> {
        while let Some((at, _)) = self.spent.front()
            && at.0 + MINUTE_MS <= now.0
        {
            self.spent.pop_front();
        }
        let took: i64 = self.spent.iter().map(|(_, took)| took).sum();
        let (first, _) = self.spent.front()?;
        (took >= self.limits.budget_ms).then_some(Unix(first.0 + MINUTE_MS))
    }

    fn forget_waiting(&mut self, hook: &str) {
        if let Some(hook) = self.hooks.get_mut(hook) {
            for number in hook.waiting.drain(..) {
                self.deliveries.remove(&number);
            }
        }
    }

    fn forget_old(&mut self, now: Unix) {
        let is_waiting = |delivery: &Delivery| delivery.is_waiting;
        while let Some(first) = self.deliveries.first_entry()
            && !is_waiting(first.get())
            && (first.get().at.0 + KEPT_MS <= now.0 || self.begun - first.key() >= KEPT_MAX as u64)
        {
            first.remove();
        }
    }

    fn uuid(&mut self) -> String {
        // Version 4, the first variant.
        let bits =
            self.chance.u128(..) & !(0xF000 << 64 | 0xC000 << 48) | (0x4000 << 64 | 0x8000 << 48);
        let text = format!("{bits:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| text[part].to_owned());
        parts.join("-")
    }
}

/// Whether a part of an address can be an id at all.
pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(is_hex)
}
