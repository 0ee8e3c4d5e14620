//! Our part of the tree of control groups: groups are made in it, ended, taken away.
//!
//! In: a folder of a `cgroup2` file system, and whose it is. Out: a group per process of a plugin.
//! Never: a group that is not ours; a part that nobody handed to us.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};

use super::plan::{self, Bounds, Controllers};

/// The group of the daemon itself: a group with others below it may hold no process.
const OWN: &str = "daemon";
/// systemd writes `1` into these when it hands a group to its service.
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A killed group is empty within milliseconds, unless a file server holds a process of it: two seconds.
const LOOKS: u32 = 400;

/// Why there are no groups.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The kernel shows none of version 2, or not ours.
    #[error("this machine shows the daemon no control group of version 2")]
    None,
    /// Nobody handed it to us.
    #[error("the control group {} was not handed to the daemon (Delegate=yes in its unit)", .0.display())]
    NotDelegated(PathBuf),
    /// A file of it cannot be used.
    #[error("cannot write {}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Our part of the tree.
#[derive(Debug, Clone)]
pub struct Tree {
    base: Arc<Path>,
    whose: Arc<str>,
    /// What groups in it can bound.
    pub controllers: Controllers,
}

impl Tree {
    /// Takes the group that this process is in, when it was handed to us; `whose`: eight digits that tell our groups from
    /// another daemon's.
    ///
    /// # Errors
    /// When there is none, it is not ours, or the kernel refuses.
    pub fn own(whose: &str) -> Result<Self, GroupError> {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let own = read("/proc/self/cgroup");
        let base = plan::folder(&own, &read("/proc/self/mountinfo")).ok_or(GroupError::None)?;
        // A daemon that was started anew in the same unit may stand in its own group already.
        let base = match base.file_name() {
            Some(name) if name == OWN => base.parent().map(Path::to_owned).unwrap_or(base),
            _ => base,
        };
        if !is_delegated(&base) {
            return Err(GroupError::NotDelegated(base));
        }
        let own = base.join(OWN);
        make(&own)?;
        write(&own.join("cgroup.procs"), "0")?;
        Self::at(base, whose)
    }

    /// Takes a folder that the operator names; the daemon is not in it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn at(base: PathBuf, whose: &str) -> Result<Self, GroupError> {
        let control = base.join("cgroup.subtree_control");
        let read = |file: &str| {
            let path = base.join(file);
            fs::read_to_string(&path).map_err(|source| GroupError::Refused { path, source })
        };
        for order in Controllers::read(&read("cgroup.controllers")?).orders() {
            // What is refused is missing below: it is said by its name.
            let _refused = write(&control, &order);
        }
        let controllers = Controllers::read(&read("cgroup.subtree_control")?);
        Ok(Self {
            base: base.into(),
            whose: whose.into(),
            controllers,
        })
    }

    /// Makes the group of one process, bounded.
    ///
    /// # Errors
    /// When the kernel refuses; then nothing stays.
    pub fn make(
        &self,
        plugin: &str,
        generation: u64,
        spares: bool,
        bounds: &Bounds,
    ) -> Result<Group, GroupError> {
        let path = self
            .base
            .join(plan::name(&self.whose, plugin, generation, spares));
        let group = Group { path, spares };
        make(&group.path)?;
        for (file, text, is_needed) in bounds.files(self.controllers) {
            match write(&group.path.join(file), &text) {
                Err(error) if is_needed => return Err(error),
                _ => {}
            }
        }
        Ok(group)
    }

    /// Ends what a daemon that died has left in its groups, and takes away what is empty. Returns how many groups.
    #[must_use]
    pub fn end_left_behind(&self) -> usize {
        let below = fs::read_dir(&self.base).into_iter().flatten().flatten();
        let names = below.filter_map(|entry| entry.file_name().into_string().ok());
        let kinds = names.filter_map(|name| Some((plan::is_spared(&name, &self.whose)?, name)));
        let groups: Vec<_> = kinds
            .map(|(spares, name)| Group {
                path: self.base.join(name),
                spares,
            })
            .collect();
        groups.iter().for_each(Group::end);
        groups.iter().filter(|group| !group.spares).count()
    }
}

