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
        let found = place.reach(&place.below, OFlags::PATH).map_err(fail)?;
        let stat = fstat(&found).map_err(|error| fail(Kind::Io(error.into())))?;
        self.check(&found, &stat, place.is_own).map_err(fail)?;
        if let Some(what) = irregular(&stat) {
            return Err(fail(Kind::Irregular(what)));
        }
        // The same file by its descriptor: it is known by now that opening it does nothing and never waits.
        let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()));
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
        let folder = place.reach(below, OFlags::PATH | OFlags::DIRECTORY);
        let folder = folder.map_err(|kind| match kind {
            Kind::Missing => fail(Kind::NoFolder),
            other => fail(other),
        })?;
        let stat = fstat(&folder).map_err(|error| fail(Kind::Io(error.into())))?;
        self.check(&folder, &stat, place.is_own).map_err(fail)?;
        match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
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
mod tests {
    use std::{
        fs,
        os::unix::fs::symlink,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    use super::*;

    /// A studio: `data` is the plugin's own, `granted` the operator's, `outside` nobody's; `state` holds the data.
    struct Studio(tempfile::TempDir, FileRoots);

    impl Studio {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let at = |path: &str| dir.path().join(path);
            for folder in [
                "state/plugins/p/data/sub",
                "state/plugins/q/data",
                "granted/sub",
            ] {
                fs::create_dir_all(at(folder)).unwrap();
            }
            for file in [
                "state/plugins/p/data/a.mov",
                "state/plugins/p/data/sub/b.mov",
                "state/plugins/q/data/c.mov",
                "state/journal.db",
                "granted/d.mov",
                "site.key",
                "outside.mov",
            ] {
                fs::write(at(file), file).unwrap();
            }
            let roots = FileRoots {
                base: at("state/plugins/p/data"),
                own: vec![at("state/plugins/p/data"), at("state/plugins/p/tmp")],
                granted: vec![at("granted")],
                state: at("state"),
                kept_back: vec![at("site.key")],
                umask: 0o022,
            };
            Self(dir, roots)
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn data(&self, path: &str) -> PathBuf {
            self.at("state/plugins/p/data").join(path)
        }

        /// The words for a path, without the studio's own folder.
        fn said(&self, path: &str) -> String {
            let opened = self.1.open(path);
            let words = opened.map_or_else(
                |error| error.to_string(),
                |(_, size)| format!("{size} bytes"),
            );
            words.replace(self.0.path().to_str().unwrap(), "")
        }
    }

    #[test]
    fn a_path_is_a_regular_file_below_a_granted_folder_or_nothing() {
        let mut studio = Studio::new();
        symlink("a.mov", studio.data("link.mov")).unwrap();
        symlink("../../../..", studio.data("up")).unwrap();
        symlink(studio.at("granted"), studio.at("granted/loop")).unwrap();
        fs::hard_link(studio.at("site.key"), studio.data("harmless.txt")).unwrap();
        fs::hard_link(studio.at("state/journal.db"), studio.at("granted/db")).unwrap();
        nix::unistd::mkfifo(&studio.data("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(studio.data("socket")).unwrap();
        let far = studio.at("granted/d.mov").display().to_string();
        let outside = studio.at("outside.mov").display().to_string();
        let other = studio
            .at("state/plugins/q/data/c.mov")
            .display()
            .to_string();
        for (path, words) in [
            ("a.mov", "26 bytes"),
            ("./sub//b.mov", "30 bytes"),
            (&far, "13 bytes"),
            ("", "\"\" is no path of a file"),
            ("a.mov\0.png", "\"a.mov\\0.png\" is no path of a file"),
            (
                "../../etc/passwd",
                "\"../../etc/passwd\" goes up by `..`, which no path may",
            ),
            (
                "sub/../a.mov",
                "\"sub/../a.mov\" goes up by `..`, which no path may",
            ),
            (
                "link.mov",
                "\"link.mov\" goes through a symbolic link; name the file itself",
            ),
            (
                "up/outside.mov",
                "\"up/outside.mov\" goes through a symbolic link; name the file itself",
            ),
            (
                "harmless.txt",
                "\"harmless.txt\" is the daemon's own and is never handed out",
            ),
            ("pipe", "\"pipe\" is a pipe; allowed: regular files"),
            ("socket", "\"socket\" is a socket; allowed: regular files"),
            ("sub", "\"sub\" is a folder; allowed: regular files"),
            (".", "\".\" is a folder; allowed: regular files"),
            ("none.mov", "\"none.mov\" is not there"),
            ("a.mov/x", "\"a.mov/x\" is not there"),
        ] {
            assert_eq!(studio.said(path), words, "{path:?}");
        }
        let refused = studio.said(&outside);
        assert!(
            refused.contains("is in none of the granted folders"),
            "{refused}"
        );
        assert!(
            studio.said(&other).contains("none of the granted"),
            "{other}"
        );
        let looped = studio.at("granted/loop/d.mov").display().to_string();
        assert!(studio.said(&looped).contains("symbolic link"));
        let database = studio.at("granted/db").display().to_string();
        assert!(studio.said(&database).contains("the daemon's own"));

        // Whatever the operator grants.
        studio.1.granted = vec!["/".into()];
        let kept = studio.said(&other);
        assert!(kept.contains("the daemon's own"), "{kept}");
        for (path, words) in [
            (
                &*format!("/proc/{}/environ", std::process::id()),
                "is the kernel's own",
            ),
            ("/dev/null", "is a device"),
            ("/dev/zero", "is a device"),
        ] {
            let said = studio.said(path);
            assert!(said.contains(words), "{path}: {said}");
        }
        assert_eq!(studio.said(&outside), "11 bytes");
    }

    #[test]
    fn a_folder_that_is_written_otherwise_is_found() {
        let studio = Studio::new();
        symlink(studio.at("granted"), studio.at("mount")).unwrap();
        let mut roots = studio.1.clone();
        roots.granted = vec![studio.at("mount")];
        for path in ["mount/d.mov", "granted/d.mov"] {
            let path = studio.at(path).display().to_string();
            assert_eq!(roots.open(&path).unwrap().1, 13, "{path}");
        }
        // Its own folder is no root any more when a link stands in its place.
        fs::rename(studio.data(""), studio.at("moved")).unwrap();
        symlink(studio.at(""), studio.at("state/plugins/p/data")).unwrap();
        assert!(roots.open("outside.mov").is_err());
    }

    #[test]
    fn old_kernels_refuse_the_same() {
        let studio = Studio::new();
        symlink("a.mov", studio.data("link.mov")).unwrap();
        symlink("../../../..", studio.data("up")).unwrap();
        let step = |path: &str| {
            let root = open(
                studio.data(""),
                OFlags::PATH | OFlags::DIRECTORY,
                Mode::empty(),
            );
            let found = step_by_step(
                root.unwrap(),
                Path::new(path),
                OFlags::PATH | OFlags::CLOEXEC,
            );
            found.map_err(|kind| FileError::new(path, kind).to_string())
        };
        let found = step("sub/b.mov").unwrap();
        assert_eq!(fstat(&found).unwrap().st_size, 30);
        for path in ["link.mov", "up/outside.mov", "up"] {
            assert!(step(path).unwrap_err().contains("symbolic link"), "{path}");
        }
        assert!(step("sub/../a.mov").unwrap_err().contains("goes up"));
        assert!(step("none/b.mov").unwrap_err().contains("is not there"));
    }

    #[test]
    fn a_link_that_comes_and_goes_leads_nowhere() {
        let studio = Studio::new();
        let (folder, away) = (studio.data("sub"), studio.data("away"));
        fs::write(studio.at("b.mov"), "what nobody may see").unwrap();
        symlink(studio.at(""), studio.data("trap")).unwrap();
        let trap = studio.data("trap");
        let is_over = Arc::new(AtomicBool::new(false));
        let watched = is_over.clone();
        let swapper = thread::spawn(move || {
            while !watched.load(Ordering::Relaxed) {
                fs::rename(&folder, &away).unwrap();
                fs::rename(&trap, &folder).unwrap();
                fs::rename(&folder, &trap).unwrap();
                fs::rename(&away, &folder).unwrap();
            }
        });
        let (mut opened, mut refused) = (0, 0);
        for _ in 0..10_000 {
            match studio.1.open("sub/b.mov") {
                Ok((_, size)) => {
                    assert_eq!(size, 30, "the trap was followed");
                    opened += 1;
                }
                Err(_) => refused += 1,
            }
        }
        is_over.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        assert!(
            opened > 0 && refused > 0,
            "{opened} {refused}: nothing was swapped"
        );
    }

    #[test]
    fn a_new_file_needs_a_granted_folder_and_a_name() {
        let studio = Studio::new();
        symlink(studio.at("outside.mov"), studio.data("link.mov")).unwrap();
        let said = |path: &str| match studio.1.target(path) {
            Ok(target) => target.name.display().to_string(),
            Err(error) => error.to_string(),
        };
        for (path, words) in [
            ("new.mov", "new.mov"),
            ("sub/new.mov", "new.mov"),
            ("a.mov", "a.mov"),
            ("sub", "\"sub\" is a folder; allowed: regular files"),
            ("new/", "\"new/\" is a folder; allowed: regular files"),
            (".", "\".\" is a folder; allowed: regular files"),
            (
                "none/new.mov",
                "the folder of \"none/new.mov\" is not there",
            ),
            (
                "../new.mov",
                "\"../new.mov\" goes up by `..`, which no path may",
            ),
            (
                "link.mov",
                "\"link.mov\" is a symbolic link; allowed: regular files",
            ),
        ] {
            assert_eq!(said(path), words, "{path:?}");
        }
        let mut roots = studio.1.clone();
        roots.granted = vec!["/".into()];
        for path in [
            "site.key",
            "state/journal.db",
            "state/new",
            "state/plugins/q/data/c.mov",
        ] {
            let path = studio.at(path).display().to_string();
            let error = roots.target(&path).unwrap_err().to_string();
            assert!(error.contains("the daemon's own"), "{error}");
        }
    }
}
