//! The journal as everybody else sees it: a handle that can be cloned, with async calls.
//!
//! In: operations, questions. Out: answers after the commit, events from memory when they are there and from disk when not,
//! the newest position and how the writer stands, both to be watched.
//! Never: work on the caller's thread that touches a disk (but in [`Journal::inline`], which has none).

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{SyncSender, sync_channel},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{
    Answer, Append, Appended, CursorChange, DeadQuery, Engine, Extent, Imported, JournalError, Op,
    Outcome, Place, PluginRecord, Reader, Refused,
    lock::StateDir,
    pages::{self, Pages},
    readers::Readers,
    tail::{Tail, TailBounds, TailRead},
    writer::{Batch, Core, Health, Job, Message, When, Writer},
};
use crate::{
    clock::Clock,
    event::{Body, Event},
    ident::{PluginName, Seq},
};

/// Jobs that may wait for the writer. Ingest and each plugin have one at a time, so only a storm of calls fills it.
const ROOM: usize = 1024;

/// How a journal runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a settlement waits for company.
    pub settle_wait: Duration,
    /// How many jobs are company enough.
    pub settle_count: usize,
    /// What is kept in memory.
    pub tail: TailBounds,
    /// Threads that read.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle_wait: Duration::from_millis(100),
            settle_count: 256,
            tail: TailBounds::default(),
            readers: 2,
        }
    }
}

/// The journal. Clones share it.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    backend: Backend,
    room: Arc<Semaphore>,
    tail: Arc<Tail>,
    pages: Arc<Pages>,
    head: watch::Receiver<Seq>,
    health: watch::Receiver<Health>,
    dir: Weak<StateDir>,
}

enum Backend {
    Threads {
        writer: SyncSender<Message>,
        readers: Readers,
    },
    Inline {
        core: Mutex<Core>,
        reader: Mutex<Box<dyn Reader>>,
        /// Keeps the channel open.
        _health: watch::Sender<Health>,
    },
}

