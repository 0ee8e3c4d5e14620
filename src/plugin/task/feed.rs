//! From the journal to the plugin and back: rows, bodies, deliveries, settlements, cursor changes.

use std::{sync::Arc, time::Duration};

use sgeventd_protocol::{message, write};

use super::{Bodies, Read, Task};
use crate::{
    clock::{Mono, Now, millis},
    dispatch::{Delivery, Disposition, Machine, Refusal},
    event::{Body, one_line},
    ident::Seq,
    journal::{Answer, JournalError},
    plugin::{
        life::{Cause, Input, State},
        run::{Asked, Open, Run},
    },
    services::OpenEvent,
};

/// What an event message needs besides its body.
const HEAD_BYTES: usize = 8 * 1024;
/// A row is written again this soon when the journal's queue was full.
const FULL_QUEUE: Duration = Duration::from_millis(20);
/// A row that the site did not answer for is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// A timer that fires later than this is the machine's fault, not the plugin's.
const LATE: Duration = Duration::from_secs(5);

impl Task {
    /// Hands out what may go, and reads what is needed next.
    pub(super) fn feed(&mut self, now: Now) {
        if *self.life.state() == (State::Starting) || !self.takes_events(now) {
            return self.read();
        }
        self.raise_ceiling();
        while let Some(delivery) = self.machine.as_mut().and_then(|m| m.poll_delivery(now)) {
            self.deliver(delivery, now);
        }
        let refusal = self.machine.as_ref().and_then(Machine::refusal).cloned();
        match refusal {
            None => {}
            Some(refusal) => {
                let error = self.last_error.clone().unwrap_or_default();
                self.refuse(match refusal {
                    Refusal::Failing => Cause::Failing(error),
                    Refusal::OnError(_) => Cause::OnError(error),
                });
            }
        }
        self.read();
    }

    fn refuse(&mut self, cause: Cause) {
        if matches!(self.life.state(), State::Ready { .. }) {
            self.step(Input::Refused(cause));
        }
    }

    fn takes_events(&mut self, now: Now) -> bool {
        if self.paused_until.is_some_and(|until| now.mono >= until) {
            self.paused_until = None;
        }
        let Some(run) = &self.run else { return false };
        let is_ready = matches!(self.life.state(), State::Ready { .. });
        let waits_for_site = self.site_down_since.is_some() && run.has_called;
        is_ready && self.paused_until.is_none() && !waits_for_site && !run.peer.is_clogged()
    }

    /// Nothing goes out before the plugins that come first have settled it.
    fn raise_ceiling(&mut self) {
        let lowest = self.setup.after.iter().map(|other| *other.borrow()).min();
        if let Some(machine) = &mut self.machine {
            machine.set_ceiling(lowest.unwrap_or(Seq(u64::MAX)));
        }
    }

    fn deliver(&mut self, delivery: Delivery, now: Now) {
        let seq = delivery.event.seq;
        let (Some(run), Some(machine)) = (&mut self.run, &mut self.machine) else {
            return;
        };
        let Body::Here(body) = &delivery.event.body else {
            return;
        };
        let cap =
            usize::try_from(self.setup.settings.limits.effective().line).unwrap_or(usize::MAX);
        if body.len() + HEAD_BYTES > cap {
            let reason = format!(
                "too_large: the event has {} bytes; a line may have {cap}",
                body.len()
            );
            machine.handle_answer(seq, Disposition::Dead { reason }, true, now, 0.0);
            return;
        }
        let timeout = machine.timeout();
        let id = run.pending.ask(Asked::Event(seq));
        run.last_request_id = id;
        let head = message::Delivery {
            attempt: delivery.attempt,
            deadline_ms: millis(timeout),
            behind: self.head.borrow().0.saturating_sub(seq.0),
            matched: machine.names(&delivery.matched),
            replay: delivery.is_replay,
            progress: delivery
                .progress
                .and_then(|json| serde_json::value::RawValue::from_string(json.into()).ok()),
        };
        run.peer.queue(|out| write::event(out, id, &head, body));
        let facts = &delivery.event.facts;
        run.open.insert(
            id,
            Open {
                seq,
                event: OpenEvent {
                    request_id: id,
                    event_id: facts.event_id,
                    session_uuid: facts.session_uuid.clone(),
                },
                since: now.mono,
                deadline: now.mono + timeout,
                is_cancelled: false,
                held: None,
                calls: 0,
            },
        );
        self.last_event = Some(facts.event_id);
    }

