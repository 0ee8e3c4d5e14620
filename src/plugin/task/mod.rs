//! One task per plugin: it owns the life, the dispatcher, the process with both pipes, and what waits for the disk.
//!
//! ```text
//!   orders ─┐                        ┌─► process (spawn, queue, signals)
//!   process ┼─► one select ─► machines ┼─► journal (one ticket at a time)
//!   journal ┤   (names what happened)  └─► report, alerts
//!   time ───┘
//! ```
//! In: [`Order`]s, the journal's head, the process. Out: deliveries, cursor changes, a report.
//! Never: another plugin's state, a wait for a person or for another plugin.

mod calls;
mod candidate;
mod fate;
mod feed;
mod handshake;
mod messages;
mod operate;
mod start;
mod tell;
mod words;

pub(crate) use handshake::{caller, hello};

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use sgeventd_protocol::{Manifest, message::Reason};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    alarm::Alarm,
    flight::Needs,
    life::{Input, Life, State},
    report::{Complaint, PluginReport},
    run::{Happened, Run, StartTurn},
    setup::{Order, Setup, Shared},
    stats::Stats,
};
use crate::{
    clock::Mono,
    dispatch::Machine,
    event::Event,
    ident::{EventId, Generation, PluginName, Seq},
    journal::{Answer, Counts, CursorChange, JournalError, Op, PluginRecord, Ticket},
    process::Child,
};

/// The report is made anew this often at most.
const REPORT: Duration = Duration::from_millis(250);

/// What a plugin's task starts with.
pub struct Parts {
    /// Its name.
    pub name: PluginName,
    /// What all plugins share.
    pub shared: Shared,
    /// Its own.
    pub setup: Setup,
    /// It was there when the daemon started.
    pub was_there: bool,
    /// What it is told.
    pub orders: mpsc::Receiver<Order>,
    /// What it tells.
    pub report: watch::Sender<PluginReport>,
    /// How far it has settled, for those that come after it.
    pub settled: watch::Sender<Seq>,
    /// What its manifest wants watched.
    pub watch: watch::Sender<Vec<String>>,
}

/// A process that is being started.
struct Spawning {
    generation: Generation,
    why: Reason,
    is_candidate: bool,
    /// A candidate that is not wanted any more: ended as soon as it is there.
    is_doomed: bool,
    /// It is not wanted any more: it does not wait for room.
    gives_up: CancellationToken,
    done: BoxFuture<'static, Started>,
}

/// A process with its turn, as far as it lasts; or why there is none.
type Started = Result<(Child, Option<StartTurn>), String>;

/// A plugin wants no events for a while.
struct Pause {
    until: Mono,
    /// Until when and why, for people.
    words: String,
}

/// Bodies that were asked for.
type Bodies = Result<Vec<(Seq, Option<Bytes>)>, JournalError>;

/// What is read from the journal, one thing at a time.
enum Read {
    Rows(Vec<Arc<Event>>),
    /// Rows of a replay.
    Replay(Vec<Arc<Event>>),
    /// None: nobody could say; none within: it is gone.
    Body(Arc<Event>, Option<Option<Bytes>>),
    Bodies(Vec<(Seq, Option<Bytes>)>),
}

struct Task {
    name: PluginName,
    shared: Shared,
    setup: Setup,
    /// Replaces `setup` with the next process.
    next_setup: Option<Setup>,
    life: Life,
    record: PluginRecord,
    machine: Option<Machine>,
    /// The manifest and settings that the machine was made from.
    made_from: Option<String>,
    /// A changed version that takes over.
    promoted: Option<(Arc<Manifest>, Arc<RawValue>)>,
    run: Option<Run>,
    candidate: Option<Run>,
    spawning: VecDeque<Spawning>,
    generation: Generation,
    reading: Option<BoxFuture<'static, Result<Read, JournalError>>>,
    ticket: Option<Ticket>,
    unsent: Option<CursorChange>,
    counts: Counts,
    head: watch::Receiver<Seq>,
    pause: Option<Pause>,
    needs: Needs,
    /// Bodies that nobody could give are asked for again then.
    ask_bodies_at: Option<Mono>,
    stop: CancellationToken,
    stats: Stats,
    writes: u64,
    /// Lines of processes that have ended which were dropped, and how many were told of in the log, and when.
    lost_lines: u64,
    told_lines: (u64, Option<Mono>),
    last_event: Option<EventId>,
    last_error: Option<String>,
    complaint: Option<Complaint>,
    /// Its scripts whose key the site refuses.
    refused: BTreeSet<String>,
    subscriptions: Vec<String>,
    version: Option<String>,
    /// `alerts.emails` of its manifest.
    emails: Option<serde_json::Value>,
    report: watch::Sender<PluginReport>,
    reported: Option<Mono>,
    settled: watch::Sender<Seq>,
    watch: watch::Sender<Vec<String>>,
    wake: Option<Mono>,
    is_unkillable: bool,
    is_stopping: bool,
}

