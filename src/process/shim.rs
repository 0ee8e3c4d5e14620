//! The shim: our own binary between fork and exec. It makes the process what a plugin should be, then becomes the plugin.
//!
//! Never: the config, a key, a thread. An error goes to the verdict pipe, whose end means that the exec has happened.

#![expect(
    unsafe_code,
    reason = "descriptors that the spawn thread left open are known by number only"
)]

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{FromRawFd as _, RawFd},
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::{
    libc,
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::{SigHandler, Signal, signal},
        stat::{Mode, umask},
    },
    unistd::{Uid, execv, getppid, setsid},
};

use super::spawn::write_verdict;

/// Out-of-memory score of a plugin: it goes before the daemon.
const OOM_SCORE: &str = "500";

/// Runs as the shim; returns only when the plugin could not be executed.
#[must_use]
pub fn shim_main(args: &[OsString]) -> Option<ExitCode> {
    let split = args.iter().position(|arg| arg == "--")?;
    let (keys, rest) = args.split_at(split);
    let [cwd, base, program, args @ ..] = rest.get(1..)? else {
        return Some(ExitCode::from(64));
    };
    let verdict = number(keys, "verdict")?;
    // SAFETY: the spawn thread left this descriptor open for us, and nobody else here knows it.
    let verdict = unsafe { File::from_raw_fd(verdict) };
    prepare(keys);
    if let Err(error) = std::env::set_current_dir(cwd) {
        write_verdict(&verdict, 'c', &error);
        return Some(ExitCode::from(127));
    }
    // The parent may have died before we asked to die with it.
    if number(keys, "parent").is_some_and(|parent| getppid().as_raw() != parent) {
        return Some(ExitCode::from(127));
    }
    let Some(program) = find(program.as_ref(), base.as_ref()) else {
        write_verdict(&verdict, 'p', &io::ErrorKind::NotFound.into());
        return Some(ExitCode::from(127));
    };
    write_verdict(&verdict, 'x', &execute(program.as_os_str(), args));
    Some(ExitCode::from(127))
}

/// The program as an absolute path: relative to its folder, or the first on `PATH`.
fn find(program: &Path, base: &Path) -> Option<PathBuf> {
    let beside = base.join(program);
    if program.components().count() > 1 || program.is_absolute() || beside.is_file() {
        return Some(beside);
    }
    let is_program = |file: &PathBuf| {
        file.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.find(is_program)
}

/// Becomes the program; returns only with the reason why not. A file that is no program is not tried as a shell script.
fn execute(program: &OsStr, args: &[OsString]) -> io::Error {
    // SAFETY: the default action; our own runtime ignores the signal, and the program must not inherit that.
    let _cannot_fail = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let words: Result<Vec<CString>, _> = std::iter::once(program)
        .chain(args.iter().map(OsString::as_os_str))
        .map(|word| CString::new(word.as_bytes()))
        .collect();
    let Ok(words) = words else {
        return io::ErrorKind::InvalidInput.into();
    };
    match execv(&words[0], &words) {
        Err(error) => error.into(),
        Ok(never) => match never {},
    }
}

/// Session, descriptors, limits, and the promise to die with the daemon. What the machine refuses is done without.
fn prepare(keys: &[OsString]) {
    let _leader = setsid();
    if let Some((input, output)) = pair(keys, "fd34") {
        // SAFETY: plain system calls on numbers that the spawn thread left open; 3 and 4 may be reused by intent.
        unsafe {
            let (input, output) = (
                libc::fcntl(input, libc::F_DUPFD, 10),
                libc::fcntl(output, libc::F_DUPFD, 10),
            );
            libc::dup2(input, 3);
            libc::dup2(output, 4);
        }
    }
    close_others(if pair(keys, "fd34").is_some() { 5 } else { 3 });
    limit(keys, "memory", Resource::RLIMIT_AS);
    limit(keys, "open_files", Resource::RLIMIT_NOFILE);
    if !Uid::effective().is_root() {
        limit(keys, "processes", Resource::RLIMIT_NPROC);
    }
    if let Some(nice) = number(keys, "nice") {
        let _refused = rustix::process::nice(nice);
    }
    if let Some(mask) = number(keys, "umask") {
        umask(Mode::from_bits_truncate(mask.unsigned_abs()));
    }
    let _refused = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    if !Uid::effective().is_root() {
        drop_capabilities();
    }
    let _refused = prctl::set_pdeathsig(Signal::SIGKILL);
    let _refused = prctl::set_no_new_privs();
}

/// Takes every capability out of every set: an ambient one would outlive the exec, no_new_privs or not. Root without them
/// would be no root any more, and who runs plugins as root means it.
fn drop_capabilities() {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities,
    };
    // The bounding set first: leaving it takes a capability itself, which a usual daemon does not have.
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if remove_capability_from_bounding_set(one).is_err() {
            break;
        }
    }
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

/// Marks every descriptor from `first` on to be closed by the exec.
fn close_others(first: u32) {
    const CLOEXEC: libc::c_uint = 4;
    // SAFETY: a system call that only sets a flag on our own descriptors.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOEXEC) };
    if done == 0 {
        return;
    }
    // Before Linux 5.11: one by one.
    let open = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    for fd in open.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok()) {
        if u32::try_from(fd).is_ok_and(|fd| fd >= first) {
            // SAFETY: as above.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

fn limit(keys: &[OsString], key: &str, resource: Resource) {
    if let Some(value) = text(keys, key).and_then(|value| value.parse().ok()) {
        let _refused = setrlimit(resource, value, value);
    }
}

fn text<'k>(keys: &'k [OsString], key: &str) -> Option<&'k str> {
    keys.iter()
        .find_map(|arg| arg.to_str()?.strip_prefix(key)?.strip_prefix('='))
}

fn number(keys: &[OsString], key: &str) -> Option<i32> {
    text(keys, key)?.parse().ok()
}

fn pair(keys: &[OsString], key: &str) -> Option<(RawFd, RawFd)> {
    let (first, second) = text(keys, key)?.split_once(',')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
