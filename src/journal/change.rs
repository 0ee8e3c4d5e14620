//! What can be written to a journal and read back: plain data, the same for every engine.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Unix,
    event::Facts,
    ident::{EventId, PluginName, Seq, Timeline},
};

/// An event as ingest found it, before it has a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What filters need.
    pub facts: Facts,
    /// The site's own JSON text, one line.
    pub body: Bytes,
}

/// One answer of the site as one transaction: events, head and gaps together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Append {
    /// The head that ingest believed in when it asked; a journal with another head refuses (fencing).
    pub expected_head: Option<EventId>,
    /// In the order to be journaled. A known (timeline, event id) is dropped; the first reading counts.
    pub events: Vec<NewEvent>,
    /// What ingest must know after a restart; replaces what was there.
    pub ingest: IngestState,
}

/// What ingest remembers across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IngestState {
    /// False until the first answer of the site has fixed where we begin.
    pub is_started: bool,
    /// How often the site's ids began again.
    pub timeline: Timeline,
    /// The highest row seen; none before the first answer.
    pub head: Option<Anchor>,
    /// The row that proves answers, when it is not the head itself.
    #[serde(default)]
    pub anchor: Option<Anchor>,
    /// Rows that were there when we began, a few of the newest: what is known while the journal holds nothing newer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun_with: Vec<Anchor>,
    /// Ids at or below this were there before us and are never asked for.
    pub floor: EventId,
    /// Open gaps, ascending, disjoint, all below the head.
    pub gaps: Vec<Gap>,
    /// Ids that were given up so far, in all.
    pub given_up: u64,
    /// Ids of gaps that appeared after all, in all.
    pub filled: u64,
}

/// A row by which an answer of the site proves that it belongs to the log we follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The site's id.
    pub event_id: EventId,
    /// Its event type.
    pub event_type: Box<str>,
    /// When the site wrote it.
    pub created_at: Option<Unix>,
}

/// A range of ids, both ends inside, that have not appeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The lowest missing id.
    pub first: EventId,
    /// The highest missing id.
    pub last: EventId,
    /// `created_at` of the row above it, by the site's clock: its age counts from here.
    pub since: Unix,
    /// When a successful answer last covered it, by the site's clock.
    pub asked: Unix,
    /// True for a single id whose row spoils every answer that holds it: asked alone.
    #[serde(default)]
    pub is_unreadable: bool,
}

/// Why an event stands in the open list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It came by in the journal.
    #[default]
    Event,
    /// An operator redrives a dead letter.
    Redrive,
    /// An operator triggered it.
    Trigger,
    /// It belongs to a replay of a range.
    Replay,
}

/// A wanted event at or below the position that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenEntry {
    /// Its position.
    pub seq: Seq,
    /// Why it is here.
    pub origin: Origin,
    /// Attempts charged so far.
    pub attempts: u32,
    /// Crashes charged so far, while it was alone.
    pub crashes: u32,
    /// Deliveries so far, charged or not: a later one is a redelivery.
    pub deliveries: u32,
    /// Not before this; none: at once.
    pub next_at: Option<Unix>,
    /// What went wrong last.
    pub last_error: Option<Box<str>>,
    /// Whatever JSON the handler wants to see again, at most 4 KiB.
    pub progress: Option<Box<str>>,
}

impl OpenEntry {
    /// Attempts as a dead letter counts them: one that was handed out was tried, whether or not that was charged.
    #[must_use]
    pub fn tries(&self) -> u32 {
        let handed_out = u32::from(self.deliveries > 0);
        self.attempts.max(self.crashes).max(handed_out)
    }
}

/// Where a plugin stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Every event up to it has been looked at.
    pub position: Seq,
    /// The wanted ones at or below it that are not settled, in `seq` order.
    pub open: Vec<OpenEntry>,
}

/// How often each end was reached, since the plugin was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Handed out, every attempt.
    pub delivered: u64,
    /// Settled as ok.
    pub ok: u64,
    /// Settled as skip.
    pub skipped: u64,
    /// Attempts that ended in a later one.
    pub retried: u64,
    /// Became dead letters.
    pub dead: u64,
    /// Passed over because of `max_age`.
    pub too_old: u64,
}

