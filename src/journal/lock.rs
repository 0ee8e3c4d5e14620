//! The state directory: made, judged, and locked for one daemon.
//!
//! The file `lock` in it is locked with `flock` for as long as the daemon lives. It holds who that is and, not synced, the last committed
//! `seq` and the two lines of `status`: what can be said when the daemon hangs, and how much was there if the database's log is lost.
//!
//! In: a path. Out: a [`StateDir`], or who else has it and what to do.
//! Never: the database's content.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::{clock::Unix, ident::Seq};

/// The database's name in the state directory.
pub const DATABASE: &str = "journal.db";
/// The lock file's name.
const LOCK: &str = "lock";
/// The lock file has always this length, so that one write replaces all of it.
const LOCK_BYTES: usize = 2048;

/// The number of NFS.
const NFS: u64 = 0x6969;
/// File systems that other hosts share: `flock` and shared memory do not hold there.
const SHARED: [(u64, &str); 14] = [
    (NFS, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x5346_414F, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564C, "NCP"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder above it is missing.
    #[error("cannot create the state directory {}: {} does not exist; create it, or set [state] dir", path.display(), parent.display())]
    NoParent {
        /// The state directory.
        path: PathBuf,
        /// What is missing.
        parent: PathBuf,
    },
    /// It is a file.
    #[error("the state directory {} is not a directory; set [state] dir to one", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The daemon may not write there.
    #[error("user {user} cannot {} the state directory {} ({why}); {}", owner.verb(), path.display(), owner.remedy(*why, user, path))]
    NotWritable {
        /// The state directory.
        path: PathBuf,
        /// The daemon's user.
        user: String,
        /// The system's reason.
        why: io::ErrorKind,
        /// Whose it is.
        owner: Owner,
    },
    /// It is on a file system that other hosts share.
    #[error(
        "the state directory {} is on a network file system ({kind}), where a lock and a database are not safe; set [state] dir to a local disk", path.display()
    )]
    Shared {
        /// The state directory.
        path: PathBuf,
        /// Which.
        kind: &'static str,
    },
    /// Another daemon has it.
    #[error("the state directory {} is in use by {holder}; one daemon per state directory, see [state] dir", path.display())]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Process and host.
        holder: String,
    },
    /// It was removed or replaced under a running daemon.
    #[error("the state directory {} was removed or replaced while in use; nothing more is written", path.display())]
    Gone {
        /// The state directory.
        path: PathBuf,
    },
    /// Something else.
    #[error("cannot use the state directory {}", path.display())]
    Io {
        /// The state directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Whose the state directory is that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It is not there.
    Nobody,
    /// The daemon's user.
    Us,
    /// Somebody else.
    Other,
}

impl Owner {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) if found.uid() == nix::unistd::geteuid().as_raw() => Self::Us,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Nobody,
            _ => Self::Other,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Nobody => "create",
            Self::Us | Self::Other => "write to",
        }
    }

    fn remedy(self, why: io::ErrorKind, user: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            _ if why == io::ErrorKind::ReadOnlyFilesystem => {
                "mount it writable, or set [state] dir".to_owned()
            }
            Self::Nobody => format!("as root: `install -d -o {user} {path}`, or set [state] dir"),
            Self::Us => format!("`chmod u+rwx {path}`, and the same for what is in it"),
            Self::Other => format!("`chown -R {user} {path}`, or start as its owner"),
        }
    }
}

/// What the lock file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LockInfo {
    /// The daemon's process id.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// `/proc/sys/kernel/random/boot_id` when it started.
    pub boot_id: String,
    /// When it started.
    pub started: Unix,
    /// The newest event that is surely on disk.
    pub last_seq: Seq,
    /// The first two lines of `status`.
    pub status: [String; 2],
}

impl LockInfo {
    /// Reads what the lock file in `dir` says, locked or not; none when there is none that can be read.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(dir.join(LOCK)).ok()?;
        serde_json::from_str(text.trim_end_matches(['\0', '\n', ' '])).ok()
    }

    fn of_this_process(last_seq: Seq) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.trim_end().to_owned()
        };
        Self {
            pid: std::process::id(),
            host: line("/proc/sys/kernel/hostname"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            started: crate::clock::Clock::unix(),
            last_seq,
            status: Default::default(),
        }
    }
}

