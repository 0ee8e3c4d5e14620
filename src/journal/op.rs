//! What can be asked of an engine, and what it answers: plain data.
//!
//! Never: how. Refusals are about what was asked; a failing disk is [`JournalError`](super::JournalError).

use super::change::{Append, ChildRecord, CursorChange, Imported, Place, Replay};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName, Seq},
};

/// The longest value of a plugin's key-value state, in bytes.
pub const STATE_VALUE_MAX: usize = 64 * 1024;
/// The longest key of it.
pub const STATE_KEY_MAX: usize = 1024;
/// Keys and values of one plugin together.
pub const STATE_TOTAL_MAX: u64 = 16 * 1024 * 1024;
/// The most entries of one plugin's open list: what would go beyond waits where it is.
pub const OPEN_MAX: usize = 1000;
/// Ages are known to this many milliseconds: one mark of time for all events journaled within them.
pub const MARK_MS: i64 = 10 * 60 * 1000;

/// The reason of a dead letter whose plugin was away for too long.
pub(super) const ORPHANED: &str = "gone";
/// The same in words.
pub(super) const ORPHANED_ERROR: &str =
    "its plugin was away for longer than `retention.orphan`, and the event went with its row";

/// One thing to write. A refused one changes nothing and does not spoil the others of its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// An answer of the site, journaled at this time by our clock.
    Append {
        /// Events, head and gaps.
        append: Append,
        /// Our wall time, for retention.
        at: Unix,
    },
    /// What changed for one plugin.
    Cursor {
        /// The change.
        change: CursorChange,
        /// The revision it was made from; none: whatever is there.
        revision: Option<u64>,
    },
    /// Sets or clears a lasting reason to be disabled.
    SetDisabled {
        /// Whose.
        plugin: PluginName,
        /// JSON of the life machine.
        reason: Option<Box<str>>,
    },
    /// A plugin is there. A new name gets its place, fixed now; a known one is only seen again.
    Register {
        /// The name.
        plugin: PluginName,
        /// Where a new one begins.
        start: Place,
        /// What an import knows to be done; only for a new one.
        imported: Option<Imported>,
        /// Our wall time.
        at: Unix,
    },
    /// These plugins are still there (an orphan is told by its last time).
    Seen {
        /// Who; unknown ones are passed over.
        plugins: Vec<PluginName>,
        /// Our wall time.
        at: Unix,
    },
    /// Carries cursor, state, replays and dead letters over to another name, and adds to what stands there; the lower position counts.
    Rename {
        /// The name that goes.
        from: PluginName,
        /// The name that stays.
        to: PluginName,
    },
    /// Removes a plugin with all that is kept for it.
    Forget {
        /// Whose.
        plugin: PluginName,
    },
    /// Sets the position, either way, and drops what is open; its events count as skipped.
    Seek {
        /// Whose.
        plugin: PluginName,
        /// Where to.
        to: Place,
    },
    /// Starts a replay or writes down how far it is; one that is over goes.
    Replay {
        /// Whose.
        plugin: PluginName,
        /// The replay.
        replay: Replay,
    },
    /// Puts a journaled event into the open list; refused when that is full.
    Trigger {
        /// Whose.
        plugin: PluginName,
        /// Which event.
        seq: Seq,
    },
    /// Moves dead letters back into the open list; ids that are not there are passed over, and so are those for which
    /// there is no room.
    Redrive {
        /// The dead letters' own numbers.
        ids: Vec<i64>,
    },
    /// Throws dead letters away.
    DropDead {
        /// The dead letters' own numbers.
        ids: Vec<i64>,
    },
    /// Sets a key of a plugin's state.
    StateSet {
        /// Whose.
        plugin: PluginName,
        /// The key.
        key: Box<str>,
        /// JSON.
        value: Box<str>,
    },
    /// Removes a key of a plugin's state; one that is not there is fine.
    StateDelete {
        /// Whose.
        plugin: PluginName,
        /// The key.
        key: Box<str>,
    },
    /// This file has this name, and keeps it.
    PluginFile {
        /// The name.
        plugin: PluginName,
        /// The file's path.
        file: Box<str>,
    },
    /// Records a child process.
    ChildPut(ChildRecord),
    /// The child has ended.
    ChildRemove {
        /// Its process id.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_time: u64,
    },
    /// The state belongs to this site; refused when it belongs to another one.
    Site {
        /// The site's address.
        url: Box<str>,
    },
    /// The state belongs to this site from now on, whatever was there.
    AdoptSite {
        /// The site's address.
        url: Box<str>,
    },
    /// Drops the bodies of the oldest rows that still have one.
    DropBodies {
        /// Up to here.
        up_to: Seq,
        /// At most so many rows in this transaction.
        at_most: u32,
    },
    /// Deletes the oldest rows whose bodies are gone and that no plugin needs; what orphans had open of them becomes dead letters.
    /// The newest row always stays.
    DropRows {
        /// Up to here.
        up_to: Seq,
        /// At most so many rows in this transaction.
        at_most: u32,
        /// Plugins that are away for too long to hold anything back.
        orphans: Vec<PluginName>,
        /// Our wall time.
        at: Unix,
    },
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Events were journaled.
    Appended(Appended),
    /// A plugin is known.
    Registered {
        /// Its position.
        position: Seq,
        /// True when the name was new.
        is_new: bool,
    },
    /// A cursor was written.
    Cursor {
        /// Its revision now.
        revision: u64,
    },
    /// A plugin was placed anew.
    Placed {
        /// Its position.
        position: Seq,
        /// The cursor's revision now.
        revision: u64,
        /// How many open entries were dropped.
        skipped: u64,
    },
    /// Dead letters are open again: whose, and which event.
    Redriven(Vec<(PluginName, Seq)>),
    /// So many things were removed.
    Removed(u64),
    /// Retention took a step.
    Pruned(Pruned),
}

