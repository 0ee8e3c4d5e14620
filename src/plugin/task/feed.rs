//! From the journal to the plugin and back: rows, bodies, deliveries, settlements, cursor changes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sgeventd_protocol::{message, write};

use super::{Bodies, Read, Task, words::slow_at};
use crate::{
    clock::{Mono, Now, Unix, millis},
    dispatch::{Delivery, Disposition, Machine, Refusal},
    event::{Body, Facts, parse},
    ident::{PluginName, Seq},
    journal::{Answer, Journal, JournalError},
    plugin::{
        flight::{CANCELLED, Late, Open, is_charged, lateness},
        life::{Cause, Input, State},
        run::{Asked, Run},
        scarce::LOOK_AGAIN,
        trace,
    },
    site::{Health, Session, SiteError},
};

/// What an event message needs besides its body and the names of its subscriptions.
const HEAD_BYTES: usize = 8 * 1024;
/// A row is written again this soon when the journal's queue was full.
const FULL_QUEUE: Duration = Duration::from_millis(20);
/// A row that the site did not answer for is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// So many pruned rows are asked of the site before what is new is looked at again, and for so long each.
const OF_THE_SITE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

impl Task {
    /// Hands out what may go, and reads what is needed next.
    pub(super) fn feed(&mut self, now: Now) {
        self.pause.take_if(|pause| now.mono >= pause.until);
        self.tell_site_time(now);
        if !self.takes_events() {
            return self.read(now.mono);
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
                    Refusal::OnError(seq) => {
                        let machine = self.machine.as_ref();
                        let event_id = machine.and_then(|machine| machine.event_id(seq));
                        let event_id = event_id.unwrap_or_default();
                        Cause::OnError { event_id, error }
                    }
                });
            }
        }
        self.read(now.mono);
    }

    /// Our clock may have jumped since the last time.
    fn tell_site_time(&mut self, now: Now) {
        let site_now = self.site_now(now);
        if let Some(machine) = &mut self.machine {
            machine.set_site_time(site_now, now);
        }
    }

    /// Events are as old as the site's clock says.
    pub(super) fn site_now(&self, now: Now) -> Unix {
        self.shared.site.time().unwrap_or(now.unix)
    }

    fn refuse(&mut self, cause: Cause) {
        if matches!(self.life.state(), State::Ready { .. }) {
            self.step(Input::Refused(cause));
        }
    }

    fn takes_events(&self) -> bool {
        let Some(run) = &self.run else { return false };
        let is_ready = matches!(self.life.state(), State::Ready { .. });
        let is_free = self.pause.is_none() && !self.needs.waits();
        is_ready && is_free && !run.peer.is_clogged()
    }

    /// The site is not there, or refuses a script that the plugin acts as.
    pub(super) fn is_site_away(&self, health: &Health) -> bool {
        let mut scripts = self.setup.sessions.iter().map(Session::script);
        health.is_down() || scripts.any(|script| health.blocks(script).is_some())
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
        let matched = machine.names(&delivery.matched);
        if body.len() + HEAD_BYTES + length(&matched) > cap {
            let error = format!(
                "the event has {} bytes; a line may have {cap} (`limits.line`)",
                body.len()
            );
            return machine.handle_too_large(seq, &error, now);
        }
        let timeout = machine.timeout();
        let id = run.pending.ask(Asked::Event(seq));
        run.last_request_id = id;
        let head = message::Delivery {
            attempt: delivery.attempt,
            deadline_ms: millis(timeout),
            behind: self.head.borrow().0.saturating_sub(seq.0),
            matched,
            replay: delivery.is_replay,
            progress: delivery
                .progress
                .and_then(|json| serde_json::value::RawValue::from_string(json.into()).ok()),
        };
        let (attempt, is_replay) = (delivery.attempt, delivery.is_replay);
        let meta = trace::meta(&delivery.event.facts, &self.name, attempt, is_replay);
        run.peer
            .queue(|out| write::event(out, id, &head, &meta, body));
        self.last_event = Some(delivery.event.facts.event_id);
        run.flights.begin(id, delivery.event, timeout, now.mono);
    }

    /// An event was answered: it is settled when its calls are over, too.
    pub(super) fn answered(&mut self, id: u64, ended: Disposition, now: Now) {
        crate::fail::at("ack.received_before_queue");
        let run = self.run.as_mut();
        if let Some((open, ended)) = run.and_then(|run| run.flights.answered(id, ended)) {
            self.settle(&open, ended, now);
        }
    }

    pub(super) fn settle(&mut self, open: &Open, ended: Disposition, now: Now) {
        // What is cut by a stop failed for no fault of the event's.
        let is_cut = self.run.as_ref().is_some_and(Run::is_cut);
        let is_charged = is_charged(self.needs.is_down(), is_cut);
        self.stats.answered(now.mono - open.since, now.mono);
        match &ended {
            Disposition::Failed { error, .. } => self.last_error = Some(error.clone()),
            Disposition::Retry { reason, .. } if !reason.is_empty() => {
                self.last_error = Some(reason.clone());
            }
            Disposition::Dead { reason } => self.last_error = Some(reason.clone()),
            _ => {}
        }
        let random = fastrand::f32();
        if let Some(machine) = &mut self.machine {
            machine.handle_answer(open.event.seq, ended, is_charged, now, random);
        }
    }

    /// Asks the journal for what is needed next, one thing at a time: what is new first, for bodies may have to be asked
    /// of the site.
    fn read(&mut self, now: Mono) {
        // A time that has come is over, else it would ring without end while the question is under way.
        self.ask_bodies_at = self.ask_bodies_at.filter(|at| now < *at);
        if self.reading.is_some() {
            return;
        }
        let Some(machine) = &self.machine else { return };
        let (journal, head) = (self.shared.journal.clone(), *self.head.borrow());
        let fresh = machine.poll_read().filter(|(after, _)| head > *after);
        if let Some((after, rows)) = fresh {
            self.reading = Some(Box::pin(async move {
                Ok(Read::Rows(journal.read(after, rows).await?))
            }));
            return;
        }
        let (unread, body) = (machine.poll_unread(), machine.poll_body().cloned());
        if (!unread.is_empty() || body.is_some()) && self.ask_bodies_at.is_none() {
            let seqs = match &body {
                Some(event) if unread.is_empty() => vec![event.seq],
                _ => unread.to_vec(),
            };
            let is_deciding = unread.is_empty();
            let session = self.setup.sessions.first().cloned();
            let (name, is_away) = (self.name.clone(), self.needs.is_down());
            self.reading = Some(Box::pin(async move {
                let bodies = bodies(&journal, seqs, session, &name, is_away).await?;
                Ok(match body.filter(|_| is_deciding) {
                    Some(event) => {
                        Read::Body(event, bodies.into_iter().next().map(|(_, body)| body))
                    }
                    None => Read::Bodies(bodies),
                })
            }));
            return;
        }
        if let Some((after, rows)) = machine.poll_replay() {
            self.reading = Some(Box::pin(async move {
                Ok(Read::Replay(journal.read(after, rows).await?))
            }));
        }
    }

    pub(super) fn take_read(&mut self, read: Read) {
        let now = self.shared.clock.now();
        self.tell_site_time(now);
        let Some(machine) = &mut self.machine else {
            return;
        };
        let ask_again = Some(now.mono + ASK_AGAIN);
        match read {
            Read::Rows(rows) => machine.handle_rows(&rows, now),
            Read::Replay(rows) => machine.handle_replay(&rows, now),
            Read::Body(_, None) => self.ask_bodies_at = ask_again,
            Read::Body(event, Some(body)) => {
                self.ask_bodies_at = None;
                machine.handle_body(&event, body, now);
            }
            Read::Bodies(bodies) => {
                let is_stuck = bodies.is_empty();
                machine.handle_bodies(bodies, now);
                self.ask_bodies_at = ask_again.filter(|_| is_stuck);
            }
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

    /// An event that was not answered in time: first `$/cancel`, then the end of the process. What is late at the same
    /// moment had its time, too.
    pub(super) fn check_deadlines(&mut self, now: Now) {
        if self.needs.waits() {
            return;
        }
        let Some(run) = &mut self.run else { return };
        let mut hung = Vec::new();
        while let Some(late) = run.flights.late(now.mono) {
            match late {
                Late::Hung(open) => hung.push(open),
                Late::Cancel(id) => run.peer.queue(|out| {
                    write::notification(out, "$/cancel", &serde_json::json!({ "id": id }));
                }),
            }
        }
        let mut first = None;
        for open in hung {
            let waited = (now.mono - open.since).saturating_sub(CANCELLED);
            let error = format!(
                "event {}: no answer within {} s, nor in the {} s after it was cancelled",
                open.event.facts.event_id,
                waited.as_secs(),
                CANCELLED.as_secs()
            );
            let ended = Disposition::Failed {
                error: error.clone(),
                progress: None,
            };
            self.settle(&open, ended, now);
            first.get_or_insert(error);
        }
        if let Some(error) = first {
            self.hung(error);
        }
    }

    /// The site came or went: clocks of deliveries stand while it is away.
    pub(super) fn site_changed(&mut self, is_down: bool) {
        let now = self.shared.clock.now().mono;
        let away = self.needs.site_is(is_down, now);
        self.move_deadlines(away);
    }

    /// When we were paused ourselves, all deadlines move by as much.
    pub(super) fn be_fair(&mut self, asleep: Mono, due: Option<Mono>) {
        let now = self.shared.clock.now().mono;
        self.move_deadlines(lateness(asleep, due, now));
    }

    fn run_wake(&self, run: &Run, now: Mono) -> Option<Mono> {
        // A deadline that stands is no time to wake up.
        let deadline = run.flights.next_deadline().filter(|_| !self.needs.waits());
        let ladder = run.ladder.as_ref().map(crate::process::Ladder::until);
        let handshake = run.handshake_until.filter(|_| run.ladder.is_none());
        let slow = slow_at(run).filter(|at| *at > now);
        let turn = run.turn.as_ref().map(|turn| turn.until);
        let times = [deadline, ladder, handshake, slow, turn];
        times.into_iter().flatten().min()
    }

    fn move_deadlines(&mut self, by: Duration) {
        for run in [&mut self.run, &mut self.candidate].into_iter().flatten() {
            run.flights.shift(by);
            run.handshake_until = run.handshake_until.map(|at| at + by);
        }
    }

    /// The earliest moment at which there is something to do.
    pub(super) fn next_wake(&self, now: Now, report_at: Option<Mono>) -> Option<Mono> {
        let machine = self.machine.as_ref();
        let of_machine = machine.and_then(|machine| machine.poll_timeout(now));
        let of_runs = [&self.run, &self.candidate].into_iter().flatten();
        let of_runs = of_runs.filter_map(|run| self.run_wake(run, now.mono)).min();
        let full = self.unsent.is_some().then(|| now.mono + FULL_QUEUE);
        // A start may find no room, and finds it without another word: what is told of it is looked at anew.
        let is_starting = !self.spawning.is_empty();
        let waits_for_room = is_starting.then(|| now.mono + LOOK_AGAIN);
        let times = [
            self.life.poll_timeout(),
            of_machine,
            of_runs,
            full,
            self.pause.as_ref().map(|pause| pause.until),
            self.ask_bodies_at,
            waits_for_room,
            report_at,
        ];
        times.into_iter().flatten().min()
    }
}

/// Bodies from the journal; what was pruned there, from the site, a few at a time. One that is not in the answer is not
/// known yet.
async fn bodies(
    journal: &Journal,
    seqs: Vec<Seq>,
    session: Option<Session>,
    name: &PluginName,
    is_away: bool,
) -> Bodies {
    let found = journal.bodies(&seqs).await?;
    let (mut bodies, mut pruned) = (Vec::new(), Vec::new());
    for (seq, body) in seqs.into_iter().zip(found) {
        match body {
            Body::Here(body) => bodies.push((seq, Some(body))),
            _ => pruned.push(seq),
        }
    }
    pruned.truncate(if is_away { 0 } else { OF_THE_SITE });
    for seq in pruned {
        let asked = from_site(journal, seq, session.as_ref(), name);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => bodies.extend(answer?.map(|answer| (seq, answer))),
            // It does not answer: the others would wait as long.
            Err(_) => break,
        }
    }
    Ok(bodies)
}

