//! Granted roots: which file a plugin's path is, opened so that no trick leads out of them.
//!
//! In: the roots of one plugin, a path. Out: a regular file that is open, or the folder for a new one, or the reason.
//! Never: `..`, a symbolic link below a root, anything but a regular file, the daemon's own state, config or keys, a
//! device or a pipe that is opened before it is known what it is.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, open, openat, openat2,
        statat,
    },
    io::Errno,
};

use super::error::{FileError, Kind};
use crate::account::{Account, Lent};

/// File systems that are no disks: what they show is the kernel's, the daemon's environment too.
const KERNEL_OWN: [u64; 2] = [0x9fa0, 0x6265_6572];
/// `openat2` says so when somebody renames below a root meanwhile.
const TRIES: usize = 32;

/// Where the files of one plugin may lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRoots {
    /// A relative path begins here: the plugin's working directory.
    pub base: PathBuf,
    /// Its own folders: data, tmp.
    pub own: Vec<PathBuf>,
    /// What the operator grants besides.
    pub granted: Vec<PathBuf>,
    /// The state directory: nothing in it but the own folders.
    pub state: PathBuf,
    /// Config and keys: these never, by whatever name.
    pub kept_back: Vec<PathBuf>,
    /// Of the plugin: files that are made have its mode.
    pub umask: u32,
    /// Whom the plugin runs as, whose rights hold for its files; none: the daemon's own.
    pub user: Option<String>,
}

/// A path below one of the roots.
struct Place {
    root: PathBuf,
    is_own: bool,
    below: PathBuf,
}

/// The folder of a file that is to be written, and its name.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) folder: OwnedFd,
    pub(super) name: PathBuf,
}

impl FileRoots {
    /// Opens a file for reading; its size comes along.
    pub(super) fn open(&self, path: &str) -> Result<(File, u64), FileError> {
        let place = self.place(path)?;
        let fail = |kind| FileError::new(path, kind);
        let reached = {
            let _rights = self.rights().map_err(|error| fail(error.into()))?;
            place.reach(&place.below, OFlags::PATH)
        };
        let found = reached.map_err(fail)?;
        let stat = fstat(&found).map_err(|error| fail(Kind::Io(error.into())))?;
        self.check(&found, &stat, place.is_own).map_err(fail)?;
        if let Some(what) = irregular(&stat) {
            return Err(fail(Kind::Irregular(what)));
        }
        // The same file by its descriptor: it is known by now that opening it does nothing and never waits.
        let rights = self.rights().map_err(|error| fail(error.into()))?;
        let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()));
        drop(rights);
        let file = file.map_err(|error| fail(error.into()))?;
        Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Opens the folder for a file to be written.
    pub(super) fn target(&self, path: &str) -> Result<Target, FileError> {
        let place = self.place(path)?;
        let fail = |kind| FileError::new(path, kind);
        let name = place.below.file_name().map(PathBuf::from);
        let Some(name) = name.filter(|_| !path.ends_with('/')) else {
            return Err(fail(Kind::Irregular("a folder")));
        };
        let below = place.below.parent().unwrap_or(Path::new(""));
        let folder = {
            let _rights = self.rights().map_err(|error| fail(error.into()))?;
            place.reach(below, OFlags::PATH | OFlags::DIRECTORY)
        };
        let folder = folder.map_err(|kind| match kind {
            Kind::Missing => fail(Kind::NoFolder),
            other => fail(other),
        })?;
        let stat = fstat(&folder).map_err(|error| fail(Kind::Io(error.into())))?;
        self.check(&folder, &stat, place.is_own).map_err(fail)?;
        let rights = self.rights().map_err(|error| fail(error.into()))?;
        let there = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW);
        drop(rights);
        match there {
            Ok(old) if self.is_kept_back(&old) => Err(fail(Kind::KeptBack)),
            // What stands there is replaced, not written into; a folder cannot be.
            Ok(old) => match irregular(&old) {
                Some(what) => Err(fail(Kind::Irregular(what))),
                None => Ok(Target { folder, name }),
            },
            Err(Errno::NOENT) => Ok(Target { folder, name }),
            Err(error) => Err(fail(Kind::from(io::Error::from(error)))),
        }
    }

    /// The rights of the plugin's user for this thread, until they are dropped.
    pub(super) fn rights(&self) -> io::Result<Option<Lent>> {
        let Some(name) = &self.user else {
            return Ok(None);
        };
        Account::find(name).map_err(io::Error::other)?.lend()
    }

    fn roots(&self) -> impl Iterator<Item = (&PathBuf, bool)> {
        let own = self.own.iter().map(|root| (root, true));
        own.chain(self.granted.iter().map(|root| (root, false)))
    }

    /// Finds the root of a path, by its words: as it is written in the config, else as the root really lies.
    fn place(&self, path: &str) -> Result<Place, FileError> {
        let fail = |kind| FileError::new(path, kind);
        if path.is_empty() || path.contains('\0') {
            return Err(fail(Kind::NoPath));
        }
        let whole = self.base.join(path);
        if whole.components().any(|part| part == Component::ParentDir) {
            return Err(fail(Kind::Parent));
        }
        let below = |root: &Path| whole.strip_prefix(root).ok().map(Path::to_path_buf);
        for (root, is_own) in self.roots() {
            let real = || below(&root.canonicalize().ok()?);
            if let Some(below) = below(root).or_else(real) {
                let root = root.clone();
                return Ok(Place {
                    root,
                    is_own,
                    below,
                });
            }
        }
        let folder = whole.parent().unwrap_or(&whole).to_path_buf();
        Err(fail(Kind::Outside {
            roots: self.roots().map(|(root, _)| root.clone()).collect(),
            granted: self.granted.clone(),
            folder,
        }))
    }

    /// Whether a file or folder is one that no plugin gets.
    fn check(&self, found: &OwnedFd, stat: &Stat, is_own: bool) -> Result<(), Kind> {
        let system = fstatfs(found).map_err(|error| Kind::Io(error.into()))?;
        let system = u64::try_from(system.f_type).unwrap_or(0);
        if KERNEL_OWN.contains(&system) {
            return Err(Kind::Irregular("the kernel's own"));
        }
        if self.is_kept_back(stat) {
            return Err(Kind::KeptBack);
        }
        if is_own {
            return Ok(());
        }
        let real = std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
        let state = self.state.canonicalize();
        match state {
            Ok(state) if real.starts_with(&state) => Err(Kind::KeptBack),
            _ => Ok(()),
        }
    }

    /// Config, keys and what lies in the state directory itself, by what they are and not by their names.
    fn is_kept_back(&self, stat: &Stat) -> bool {
        let in_state = std::fs::read_dir(&self.state).into_iter().flatten();
        let in_state = in_state.flatten().map(|entry| entry.path());
        let mut all = self.kept_back.iter().cloned().chain(in_state);
        all.any(|path| {
            path.metadata()
                .is_ok_and(|kept| (kept.dev(), kept.ino()) == (stat.st_dev, stat.st_ino))
        })
    }
}