/// True when systemd, or whoever made us, handed a group to this process.
fn is_delegated(base: &Path) -> bool {
    let says_so = |name: &&str| {
        let mut value = [0_u8; 8];
        let read = rustix::fs::getxattr(base, *name, &mut value[..]);
        read.is_ok_and(|bytes| &value[..bytes] == b"1")
    };
    let is_owner = || {
        let own = Uid::effective();
        let owner = base.metadata().map(|meta| meta.uid());
        // Everything is root's: that says nothing.
        !own.is_root() && owner.is_ok_and(|owner| owner == own.as_raw())
    };
    DELEGATED.iter().any(says_so) || is_owner()
}

/// The group of one process of a plugin.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    spares: bool,
}

impl Group {
    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when the kernel ended a process of it for want of memory.
    #[must_use]
    pub fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events"));
        events.is_ok_and(|events| plan::oom_kills(&events) > 0)
    }

    /// Ends all that is in it and takes it away; one that spares what was started is taken away when it is empty.
    pub fn end(&self) {
        for _ in 0..LOOKS {
            if self.remove() || self.spares {
                return;
            }
            self.kill();
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn kill(&self) {
        if fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Before Linux 5.14: one by one, as often as there are new ones; frozen, they make none.
        let _before_linux_5_2 = fs::write(self.path.join("cgroup.freeze"), "1");
        let pids = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for pid in pids
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter(|pid| *pid > 1)
        {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// True when it is gone.
    fn remove(&self) -> bool {
        match fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // One with processes stays, and is found by its name.
        self.remove();
    }
}

fn make(path: &Path) -> Result<(), GroupError> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            let path = path.to_owned();
            Err(GroupError::Refused { path, source })
        }
        _ => Ok(()),
    }
}

/// Writes into a file that is there: in a folder that is no control group none is made.
fn write(path: &Path, text: &str) -> Result<(), GroupError> {
    let opened = fs::OpenOptions::new().write(true).open(path);
    let written = opened.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|source| GroupError::Refused {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder laid out like a control group: it shows which files are written, not what a kernel does with them.
    fn laid_out(controllers: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), controllers).unwrap();
        fs::write(dir.path().join("cgroup.subtree_control"), "").unwrap();
        dir
    }

    #[test]
    fn a_folder_that_is_no_group_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tree::at(dir.path().to_owned(), "0badcafe").unwrap_err();
        assert!(error.to_string().contains("cgroup.controllers"), "{error}");
    }

    #[test]
    fn what_the_kernel_took_for_want_of_memory_is_known_from_its_events() {
        let dir = tempfile::tempdir().unwrap();
        let group = Group {
            path: dir.path().to_owned(),
            spares: true,
        };
        assert!(
            !group.ran_out_of_memory(),
            "no such file: no such controller"
        );
        for (events, expected) in [
            ("max 3\noom 1\noom_kill 0\n", false),
            ("oom_kill 2\n", true),
        ] {
            fs::write(dir.path().join("memory.events"), events).unwrap();
            assert_eq!(group.ran_out_of_memory(), expected, "{events:?}");
        }
    }

    #[test]
    fn a_bound_that_the_kernel_must_have_and_has_not_leaves_no_group() {
        let dir = laid_out("memory pids");
        let tree = Tree::at(dir.path().to_owned(), "0badcafe").unwrap();
        // The last order stands in the file: a real one would list both.
        let tree = Tree {
            controllers: Controllers::read("memory pids"),
            ..tree
        };
        let bounds = Bounds {
            memory: 1,
            processes: 1,
            cpu_weight: 100,
            cpu_percent: 0,
        };
        let error = tree.make("p", 1, false, &bounds).unwrap_err();
        assert!(
            error.to_string().contains("0badcafe.p.p.1/memory.max"),
            "{error}"
        );
        let left = fs::read_dir(dir.path()).unwrap().flatten();
        assert_eq!(left.filter(|entry| entry.path().is_dir()).count(), 0);
    }
}
