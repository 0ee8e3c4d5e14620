//! From the journal to the plugin and back, as `src/plugin/task/feed.rs` carries it out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use sgeventd::{
    dispatch::{Delivery, Disposition, Machine, Refusal},
    event::{Body, Event},
    ident::{EventId, Seq},
    journal::Op,
    plugin::{
        flight::{Late, Open, is_charged},
        life::{Cause, Input, State},
    },
    process::Ladder,
};

use super::{
    World,
    task::{Reading, Run},
    writer::From,
};
use crate::{
    chance::Die,
    check::{book::Ended, delivery::HandOut},
    queue::Due,
};

/// A row that the site did not answer for is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// So many pruned rows are asked of the site at a time.
const OF_THE_SITE: usize = 16;

impl World<'_> {
    pub(super) fn feed(&mut self, who: usize) {
        let now = self.now();
        let task = &mut self.tasks[who];
        if task.paused_until.is_some_and(|until| now.mono >= until) {
            task.paused_until = None;
        }
        self.tell_site_time(who);
        if !self.takes_events(who) {
            return self.read(who);
        }
        self.raise_ceiling(who);
        while let Some(delivery) = self.tasks[who]
            .machine
            .as_mut()
            .and_then(|machine| machine.poll_delivery(now))
        {
            self.deliver(who, delivery);
        }
        let refusal = self.tasks[who]
            .machine
            .as_ref()
            .and_then(Machine::refusal)
            .cloned();
        if let Some(refusal) = refusal
            && matches!(self.tasks[who].life.state(), State::Ready { .. })
        {
            let cause = match refusal {
                Refusal::Failing => Cause::Failing(String::new()),
                Refusal::OnError(_) => Cause::OnError {
                    event_id: EventId(0),
                    error: String::new(),
                },
            };
            self.cover.note("event", "waiting", "refusal", cause.word());
            self.step(who, Input::Refused(cause));
        }
        self.read(who);
    }

    fn takes_events(&self, who: usize) -> bool {
        let task = &self.tasks[who];
        let is_ready = task.run.is_some() && matches!(task.life.state(), State::Ready { .. });
        is_ready && task.paused_until.is_none() && !task.needs.waits()
    }

    fn tell_site_time(&mut self, who: usize) {
        let (site_now, now) = (self.site.clock(self.queue.now), self.now());
        if let Some(machine) = &mut self.tasks[who].machine {
            machine.set_site_time(site_now, now);
        }
    }

    fn raise_ceiling(&mut self, who: usize) {
        if !self.plan.plugins[who].waits {
            return;
        }
        let ceiling = self.tasks[who - 1].settled;
        if let Some(machine) = &mut self.tasks[who].machine {
            machine.set_ceiling(ceiling);
        }
    }

    fn deliver(&mut self, who: usize, delivery: Delivery) {
        let now = self.mono();
        let seq = delivery.event.seq;
        let run = self.tasks[who].run.as_ref();
        let beside: Vec<Seq> = run.map_or_else(Vec::new, |run| {
            let at_work = run.flights.unanswered();
            at_work.map(|(_, event)| event.seq).collect()
        });
        let out = HandOut {
            seq,
            is_replay: delivery.is_replay,
            at_work: run.map_or(0, |run| run.flights.len()),
            site_now: self.site.clock(self.queue.now),
        };
        let window = self.plan.plugins[who].window;
        self.check.beside(who, window, out, &beside);
        self.check.delivered(who, out);
        if self.plan.plugins[who].waits && self.tasks[who - 1].settled < seq {
            self.check
                .fail(|| format!("plugin {who} gets event {seq} before the one that it waits for"));
        }
        let task = &mut self.tasks[who];
        let (Some(run), Some(machine)) = (&mut task.run, &task.machine) else {
            return;
        };
        if !matches!(delivery.event.body, Body::Here(_)) {
            return self
                .check
                .fail(|| format!("plugin {who}: event {seq} is handed out without its body"));
        }
        run.requests += 1;
        let (id, process) = (run.requests, run.process);
        let (event_id, attempt) = (delivery.event.facts.event_id, delivery.attempt);
        run.asked.insert(id, seq);
        run.flights
            .begin(id, delivery.event, machine.timeout(), now);
        self.story.tell(self.queue.now, || {
            format!("plugin {who} gets event {seq}, attempt {attempt}")
        });
        let what = if delivery.is_replay {
            "handed out again"
        } else {
            "handed out"
        };
        self.cover.note("event", "waiting", what, "out");
        self.hears(process, id, event_id.0, attempt);
    }

    /// It answered: over, when its calls are.
    pub(super) fn answered(&mut self, who: usize, id: u64, ended: Disposition) {
        let run = self.tasks[who].run.as_mut();
        if let Some((open, ended)) = run.and_then(|run| run.flights.answered(id, ended)) {
            self.settle(who, &open, ended);
        }
    }

    pub(super) fn settle(&mut self, who: usize, open: &Open, ended: Disposition) {
        let now = self.now();
        let random = self.chance.unit(Die::Random, self.steps, 1);
        let task = &mut self.tasks[who];
        let is_cut = task.run.as_ref().is_some_and(Run::is_cut);
        let seq = open.event.seq;
        let (word, booked) = match &ended {
            Disposition::Ok => ("ok", Ended::Ok),
            Disposition::Skip => ("skip", Ended::Skip),
            Disposition::Dead { .. } => ("dead", Ended::Dead),
            Disposition::Retry { .. } => ("retry", Ended::Again),
            Disposition::Failed { .. } => ("failed", Ended::Failed),
        };
        // What the contract says, in other words than the product's.
        let costs = !task.needs.is_down() && !is_cut;
        self.check.plugins[who].ended(seq, booked, costs);
        self.cover
            .note("event", "out", word, if costs { "charged" } else { "free" });
        if let Some(machine) = &mut task.machine {
            machine.handle_answer(
                seq,
                ended,
                is_charged(task.needs.is_down(), is_cut),
                now,
                random,
            );
        }
    }

    pub(super) fn read(&mut self, who: usize) {
        let now = self.mono();
        let head = self.head;
        let task = &mut self.tasks[who];
        task.ask_bodies_at = task.ask_bodies_at.filter(|at| now < *at);
        let Some(machine) = &task.machine else { return };
        if task.reading.is_some() {
            return;
        }
        let may_ask = task.ask_bodies_at.is_none();
        let unread = machine.poll_unread();
        let fresh = machine.poll_read().filter(|(after, _)| head > *after);
        let reading = if let Some((after, rows)) = fresh {
            Some(Reading::Rows(after, rows))
        } else if !unread.is_empty() && may_ask {
            Some(Reading::Bodies(unread.to_vec()))
        } else if let Some(event) = machine.poll_body().filter(|_| may_ask && unread.is_empty()) {
            Some(Reading::Body(event.clone()))
        } else {
            let replay = machine.poll_replay();
            replay.map(|(after, rows)| Reading::Replay(after, rows))
        };
        if reading.is_some() {
            task.reading = reading;
            let takes = self.chance.below(Die::Read, self.steps, who as u64, 4);
            self.queue.after(takes, Due::Read(who));
        }
    }

    pub(super) fn read_done(&mut self, who: usize) {
        if self.tasks[who].is_making {
            return;
        }
        let Some(reading) = self.tasks[who].reading.take() else {
            return;
        };
        let now = self.now();
        self.tell_site_time(who);
        let again = Some(now.mono + ASK_AGAIN);
        match reading {
            Reading::Rows(after, rows) => {
                let rows = self.rows(after, rows);
                if let Some(machine) = &mut self.tasks[who].machine {
                    machine.handle_rows(&rows, now);
                }
            }
            Reading::Replay(after, rows) => {
                let rows = self.rows(after, rows);
                if let Some(machine) = &mut self.tasks[who].machine {
                    machine.handle_replay(&rows, now);
                }
            }
            Reading::Body(event) => {
                let body = self.bodies(who, &[event.seq]).pop();
                let task = &mut self.tasks[who];
                let Some(machine) = &mut task.machine else {
                    return;
                };
                match body {
                    None => task.ask_bodies_at = again,
                    Some((_, body)) => {
                        task.ask_bodies_at = None;
                        machine.handle_body(&event, body, now);
                    }
                }
            }
            Reading::Bodies(seqs) => {
                let bodies = self.bodies(who, &seqs);
                let task = &mut self.tasks[who];
                let Some(machine) = &mut task.machine else {
                    return;
                };
                let is_stuck = bodies.is_empty();
                machine.handle_bodies(bodies, now);
                task.ask_bodies_at = again.filter(|_| is_stuck);
            }
        }
        self.advance(who);
    }

    fn rows(&self, after: Seq, rows: usize) -> Vec<Arc<Event>> {
        let rows = self.journal.read(after, rows).now_or_never();
        rows.and_then(Result::ok).expect("a model answers at once")
    }

    /// Bodies from the journal; what was pruned there, from the site. One that is not in the answer is not known yet.
    fn bodies(&mut self, who: usize, seqs: &[Seq]) -> Vec<(Seq, Option<Bytes>)> {
        let found = self
            .journal
            .bodies(seqs)
            .now_or_never()
            .and_then(Result::ok);
        let found = found.expect("a model answers at once");
        let (mut bodies, mut of_the_site) = (Vec::new(), 0);
        for (seq, body) in seqs.iter().copied().zip(found) {
            match body {
                Body::Here(body) => bodies.push((seq, Some(body))),
                _ if !self.site.is_there() || of_the_site == OF_THE_SITE => {}
                _ => {
                    of_the_site += 1;
                    let event = self.journal.events(&[seq]).now_or_never();
                    let event = event.and_then(Result::ok).and_then(|mut rows| rows.pop());
                    // Another row under that id, of a restored site, is as good as none.
                    let row = event.and_then(|event| {
                        let row = self.site.find(event.facts.event_id)?;
                        let is_same = row.facts.event_type == event.facts.event_type
                            && row.facts.created_at == event.facts.created_at;
                        is_same.then_some(row)
                    });
                    if row.is_none() {
                        self.check.plugins[who].pruned(seq);
                    }
                    bodies.push((seq, row.map(|row| row.body.clone())));
                }
            }
        }
        bodies
    }

    pub(super) fn publish_settled(&mut self, who: usize) {
        let task = &mut self.tasks[who];
        let is_out = match task.life.state() {
            State::Disabled { .. } | State::Missing => true,
            State::Stopped => task.is_off,
            _ => false,
        };
        let settled = match &task.machine {
            _ if is_out => Seq(u64::MAX),
            Some(machine) => machine.settled_to(),
            None => Seq(0),
        };
        if task.settled != settled {
            task.settled = settled;
            if self
                .plan
                .plugins
                .get(who + 1)
                .is_some_and(|next| next.waits)
            {
                self.queue.after(0, Due::Task(who + 1));
            }
        }
    }

    pub(super) fn commit(&mut self, who: usize) {
        let now = self.now();
        let task = &mut self.tasks[who];
        if task.is_writing {
            return;
        }
        if let Some(change) = task
            .machine
            .as_mut()
            .and_then(|machine| machine.poll_commit(now))
        {
            task.is_writing = true;
            self.check.changed(who, &change);
            self.tell_dead(who, &change);
            let revision = None;
            self.submit(From::Task(who), vec![Op::Cursor { change, revision }]);
        }
    }

    pub(super) fn settlements_landed(&mut self, who: usize) {
        let task = &mut self.tasks[who];
        task.is_writing = false;
        if let Some(machine) = &mut task.machine {
            machine.handle_committed();
        }
        self.advance(who);
    }

    pub(super) fn check_deadlines(&mut self, who: usize) {
        let now = self.mono();
        if self.tasks[who].needs.waits() {
            return;
        }
        let Some(run) = &mut self.tasks[who].run else {
            return;
        };
        let mut hung = Vec::new();
        while let Some(late) = run.flights.late(now) {
            match late {
                Late::Hung(open) => hung.push(open),
                Late::Cancel(_) => self.cover.note("event", "out", "late", "cancelled"),
            }
        }
        for open in &hung {
            self.cover.note("event", "cancelled", "late", "hung");
            let error = "no answer".to_owned();
            let progress = None;
            self.settle(who, open, Disposition::Failed { error, progress });
        }
        if !hung.is_empty() {
            self.step(who, Input::Hung("no answer".into()));
        }
    }

    pub(super) fn move_deadlines(&mut self, who: usize, by: Duration) {
        let task = &mut self.tasks[who];
        for run in [&mut task.run, &mut task.candidate].into_iter().flatten() {
            run.flights.shift(by);
            run.handshake_until = run.handshake_until.map(|at| at + by);
        }
    }

    /// The site came or went: clocks of deliveries stand while it is away.
    pub(super) fn site_changed(&mut self, who: usize, is_away: bool) {
        let now = self.mono();
        let away = self.tasks[who].needs.site_is(is_away, now);
        self.move_deadlines(who, away);
    }
}

impl Run {
    /// It is being stopped and no longer waited for.
    pub(super) fn is_cut(&self) -> bool {
        self.ladder
            .as_ref()
            .is_some_and(|ladder| !Ladder::is_draining(ladder))
    }
}
