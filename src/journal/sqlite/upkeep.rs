//! What `sgeventd state` does to the file: check it, copy it while the daemon runs, give its free pages back when it does not.
//!
//! Never: a change of what the journal says.

use std::{
    fs::{self, File},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Memo, Sqlite,
    open::{OpenError, ends_meet, inspect_header, io_error, reader, sort},
    schema::VERSION,
    sum,
};

/// Findings of a check; more would not help anybody.
const FINDINGS: u32 = 100;

impl Sqlite {
    /// Reads the whole database and compares it with itself; no findings: it is well. Works beside a running daemon.
    ///
    /// # Errors
    /// When the file is not ours or cannot be opened at all.
    pub fn check(path: &Path) -> Result<Vec<String>, OpenError> {
        let is_ours = inspect_header(path)? == VERSION;
        let look = || {
            let db = reader(path)?;
            let mut statement = db.prepare(&format!("PRAGMA integrity_check({FINDINGS})"))?;
            let findings = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut findings = findings.collect::<rusqlite::Result<Vec<_>>>()?;
            findings.retain(|finding| finding != "ok");
            if findings.is_empty() && is_ours {
                findings.extend(ends_meet(&db)?);
                findings.extend(holes(&db)?);
                findings.extend(changes(&db)?);
            }
            Ok(findings)
        };
        look().or_else(|error| match sort(path, error) {
            OpenError::Corrupt { what, .. } => Ok(vec![what]),
            error => Err(error),
        })
    }

    /// Writes a copy of one moment to a new file. Works beside a running daemon.
    ///
    /// # Errors
    /// When the copy exists already, or one of the two files cannot be used.
    pub fn snapshot(path: &Path, copy: &Path) -> Result<(), OpenError> {
        inspect_header(path)?;
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(copy)
            .map_err(|source| io_error(copy, source))?;
        let write = || {
            let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
            Ok(())
        };
        write().map_err(|error| {
            // Half a copy is worth nothing; that it cannot be removed would not help either.
            drop(fs::remove_file(copy));
            sort(path, error)
        })?;
        file.sync_all().map_err(|source| io_error(copy, source))
    }

    /// Rebuilds the file without its free pages. The daemon must not run: hold the state directory's lock.
    ///
    /// # Errors
    /// When there is no room for the second copy that it takes meanwhile, or the file fails.
    pub fn compact(self) -> Result<(), OpenError> {
        let carry = |db: &Connection| {
            db.execute_batch("VACUUM")?;
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        carry(&self.db).map_err(|error| sort(&self.path, error))
    }
}

/// Rows that are not as they were written.
fn changes(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let memo = Memo::load(db)?;
    let mut findings = Vec::new();
    findings.extend(sum::look_at_small(db)?);
    findings.extend(sum::look_at_events(db, &memo)?);
    match sum::count_bad_bodies(db, &memo)? {
        0 => {}
        count => findings.push(format!(
            "{count} bodies of events are not as they were written; the site has them"
        )),
    }
    Ok(findings)
}

/// Events and bodies that should be there and are not.
fn holes(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (table, from) in [("events", "rows_from"), ("bodies", "bodies_from")] {
        let sql = format!(
            "SELECT last + 1 - {from}, (SELECT count(*) FROM {table} WHERE seq BETWEEN {from} AND last) FROM extent"
        );
        let (expected, found): (i64, i64) =
            db.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if expected != found {
            findings.push(format!(
                "{} of {expected} {table} are missing",
                expected - found
            ));
        }
    }
    Ok(findings)
}
