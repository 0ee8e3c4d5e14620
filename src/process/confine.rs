//! What a plugin's process may use and do: set once, in the shim, before it becomes the plugin.
//!
//! In: the shim's keys, `NAME=VALUE`. Out: this process, confined for good: nothing below it can take it back.
//! Never: a plugin that runs as the daemon although another user was asked for. A limit that the machine refuses is done
//! without.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use nix::{
    sys::{
        prctl,
        resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit},
        signal::Signal,
        stat::{Mode, umask},
    },
    unistd::{Gid, Uid, getppid, setgroups, setresgid, setresuid},
};

/// Out-of-memory score of a plugin: it goes before the daemon.
const OOM_SCORE: &str = "500";

/// One that takes SIGXCPU for a hint has so long to finish.
const CPU_GRACE_S: u64 = 5;

/// The shim's keys.
pub(super) struct Keys<'k>(pub(super) &'k [OsString]);

impl<'k> Keys<'k> {
    pub(super) fn text(&self, key: &str) -> Option<&'k str> {
        let mut keys = self.0.iter();
        keys.find_map(|arg| arg.to_str()?.strip_prefix(key)?.strip_prefix('='))
    }

    fn path(&self, key: &str) -> Option<&'k Path> {
        let mut keys = self.0.iter().map(|arg| arg.as_bytes());
        let value = keys.find_map(|arg| arg.strip_prefix(key.as_bytes())?.strip_prefix(b"="));
        value.map(|value| Path::new(OsStr::from_bytes(value)))
    }

    pub(super) fn number(&self, key: &str) -> Option<i32> {
        self.text(key)?.parse().ok()
    }
}

/// A user as the shim is told of it: `uid:gid:group,group…`.
struct User {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl User {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse().ok();
        let (uid, gid) = (number()?, number()?);
        let groups = parts
            .next()?
            .split(',')
            .map(|group| group.parse().ok().map(Gid::from_raw));
        Some(Self {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.collect::<Option<_>>()?,
        })
    }
}

/// Confines this process. A failure names its step for the verdict: `g` group, `u` user.
pub(super) fn confine(keys: &Keys<'_>) -> Result<(), (char, io::Error)> {
    if let Some(group) = keys.path("group") {
        // Before the user changes: the group is the daemon's.
        fs::write(group.join("cgroup.procs"), "0").map_err(|error| ('g', error))?;
    }
    let user = match keys.text("user") {
        Some(text) => Some(User::read(text).ok_or(('u', io::ErrorKind::InvalidInput.into()))?),
        None => None,
    };
    let uid = user.as_ref().map_or(Uid::effective(), |user| user.uid);
    limits(keys, uid);
    if !uid.is_root() {
        keep_no_capability_in_reach();
    }
    if let Some(user) = &user {
        setgroups(&user.groups)
            .and_then(|()| setresgid(user.gid, user.gid, user.gid))
            .and_then(|()| setresuid(user.uid, user.uid, user.uid))
            .map_err(|error| ('u', error.into()))?;
    }
    if let Some(tmp) = keys.path("tmp") {
        empty(tmp);
    }
    if !uid.is_root() {
        drop_capabilities();
    }
    // After the change of user, which forgets it.
    let _refused = prctl::set_pdeathsig(Signal::SIGKILL);
    let _refused = prctl::set_no_new_privs();
    Ok(())
}

fn limits(keys: &Keys<'_>, uid: Uid) {
    let limit = |key: &str, resource| {
        if let Some(value) = keys.text(key).and_then(|value| value.parse().ok()) {
            // More than we may have ourselves is refused: then what we have, holds.
            let own = getrlimit(resource).map_or(RLIM_INFINITY, |(_, hard)| hard);
            let value = std::cmp::min(value, own);
            let _refused = setrlimit(resource, value, value);
        }
    };
    // Not the address space: Java, Go and newer nodes reserve far more of it than they use.
    limit("memory", Resource::RLIMIT_DATA);
    limit("open_files", Resource::RLIMIT_NOFILE);
    if let Some(seconds) = keys
        .text("cpu_time")
        .and_then(|value| value.parse::<u64>().ok())
    {
        // SIGXCPU says what it is; at the hard limit the kernel says SIGKILL.
        let hard = seconds.saturating_add(CPU_GRACE_S);
        let _refused = setrlimit(Resource::RLIMIT_CPU, seconds, hard);
    }
    limit("file_size", Resource::RLIMIT_FSIZE);
    limit("core", Resource::RLIMIT_CORE);
    // The kernel has not heeded this one since 2.4: it carries our number, which a child inherits and cannot raise.
    limit("number", Resource::RLIMIT_LOCKS);
    // Root's processes are the machine's; the kernel does not count them.
    if let Some(more) = keys
        .text("processes")
        .and_then(|value| value.parse::<u64>().ok())
        && !uid.is_root()
    {
        // The kernel counts all that the user runs, other plugins too: what is there already is not this plugin's.
        let value = tasks_of(uid).saturating_add(more);
        let _refused = setrlimit(Resource::RLIMIT_NPROC, value, value);
    }
    if let Some(nice) = keys.number("nice") {
        let _refused = rustix::process::nice(nice);
    }
    if let Some(mask) = keys.number("umask") {
        umask(Mode::from_bits_truncate(mask.unsigned_abs()));
    }
    let _refused = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
}

/// Threads of all processes of a user.
fn tasks_of(uid: Uid) -> u64 {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let tasks = all.map(|entry| entry.path().join("task").metadata());
    let theirs = tasks.flatten().filter(|meta| meta.uid() == uid.as_raw());
    let seen: u64 = theirs.map(|meta| threads(&meta)).sum();
    // The daemon is not dumpable: its folder looks like root's.
    let daemon = fs::metadata(format!("/proc/{}/task", getppid())).ok();
    let is_hidden = |meta: &fs::Metadata| meta.uid() != uid.as_raw() && Uid::current() == uid;
    seen + daemon.filter(is_hidden).map_or(0, |meta| threads(&meta))
}

/// A folder has a link for itself, one for its name, and one for each folder in it.
fn threads(task: &fs::Metadata) -> u64 {
    task.nlink().saturating_sub(2)
}

/// Empties a folder. What cannot be taken away stays: it is the plugin's own.
fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _refused = if is_folder {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
    }
}

/// The bounding set: leaving it takes a capability itself, which a usual daemon does not have.
fn keep_no_capability_in_reach() {
    use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if remove_capability_from_bounding_set(one).is_err() {
            break;
        }
    }
}

/// Takes every capability out of every set: an ambient one would outlive the exec, no_new_privs or not. Root without them
/// would be no root any more, and who runs plugins as root means it.
fn drop_capabilities() {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
    };
    let _before_linux_4_3 = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let _refused = set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_whole_or_not_at_all() {
        let user = User::read("12:34:34,5").unwrap();
        assert_eq!((user.uid.as_raw(), user.gid.as_raw()), (12, 34));
        assert_eq!(user.groups, [Gid::from_raw(34), Gid::from_raw(5)]);
        for bad in ["", "12", "12:34", "12:34:", "x:34:34", "12:34:34,x"] {
            assert!(User::read(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn our_own_threads_are_counted() {
        let before = tasks_of(Uid::effective());
        assert!(before >= 1);
        let threads: Vec<_> = (0..3)
            .map(|_| std::thread::spawn(std::thread::park))
            .collect();
        let more = tasks_of(Uid::effective());
        for thread in threads {
            thread.thread().unpark();
            thread.join().unwrap();
        }
        assert!(more >= 3, "{before} {more}");
    }
}