impl Journal {
    /// True while the path of the state leads to the directory that was locked: else nothing may be made there. Blocks on disk.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let dir = self.0.dir.upgrade();
        dir.is_none_or(|dir| dir.check().is_ok())
    }

    /// Starts the threads. The directory, if there is one, stays locked until the writer has ended.
    ///
    /// # Errors
    /// When no reader can be opened or no thread started.
    pub fn start(
        engine: Box<dyn Engine>,
        dir: Option<StateDir>,
        options: Options,
    ) -> Result<Self, JournalError> {
        let dir = dir.map(Arc::new);
        let weak = dir.as_ref().map_or_else(Weak::new, Arc::downgrade);
        let (health, healths) = watch::channel(Health::Working);
        let readers = Readers::start(engine.as_ref(), options.readers, health.clone())?;
        let (core, head) = core(engine, dir, options.tail)?;
        let (tail, pages) = (Arc::clone(&core.tail), Arc::clone(&core.pages));
        // Every job has a permit; besides them a few beats and one close.
        let (writer, inbox) = sync_channel(ROOM + 16);
        let thread = Writer {
            core,
            inbox,
            health,
            company: (options.settle_wait, options.settle_count),
            batch: Batch::default(),
            is_leaving: false,
        };
        thread::Builder::new()
            .name("journal-write".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| {
                JournalError::Broken(format!("cannot start a thread: {error}").into())
            })?;
        let backend = Backend::Threads { writer, readers };
        Ok(Self::with(backend, (tail, pages), head, healths, weak))
    }

    /// Runs without threads: every call is done when it returns. For tests and simulations under tokio's paused clock, which a
    /// thread outside the runtime would make run away.
    ///
    /// # Errors
    /// When the engine has no reader.
    pub fn inline(engine: Box<dyn Engine>) -> Result<Self, JournalError> {
        let reader = Mutex::new(engine.reader()?);
        let (core, head) = core(engine, None, TailBounds::default())?;
        let (tail, pages) = (Arc::clone(&core.tail), Arc::clone(&core.pages));
        let (health, healths) = watch::channel(Health::Working);
        let backend = Backend::Inline {
            core: Mutex::new(core),
            reader,
            _health: health,
        };
        Ok(Self::with(
            backend,
            (tail, pages),
            head,
            healths,
            Weak::new(),
        ))
    }

    fn with(
        backend: Backend,
        (tail, pages): (Arc<Tail>, Arc<Pages>),
        head: watch::Receiver<Seq>,
        health: watch::Receiver<Health>,
        dir: Weak<StateDir>,
    ) -> Self {
        Self(Arc::new(Shared {
            backend,
            room: Arc::new(Semaphore::new(ROOM)),
            tail,
            pages,
            head,
            health,
            dir,
        }))
    }

    /// The newest position that is on disk; changes wake who waits.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Seq> {
        self.0.head.clone()
    }

    /// How the writer stands.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.clone()
    }

    /// Commits these operations in one transaction, in order, and answers each. Waits for room in the queue.
    ///
    /// # Errors
    /// When the journal is broken or closed. A full disk is no error here: it takes until there is room.
    ///
    /// # Cancel safety
    /// Dropped before the job was queued, nothing happens; after that, it is committed and nobody hears of it.
    pub async fn submit(&self, ops: Vec<Op>, when: When) -> Result<Vec<Answer>, JournalError> {
        let room = Arc::clone(&self.0.room).acquire_owned().await;
        let room = room.map_err(|_| JournalError::Closed)?;
        self.send(ops, when, room).await
    }

    /// As [`Self::submit`] without waiting for room: what is queued answers by the ticket.
    ///
    /// # Errors
    /// The operations themselves when the queue is full.
    pub fn try_submit(&self, ops: Vec<Op>, when: When) -> Result<Ticket, Vec<Op>> {
        match Arc::clone(&self.0.room).try_acquire_owned() {
            Ok(room) => Ok(self.send(ops, when, room)),
            Err(_) => Err(ops),
        }
    }

    fn send(&self, mut ops: Vec<Op>, when: When, room: OwnedSemaphorePermit) -> Ticket {
        let (answer, answered) = oneshot::channel();
        match &self.0.backend {
            Backend::Threads { writer, .. } => {
                let job = Job {
                    ops,
                    when,
                    answer,
                    room,
                };
                // Never full, each has its permit. Without a writer the answer's sender is dropped, which says so.
                drop(writer.try_send(Message::Work(job)));
            }
            Backend::Inline { core, .. } => {
                let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
                drop(answer.send(core.commit(&mut ops)));
            }
        }
        Ticket {
            answered,
            health: self.0.health.clone(),
        }
    }

    /// Commits one operation now.
    ///
    /// # Errors
    /// When it is refused, or the journal is broken or closed.
    pub async fn write(&self, op: Op) -> Result<Outcome, JournalError> {
        let answers = self.submit(vec![op], When::Now).await?;
        only(answers)
    }

    /// Journals an answer of the site.
    ///
    /// # Errors
    /// [`Refused::Head`] when somebody else appended in between; else as for [`Self::write`].
    pub async fn append(&self, append: Append) -> Result<Appended, JournalError> {
        let at = Clock::unix();
        match self.write(Op::Append { append, at }).await? {
            Outcome::Appended(appended) => Ok(appended),
            other => Err(odd(&other)),
        }
    }

    /// Writes what changed for a plugin; the answer is the cursor's revision.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub async fn settle(&self, change: CursorChange, when: When) -> Result<u64, JournalError> {
        let op = Op::Cursor {
            change,
            revision: None,
        };
        match only(self.submit(vec![op], when).await?)? {
            Outcome::Cursor { revision } => Ok(revision),
            other => Err(odd(&other)),
        }
    }

    /// Makes a plugin known, at this place if it is new, and reads all that is kept of it.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub async fn register(
        &self,
        plugin: &PluginName,
        start: Place,
        imported: Option<Imported>,
    ) -> Result<PluginRecord, JournalError> {
        let op = Op::Register {
            plugin: plugin.clone(),
            start,
            imported,
            at: Clock::unix(),
        };
        self.write(op).await?;
        let name = plugin.clone();
        let record = self.query(move |reader| reader.plugin(&name)).await?;
        // Forgotten between the two: nothing is known of it.
        record.ok_or_else(|| Refused::UnknownPlugin(plugin.clone()).into())
    }

    /// Waits until the writer thread has turned, without a commit: food for the watchdog.
    ///
    /// # Errors
    /// When the journal is broken or closed.
    pub async fn heartbeat(&self) -> Result<(), JournalError> {
        let Backend::Threads { writer, .. } = &self.0.backend else {
            return Ok(());
        };
        let (answer, answered) = oneshot::channel();
        match writer.try_send(Message::Beat(answer)) {
            Ok(()) => answered.await.map_err(|_| self.ended()),
            Err(_) => Err(self.ended()),
        }
    }

    /// Reads at most `rows` events after a position: whole from memory, or at most a page of facts with [`Body::Unread`] from disk.
    /// None when there is nothing newer.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn read(&self, after: Seq, rows: usize) -> Result<Vec<Arc<Event>>, JournalError> {
        if let TailRead::Events(events) = self.0.tail.read(after, rows) {
            return Ok(events);
        }
        let number = pages::number(after);
        if let Some(page) = self.0.pages.get(number) {
            return Ok(part(&page, after, rows));
        }
        let cleared = self.0.pages.cleared();
        let page = self.page(pages::start(number), pages::ROWS).await?;
        self.0.pages.keep(number, &page, cleared);
        let events = part(&page, after, rows);
        if !events.is_empty() {
            return Ok(events);
        }
        // The rows of this page are gone, or a piece of it was too big: from here on, wherever the next one stands.
        self.page(after, rows.min(pages::ROWS)).await
    }

    async fn page(&self, after: Seq, rows: usize) -> Result<Vec<Arc<Event>>, JournalError> {
        let question = move |reader: &mut dyn Reader| reader.page(after, rows, pages::BYTES);
        let events = self.query(question).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// The bodies of these events, in the same order.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn bodies(&self, seqs: &[Seq]) -> Result<Vec<Body>, JournalError> {
        let seqs = seqs.to_vec();
        self.query(move |reader| reader.bodies(&seqs)).await
    }

    /// These events with facts and bodies, in the same order; those whose rows are gone are left out.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn events(&self, seqs: &[Seq]) -> Result<Vec<Arc<Event>>, JournalError> {
        let here: Option<Vec<_>> = seqs.iter().map(|seq| self.0.tail.get(*seq)).collect();
        if let Some(events) = here {
            return Ok(events);
        }
        let seqs = seqs.to_vec();
        let events = self.query(move |reader| reader.events(&seqs)).await?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// All plugins that are known.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn plugins(&self) -> Result<Vec<PluginRecord>, JournalError> {
        self.query(|reader| reader.plugins()).await
    }

    /// How far the journal reaches.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn extent(&self) -> Result<Extent, JournalError> {
        self.query(|reader| reader.extent()).await
    }

    /// Dead letters.
    ///
    /// # Errors
    /// When the data is damaged.
    pub async fn dead(&self, query: DeadQuery) -> Result<Vec<super::DeadLetter>, JournalError> {
        self.query(move |reader| reader.dead(&query)).await
    }

    /// Asks a reader thread anything.
    ///
    /// # Errors
    /// What the question says; or that it ended in a panic.
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        match &self.0.backend {
            Backend::Threads { readers, .. } => readers.ask(question).await,
            Backend::Inline { reader, .. } => {
                let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                question(reader.as_mut())
            }
        }
    }

    /// Writes the two lines of `status` into the lock file, for when the daemon hangs.
    pub fn note_status(&self, lines: [String; 2]) {
        if let Some(dir) = self.0.dir.upgrade() {
            dir.note_status(lines);
        }
    }

    /// From now on a full disk is an error instead of a wait: for a daemon that stops and cannot wait for ever.
    pub fn leave(&self) {
        if let Backend::Threads { writer, .. } = &self.0.backend {
            // A writer that has ended waits for nothing.
            let _ended = writer.try_send(Message::Leave);
        }
    }

    /// Commits what is queued, carries the log over, closes the database and lets the directory go.
    pub async fn close(&self) {
        let Backend::Threads { writer, .. } = &self.0.backend else {
            return;
        };
        let (answer, answered) = oneshot::channel();
        if writer.try_send(Message::Close(answer)).is_ok() {
            // An error here means that it had ended already.
            drop(answered.await);
        }
    }

    fn ended(&self) -> JournalError {
        ended(&self.0.health)
    }
}