/// A state directory that is ours until this is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock: File,
    /// Device and inode of the directory when it was locked.
    identity: (u64, u64),
    info: Mutex<LockInfo>,
    previous: Option<LockInfo>,
}

impl StateDir {
    /// Makes the directory when it is missing, judges it, and locks it.
    ///
    /// # Errors
    /// When it cannot be used; the message says what to do.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make(path)?;
        refuse_shared(path)?;
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(|source| denied(path, source))?;
        let previous = LockInfo::read(path);
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StateError::InUse {
                    path: path.to_owned(),
                    holder: previous.map_or_else(|| "another process".to_owned(), holder),
                });
            }
            Err(error) => return Err(io_error(path, error.into())),
        }
        let last_seq = previous.as_ref().map_or(Seq(0), |info| info.last_seq);
        let dir = Self {
            identity: identity(path).map_err(|source| io_error(path, source))?,
            path: path.to_owned(),
            lock,
            info: Mutex::new(LockInfo::of_this_process(last_seq)),
            previous,
        };
        // The first write tells a directory that lets nothing be written, a full disk among them.
        dir.write(|_| {}).map_err(|source| denied(path, source))?;
        Ok(dir)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// What the lock file said of the run before this one.
    #[must_use]
    pub fn previous(&self) -> Option<&LockInfo> {
        self.previous.as_ref()
    }

    /// How many events the run before this one had on disk that the journal, which ends with `last`, has not: its log file was lost.
    #[must_use]
    pub fn missing(&self, last: Seq) -> Option<std::ops::RangeInclusive<Seq>> {
        let had = self.previous.as_ref()?.last_seq;
        (had > last).then(|| last.next()..=had)
    }

    /// Writes down the newest event that is on disk, without a sync. What cannot be written is no reason to stop.
    pub fn note_seq(&self, last_seq: Seq) {
        drop(self.write(|info| info.last_seq = last_seq));
    }

    /// Writes down the two lines of `status`, without a sync.
    pub fn note_status(&self, status: [String; 2]) {
        drop(self.write(|info| info.status = status));
    }

    /// Sees whether the path still leads to the directory that was locked.
    ///
    /// # Errors
    /// When it does not: nothing more may be written.
    pub fn check(&self) -> Result<(), StateError> {
        let is_same = |path: &Path, expected| identity(path).is_ok_and(|found| found == expected);
        let lock = self.lock.metadata().map(|found| (found.dev(), found.ino()));
        let is_ours = is_same(&self.path, self.identity)
            && lock.is_ok_and(|lock| is_same(&self.path.join(LOCK), lock));
        if is_ours {
            return Ok(());
        }
        Err(StateError::Gone {
            path: self.path.clone(),
        })
    }

    fn write(&self, change: impl FnOnce(&mut LockInfo)) -> io::Result<()> {
        let mut info = self
            .info
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut info);
        for line in &mut info.status {
            shorten(line);
        }
        let mut text = serde_json::to_vec(&*info)?;
        text.resize(LOCK_BYTES, b'\n');
        self.lock.write_all_at(&text, 0)
    }
}

/// Cuts a line so that two of them fit into the file however JSON spells them.
fn shorten(line: &mut String) {
    const LONGEST: usize = 240;
    if line.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or(0));
    }
    line.retain(|c| !c.is_control());
}

fn make(path: &Path) -> Result<(), StateError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(StateError::NotADirectory {
                path: path.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(denied(path, error)),
    }
    // 0711: the plugins' user passes through to its own folders, and can list nothing.
    match DirBuilder::new().mode(0o711).create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StateError::NoParent {
            path: path.to_owned(),
            parent: path.parent().unwrap_or(path).to_owned(),
        }),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(denied(path, error)),
        // A power cut must not take the directory with all that is in it.
        _ => sync_parent(path).map_err(|source| io_error(path, source)),
    }
}

/// Lets a name last; in a folder that we may not read that is left to the system.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    match File::open(parent.unwrap_or(Path::new("."))) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        folder => folder?.sync_all(),
    }
}

