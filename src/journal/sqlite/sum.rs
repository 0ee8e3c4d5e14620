//! Sums: a row ends with one over its values, so that a byte that changed on the disk is never taken for what was written.
//!
//! * `row_sum(…)` in SQL is the CRC-32 of its arguments, for whoever writes a row and whoever reads one.
//! * What is read is held against its sum: the small tables whole at every start and row by row later, events when they are
//!   handed out. A body that is not as it was written counts as dropped: the site still has it.
//! * Events of a file from before there were sums have none; `extent.sums_from` says where they begin.
//!
//! Never: a repair. A sum is made where a value is written, and of nothing that was not looked at before.

use crc32fast::Hasher;
use rusqlite::{
    Connection, Row,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};

use super::{
    Memo,
    schema::{BODY_SUM, DEAD_SUM, DEAD_SUM_WITHOUT_VERSION, EVENT_SUM, PLUGIN_SUM, SMALL},
};
use crate::ident::{PluginName, Seq};

/// What was read is not what was written.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("{0} is not as it was written")]
    Changed(String),
    #[error("{0} is missing")]
    Missing(String),
}

/// The error for something that is not as it was written.
pub(super) fn changed(what: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(Box::new(Damage::Changed(what.into())))
}

/// The error for something that is not there.
pub(super) fn missing(what: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(Box::new(Damage::Missing(what.into())))
}

/// Teaches a connection `row_sum`.
pub(super) fn install(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    db.create_scalar_function("row_sum", -1, flags, |values: &mut Context<'_>| {
        let values = (0..values.len()).map(|at| values.get_raw(at));
        Ok(of(values))
    })
}

/// The sum of some values; as SQLite keeps it in four bytes.
pub(super) fn of<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i32 {
    let mut sum = Sum {
        hasher: Hasher::new(),
        buffer: [0; BUFFER],
        filled: 0,
    };
    for value in values {
        match value {
            ValueRef::Null => sum.put(&[0]),
            ValueRef::Integer(value) => sum.put_number(1, value.to_le_bytes()),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                sum.put_number(2, (text.len() as u64).to_le_bytes());
                sum.put(text);
            }
            // No table of ours has any.
            ValueRef::Real(value) => sum.put_number(3, value.to_le_bytes()),
        }
    }
    sum.flush();
    sum.hasher.finalize().cast_signed()
}

/// Most rows fit: a step of the hash for each short value would cost more than the hash.
const BUFFER: usize = 512;

struct Sum {
    hasher: Hasher,
    buffer: [u8; BUFFER],
    filled: usize,
}

impl Sum {
    fn put_number(&mut self, kind: u8, number: [u8; 8]) {
        self.put(&[kind]);
        self.put(&number);
    }

    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > BUFFER - self.filled {
            self.flush();
        }
        if bytes.len() > BUFFER {
            self.hasher.update(bytes);
            return;
        }
        self.buffer[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer[..self.filled]);
        self.filled = 0;
    }
}

/// Holds a row of `count` values, behind which its sum stands, against it.
pub(super) fn is_whole(
    row: &Row<'_>,
    count: usize,
    seq: Seq,
    memo: &Memo,
) -> rusqlite::Result<bool> {
    let found: Option<i32> = row.get(count)?;
    let Some(found) = found else {
        return Ok(seq < memo.sums_from);
    };
    let mut values = Vec::with_capacity(32);
    for at in 0..count {
        values.push(row.get_ref(at)?);
    }
    Ok(found == of(values.into_iter()))
}

/// Reads a column that says whether the row's sum is right.
pub(super) fn see(row: &Row<'_>, at: usize, what: impl FnOnce() -> String) -> rusqlite::Result<()> {
    match row.get(at)? {
        true => Ok(()),
        false => Err(changed(what())),
    }
}

/// Makes the sum of a plugin's row, after a change of it.
pub(super) fn seal_plugin(db: &Connection, plugin: &PluginName) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "UPDATE plugins SET sum = {PLUGIN_SUM} WHERE name = ?1"
    ))?
    .execute([plugin.as_str()])?;
    Ok(())
}

/// Sees that an event's row is as it was written, before something is made of it; false when its body is not.
pub(super) fn see_event(db: &Connection, memo: &Memo, seq: Seq) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT events.sum IS {EVENT_SUM} OR (events.sum IS NULL AND ?1 < ?2),
            bodies.seq IS NULL OR bodies.sum IS {BODY_SUM} OR (bodies.sum IS NULL AND ?1 < ?2)
         FROM events LEFT JOIN bodies USING (seq) WHERE events.seq = ?1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([seq.0, memo.sums_from.0])?;
    let Some(row) = rows.next()? else {
        return Ok(true);
    };
    see(row, 0, || format!("the row of event {seq}"))?;
    row.get(1)
}

/// The first row of the small tables that is not as it was written, if any.
pub(super) fn look_at_small(db: &Connection) -> rusqlite::Result<Option<String>> {
    for (table, sum) in SMALL {
        let sql = format!("SELECT count(*) FROM {table} WHERE sum IS NOT {sum}");
        let count: u64 = db.query_row(&sql, [], |row| row.get(0))?;
        if count > 0 {
            return Ok(Some(format!(
                "{count} rows of `{table}` are not as they were written"
            )));
        }
    }
    Ok(None)
}

/// The first event whose row is not as it was written, if any. Reads them all.
pub(super) fn look_at_events(db: &Connection, memo: &Memo) -> rusqlite::Result<Option<String>> {
    let sql = format!(
        "SELECT seq FROM events WHERE sum IS NOT {EVENT_SUM} AND NOT (sum IS NULL AND seq < ?1) LIMIT 1"
    );
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([memo.sums_from.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let seq: u64 = row.get(0)?;
    Ok(Some(format!(
        "the row of event {seq} is not as it was written"
    )))
}

/// How many bodies are not as they were written. Reads them all.
pub(super) fn count_bad_bodies(db: &Connection, memo: &Memo) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT count(*) FROM bodies WHERE sum IS NOT {BODY_SUM} AND NOT (sum IS NULL AND seq < ?1)"
    );
    db.query_row(&sql, [memo.sums_from.0], |row| row.get(0))
}

/// Gives a file of the version before sums its columns, and its small tables their sums.
pub(super) fn add(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "ALTER TABLE dead ADD COLUMN version TEXT;
         ALTER TABLE extent ADD COLUMN sums_from INTEGER NOT NULL DEFAULT 1;
         UPDATE extent SET sums_from = last + 1;",
    )?;
    for table in ["events", "bodies"] {
        db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN sum INTEGER"))?;
    }
    for (table, sum) in SMALL {
        db.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN sum INTEGER; UPDATE {table} SET sum = {sum};"
        ))?;
    }
    Ok(())
}

/// Gives dead letters a place for their plugin's version, after a look at what is there.
pub(super) fn add_versions(db: &Connection) -> rusqlite::Result<()> {
    let damaged = format!("SELECT 1 FROM dead WHERE sum IS NOT {DEAD_SUM_WITHOUT_VERSION}");
    if db.prepare(&damaged)?.exists([])? {
        return Err(changed("a dead letter"));
    }
    db.execute_batch(&format!(
        "ALTER TABLE dead ADD COLUMN version TEXT; UPDATE dead SET sum = {DEAD_SUM};"
    ))
}
