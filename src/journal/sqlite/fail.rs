//! What SQLite's errors mean to us.
//!
//! Never: a retry. Who may try again reads [`JournalError::can_be_retried`].

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::journal::{JournalError, lock::DATABASE};

/// Bytes that must fit beside the database for a failed write to be no matter of space.
const PROBE: usize = 64 * 1024;
/// So much of a file that is said to be damaged is read, to tell that from a disk that fails.
const READ: u64 = 1 << 30;

/// A sync that failed, as tests make it up.
pub(super) fn broken_disk() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None)
}

/// Sorts an error of SQLite on the database in `dir`.
pub(super) fn sort(error: &rusqlite::Error, dir: &Path) -> JournalError {
    let text = || format!("{error}, in {}", dir.join(DATABASE).display()).into();
    let Some(failure) = error.sqlite_error() else {
        // A value of a type or range that we never write.
        return JournalError::Corrupt(text());
    };
    match failure.code {
        ErrorCode::DiskFull => full(dir),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => JournalError::Busy(text()),
        // SQLite calls it damage, too, when the disk gives no answer.
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => match unreadable(dir) {
            Some(error) => {
                JournalError::Broken(format!("{error}, in {}", dir.join(DATABASE).display()).into())
            }
            None => JournalError::Corrupt(text()),
        },
        _ if is_plain_write(failure.extended_code) && !has_room(dir) => full(dir),
        _ => JournalError::Broken(text()),
    }
}

fn full(dir: &Path) -> JournalError {
    JournalError::Full {
        dir: dir.display().to_string().into(),
    }
}

/// Reads the database as plain bytes; why the disk does not give them.
fn unreadable(dir: &Path) -> Option<std::io::Error> {
    use std::io::Read as _;
    let log = format!("{DATABASE}-wal");
    [DATABASE, &log].into_iter().find_map(|name| {
        let file = std::fs::File::open(dir.join(name)).ok()?;
        let mut rest = file.take(READ);
        std::io::copy(&mut rest, &mut std::io::sink()).err()
    })
}

/// Writes that fail before anything is promised. A failed sync is never among them: what it lost cannot be known.
fn is_plain_write(extended_code: i32) -> bool {
    matches!(
        extended_code,
        ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_TRUNCATE
            | ffi::SQLITE_IOERR_SHMSIZE
            | ffi::SQLITE_IOERR_SHMOPEN
    )
}

/// Tries to write a little: SQLite does not tell a full quota from a broken disk.
fn has_room(dir: &Path) -> bool {
    let Ok(mut file) = tempfile_in(dir) else {
        return true;
    };
    use std::io::Write as _;
    let written = file.write_all(&[0; PROBE]).and_then(|()| file.sync_data());
    !written.is_err_and(|error| {
        matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    })
}

/// A file without a name: it vanishes with its descriptor.
fn tempfile_in(dir: &Path) -> rustix::io::Result<std::fs::File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    open(dir, flags, Mode::RUSR | Mode::WUSR).map(std::fs::File::from)
}
