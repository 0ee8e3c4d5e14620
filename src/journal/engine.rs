//! What an engine must do: commit operations as one transaction, and read. SQLite and the in-memory twin stand behind it.
//!
//! In: [`Op`]s. Out: an [`Answer`] for each, durable when `commit` returns; [`Reader`]s that see what is committed.
//! Never: tasks, channels, clocks. Times come with the operations.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    change::{ChildRecord, DeadLetter, IngestState, Place, PluginRecord},
    op::{Answer, Op, Refused},
};
use crate::{
    clock::Unix,
    event::{Body, Event},
    ident::{EventId, PluginName, Seq, Timeline},
};

/// Why the journal as a whole could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// There is no room on the disk. Nothing was written; it can be tried again.
    #[error("no space left for the journal in {dir}")]
    Full {
        /// The state directory.
        dir: Arc<str>,
    },
    /// Another process holds the database. Nothing was written; it can be tried again.
    #[error("another process holds the journal's database: {0}")]
    Busy(Arc<str>),
    /// What is on disk does not hold together.
    #[error("the journal is damaged: {0}")]
    Corrupt(Arc<str>),
    /// A write or a read failed. Nothing on this handle is trusted any more.
    #[error("the journal cannot go on: {0}")]
    Broken(Arc<str>),
    /// The operation was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    /// True when nothing was written and the same may succeed later.
    #[must_use]
    pub fn can_be_retried(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Busy(_))
    }
}

/// How far the journal reaches and how big it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// The oldest row that is kept for sure; above `last` when there is none.
    pub first: Seq,
    /// The newest row; 0 when there never was one.
    pub last: Seq,
    /// The oldest row with a body; above `last` when there is none.
    pub bodies_from: Seq,
    /// Bytes of all bodies.
    pub body_bytes: u64,
    /// When the oldest kept row was journaled, to [`MARK_MS`](super::MARK_MS).
    pub oldest: Option<Unix>,
    /// When the newest mark of time was made: the newest row is not older.
    pub newest: Option<Unix>,
}

impl Extent {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.first.0)
    }
}

/// What an engine takes on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Bytes in use inside the database.
    pub used_bytes: u64,
    /// Bytes of all its files.
    pub file_bytes: u64,
}

/// Which dead letters to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadQuery {
    /// Only of this plugin.
    pub plugin: Option<PluginName>,
    /// Only with a higher number than this.
    pub after: i64,
    /// At most so many.
    pub rows: usize,
}

/// Writes, one transaction at a time.
pub trait Engine: Send {
    /// Writes all operations as one transaction; when it returns, they are on disk. One answer for each operation.
    ///
    /// # Errors
    /// Nothing was written. After anything but [`JournalError::can_be_retried`] the engine must not be used again.
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Answer>, JournalError>;

    /// A reader of its own for another thread.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    fn reader(&self) -> Result<Box<dyn Reader>, JournalError>;

    /// Housekeeping between transactions; `is_idle` when nothing is queued and nothing was for a while.
    ///
    /// # Errors
    /// When a write failed; as for `commit`.
    fn housekeep(&mut self, is_idle: bool) -> Result<(), JournalError>;
}

/// Reads what is committed, in short transactions: nothing is held between two calls.
pub trait Reader: Send {
    /// Events after a position, in order, with facts and [`Body::Unread`]: at most `rows` of them and, but for the first, `bytes` of facts.
    ///
    /// # Errors
    /// When the disk or the data is damaged. A missing row is damage, never silence.
    fn page(&mut self, after: Seq, rows: usize, bytes: usize) -> Result<Vec<Event>, JournalError>;

    /// The bodies of these events, in the same order; [`Body::Dropped`] for one that is not there.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn bodies(&mut self, seqs: &[Seq]) -> Result<Vec<Body>, JournalError>;

    /// These events with facts and bodies, in the same order; those whose row is gone are left out.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn events(&mut self, seqs: &[Seq]) -> Result<Vec<Event>, JournalError>;

    /// The event with this id: of that timeline, or of the newest one that has it.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn find(
        &mut self,
        id: EventId,
        timeline: Option<Timeline>,
    ) -> Result<Option<Seq>, JournalError>;

    /// The position for a place, as [`Op::Seek`] would take it.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn locate(&mut self, place: Place) -> Result<Seq, JournalError>;

    /// The highest position of which everything was journaled before that time, to [`MARK_MS`](super::MARK_MS).
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn aged(&mut self, before: Unix) -> Result<Seq, JournalError>;

    /// All plugins, by name.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn plugins(&mut self) -> Result<Vec<PluginRecord>, JournalError>;

    /// One plugin.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn plugin(&mut self, name: &PluginName) -> Result<Option<PluginRecord>, JournalError>;

    /// Dead letters, by number.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn dead(&mut self, query: &DeadQuery) -> Result<Vec<DeadLetter>, JournalError>;

    /// How many dead letters each plugin has; those without any are left out.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn dead_counts(&mut self) -> Result<Vec<(PluginName, u64)>, JournalError>;

    /// A value of a plugin's state.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn state(&mut self, plugin: &PluginName, key: &str) -> Result<Option<Box<str>>, JournalError>;

    /// What ingest remembers.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn ingest(&mut self) -> Result<IngestState, JournalError>;

    /// Which file has which name.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn files(&mut self) -> Result<Vec<(PluginName, Box<str>)>, JournalError>;

    /// Recorded children.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn children(&mut self) -> Result<Vec<ChildRecord>, JournalError>;

    /// The site that the state belongs to.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn site(&mut self) -> Result<Option<Box<str>>, JournalError>;

    /// How far the journal reaches.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn extent(&mut self) -> Result<Extent, JournalError>;

    /// What it takes on disk.
    ///
    /// # Errors
    /// When the disk or the data is damaged.
    fn sizes(&mut self) -> Result<Sizes, JournalError>;
}

/// A body as an engine found it.
pub(super) fn body_of(text: Option<Bytes>) -> Body {
    text.map_or(Body::Dropped, Body::Here)
}
