//! The engine on disk: one SQLite database, in write-ahead mode, every commit synced.
//!
//! * 4 KiB pages, `synchronous=FULL`: an answer survives a power cut (with `NORMAL` 242 of 400 simulated cuts lost answered rows).
//! * Automatic checkpoints are off. This engine checkpoints between batches, every 16 MiB (it never waits for readers), and
//!   empties the log when idle. No other connection ever does.
//! * Each row has a sum over its values, and is held against it when it is read.
//! * What an append needs to know is remembered beside the connection and read anew after a failed transaction.
//!
//! Never: a second writer, a statement held between two calls, a guess after a failed sync.

mod append;
mod cursor;
mod dead;
mod fail;
mod open;
mod plugins;
mod prune;
mod read;
mod row;
mod schema;
mod sum;
mod upkeep;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rusqlite::{Connection, wal::CheckpointMode};

pub use open::OpenError;

use super::{Answer, Engine, IngestState, JournalError, Op, Reader};
use crate::{
    clock::Unix,
    ident::{EventId, Seq, Timeline},
};
use append::{SITE, about, ingest as ingest_state};

/// The write-ahead log is carried over when it is this long: 16 MiB of 4 KiB pages.
const CHECKPOINT_PAGES: u32 = 4096;

/// How far the journal reaches, and whether that is as it was written.
const EXTENT: &str = "SELECT last, rows_from, bodies_from, body_bytes, sums_from,
    sum IS row_sum(last, rows_from, bodies_from, body_bytes, sums_from) FROM extent";

/// What a step in a transaction gives: an answer, or an error that ends the whole transaction.
type Done = rusqlite::Result<Answer>;

/// The database of a state directory, for the one who writes.
pub struct Sqlite {
    db: Connection,
    path: PathBuf,
    memo: Memo,
    /// Pages in the write-ahead log after the last commit.
    log_pages: Arc<AtomicU32>,
    /// The length of the log at which a checkpoint is tried again.
    checkpoint_at: u32,
}

/// What every append and step of retention needs, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Memo {
    last: Seq,
    rows_from: Seq,
    bodies_from: Seq,
    body_bytes: u64,
    /// Rows of events from here on have a sum.
    sums_from: Seq,
    head: Option<EventId>,
    timeline: Timeline,
    /// The newest mark of time.
    mark: Option<Unix>,
}

impl Memo {
    /// How far the journal reaches; the rest stays empty.
    fn load(db: &Connection) -> rusqlite::Result<Self> {
        db.prepare_cached(EXTENT)?.query_row([], |row| {
            sum::see(row, 5, || "what the journal says of itself".to_owned())?;
            Ok(Self {
                last: row.get(0)?,
                rows_from: row.get(1)?,
                bodies_from: row.get(2)?,
                body_bytes: row.get(3)?,
                sums_from: row.get(4)?,
                ..Self::default()
            })
        })
    }

    /// With what only the writer needs.
    fn load_all(db: &Connection) -> rusqlite::Result<Self> {
        let mut memo = Self::load(db)?;
        memo.remember(&ingest_state(db)?);
        memo.mark = db
            .prepare_cached("SELECT (SELECT at FROM marks ORDER BY seq DESC LIMIT 1)")?
            .query_row([], |row| row.get::<_, Option<i64>>(0))?
            .map(Unix);
        Ok(memo)
    }

    fn remember(&mut self, ingest: &IngestState) {
        self.head = ingest.head.as_ref().map(|head| head.event_id);
        self.timeline = ingest.timeline;
    }

    fn store(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "UPDATE extent SET last = ?1, rows_from = ?2, bodies_from = ?3, body_bytes = ?4, sums_from = ?5,
                sum = row_sum(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute([
            self.last.0,
            self.rows_from.0,
            self.bodies_from.0,
            self.body_bytes,
            self.sums_from.0,
        ])?;
        Ok(())
    }
}

impl Sqlite {
    fn new(mut db: Connection, path: &Path) -> rusqlite::Result<Self> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&log_pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        // The log of the last run counts as long until a checkpoint has looked at it.
        let has_log = std::fs::metadata(open::beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
        log_pages.store(u32::from(has_log), Ordering::Relaxed);
        Ok(Self {
            memo: Memo::load_all(&db)?,
            db,
            path: path.to_owned(),
            log_pages,
            checkpoint_at: CHECKPOINT_PAGES,
        })
    }