/// What woke the task.
enum Woken {
    Stop,
    Order(Option<Order>),
    Main(Happened),
    Candidate(Happened),
    Spawned(Started),
    Read(Result<Read, JournalError>),
    Committed(Result<Vec<Answer>, JournalError>),
    Head,
    Health,
    After,
    Time,
}

/// Runs a plugin until `stop`, then drains it.
///
/// # Errors
/// When the journal cannot go on; the daemon must end.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), JournalError> {
    let Parts {
        name,
        shared,
        setup,
        was_there,
        orders,
        report,
        settled,
        watch,
    } = parts;
    let record = shared.journal.register(&name, setup.start, None).await?;
    let is_operator = record.disabled.is_some();
    let now = shared.clock.now();
    let mut task = Task {
        life: Life::new(is_operator, now),
        head: shared.journal.head(),
        counts: record.counts,
        record,
        name,
        shared,
        setup,
        next_setup: None,
        machine: None,
        made_from: None,
        promoted: None,
        run: None,
        candidate: None,
        spawning: VecDeque::new(),
        generation: Generation(0),
        reading: None,
        ticket: None,
        unsent: None,
        pause: None,
        needs: Needs::default(),
        ask_bodies_at: None,
        stop: stop.clone(),
        stats: Stats::default(),
        writes: 0,
        lost_lines: 0,
        told_lines: (0, None),
        last_event: None,
        last_error: None,
        complaint: None,
        refused: BTreeSet::new(),
        subscriptions: Vec::new(),
        version: None,
        emails: None,
        report,
        reported: None,
        settled,
        watch,
        wake: None,
        is_unkillable: false,
        is_stopping: false,
    };
    if task.setup.settings.enabled {
        task.step(if was_there { Input::Boot } else { Input::Start });
    }
    task.go(orders, stop).await
}

impl Task {
    async fn go(
        &mut self,
        mut orders: mpsc::Receiver<Order>,
        stop: CancellationToken,
    ) -> Result<(), JournalError> {
        let mut health = self.shared.site.health();
        health.mark_changed();
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        let mut alarm = Alarm::new(self.shared.clock);
        loop {
            self.advance();
            if self.is_stopping && self.is_at_rest() {
                return self.finish().await;
            }
            alarm.set(self.wake);
            // A time that had passed when it was set says nothing of how late we are.
            let asleep = self.shared.clock.now().mono;
            let due = self.wake.filter(|at| *at > asleep);
            let woken = tokio::select! {
                () = &mut stopped, if !self.is_stopping => Woken::Stop,
                order = orders.recv(), if !self.is_stopping => Woken::Order(order),
                happened = next(&mut self.run) => Woken::Main(happened),
                happened = next(&mut self.candidate) => Woken::Candidate(happened),
                Some(done) = spawned(&mut self.spawning) => Woken::Spawned(done),
                Some(read) = poll(&mut self.reading) => Woken::Read(read),
                Some(done) = poll(&mut self.ticket) => Woken::Committed(done),
                Ok(()) = self.head.changed() => Woken::Head,
                Ok(()) = health.changed() => Woken::Health,
                () = any_changed(&mut self.setup.after), if !self.setup.after.is_empty() => Woken::After,
                () = alarm.rings() => Woken::Time,
            };
            // Whatever woke us: after a pause of the machine much is there at once, and the alarm need not be the first.
            self.be_fair(asleep, due);
            match woken {
                Woken::Stop => {
                    self.is_stopping = true;
                    self.step(Input::Shutdown);
                }
                // Who gives orders is gone: so is the daemon.
                Woken::Order(None) => self.is_stopping = true,
                Woken::Order(Some(order)) => self.obey(order).await?,
                Woken::Main(happened) => self.happened(happened, false).await?,
                Woken::Candidate(happened) => self.happened(happened, true).await?,
                Woken::Spawned(done) => self.spawned(done),
                Woken::Read(read) => {
                    self.reading = None;
                    self.take_read(read?);
                }
                Woken::Committed(done) => {
                    self.ticket = None;
                    self.written(done)?;
                }
                Woken::Health => {
                    let is_away = self.is_site_away(&health.borrow_and_update());
                    self.site_changed(is_away);
                }
                Woken::Time | Woken::Head | Woken::After => {}
            }
        }
    }

    /// Does everything that can be done without waiting, and sets the next wake-up.
    fn advance(&mut self) {
        let now = self.shared.clock.now();
        if self.life.poll_timeout().is_some_and(|at| now.mono >= at) {
            self.step(Input::Tick);
        }
        self.climb(now.mono, false);
        self.climb(now.mono, true);
        self.check_handshakes(now.mono);
        self.check_deadlines(now);
        self.feed(now);
        self.commit(now);
        self.publish_settled();
        let report_at = self.tell(now);
        self.wake = self.next_wake(now, report_at);
    }

