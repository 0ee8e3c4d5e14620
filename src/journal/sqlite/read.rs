//! Reading: a connection that cannot write, a bounded page at a time.
//!
//! In: positions, names, ids. Out: rows that are known to be whole: a hole in the positions is damage.
//! Never: a statement or a transaction left open between two calls (the write-ahead log could not shrink meanwhile).

use std::{path::PathBuf, sync::OnceLock};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    Memo, about, cursor, fail, ingest_state, row,
    schema::{
        ABOUT_SUM, CHILD_SUM, DEAD_SUM, FACTS, FACTS_COUNT, OPEN_SUM, PLUGIN_SUM, REPLAY_SUM,
        STATE_SUM,
    },
    sum,
};
use crate::{
    clock::Unix,
    event::{Body, Event, Facts},
    ident::{EventId, PluginName, Seq, Timeline},
    journal::{
        ChildRecord, Counts, Cursor, DeadLetter, DeadQuery, Extent, IngestState, JournalError,
        MARK_MS, NewDead, OpenEntry, Place, PluginRecord, Reader, Replay, Sizes, body_of,
    },
};

/// A reader of the database at `path`.
pub(super) struct SqliteReader {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
}

type Read<T> = Result<T, JournalError>;

impl SqliteReader {
    /// Runs `read` in one short transaction, so that all it sees is of one moment.
    fn at_once<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Read<T> {
        let result = self.db.unchecked_transaction().and_then(|moment| {
            let value = read(&moment)?;
            moment.commit()?;
            Ok(value)
        });
        let dir = self.path.parent().unwrap_or(&self.path);
        result.map_err(|error| fail::sort(&error, dir))
    }
}

impl Reader for SqliteReader {
    fn page(&mut self, after: Seq, rows: usize, bytes: usize) -> Read<Vec<Event>> {
        let (events, memo, is_cut) = self.at_once(|db| {
            let memo = Memo::load(db)?;
            let (events, is_cut) = page(db, &memo, after, rows, bytes)?;
            Ok((events, memo, is_cut))
        })?;
        see_that_it_is_whole(&events, after, &memo, is_cut)?;
        Ok(events)
    }

    fn bodies(&mut self, seqs: &[Seq]) -> Read<Vec<Body>> {
        self.at_once(|db| {
            let memo = Memo::load(db)?;
            let mut statement = db.prepare_cached("SELECT seq, body, sum FROM bodies WHERE seq = ?1")?;
            let kept = memo.bodies_from..=memo.last;
            let mut body = |seq: &Seq| {
                let found = statement.query_row([seq], |row| {
                    let is_whole = sum::is_whole(row, 2, *seq, &memo)?;
                    Ok((row::text(row, 1)?, is_whole))
                });
                match found.optional()? {
                    Some((_, false)) => {
                        tracing::error!(%seq, "the body of an event is not as it was written: the site is asked for it again; look at the disk");
                        Ok(Body::Dropped)
                    }
                    None if kept.contains(seq) => {
                        Err(sum::missing(format!("the body of event {seq}")))
                    }
                    found => Ok(body_of(found.and_then(|(body, _)| body))),
                }
            };
            seqs.iter().map(&mut body).collect()
        })
    }

    fn events(&mut self, seqs: &[Seq]) -> Read<Vec<Event>> {
        let mut events = self.at_once(|db| {
            let memo = Memo::load(db)?;
            let mut statement = db.prepare_cached(event_sql())?;
            let mut events = Vec::with_capacity(seqs.len());
            for seq in seqs {
                let found = statement.query_row([seq], |row| event(row, &memo));
                events.extend(found.optional()?);
            }
            Ok(events)
        })?;
        let found: Vec<Seq> = events.iter().map(|event| event.seq).collect();
        for (event, body) in events.iter_mut().zip(self.bodies(&found)?) {
            event.body = body;
        }
        Ok(events)
    }