    /// An event was answered: it is settled when its calls are over, too.
    pub(super) fn answered(&mut self, id: u64, ended: Disposition, now: Now) {
        let Some(run) = &mut self.run else { return };
        let Some(open) = run.open.get_mut(&id) else {
            return;
        };
        if open.calls > 0 {
            open.held = Some(ended);
            return;
        }
        if let Some(open) = run.open.remove(&id) {
            self.settle(&open, ended, now);
        }
    }

    pub(super) fn settle(&mut self, open: &Open, ended: Disposition, now: Now) {
        let is_charged = self.site_down_since.is_none();
        self.stats.answered(now.mono - open.since, now.mono);
        match &ended {
            Disposition::Failed { error, .. } => self.last_error = Some(error.clone()),
            Disposition::Dead { reason } => self.last_error = Some(reason.clone()),
            _ => {}
        }
        let random = fastrand::f32();
        if let Some(machine) = &mut self.machine {
            machine.handle_answer(open.seq, ended, is_charged, now, random);
        }
    }

    /// Asks the journal for what is needed next, one thing at a time.
    fn read(&mut self) {
        if self.reading.is_some() {
            return;
        }
        let Some(machine) = &self.machine else { return };
        let journal = self.shared.journal.clone();
        let unread = machine.poll_unread();
        if !unread.is_empty() {
            let seqs = unread.to_vec();
            let (session, name) = (self.setup.sessions.first().cloned(), self.name.clone());
            self.reading = Some(Box::pin(async move {
                let bodies = bodies(&journal, seqs, session, &name).await?;
                Ok(Read::Bodies(bodies))
            }));
            return;
        }
        if let Some(event) = machine.poll_body().cloned() {
            self.reading = Some(Box::pin(async move {
                let body = journal.bodies(&[event.seq]).await?.pop();
                let body = body.unwrap_or(Body::Dropped);
                Ok(Read::Body(Arc::new(crate::event::Event {
                    body,
                    ..crate::event::Event::clone(&event)
                })))
            }));
            return;
        }
        let Some((after, rows)) = machine.poll_read() else {
            return;
        };
        if *self.head.borrow() > after {
            self.reading = Some(Box::pin(async move {
                Ok(Read::Rows(journal.read(after, rows).await?))
            }));
        }
    }

    pub(super) fn take_read(&mut self, read: Read) {
        let now = self.shared.clock.now();
        let Some(machine) = &mut self.machine else {
            return;
        };
        match read {
            Read::Rows(rows) => machine.handle_rows(&rows, now),
            Read::Body(event) => machine.handle_body(&event, now),
            Read::Bodies(bodies) => machine.handle_bodies(bodies, now),
        }
    }

    /// How far it has settled, for those that come after it; one that gets no events holds nobody up.
    pub(super) fn publish_settled(&self) {
        let is_out = match self.life.state() {
            State::Disabled { .. } | State::Missing => true,
            State::Stopped => !self.setup.settings.enabled,
            _ => false,
        };
        let settled = match &self.machine {
            _ if is_out => Seq(u64::MAX),
            Some(machine) => machine.settled_to(),
            None => Seq(0),
        };
        self.settled.send_if_modified(|known| {
            let has_moved = *known != settled;
            *known = settled;
            has_moved
        });
    }

    /// Writes what changed, one change at a time.
    pub(super) fn commit(&mut self, now: Now) {
        if self.ticket.is_some() {
            return;
        }
        if let Some(change) = self.unsent.take() {
            return self.submit(change);
        }
        let Some(machine) = &mut self.machine else {
            return;
        };
        if let Some(change) = machine.poll_commit(now) {
            self.counts.add(&change.counts);
            self.tell_dead(&change);
            self.submit(change);
        }
    }