impl Counts {
    /// Adds what came after.
    pub fn add(&mut self, more: &Self) {
        self.delivered += more.delivered;
        self.ok += more.ok;
        self.skipped += more.skipped;
        self.retried += more.retried;
        self.dead += more.dead;
        self.too_old += more.too_old;
    }
}

/// What changed for one plugin since its last commit: one transaction, whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorChange {
    /// Whose.
    pub plugin: PluginName,
    /// The new position; never below the last one, but by a seek.
    pub position: Seq,
    /// Open entries that are new or changed, as they are after all that follows: one that was triggered before its turn
    /// may be settled and opened again by one change.
    pub put: Vec<OpenEntry>,
    /// Open entries that are settled; one that was never written is ignored.
    pub settled: Vec<Seq>,
    /// Became dead letters with this change; their open entries go with it.
    pub dead: Vec<NewDead>,
    /// Replays that got further, each as it is after this; one that is over goes.
    pub replays: Vec<Replay>,
    /// To be added to what is counted.
    pub counts: Counts,
}

/// A dead letter as the dispatcher makes it; the journal adds the event's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDead {
    /// Which event.
    pub seq: Seq,
    /// Why: `attempts`, `dead`, `crashed_plugin`, `too_large`, `skip`, `gone`, `skipped_by_operator`.
    pub reason: Box<str>,
    /// The last error in words.
    pub error: Box<str>,
    /// Attempts that were made; 0: it was never handed out.
    pub attempts: u32,
    /// When.
    pub at: Unix,
    /// The plugin's version as its manifest said; none when it says none, or when no process had it.
    pub version: Option<Box<str>>,
}

/// A dead letter as kept. There is one at most for a plugin and an event: a later one replaces the earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The dead letter's own number.
    pub id: i64,
    /// Whose.
    pub plugin: PluginName,
    /// The event, with facts.
    pub facts: Facts,
    /// The event's body; none when it was pruned before.
    pub body: Option<Bytes>,
    /// Why and when.
    pub dead: NewDead,
}

/// Where a reading begins. Engines turn it into a position: everything up to that position counts as looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the newest event.
    Latest,
    /// Before the oldest event that is kept.
    Oldest,
    /// This position, at most the newest.
    Seq(Seq),
    /// So that the first event of the current timeline with this id or a higher one comes next.
    Event(EventId),
    /// So that the first event that the site wrote then or later comes next.
    Time(Unix),
}

/// What an import knows to be done: ids of timeline 0 that the old daemon has handled for a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Every id up to it is done,
    pub up_to: EventId,
    /// but for these, ascending.
    pub except: Vec<EventId>,
}

/// An operator's replay of a range; it feeds the open list and leaves the position alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// The first position of the range; with `last` and the plugin it names the replay.
    pub first: Seq,
    /// The last position of the range.
    pub last: Seq,
    /// The next one to enter the open list; above `last` the replay is over and its row goes.
    pub next: Seq,
}

/// What is known of a plugin besides its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRecord {
    /// Its name.
    pub name: PluginName,
    /// When it was first seen.
    pub first_seen: Unix,
    /// When it was last there.
    pub last_seen: Unix,
    /// A reason to be disabled that outlives the daemon, as JSON of the life machine.
    pub disabled: Option<Box<str>>,
    /// Where it stands.
    pub cursor: Cursor,
    /// How often the cursor was written; a change may name the one it saw and is refused when another came between.
    pub revision: u64,
    /// Replays under way, by `first` and `last`.
    pub replays: Vec<Replay>,
    /// What an import brought; none for others.
    pub imported: Option<Imported>,
    /// What it did.
    pub counts: Counts,
}

/// A child process that must not outlive us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRecord {
    /// Whose.
    pub plugin: PluginName,
    /// Its process id, which is its session's too.
    pub pid: i32,
    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Box<str>,
}