/// What was queued will answer here.
#[derive(Debug)]
pub struct Ticket {
    answered: oneshot::Receiver<Result<Vec<Answer>, JournalError>>,
    health: watch::Receiver<Health>,
}

impl Future for Ticket {
    type Output = Result<Vec<Answer>, JournalError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = Pin::new(&mut self.answered).poll(cx);
        answered.map(|answer| answer.unwrap_or_else(|_| Err(ended(&self.health))))
    }
}

/// Why there is no writer.
fn ended(health: &watch::Receiver<Health>) -> JournalError {
    match &*health.borrow() {
        Health::Broken(error) => error.clone(),
        _ => JournalError::Closed,
    }
}

fn core(
    engine: Box<dyn Engine>,
    dir: Option<Arc<StateDir>>,
    bounds: TailBounds,
) -> Result<(Core, watch::Receiver<Seq>), JournalError> {
    let last = engine.reader()?.extent()?.last;
    if let Some(dir) = &dir {
        dir.note_seq(last);
    }
    let (head, heads) = watch::channel(last);
    let core = Core {
        engine,
        tail: Arc::new(Tail::new(bounds, last)),
        pages: Arc::default(),
        head,
        dir,
    };
    Ok((core, heads))
}

fn only(answers: Vec<Answer>) -> Result<Outcome, JournalError> {
    let answer = answers.into_iter().next();
    let answer = answer.ok_or_else(|| JournalError::Broken("an operation got no answer".into()))?;
    Ok(answer?)
}

fn odd(outcome: &Outcome) -> JournalError {
    JournalError::Broken(format!("an operation got the answer of another one: {outcome:?}").into())
}

fn part(page: &[Arc<Event>], after: Seq, rows: usize) -> Vec<Arc<Event>> {
    let from = page.partition_point(|event| event.seq <= after);
    page[from..].iter().take(rows).cloned().collect()
}
