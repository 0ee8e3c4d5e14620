//! The writer thread: takes everything that is queued as one transaction, answers after the commit, then shows the events.
//!
//! In: jobs (operations that belong together), heartbeats, the order to close.
//! Out: answers, the tail, the newest position, and how it stands.
//! Never: an answer before the commit, a second try after anything but a lack of room.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, oneshot, watch},
    time::Instant,
};

use super::{Answer, Engine, JournalError, Op, Outcome, lock::StateDir, pages::Pages, tail::Tail};
use crate::{
    event::{Body, Event},
    ident::Seq,
};

/// Without work for this long the engine tidies up.
const IDLE: Duration = Duration::from_secs(3);
/// How often the state directory is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How soon a commit that found no room is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// When a job is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With the next transaction.
    Now,
    /// When something urgent comes, enough others are there, or the wait for company is over.
    Company,
}

/// How the writer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It writes.
    Working,
    /// There is no room; nothing is answered, and it is tried again every second.
    Stalled(JournalError),
    /// It has ended after an error and writes no more: the daemon must say so and exit.
    Broken(JournalError),
    /// It was closed.
    Closed,
}

/// Operations that belong together: never split over two transactions.
pub(super) struct Job {
    pub(super) ops: Vec<Op>,
    pub(super) when: When,
    pub(super) answer: oneshot::Sender<Result<Vec<Answer>, JournalError>>,
    /// The place in the queue, free again when the job is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the thread is told.
pub(super) enum Message {
    /// To be committed.
    Work(Job),
    /// To be answered at once: the thread turns.
    Beat(oneshot::Sender<()>),
    /// From now on who finds no room is told so instead of waiting for it.
    Leave,
    /// Commit what is here and end.
    Close(oneshot::Sender<()>),
}

/// Engine and what follows a commit, with or without a thread.
pub(super) struct Core {
    pub(super) engine: Box<dyn Engine>,
    pub(super) tail: Arc<Tail>,
    pub(super) pages: Arc<Pages>,
    pub(super) head: watch::Sender<Seq>,
    pub(super) dir: Option<Arc<StateDir>>,
}

impl Core {
    /// Commits and publishes. After an error that can be retried the operations are still in `ops`.
    pub(super) fn commit(&mut self, ops: &mut Vec<Op>) -> Result<Vec<Answer>, JournalError> {
        let answers = self.engine.commit(ops)?;
        crate::fail::at("journal.after_commit_before_publish");
        let mut last = *self.head.borrow();
        for (op, answer) in ops.drain(..).zip(&answers) {
            if let (Op::DropRows { .. }, Ok(Outcome::Pruned(pruned))) = (&op, answer) {
                self.pages.clear();
                self.tail.forget(pruned.up_to);
            }
            if let (Op::Append { append, .. }, Ok(Outcome::Appended(appended))) = (op, answer) {
                let mut events: Vec<_> = append.events.into_iter().map(Some).collect();
                let fresh = appended.fresh.iter().map(|index| *index as usize);
                let fresh = fresh.filter_map(|index| events.get_mut(index)?.take());
                let placed = fresh.zip(appended.first.0..).map(|(event, seq)| {
                    last = Seq(seq);
                    Arc::new(Event {
                        seq: last,
                        facts: event.facts.into(),
                        body: Body::Here(event.body),
                    })
                });
                self.tail.push(placed);
            }
        }
        self.publish(last);
        Ok(answers)
    }

    fn publish(&self, last: Seq) {
        let is_news = self.head.send_if_modified(|head| {
            let is_news = *head != last;
            *head = last;
            is_news
        });
        if let Some(dir) = self.dir.as_ref().filter(|_| is_news) {
            dir.note_seq(last);
        }
    }
}

/// The thread's own state.
pub(super) struct Writer {
    pub(super) core: Core,
    pub(super) inbox: Receiver<Message>,
    pub(super) health: watch::Sender<Health>,
    /// How long a job waits for company, and how many are company enough.
    pub(super) company: (Duration, usize),
    pub(super) batch: Batch,
    /// The daemon stops: nobody waits for room any more.
    pub(super) is_leaving: bool,
}

/// What goes into the next transaction.
#[derive(Default)]
pub(super) struct Batch {
    ops: Vec<Op>,
    jobs: Vec<Waiting>,
    /// When it is to be committed; none while it is empty.
    due: Option<Instant>,
    /// The last try found no room: what comes waits for the next.
    is_stalled: bool,
}

struct Waiting {
    ops: usize,
    answer: oneshot::Sender<Result<Vec<Answer>, JournalError>>,
    /// Given back when the job is answered.
    _room: OwnedSemaphorePermit,
}

/// Why the thread stopped waiting.
enum Woken {
    Due,
    Idle,
    Close(Option<oneshot::Sender<()>>),
}

impl Writer {
    /// Runs until it is closed or broken.
    pub(super) fn run(mut self) {
        let _guard = OnPanic(self.health.clone());
        let mut looked = Instant::now();
        let end = loop {
            let woken = self.wait();
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Err(error) = self.look() {
                    break Err(error);
                }
            }
            let result = match woken {
                Woken::Due => self.commit(),
                Woken::Idle => self.core.engine.housekeep(true),
                Woken::Close(closer) => break Ok(closer),
            };
            if let Err(error) = result {
                break Err(error);
            }
        };
        match end {
            Ok(closer) => self.close(closer),
            Err(error) => self.break_down(&error),
        }
    }