/// None: the site did not say. A row that only looks like ours, of a restored site, is as good as gone.
async fn from_site(
    journal: &Journal,
    seq: Seq,
    session: Option<&Session>,
    name: &PluginName,
) -> Result<Option<Option<Bytes>>, JournalError> {
    let event = journal.events(&[seq]).await?.pop();
    let (Some(event), Some(session)) = (event, session) else {
        return Ok(Some(None));
    };
    match session.read_event(event.facts.event_id, Some(name)).await {
        Ok(Some(row)) => {
            let read = parse(event.facts.timeline, &row).ok();
            let is_same = |facts: &Facts| {
                (&facts.event_type, facts.created_at)
                    == (&event.facts.event_type, event.facts.created_at)
            };
            let body = read.filter(|(facts, _)| is_same(facts));
            Ok(Some(body.map(|(_, body)| body)))
        }
        Ok(None) => Ok(Some(None)),
        // The site is there and cannot give the row: waiting would hold the lane for ever.
        Err(error @ (SiteError::Fault { .. } | SiteError::TooLarge { .. })) => {
            tracing::warn!(plugin = %name, event_id = event.facts.event_id.0, %error, "a pruned event cannot be read from the site");
            Ok(Some(None))
        }
        Err(_) => Ok(None),
    }
}

/// In bytes of JSON, at most.
fn length(names: &[Arc<str>]) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    let of = |name: &Arc<str>| name.bytes().map(escaped).sum::<usize>() + 3;
    names.iter().map(of).sum()
}