    fn find(&mut self, id: EventId, timeline: Option<Timeline>) -> Read<Option<Seq>> {
        let sql = "SELECT seq FROM events WHERE event_id = ?1 AND (?2 IS NULL OR timeline = ?2)
            ORDER BY timeline DESC LIMIT 1";
        self.at_once(|db| {
            db.prepare_cached(sql)?
                .query_row(params![id.0, timeline.map(|timeline| timeline.0)], |row| {
                    row.get(0).map(Seq)
                })
                .optional()
        })
    }

    fn locate(&mut self, place: Place) -> Read<Seq> {
        self.at_once(|db| {
            let last = Memo::load(db)?.last;
            cursor::locate(db, last, ingest_state(db)?.timeline, place)
        })
    }

    fn aged(&mut self, before: Unix) -> Read<Seq> {
        self.at_once(|db| {
            // A mark stands for MARK_MS, so all of its events are older only when its end is.
            let mark: Option<u64> = db
                .prepare_cached("SELECT max(seq) FROM marks WHERE at <= ?1")?
                .query_row([before.0.saturating_sub(MARK_MS)], |row| row.get(0))?;
            let Some(mark) = mark else {
                return Ok(Seq(0));
            };
            let next: Option<u64> = db
                .prepare_cached("SELECT min(seq) FROM marks WHERE seq > ?1")?
                .query_row([mark], |row| row.get(0))?;
            Ok(match next {
                Some(next) => Seq(next - 1),
                None => Memo::load(db)?.last,
            })
        })
    }

    fn plugins(&mut self) -> Read<Vec<PluginRecord>> {
        self.at_once(|db| {
            let mut statement = db.prepare_cached(&plugin_sql("ORDER BY name"))?;
            let records = statement.query_map([], record)?;
            let mut records = records.collect::<rusqlite::Result<Vec<_>>>()?;
            records.iter_mut().try_for_each(|record| fill(db, record))?;
            Ok(records)
        })
    }

    fn plugin(&mut self, name: &PluginName) -> Read<Option<PluginRecord>> {
        self.at_once(|db| {
            let mut statement = db.prepare_cached(&plugin_sql("WHERE name = ?1"))?;
            let Some(mut record) = statement.query_row([name.as_str()], record).optional()? else {
                return Ok(None);
            };
            fill(db, &mut record)?;
            Ok(Some(record))
        })
    }