    /// Takes what comes until the batch is due.
    fn wait(&mut self) -> Woken {
        // Heartbeats are no work: they put nothing off.
        let idle = Instant::now() + IDLE;
        loop {
            // What is queued already comes along, even when it is time.
            let until = self.batch.due.unwrap_or(idle);
            let message = self
                .inbox
                .recv_timeout(until.saturating_duration_since(Instant::now()));
            match message {
                Ok(Message::Work(job)) => self.batch.add(job, self.company),
                // Nobody waits any more: fine.
                Ok(Message::Beat(answer)) => {
                    let _ = answer.send(());
                }
                Ok(Message::Leave) => {
                    self.is_leaving = true;
                    self.batch.due = self.batch.due.map(|_| Instant::now());
                }
                Ok(Message::Close(closer)) => return Woken::Close(Some(closer)),
                Err(RecvTimeoutError::Timeout) if self.batch.due.is_some() => return Woken::Due,
                Err(RecvTimeoutError::Timeout) => return Woken::Idle,
                Err(RecvTimeoutError::Disconnected) => return Woken::Close(None),
            }
        }
    }

    /// One transaction for the whole batch.
    fn commit(&mut self) -> Result<(), JournalError> {
        self.is_trusted()?;
        match self.core.commit(&mut self.batch.ops) {
            Ok(answers) => {
                self.batch.answer(answers);
                self.say(Health::Working);
                self.is_trusted()?;
            }
            Err(error) if error.can_be_retried() && self.is_leaving => {
                tracing::warn!(%error, "not written while the daemon stops; the next start repeats it");
                self.batch.give_up(&error);
                return Ok(());
            }
            Err(error) if error.can_be_retried() => {
                self.batch.due = Some(Instant::now() + RETRY);
                self.batch.is_stalled = true;
                self.say(Health::Stalled(error));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.core.engine.housekeep(false)
    }

    /// An error when a reader found that the disk or the database fails: nothing is built on that.
    fn is_trusted(&self) -> Result<(), JournalError> {
        match &*self.health.borrow() {
            Health::Broken(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn say(&self, health: Health) {
        self.health.send_if_modified(|said| {
            // What a reader found broken meanwhile stays so: nothing but the end of the thread comes after it.
            let is_broken = matches!(said, Health::Broken(_));
            let is_news = *said != health && (!is_broken || health == Health::Closed);
            if is_news {
                *said = health;
            }
            is_news
        });
    }

    fn look(&self) -> Result<(), JournalError> {
        let Some(dir) = &self.core.dir else {
            return Ok(());
        };
        dir.check()
            .map_err(|error| JournalError::Broken(error.to_string().into()))
    }

    fn close(mut self, closer: Option<oneshot::Sender<()>>) {
        if !self.batch.jobs.is_empty() {
            let trusted = self.is_trusted();
            match trusted.and_then(|()| self.core.commit(&mut self.batch.ops)) {
                Ok(answers) => self.batch.answer(answers),
                Err(error) => {
                    let (events, settlements) = self.batch.holds();
                    tracing::error!(%error, events, settlements, "this was not written; the events are asked for, or handed out, again");
                    self.batch.fail(&error);
                }
            }
        }
        if let Err(error) = self.core.engine.housekeep(true) {
            tracing::warn!(%error, "the journal's log was not carried over at the end; the next start reads it");
        }
        self.say(Health::Closed);
        // The database is closed and the directory's lock is free before anybody hears of it.
        drop(self);
        if let Some(closer) = closer {
            let _ = closer.send(());
        }
    }

    /// Tells everybody, and goes: who asks from now on finds no thread.
    fn break_down(mut self, error: &JournalError) {
        tracing::error!(%error, "the journal cannot be written any more");
        self.say(Health::Broken(error.clone()));
        self.batch.fail(error);
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::Work(job) = message {
                drop(job.answer.send(Err(error.clone())));
            }
        }
    }
}

impl Batch {
    fn add(&mut self, job: Job, (wait, count): (Duration, usize)) {
        let is_enough = self.jobs.len() + 1 >= count;
        let due = match job.when {
            When::Company if !is_enough => Instant::now() + wait,
            _ => Instant::now(),
        };
        if !self.is_stalled {
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
        self.jobs.push(Waiting {
            ops: job.ops.len(),
            answer: job.answer,
            _room: job.room,
        });
        self.ops.extend(job.ops);
    }

    /// How many events and settlements wait.
    fn holds(&self) -> (usize, usize) {
        let mut holds = (0, 0);
        for op in &self.ops {
            match op {
                Op::Append { append, .. } => holds.0 += append.events.len(),
                Op::Cursor { change, .. } => holds.1 += change.settled.len() + change.dead.len(),
                _ => {}
            }
        }
        holds
    }

    fn answer(&mut self, answers: Vec<Answer>) {
        let mut answers = answers.into_iter();
        self.due = None;
        self.is_stalled = false;
        for job in self.jobs.drain(..) {
            let own = answers.by_ref().take(job.ops).collect();
            drop(job.answer.send(Ok(own)));
        }
    }

    /// Answers everybody with an error that could have been retried, and is empty then.
    fn give_up(&mut self, error: &JournalError) {
        self.ops.clear();
        (self.due, self.is_stalled) = (None, false);
        self.fail(error);
    }

    fn fail(&mut self, error: &JournalError) {
        for job in self.jobs.drain(..) {
            drop(job.answer.send(Err(error.clone())));
        }
    }
}

/// Says that the writer is broken when its thread ends by a panic.
struct OnPanic(watch::Sender<Health>);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = JournalError::Broken("the writer ended in a panic".into());
            self.0.send_replace(Health::Broken(error));
        }
    }
}
