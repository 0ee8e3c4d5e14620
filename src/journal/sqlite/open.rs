//! Opening the database: made whole or not at all, and an existing one is looked at before anything touches it.
//!
//! In: a path. Out: a writer or a reader with all settings, or an error that says whose file this is.
//! Never: a write to a file that is foreign, newer, empty or damaged.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    Memo, Sqlite,
    schema::{APPLICATION_ID, EXTENT_SUM, TABLES, VERSION, WITHOUT_SUMS, WITHOUT_VERSIONS},
    sum,
};

/// How long a statement waits for another process. Our own connections never make each other wait.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// A database up to this size is checked page by page at every start: about 0.2 s.
const CHECK_BYTES: u64 = 64 * 1024 * 1024;

/// More than all statements of this folder.
const STATEMENTS: usize = 96;

/// Why a database cannot be used. It was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a database, or somebody else's.
    #[error(
        "{} is not a journal of sgeventd: {found}. Restore the journal from a copy, set [state] dir to another folder, \
         or {} to begin anew where [poll] start_from says", path.display(), move_away(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Written by a later version.
    #[error("{} has version {found}; this sgeventd knows versions up to {VERSION}: install the newer sgeventd again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// It does not hold together.
    #[error(
        "{} is damaged: {}. It was left as it is. Ways on: restore the journal from a copy, or {} to begin anew \
         where [poll] start_from says", path.display(), one_line(what), move_away(path)
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file is gone, and what was written to it last is still there.
    #[error(
        "{} is gone, but its log {} is there and holds what was written last. Put the file back, or {} to begin anew \
         where [poll] start_from says", path.display(), beside(path, "-wal").display(), move_away(path)
    )]
    Orphan {
        /// The file.
        path: PathBuf,
    },
    /// The operating system says no.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// SQLite says no.
    #[error("cannot open {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: rusqlite::Error,
    },
}

impl Sqlite {
    /// Opens the database for writing; makes it when there is none.
    ///
    /// # Errors
    /// When it is not ours to use; then it is as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let is_there = path.try_exists().map_err(|source| io_error(path, source))?;
        if is_there {
            if inspect_header(path)? != VERSION {
                inspect_pages(path)?;
                bring_up(path)?;
            }
            inspect_content(path)?;
        } else {
            refuse_orphan(path)?;
            create(path)?;
        }
        writer(path)
            .and_then(|db| Self::new(db, path))
            .map_err(|error| sort(path, error))
    }
}

/// A log that stays behind would be read into the next database, or damage it.
fn move_away(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.display();
    format!("move {name}, {name}-wal and {name}-shm away together")
}

/// SQLite's verdict without its headline, as one line.
fn one_line(verdict: &str) -> String {
    let lines = verdict.lines().filter(|line| !line.starts_with("***"));
    lines.collect::<Vec<_>>().join("; ")
}

/// The path with something added to its last part.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

/// Reads the head of the file itself: even opening it with SQLite could change something. Its version, when it is ours.
pub(super) fn inspect_header(path: &Path) -> Result<i32, OpenError> {
    let foreign = |found: &str| OpenError::Foreign {
        path: path.to_owned(),
        found: found.to_owned(),
    };
    let mut head = [0; 100];
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let length = file
        .metadata()
        .map_err(|source| io_error(path, source))?
        .len();
    if length == 0 {
        return Err(foreign("it is empty"));
    }
    match file.read_exact_at(&mut head, 0) {
        Ok(()) if head.starts_with(b"SQLite format 3\0") => {}
        Ok(()) => return Err(foreign("it is no SQLite database")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(foreign("it is no SQLite database"));
        }
        Err(source) => return Err(io_error(path, source)),
    }
    let number =
        |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    // Offsets of SQLite's file format, section 1.3: 60 is user_version, 68 is application_id.
    match (number(68), number(60)) {
        (APPLICATION_ID, found @ (VERSION | WITHOUT_SUMS | WITHOUT_VERSIONS)) => Ok(found),
        (APPLICATION_ID, found) if found > VERSION => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
        }),
        (APPLICATION_ID, found) => Err(foreign(&format!("its version is {found}"))),
        (_, _) => Err(foreign("it is another program's SQLite database")),
    }
}

/// Looks for damage through a connection that cannot write.
fn inspect_content(path: &Path) -> Result<(), OpenError> {
    inspect_pages(path)?;
    let is_small = is_small(path);
    finding(path, || {
        let db = reader(path)?;
        if let Some(what) = sum::look_at_small(&db)? {
            return Ok(Some(what));
        }
        if is_small && let Some(what) = sum::look_at_events(&db, &Memo::load(&db)?)? {
            return Ok(Some(what));
        }
        ends_meet(&db)
    })
}