    pub(super) fn committed(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            if let Err(refused) = answer {
                let error = refused.to_string();
                tracing::error!(plugin = %self.name, error, "the journal refused a cursor");
            }
        }
        if let Some(machine) = &mut self.machine {
            machine.handle_committed();
        }
    }

    /// An event that was not answered in time: first `$/cancel`, then the end of the process.
    pub(super) fn check_deadlines(&mut self, now: Now) {
        let waits_for_site = self.site_down_since.is_some();
        let Some(run) = &mut self.run else { return };
        if waits_for_site && run.has_called {
            return;
        }
        let mut hung = None;
        for (id, open) in &mut run.open {
            if now.mono < open.deadline || open.held.is_some() {
                continue;
            }
            if open.is_cancelled {
                hung = Some(*id);
                break;
            }
            open.is_cancelled = true;
            open.deadline = now.mono + Duration::from_secs(10);
            let id = *id;
            run.peer.queue(|out| {
                write::notification(out, "$/cancel", &serde_json::json!({ "id": id }));
            });
        }
        if let Some(open) = hung.and_then(|id| run.open.remove(&id)) {
            let waited = now.mono - open.since;
            let error = format!(
                "event {}: no answer within {} s",
                open.event.event_id,
                waited.as_secs()
            );
            let ended = Disposition::Failed {
                error: error.clone(),
                progress: None,
            };
            self.settle(&open, ended, now);
            self.hung(error);
        }
    }

    /// The site came or went: clocks of deliveries stand while it is away.
    pub(super) fn site_changed(&mut self, is_down: bool) {
        let now = self.shared.clock.now().mono;
        match (is_down, self.site_down_since) {
            (true, None) => self.site_down_since = Some(now),
            (false, Some(since)) => {
                self.site_down_since = None;
                self.move_deadlines(now - since);
            }
            _ => {}
        }
    }

    /// When we were paused ourselves, all deadlines move by as much.
    pub(super) fn be_fair(&mut self, due: Option<Mono>) {
        let now = self.shared.clock.now().mono;
        let late = due.map_or(Duration::ZERO, |due| now - due);
        if late > LATE {
            self.move_deadlines(late);
        }
    }

    fn move_deadlines(&mut self, by: Duration) {
        for run in [&mut self.run, &mut self.candidate].into_iter().flatten() {
            for open in run.open.values_mut() {
                open.deadline = open.deadline + by;
            }
            run.handshake_until = run.handshake_until.map(|at| at + by);
        }
    }

    /// The earliest moment at which there is something to do.
    pub(super) fn next_wake(&self, now: Now, report_at: Option<Mono>) -> Option<Mono> {
        let machine = self.machine.as_ref();
        let of_machine = machine.and_then(|machine| machine.poll_timeout(now));
        let of_runs = [&self.run, &self.candidate].into_iter().flatten();
        let of_runs = of_runs.filter_map(run_wake).min();
        let full = self.unsent.is_some().then(|| now.mono + FULL_QUEUE);
        // A retry that is due waits for the process: no reason to turn.
        let of_machine = of_machine.filter(|at| *at > now.mono);
        let times = [
            self.life.poll_timeout(),
            of_machine,
            of_runs,
            full,
            self.paused_until,
            report_at,
        ];
        times.into_iter().flatten().min()
    }
}

fn run_wake(run: &Run) -> Option<Mono> {
    let deadline = run.open.values().map(|open| open.deadline).min();
    let ladder = run.ladder.as_ref().map(crate::process::Ladder::until);
    let times = [deadline, ladder, run.handshake_until];
    times.into_iter().flatten().min()
}

/// Bodies from the journal; what was pruned there, from the site.
async fn bodies(
    journal: &crate::journal::Journal,
    seqs: Vec<Seq>,
    session: Option<crate::site::Session>,
    name: &crate::ident::PluginName,
) -> Bodies {
    let found = journal.bodies(&seqs).await?;
    let mut bodies = Vec::new();
    for (seq, body) in seqs.into_iter().zip(found) {
        match body {
            Body::Here(body) => bodies.push((seq, Some(body))),
            _ => match from_site(journal, seq, session.as_ref(), name).await? {
                Some(answer) => bodies.push((seq, answer)),
                // Not known yet: it stays unread and is asked for again, but not at once.
                None => tokio::time::sleep(ASK_AGAIN).await,
            },
        }
    }
    Ok(bodies)
}

/// None: the site did not say.
async fn from_site(
    journal: &crate::journal::Journal,
    seq: Seq,
    session: Option<&crate::site::Session>,
    name: &crate::ident::PluginName,
) -> Result<Option<Option<bytes::Bytes>>, JournalError> {
    let event = journal.events(&[seq]).await?.pop();
    let (Some(event), Some(session)) = (event, session) else {
        return Ok(Some(None));
    };
    let row = session.read_event(event.facts.event_id, Some(name)).await;
    Ok(row.ok().map(|row| row.map(|row| one_line(&row))))
}