/// What became of an [`Append`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// The position of the first fresh event; the others follow without holes. Without fresh ones: the next position.
    pub first: Seq,
    /// Which of the events were fresh, as indexes into the append, ascending. The others were known.
    pub fresh: Vec<u32>,
}

/// What a step of retention did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Everything up to here is gone now.
    pub up_to: Seq,
    /// Rows that lost their body or were deleted.
    pub rows: u64,
    /// Bytes of bodies that went.
    pub bytes: u64,
    /// Open events of orphans that went with their rows, and are dead letters now.
    pub lost: Vec<(PluginName, EventId)>,
}

/// What an operation gets: what it did, or why not.
pub type Answer = Result<Outcome, Refused>;

/// Why an operation was refused. The journal is as if it had not been asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else appended in between.
    #[error("the journal's head is {}, the append was made for {}", id(*found), id(*expected))]
    Head {
        /// What the append was made for.
        expected: Option<EventId>,
        /// What is there.
        found: Option<EventId>,
    },
    /// No plugin has that name.
    #[error("no plugin is known as {0}")]
    UnknownPlugin(PluginName),
    /// Somebody else wrote the cursor in between.
    #[error("the cursor of {plugin} is at revision {found}, the change was made for {seen}")]
    Revision {
        /// Whose.
        plugin: PluginName,
        /// What the change was made for.
        seen: u64,
        /// What is there.
        found: u64,
    },
    /// Only a seek goes back, and nothing goes beyond the newest event.
    #[error(
        "the position of {plugin} cannot be {asked}: it is at {found} and the newest event is {last}"
    )]
    Position {
        /// Whose.
        plugin: PluginName,
        /// The position asked for.
        asked: Seq,
        /// The position there.
        found: Seq,
        /// The newest event.
        last: Seq,
    },
    /// The event is not in the journal.
    #[error("the journal has no event {0}")]
    NoEvent(Seq),
    /// Nothing more finds room until some of it is settled.
    #[error("{plugin} has {OPEN_MAX} events that are not settled: no other finds room")]
    OpenFull {
        /// Whose.
        plugin: PluginName,
    },
    /// A key or value of a plugin's state is too long.
    #[error("the {what} has {bytes} bytes; allowed: {allowed}")]
    TooLong {
        /// `key` or `value`.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// A plugin's state would outgrow its share.
    #[error(
        "the state of {plugin} would have {bytes} bytes; allowed: {STATE_TOTAL_MAX} in all its keys and values together"
    )]
    StateFull {
        /// Whose.
        plugin: PluginName,
        /// What it would have.
        bytes: u64,
    },
    /// The state belongs to another site.
    #[error("this state belongs to {found}, not to {asked}")]
    OtherSite {
        /// Whom it belongs to.
        found: Box<str>,
        /// Who asks.
        asked: Box<str>,
    },
}

fn id(id: Option<EventId>) -> String {
    id.map_or_else(|| "none".to_owned(), |id| id.to_string())
}