/// Looks at all pages of a file that is not too big for it.
fn inspect_pages(path: &Path) -> Result<(), OpenError> {
    if !is_small(path) {
        return Ok(());
    }
    finding(path, || {
        let verdict = "PRAGMA integrity_check(1)";
        let verdict: String = reader(path)?.query_row(verdict, [], |row| row.get(0))?;
        Ok((verdict != "ok").then_some(verdict))
    })
}

fn is_small(path: &Path) -> bool {
    let files = ["", "-wal"].iter();
    let found = files.filter_map(|suffix| fs::metadata(beside(path, suffix)).ok());
    found.map(|found| found.len()).sum::<u64>() <= CHECK_BYTES
}

fn finding(
    path: &Path,
    look: impl FnOnce() -> rusqlite::Result<Option<String>>,
) -> Result<(), OpenError> {
    match look().map_err(|error| sort(path, error))? {
        None => Ok(()),
        Some(what) => Err(OpenError::Corrupt {
            path: path.to_owned(),
            what,
        }),
    }
}

/// Brings an older file up to this version: all of it or nothing. Events without sums stay so; what comes has them.
fn bring_up(path: &Path) -> Result<(), OpenError> {
    let add = || {
        let db = writer(path)?;
        let change = rusqlite::Transaction::new_unchecked(&db, TransactionBehavior::Immediate)?;
        let version: i32 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
        // After a crash before the log was carried over, only the head of the file is behind.
        match version {
            WITHOUT_SUMS => sum::add(&change)?,
            WITHOUT_VERSIONS => sum::add_versions(&change)?,
            _ => {}
        }
        change.pragma_update(None, "user_version", VERSION)?;
        change.commit()?;
        // The version that the head of the file says must be there for whoever reads only that.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    add().map_err(|error| sort(path, error))?;
    tracing::info!(path = %path.display(), version = VERSION, "the journal was brought up to this version: an older sgeventd refuses it");
    Ok(())
}

/// Compares what the journal says of itself with its rows.
pub(super) fn ends_meet(db: &Connection) -> rusqlite::Result<Option<String>> {
    let memo = Memo::load_all(db)?;
    let last: Option<u64> = db.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    let last = last.unwrap_or(0);
    if last != memo.last.0 {
        return Ok(Some(format!(
            "its newest event should be {}, but is {last}",
            memo.last
        )));
    }
    let sql = "SELECT name FROM plugins WHERE position > ?1 LIMIT 1";
    let mut ahead = db.prepare(sql)?;
    let mut ahead = ahead.query_map([last], |row| row.get::<_, String>(0))?;
    let name = ahead.next().transpose()?;
    Ok(name.map(|name| format!("plugin {name} stands beyond the newest event {last}")))
}

/// A log without its database is somebody's events: a new database beside it would take it for its own. What holds nothing goes.
fn refuse_orphan(path: &Path) -> Result<(), OpenError> {
    let log = beside(path, "-wal");
    let has_rows = |found: fs::Metadata| found.len() > 0;
    match fs::metadata(&log).map(has_rows) {
        Ok(true) => {
            return Err(OpenError::Orphan {
                path: path.to_owned(),
            });
        }
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io_error(&log, source)),
    }
    for suffix in ["-wal", "-shm"] {
        remove(&beside(path, suffix))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(path, source)),
        _ => Ok(()),
    }
}

/// Makes a new database under another name first: a crash leaves either nothing or a whole one.
fn create(path: &Path) -> Result<(), OpenError> {
    let draft = beside(path, ".new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove(&beside(&draft, suffix))?;
    }
    // Made by us, so that nobody else may ever read it, whatever the umask is. SQLite gives its other files the same mode.
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|source| io_error(&draft, source))?;
    fill(&draft).map_err(|error| sort(path, error))?;
    crate::fail::at("create.filled");
    file.sync_all()
        .and_then(|()| fs::rename(&draft, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all())
        .map_err(|source| io_error(path, source))
}

fn fill(draft: &Path) -> rusqlite::Result<()> {
    let db = Connection::open_with_flags(draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "page_size", 4096)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    sum::install(&db)?;
    db.execute_batch(&format!(
        "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {TABLES}
         UPDATE extent SET sum = {EXTENT_SUM}; COMMIT;"
    ))?;
    // Closing the only connection carries the log over into the file.
    db.close().map_err(|(_, error)| error)
}

pub(super) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    settle(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "cache_size", -4096)?;
    Ok(db)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    settle(&db)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -1024)?;
    Ok(db)
}

fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY_WAIT)?;
    sum::install(db)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // After a failed write nothing may be carried over by the way; the writer checkpoints by itself.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")
}

pub(super) fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

pub(super) fn sort(path: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase, Unknown};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase | Unknown) | None => OpenError::Corrupt {
            path,
            what: error.to_string(),
        },
        Some(CannotOpen) => OpenError::Io {
            path,
            source: io::Error::other(error),
        },
        Some(_) => OpenError::Sqlite {
            path,
            source: error,
        },
    }
}