    fn dead(&mut self, query: &DeadQuery) -> Read<Vec<DeadLetter>> {
        let sql = format!(
            "SELECT id, plugin, seq, reason, error, attempts, at, {FACTS}, body, version, sum IS {DEAD_SUM} FROM dead
             WHERE id > ?1 AND (?2 IS NULL OR plugin = ?2) ORDER BY id LIMIT ?3"
        );
        self.at_once(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let plugin = query.plugin.as_ref().map(PluginName::as_str);
            let rows = statement.query_map(params![query.after, plugin, query.rows], letter)?;
            rows.collect()
        })
    }

    fn dead_counts(&mut self) -> Read<Vec<(PluginName, u64)>> {
        self.at_once(|db| {
            let sql = "SELECT plugin, count(*) FROM dead GROUP BY plugin ORDER BY plugin";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((name(row, 0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    fn state(&mut self, plugin: &PluginName, key: &str) -> Read<Option<Box<str>>> {
        self.at_once(|db| {
            let sql = format!(
                "SELECT value, sum IS {STATE_SUM} FROM state WHERE plugin = ?1 AND key = ?2"
            );
            db.prepare_cached(&sql)?
                .query_row([plugin.as_str(), key], |row| {
                    sum::see(row, 1, || format!("the state of plugin {plugin}"))?;
                    row.get(0)
                })
                .optional()
        })
    }

    fn ingest(&mut self) -> Read<IngestState> {
        self.at_once(ingest_state)
    }

    fn children(&mut self) -> Read<Vec<ChildRecord>> {
        self.at_once(|db| {
            let sql = format!(
                "SELECT plugin, pid, start_time, boot_id, sum IS {CHILD_SUM} FROM children ORDER BY pid, start_time"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| {
                sum::see(row, 4, || "the list of plugins' processes".to_owned())?;
                Ok(ChildRecord {
                    plugin: name(row, 0)?,
                    pid: row.get(1)?,
                    start_time: row.get(2)?,
                    boot_id: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    fn files(&mut self) -> Read<Vec<(PluginName, Box<str>)>> {
        self.at_once(|db| {
            let sql = format!(
                "SELECT substr(key, ?2), value, sum IS {ABOUT_SUM} FROM about WHERE substr(key, 1, ?2 - 1) = ?1 ORDER BY key"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![super::plugins::FILE, super::plugins::FILE.len() + 1], |row| {
                sum::see(row, 2, || "which file has which name".to_owned())?;
                Ok((name(row, 0)?, row.get(1)?))
            })?;
            rows.collect()
        })
    }

    fn site(&mut self) -> Read<Option<Box<str>>> {
        self.at_once(|db| about(db, super::SITE))
    }

    fn extent(&mut self) -> Read<Extent> {
        self.at_once(|db| {
            let memo = Memo::load(db)?;
            let mark = |sql: &str| {
                let mut statement = db.prepare_cached(sql)?;
                let at = statement.query_row([], |row| row.get(0).map(Unix));
                at.optional()
            };
            Ok(Extent {
                first: memo.rows_from,
                last: memo.last,
                bodies_from: memo.bodies_from,
                body_bytes: memo.body_bytes,
                oldest: mark("SELECT at FROM marks ORDER BY seq LIMIT 1")?,
                newest: mark("SELECT at FROM marks ORDER BY seq DESC LIMIT 1")?,
            })
        })
    }

    fn sizes(&mut self) -> Read<Sizes> {
        let used_bytes = self.at_once(|db| {
            let sql = "SELECT (page_count - freelist_count) * page_size
                FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
            db.prepare_cached(sql)?.query_row([], |row| row.get(0))
        })?;
        let file_bytes = ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| {
                let mut path = self.path.clone().into_os_string();
                path.push(suffix);
                std::fs::metadata(path).ok()
            })
            .map(|found| found.len())
            .sum();
        Ok(Sizes {
            used_bytes,
            file_bytes,
        })
    }
}

fn event_sql() -> &'static str {
    static SQL: OnceLock<String> = OnceLock::new();
    SQL.get_or_init(|| format!("SELECT seq, {FACTS}, sum FROM events WHERE seq = ?1"))
}

/// Reads on until there are enough rows or bytes; true when it stopped before the end.
fn page(
    db: &Connection,
    memo: &Memo,
    after: Seq,
    rows: usize,
    bytes: usize,
) -> rusqlite::Result<(Vec<Event>, bool)> {
    static SQL: OnceLock<String> = OnceLock::new();
    let sql = SQL.get_or_init(|| {
        format!("SELECT seq, {FACTS}, sum FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")
    });
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params![after, rows])?;
    let mut events: Vec<Event> = Vec::with_capacity(rows.min(512));
    let mut weight = 0;
    while let Some(row) = found.next()? {
        let event = event(row, memo)?;
        weight += weigh(&event.facts);
        if weight > bytes && !events.is_empty() {
            return Ok((events, true));
        }
        events.push(event);
    }
    let is_cut = events.len() == rows;
    Ok((events, is_cut))
}

/// An event from its position, its facts and their sum.
fn event(row: &Row<'_>, memo: &Memo) -> rusqlite::Result<Event> {
    let seq = row.get(0)?;
    if !sum::is_whole(row, 1 + FACTS_COUNT, seq, memo)? {
        return Err(sum::changed(format!("the row of event {seq}")));
    }
    Ok(Event {
        seq,
        facts: row::facts(row, 1)?.into(),
        body: Body::Unread,
    })
}

/// About what facts take in memory.
fn weigh(facts: &Facts) -> usize {
    size_of::<Event>() + FACTS_COUNT * 8 + facts.event_type.len()
}

/// Rows that are kept for sure follow each other without a hole, up to the last.
fn see_that_it_is_whole(events: &[Event], after: Seq, memo: &Memo, is_cut: bool) -> Read<()> {
    let mut expected = after.next();
    for event in events {
        if event.seq != expected && event.seq > memo.rows_from {
            return Err(hole(expected.max(memo.rows_from), event.seq));
        }
        expected = event.seq.next();
    }
    if !is_cut && expected <= memo.last {
        return Err(hole(expected, memo.last.next()));
    }
    Ok(())
}

fn hole(first: Seq, next: Seq) -> JournalError {
    let last = next.0.saturating_sub(1);
    JournalError::Corrupt(format!("the rows of events {first} to {last} are missing").into())
}

fn plugin_sql(tail: &str) -> String {
    format!(
        "SELECT name, first_seen, last_seen, disabled, position, revision, imported,
            delivered, ok, skipped, retried, dead, too_old, sum IS {PLUGIN_SUM} FROM plugins {tail}"
    )
}

/// A plugin's own row; its lists are still empty.
fn record(row: &Row<'_>) -> rusqlite::Result<PluginRecord> {
    sum::see(row, 13, || "the cursor of a plugin".to_owned())?;
    let imported: Option<String> = row.get(6)?;
    let imported = imported.map(|text| serde_json::from_str(&text)).transpose();
    Ok(PluginRecord {
        name: name(row, 0)?,
        first_seen: Unix(row.get(1)?),
        last_seen: Unix(row.get(2)?),
        disabled: row.get(3)?,
        cursor: Cursor {
            position: row.get(4)?,
            open: Vec::new(),
        },
        revision: row.get(5)?,
        replays: Vec::new(),
        imported: imported.map_err(|error| bad(6, Box::new(error)))?,
        counts: Counts {
            delivered: row.get(7)?,
            ok: row.get(8)?,
            skipped: row.get(9)?,
            retried: row.get(10)?,
            dead: row.get(11)?,
            too_old: row.get(12)?,
        },
    })
}

/// Reads the open list and the replays.
fn fill(db: &Connection, record: &mut PluginRecord) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT seq, origin, attempts, crashes, deliveries, next_at, last_error, progress, sum IS {OPEN_SUM}
         FROM open WHERE plugin = ?1 ORDER BY seq"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let entries = statement.query_map([record.name.as_str()], |row| {
        sum::see(row, 8, || {
            format!("the open list of plugin {}", record.name)
        })?;
        let word: String = row.get(1)?;
        Ok(OpenEntry {
            seq: row.get(0)?,
            origin: cursor::origin(&word)
                .ok_or_else(|| bad(1, format!("`{word}` is no origin of an open entry").into()))?,
            attempts: row.get(2)?,
            crashes: row.get(3)?,
            deliveries: row.get(4)?,
            next_at: row.get::<_, Option<i64>>(5)?.map(Unix),
            last_error: row.get(6)?,
            progress: row.get(7)?,
        })
    })?;
    record.cursor.open = entries.collect::<rusqlite::Result<_>>()?;
    let sql = format!(
        "SELECT first, last, next, sum IS {REPLAY_SUM} FROM replays WHERE plugin = ?1 ORDER BY first, last"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let replays = statement.query_map([record.name.as_str()], |row| {
        sum::see(row, 3, || format!("the replays of plugin {}", record.name))?;
        Ok(Replay {
            first: row.get(0)?,
            last: row.get(1)?,
            next: row.get(2)?,
        })
    })?;
    record.replays = replays.collect::<rusqlite::Result<_>>()?;
    Ok(())
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    sum::see(row, 9 + FACTS_COUNT, || "a dead letter".to_owned())?;
    Ok(DeadLetter {
        id: row.get(0)?,
        plugin: name(row, 1)?,
        facts: row::facts(row, 7)?,
        body: row::body(row, 7)?,
        dead: NewDead {
            seq: row.get(2)?,
            reason: row.get(3)?,
            error: row.get(4)?,
            attempts: row.get(5)?,
            at: Unix(row.get(6)?),
            version: row.get(8 + FACTS_COUNT)?,
        },
    })
}

fn name(row: &Row<'_>, at: usize) -> rusqlite::Result<PluginName> {
    Ok(PluginName::new(row.get_ref(at)?.as_str()?))
}

fn bad(column: usize, why: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why)
}
