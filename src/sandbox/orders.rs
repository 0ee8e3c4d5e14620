//! What orders do: to what goes wrong, to the log, to keys and by the hands of artists.
//!
//! In: a well formed order, the site's time. Out: what there is now and what was done, or why it cannot be.
//! Never: what an order looks like; that is `ctl`'s.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    artists,
    ctl::{Lasting, Turn, Verb},
    state::State,
    store::{Actor, Commit},
    webhook::Limits,
};
use crate::clock::Unix;

/// How often nothing comes of artists' work before it is said that there is none.
const IDLE_MAX: u32 = 100;

impl State {
    /// Carries out an order; the answer says what was done and what there is now.
    pub(super) fn order(&mut self, verb: &Verb, now: Unix) -> Result<Value, String> {
        match verb {
            Verb::Jump { by } => self.store.log.jump(*by),
            Verb::Restore { .. } | Verb::Purge { .. } => {
                // Who hears of events has heard of those that are forgotten.
                self.hooks.look(&self.store, now);
                self.forget(verb)?;
                self.hooks.look(&self.store, now);
            }
            Verb::Retire { kind, id } => self.retire(kind, *id, now)?,
            Verb::RevokeKey { script } => self.revoke(script.as_deref(), true)?,
            Verb::RestoreKey { script } => self.revoke(script.as_deref(), false)?,
            Verb::ExpireSessions => self.expire_sessions(),
            Verb::SecondFactor { login, code } => {
                self.store.keys.ask_second(login, code.clone());
            }
            Verb::Webhooks {
                timeout_ms,
                failures,
                budget_ms,
                events,
            } => {
                let limits = &mut self.hooks.limits;
                limits.timeout_ms = timeout_ms.unwrap_or(limits.timeout_ms);
                limits.failures = failures.unwrap_or(limits.failures);
                limits.budget_ms = budget_ms.unwrap_or(limits.budget_ms);
                limits.has_events = events.unwrap_or(limits.has_events);
            }
            Verb::Processing { ms } => self.store.files.processing_ms = *ms,
            Verb::Bulk { count } => self.store.bulk(*count, now),
            Verb::Work { times, late_ms } => {
                let late = late_ms.map(|ms| Commit::At(Unix(now.0 + ms)));
                self.work(*times, late.unwrap_or(Commit::Now), now)?;
            }
            Verb::Abandon { times } => self.work(*times, Commit::Never, now)?,
            lasting => self.misbehave(lasting),
        }
        let mut answer = self.summary();
        answer["done"] = verb.words().into();
        Ok(answer)
    }

    /// All that was ordered and lasts, as it would be ordered now and in words.
    pub(super) fn armed(&self) -> Value {
        let mut verbs = self.troubles.armed_now();
        let revoked = self.auth.revoked().map(|script| Verb::RevokeKey {
            script: Some(script.to_owned()),
        });
        verbs.extend(revoked);
        let ms = self.store.files.processing_ms;
        verbs.extend((ms > 0).then_some(Verb::Processing { ms }));
        let armed = verbs.iter();
        let armed: Value = armed
            .map(|verb| json!({"order": verb.json(), "words": verb.words()}))
            .collect();
        let mut answer = self.summary();
        answer["armed"] = armed;
        answer
    }

    /// What lasts until it is used up or over.
    fn misbehave(&mut self, verb: &Verb) {
        let skew_ms = self.troubles.skew_ms();
        match verb {
            Verb::Clear { only: None } => {
                self.troubles.clear(None);
                self.hooks.limits = Limits::default();
            }
            Verb::Clear { only } => self.troubles.clear(*only),
            verb => self.troubles.arm(verb),
        }
        // What is late stays so late, whatever the clock shows.
        self.store
            .log
            .clock_moved(self.troubles.skew_ms() - skew_ms);
        match verb {
            Verb::Release { order } => self.release(*order),
            Verb::Clear {
                only: None | Some(Lasting::Hold),
            } => self.release(Turn::Reserved),
            _ => {}
        }
        self.store.fate = self.troubles.fate();
    }

    /// Commits what is held.
    fn release(&mut self, order: Turn) {
        let mut held = self.store.log.take_held();
        match order {
            Turn::Reserved => {}
            Turn::Reversed => held.reverse(),
            Turn::Shuffled => {
                let first = held.iter().flatten().next().map_or(0, |row| row.id);
                // By the seed and by what is held: the artists' chance is their own.
                let seed = self.troubles.seed() ^ first.unsigned_abs();
                Rng::with_seed(seed).shuffle(&mut held);
            }
        }
        for row in held.into_iter().flatten() {
            self.store.log.publish(row);
        }
    }

    /// A part of the log is gone.
    fn forget(&mut self, verb: &Verb) -> Result<(), String> {
        let log = &mut self.store.log;
        let next = log.next();
        match verb {
            Verb::Restore { to } if *to >= next => {
                let last = next - 1;
                return Err(format!(
                    "restore: `to` is {to}; allowed: 0 to {last}, for the next event gets id {next}"
                ));
            }
            Verb::Purge { before } if *before > next => {
                return Err(format!(
                    "purge: `before` is {before}; allowed: 1 to {next}, the id of the next event"
                ));
            }
            Verb::Restore { to } => log.restore(*to),
            Verb::Purge { before } => log.purge(*before),
            _ => {}
        }
        Ok(())
    }

    fn retire(&mut self, kind: &str, id: i64, now: Unix) -> Result<(), String> {
        let who = Actor::human(1);
        let retired = self
            .store
            .transact(&who, now, Commit::Now, |work| work.delete(kind, id));
        match retired {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("retire: {kind} {id} is in the trash already")),
            Err(fault) => Err(format!("retire: {fault}")),
        }
    }

    fn revoke(&mut self, script: Option<&str>, is_revoked: bool) -> Result<(), String> {
        if self.auth.revoke(script, is_revoked) {
            return Ok(());
        }
        Err(format!(
            "no script is called \"{}\"; allowed: {}",
            script.unwrap_or_default(),
            self.auth.names().collect::<Vec<&str>>().join(", ")
        ))
    }

    fn expire_sessions(&mut self) {
        self.store.keys.expire();
        // Tokens of REST are signed, and kept nowhere.
        self.store.keys.sign_with(self.chance.u128(..));
        self.auth.expire(&mut self.chance);
    }

    /// Artists' work that leaves rows: what changes nothing leaves none and is tried again.
    fn work(&mut self, times: u32, commit: Commit, now: Unix) -> Result<(), String> {
        let mut idle = 0;
        let mut done = 0;
        while done < times {
            let before = self.store.log.next();
            let worked = artists::work(&mut self.store, &mut self.chance, now, commit);
            self.next_fate();
            // Work that was rolled back, as it was ordered, has taken its ids.
            let has_ids = self.store.log.next() > before;
            match worked {
                Err(fault) if !has_ids => return Err(fault.to_string()),
                _ if has_ids => (done, idle) = (done + 1, 0),
                _ if idle < IDLE_MAX => idle += 1,
                _ => {
                    return Err("there is no task to work on; start with --scenario demo".into());
                }
            }
        }
        Ok(())
    }
}