fn refuse_shared(path: &Path) -> Result<(), StateError> {
    let found = rustix::fs::statfs(path).map_err(|error| io_error(path, error.into()))?;
    // A test has no network file system at hand; it says here that this is NFS.
    let is_nfs = crate::fail::or("start.statfs", || ()).is_err();
    let magic = if is_nfs { NFS } else { found.f_type as u64 };
    match shared_kind(magic) {
        Some(kind) => Err(StateError::Shared {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

/// The name of a file system that other hosts share.
fn shared_kind(magic: u64) -> Option<&'static str> {
    // The kernel's numbers have 32 bits; some platforms extend their sign.
    let magic = magic & 0xFFFF_FFFF;
    let found = SHARED.iter().find(|(shared, _)| *shared == magic);
    found.map(|(_, kind)| *kind)
}

fn holder(info: LockInfo) -> String {
    format!("process {} on {}", info.pid, info.host)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

fn denied(path: &Path, source: io::Error) -> StateError {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match source.kind() {
        why @ (PermissionDenied | ReadOnlyFilesystem) => StateError::NotWritable {
            path: path.to_owned(),
            user: user(),
            why,
            owner: Owner::of(path),
        },
        _ => io_error(path, source),
    }
}

fn io_error(path: &Path, source: io::Error) -> StateError {
    StateError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The name of the user that we run as, or the number when it has none.
fn user() -> String {
    let id = nix::unistd::geteuid();
    let found = nix::unistd::User::from_uid(id).ok().flatten();
    found.map_or_else(|| id.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_missing_directory_is_made_for_us_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let dir = StateDir::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path) & 0o066, 0);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert_eq!(dir.previous(), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_path_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/state");
        let text = |result: Result<StateDir, StateError>| {
            let text = result.map(drop).unwrap_err().to_string();
            text.replace(&folder.path().display().to_string(), "/var/lib")
        };
        insta::assert_snapshot!(text(StateDir::open(&path)), @"cannot create the state directory /var/lib/missing/state: /var/lib/missing does not exist; create it, or set [state] dir");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        insta::assert_snapshot!(text(StateDir::open(&file)), @"the state directory /var/lib/file is not a directory; set [state] dir to one");
        let error = |why, owner| {
            let error = StateError::NotWritable {
                path: "/s".into(),
                user: "jo".to_owned(),
                why,
                owner,
            };
            error.to_string()
        };
        let denied = io::ErrorKind::PermissionDenied;
        insta::assert_snapshot!(
            [
                error(denied, Owner::Nobody),
                error(denied, Owner::Us),
                error(denied, Owner::Other),
                error(io::ErrorKind::ReadOnlyFilesystem, Owner::Us),
            ]
            .join("\n"),
            @r"
        user jo cannot create the state directory /s (permission denied); as root: `install -d -o jo /s`, or set [state] dir
        user jo cannot write to the state directory /s (permission denied); `chmod u+rwx /s`, and the same for what is in it
        user jo cannot write to the state directory /s (permission denied); `chown -R jo /s`, or start as its owner
        user jo cannot write to the state directory /s (read-only filesystem or storage medium); mount it writable, or set [state] dir
        "
        );
    }

    #[test]
    fn a_second_daemon_hears_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateDir::open(folder.path()).unwrap();
        let error = StateDir::open(folder.path()).unwrap_err().to_string();
        let expected = format!("is in use by process {} on ", std::process::id());
        assert!(error.contains(&expected), "{error}");
        drop(first);
        assert!(StateDir::open(folder.path()).is_ok());
    }

    #[test]
    fn the_lines_stay_readable_whatever_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        dir.note_status(["é\"\\\u{1b}[1m\n".repeat(1000), String::new()]);
        dir.note_seq(Seq(7));
        let info = LockInfo::read(folder.path()).unwrap();
        assert_eq!((info.last_seq, info.pid), (Seq(7), std::process::id()));
        assert!(info.status[0].starts_with("é\"\\[1m"), "{:?}", info.status);
        dir.note_status(["short".to_owned(), "two".to_owned()]);
        let info = LockInfo::read(folder.path()).unwrap();
        assert_eq!(info.status, ["short", "two"]);
        assert_eq!(dir.missing(Seq(9)), None);
        drop(dir);
        let dir = StateDir::open(folder.path()).unwrap();
        assert_eq!(dir.missing(Seq(7)), None);
        assert_eq!(dir.missing(Seq(4)), Some(Seq(5)..=Seq(7)));
    }

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        for (magic, kind) in [
            (0x6969, Some("NFS")),
            (0xFFFF_FFFF_FE53_4D42, Some("SMB2")),
            (0xEF53, None),
            (0x0102_1994, None),
        ] {
            assert_eq!(shared_kind(magic), kind, "{magic:x}");
        }
    }
}