    fn is_at_rest(&self) -> bool {
        self.run.is_none() && self.candidate.is_none() && self.spawning.is_empty()
    }

    /// Takes the end of a write. One that found no room while the daemon stops is given up: it is repeated after the next start.
    fn written(&mut self, done: Result<Vec<Answer>, JournalError>) -> Result<(), JournalError> {
        match done {
            Ok(answers) => self.committed(answers),
            Err(error) if error.can_be_retried() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes what was not written, at the end.
    async fn finish(&mut self) -> Result<(), JournalError> {
        self.write_rest().await?;
        let now = self.shared.clock.now();
        self.reported = None;
        self.tell(now);
        Ok(())
    }

    async fn write_rest(&mut self) -> Result<(), JournalError> {
        if let Some(ticket) = self.ticket.take() {
            let done = ticket.await;
            self.written(done)?;
        }
        let now = self.shared.clock.now();
        let last = self.machine.as_mut().map(|machine| machine.take_rest(now));
        if let Some(last) = &last {
            self.counts.add(&last.counts);
            self.tell_dead(last);
        }
        for change in self.unsent.take().into_iter().chain(last) {
            let when = crate::journal::When::Now;
            match self.shared.journal.settle(change, when).await {
                // The daemon stops on a full disk: what was settled since is handed out again.
                Err(error) if error.can_be_retried() => {
                    tracing::error!(plugin = %self.name, "the last settlements find no room; these events are handed out again");
                }
                done => drop(done?),
            }
        }
        Ok(())
    }

    async fn obey(&mut self, order: Order) -> Result<(), JournalError> {
        match order {
            Order::Operate(what, done) => {
                let became = self.operate(what).await?;
                // Who asked may have gone.
                let _gone = done.send(became);
            }
            Order::Reopened(seqs) => self.reopen(&seqs).await?,
            Order::Changed(setup) => {
                self.next_setup = Some(*setup);
                self.step(Input::Changed);
            }
            Order::Configured(setup) => {
                let is_enabled = setup.settings.enabled;
                // Off at once, for `status` and those that wait for it; on with its next process.
                self.setup.settings.enabled &= is_enabled;
                self.next_setup = Some(*setup);
                self.step(if is_enabled {
                    Input::Changed
                } else {
                    Input::Off
                });
                if is_enabled {
                    self.step(Input::Start);
                } else {
                    // Nobody misses the file of one that is off.
                    self.shared.alerts.end(&self.key("missing"));
                }
            }
            Order::Vanished => {
                let has_moved = self.step(Input::Vanished);
                let settings = &self.setup.settings;
                // What the config made, the config took away.
                let is_missed = has_moved && settings.enabled && settings.command.is_none();
                self.tell_gone(is_missed);
            }
            // Who does not run is told by its next start.
            Order::Spoiled(why) => {
                if matches!(self.life.state(), State::Ready { .. }) {
                    self.tell_invalid(&why);
                }
            }
            Order::Appeared(setup) => {
                self.next_setup = Some(*setup);
                self.shared.alerts.end(&self.key("missing"));
                self.step(Input::Start);
            }
            Order::After(after) => {
                if let Some(next) = &mut self.next_setup {
                    next.after.clone_from(&after);
                }
                self.setup.after = after;
            }
        }
        Ok(())
    }

    fn submit(&mut self, change: CursorChange) {
        let revision = None;
        let op = Op::Cursor { change, revision };
        match self
            .shared
            .journal
            .try_submit(vec![op], crate::journal::When::Now)
        {
            Ok(ticket) => self.ticket = Some(ticket),
            Err(mut ops) => {
                if let Some(Op::Cursor { change, .. }) = ops.pop() {
                    self.unsent = Some(change);
                }
            }
        }
    }
}

async fn next(run: &mut Option<Run>) -> Happened {
    match run {
        Some(run) => run.next().await,
        None => std::future::pending().await,
    }
}

async fn spawned(spawning: &mut VecDeque<Spawning>) -> Option<Started> {
    let first = spawning.front_mut()?;
    Some((&mut first.done).await)
}

async fn poll<F: Future + Unpin>(slot: &mut Option<F>) -> Option<F::Output> {
    Some(slot.as_mut()?.await)
}

/// Waits until one of them moves; there must be one.
async fn any_changed(others: &mut [watch::Receiver<Seq>]) {
    let moved = others.iter_mut().map(|other| {
        Box::pin(async move {
            if other.changed().await.is_err() {
                // It is gone for good and holds nothing back.
                std::future::pending::<()>().await;
            }
        })
    });
    futures::future::select_all(moved).await;
}