impl Place {
    /// Opens what lies below the root; what is asked for without `PATH` must be known to be harmless.
    fn reach(&self, below: &Path, flags: OFlags) -> Result<OwnedFd, Kind> {
        // A plugin may rename its own folders: what is in their place then is no root.
        let follow = match self.is_own {
            true => OFlags::NOFOLLOW,
            false => OFlags::empty(),
        };
        let root = open(
            &self.root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | follow,
            Mode::empty(),
        );
        let root = root.map_err(|error| match error {
            Errno::NOENT => Kind::NoRoot(self.root.clone()),
            other => Kind::from(io::Error::from(other)),
        })?;
        if below.as_os_str().is_empty() {
            return Ok(root);
        }
        let flags = flags | OFlags::CLOEXEC;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match openat2(&root, below, flags, Mode::empty(), resolve) {
                Ok(found) => return Ok(found),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Kernels before 5.6, and sandboxes that do not know the call.
                Err(Errno::NOSYS | Errno::PERM) => return step_by_step(root, below, flags),
                Err(Errno::LOOP | Errno::XDEV) => return Err(Kind::Link),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Err(Kind::Io(io::Error::from(Errno::AGAIN)))
    }
}

/// The same, one folder after the other.
fn step_by_step(root: OwnedFd, below: &Path, flags: OFlags) -> Result<OwnedFd, Kind> {
    let (mut at, mut parts) = (root, below.components().peekable());
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(Kind::Parent);
        };
        let is_link = statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        if is_link {
            return Err(Kind::Link);
        }
        let flags = match parts.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            None => flags,
        };
        let next = openat(at.as_fd(), name, flags | OFlags::NOFOLLOW, Mode::empty());
        let next = next.map_err(io::Error::from)?;
        // One that became a link since it was looked at.
        let stat = fstat(&next).map_err(io::Error::from)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(Kind::Link);
        }
        at = next;
    }
    Ok(at)
}

/// What a file is when it is no regular one.
fn irregular(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        FileType::Unknown => Some("something unknown"),
    }
}

/// The name of a file as text, for the site and for people.
pub(super) fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name().unwrap_or_default();
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;
