//! What an operator wants of a plugin: on, off, past an event that fails, once more with a dead letter.
//!
//! In: an operator's word. Out: what became of it, when it is on disk.
//! Never: a word of thanks before that.

use super::Task;
use crate::{
    clock::Now,
    dispatch::{Machine, machine::SKIPPED},
    ident::{EventId, Seq},
    journal::{Counts, CursorChange, JournalError, NewDead, Op, OpenEntry, When},
    plugin::{
        life::{Input, State},
        setup::{Enabled, Operation},
        told,
    },
};

/// What stands for an operator in the journal.
const OPERATOR: &str = "\"operator\"";

impl Task {
    /// Does it; the inner error is for the operator, and nothing has changed then.
    pub(super) async fn operate(
        &mut self,
        what: Operation,
    ) -> Result<Result<Enabled, String>, JournalError> {
        let done = match what {
            Operation::Disable => self.disable().await,
            Operation::Enable { skip_event } => self.enable(skip_event).await,
        };
        match done {
            Err(Trouble::Journal(error)) if !error.can_be_retried() => Err(error),
            Err(Trouble::Journal(error)) => Ok(Err(error.to_string())),
            Err(Trouble::Refused(words)) => Ok(Err(words)),
            Ok(enabled) => Ok(Ok(enabled)),
        }
    }

    async fn disable(&mut self) -> Result<Enabled, Trouble> {
        self.note_disabled(Some(OPERATOR)).await?;
        tracing::info!(plugin = %self.name, "disabled by an operator");
        self.step(Input::Disable);
        // Somebody knows.
        self.tell_recovered();
        Ok(self.enabled(None))
    }

    async fn enable(&mut self, skip_event: bool) -> Result<Enabled, Trouble> {
        let name = &self.name;
        if !self.setup.settings.enabled {
            let remedy = told::by_config(name);
            let line = format!("{name} is off by config: {remedy}");
            return Err(Trouble::Refused(line));
        }
        let rests = matches!(
            self.life.state(),
            State::Disabled { .. } | State::Backoff { .. }
        );
        let is_leaving = matches!(self.life.state(), State::Draining(_) | State::Stopping(_));
        if !rests && (skip_event || !is_leaving) {
            let words = format!("{name} is not disabled: sgeventd status says how it is");
            return Err(Trouble::Refused(words));
        }
        let skipped = if skip_event {
            Some(self.skip_event().await?)
        } else {
            None
        };
        self.note_disabled(None).await?;
        match skipped {
            Some(EventId(event_id)) => {
                tracing::info!(plugin = %self.name, event_id, "enabled by an operator, past this event");
            }
            None => tracing::info!(plugin = %self.name, "enabled by an operator"),
        }
        self.step(Input::Enable);
        Ok(self.enabled(skipped))
    }

    fn enabled(&self, skipped: Option<EventId>) -> Enabled {
        let oldest = self.machine.as_ref().and_then(Machine::oldest);
        Enabled {
            resumes_at: oldest.map(|event| event.facts.event_id),
            skipped,
            dead_letter: None,
        }
    }

    /// What outlives the daemon.
    async fn note_disabled(&mut self, reason: Option<&str>) -> Result<(), Trouble> {
        if self.record.disabled.as_deref() == reason {
            return Ok(());
        }
        let op = Op::SetDisabled {
            plugin: self.name.clone(),
            reason: reason.map(Into::into),
        };
        self.shared.journal.write(op).await?;
        self.record.disabled = reason.map(Into::into);
        Ok(())
    }

    /// The oldest open event becomes a dead letter.
    async fn skip_event(&mut self) -> Result<EventId, Trouble> {
        let now = self.shared.clock.now();
        let none = || Trouble::Refused("no event is open: there is nothing to skip".to_owned());
        if let Some(machine) = &mut self.machine {
            let skipped = machine.skip_oldest(now).ok_or_else(none)?;
            if let Err(error) = self.settle_all().await {
                // What it believes is not on disk: it is made anew from there.
                (self.machine, self.made_from) = (None, None);
                return Err(error.into());
            }
            return Ok(skipped);
        }
        // It was disabled when the daemon started: the journal alone knows what is open.
        let first = self.record.cursor.open.first().ok_or_else(none)?;
        let events = self.shared.journal.events(&[first.seq]).await?;
        let event_id = events
            .first()
            .map_or(EventId(0), |event| event.facts.event_id);
        let change = self.skipped(first.seq, now);
        self.counts.add(&change.counts);
        self.shared.journal.settle(change, When::Now).await?;
        let journal = &self.shared.journal;
        self.record = journal.register(&self.name, self.setup.start, None).await?;
        Ok(event_id)
    }

    fn skipped(&self, seq: Seq, now: Now) -> CursorChange {
        let mut open = self.record.cursor.open.iter();
        let entry = open.find(|entry| entry.seq == seq);
        let error = entry.and_then(|entry| entry.last_error.clone());
        CursorChange {
            plugin: self.name.clone(),
            position: self.record.cursor.position,
            put: Vec::new(),
            settled: Vec::new(),
            dead: vec![NewDead {
                seq,
                reason: SKIPPED.into(),
                error: error.unwrap_or_default(),
                attempts: entry.map_or(0, OpenEntry::tries),
                at: now.unix,
                version: None,
            }],
            replays: Vec::new(),
            counts: Counts {
                dead: 1,
                ..Counts::default()
            },
        }
    }

    /// The journal holds entries that the dispatcher does not know of.
    pub(super) async fn reopen(&mut self, seqs: &[Seq]) -> Result<(), JournalError> {
        let Some(machine) = &mut self.machine else {
            // It reads them with the rest when it starts.
            return Ok(());
        };
        let journal = &self.shared.journal;
        let record = journal.register(&self.name, self.setup.start, None).await?;
        let events = journal.events(seqs).await?;
        let now = self.shared.clock.now();
        for event in events {
            let entry = record.cursor.open.iter().find(|one| one.seq == event.seq);
            if let Some(entry) = entry.filter(|entry| !machine.is_open(entry.seq)) {
                machine.reopen(entry.clone(), event, now);
            }
        }
        Ok(())
    }
}

/// Why it cannot be done.
enum Trouble {
    /// In words, for the operator.
    Refused(String),
    /// The journal.
    Journal(JournalError),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