    /// The newest event's position.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.memo.last
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    fn transaction(&mut self, ops: &[Op]) -> rusqlite::Result<Vec<Answer>> {
        let mut memo = self.memo.clone();
        let transaction = rusqlite::Transaction::new_unchecked(
            &self.db,
            rusqlite::TransactionBehavior::Immediate,
        )?;
        crate::fail::at("journal.txn_begin");
        let answers = ops
            .iter()
            .map(|op| apply(&transaction, &mut memo, op))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if memo != self.memo {
            memo.store(&transaction)?;
        }
        let has_cursor = ops.iter().any(|op| matches!(op, Op::Cursor { .. }));
        if has_cursor {
            crate::fail::at("cursor.before_commit");
        }
        crate::fail::or("journal.before_commit", fail::broken_disk)?;
        transaction.commit()?;
        if has_cursor {
            crate::fail::at("cursor.after_commit");
        }
        self.memo = memo;
        Ok(answers)
    }
}

/// One operation inside the transaction. It checks before it writes, so that a refused one leaves nothing behind.
fn apply(db: &Connection, memo: &mut Memo, op: &Op) -> Done {
    match op {
        Op::Append { append, at } => append::append(db, memo, append, *at),
        Op::Cursor { change, revision } => cursor::change(db, memo, change, *revision),
        Op::SetDisabled { plugin, reason } => plugins::set_disabled(db, plugin, reason.as_deref()),
        Op::Register {
            plugin,
            start,
            imported,
            at,
        } => plugins::register(db, memo, plugin, *start, imported.as_ref(), *at),
        Op::Seen { plugins, at } => plugins::seen(db, plugins, *at),
        Op::Rename { from, to } => plugins::rename(db, from, to),
        Op::Forget { plugin } => plugins::forget(db, plugin),
        Op::Seek { plugin, to } => cursor::seek(db, memo, plugin, *to),
        Op::Replay { plugin, replay } => cursor::replay(db, memo, plugin, replay),
        Op::Trigger { plugin, seq } => cursor::trigger(db, plugin, *seq),
        Op::Redrive { ids } => dead::redrive(db, memo, ids),
        Op::DropDead { ids } => dead::drop(db, ids),
        Op::StateSet { plugin, key, value } => plugins::state_set(db, plugin, key, value),
        Op::StateDelete { plugin, key } => plugins::state_delete(db, plugin, key),
        Op::PluginFile { plugin, file } => plugins::set_file(db, plugin, file),
        Op::ChildPut(child) => plugins::child_put(db, child),
        Op::ChildRemove { pid, start_time } => plugins::child_remove(db, *pid, *start_time),
        Op::Site { url } => append::site(db, url),
        Op::AdoptSite { url } => append::adopt_site(db, url),
        Op::DropBodies { up_to, at_most } => prune::bodies(db, memo, *up_to, *at_most),
        Op::DropRows {
            up_to,
            at_most,
            orphans,
            at,
        } => prune::rows(db, memo, (*up_to, *at_most), orphans, *at),
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Answer>, JournalError> {
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        self.transaction(ops)
            .map_err(|error| fail::sort(&error, self.dir()))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        let db = open::reader(&self.path).map_err(|error| fail::sort(&error, self.dir()))?;
        Ok(Box::new(read::SqliteReader {
            db,
            path: self.path.clone(),
        }))
    }

    fn housekeep(&mut self, is_idle: bool) -> Result<(), JournalError> {
        let pages = self.log_pages.load(Ordering::Relaxed);
        let mode = match (is_idle, pages) {
            (true, 1..) => CheckpointMode::TRUNCATE,
            (false, _) if pages >= self.checkpoint_at => CheckpointMode::PASSIVE,
            _ => return Ok(()),
        };
        crate::fail::at("checkpoint.before");
        match self.db.wal_checkpoint_v2(None::<&str>, mode) {
            Ok((log, done)) if log == done => {
                crate::fail::at("checkpoint.after");
                self.checkpoint_at = CHECKPOINT_PAGES;
                if is_idle {
                    self.log_pages.store(0, Ordering::Relaxed);
                }
            }
            // A reader stands in the way: again when another stretch has been written.
            Ok(_) => self.checkpoint_at = pages.saturating_add(CHECKPOINT_PAGES),
            Err(error) => match fail::sort(&error, self.dir()) {
                // The log keeps everything until there is room or the other one has gone.
                error if error.can_be_retried() => self.checkpoint_at = pages + CHECKPOINT_PAGES,
                error => return Err(error),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
