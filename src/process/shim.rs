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
    sys::signal::{SigHandler, Signal, signal},
    unistd::{execv, getppid, setsid},
};

use super::{
    confine::{Keys, confine},
    spawn::write_verdict,
};

/// Runs as the shim; returns only when the plugin could not be executed.
#[must_use]
pub fn shim_main(args: &[OsString]) -> Option<ExitCode> {
    let split = args.iter().position(|arg| arg == "--")?;
    let (keys, rest) = args.split_at(split);
    let [cwd, base, program, args @ ..] = rest.get(1..)? else {
        return Some(ExitCode::from(64));
    };
    let verdict = Keys(keys).number("verdict")?;
    // SAFETY: the spawn thread left this descriptor open for us, and nobody else here knows it.
    let verdict = unsafe { File::from_raw_fd(verdict) };
    if let Err((step, error)) = prepare(keys) {
        write_verdict(&verdict, step, &error);
        return Some(ExitCode::from(127));
    }
    if let Err(error) = std::env::set_current_dir(cwd) {
        write_verdict(&verdict, 'c', &error);
        return Some(ExitCode::from(127));
    }
    // The parent may have died before we asked to die with it.
    if Keys(keys)
        .number("parent")
        .is_some_and(|parent| getppid().as_raw() != parent)
    {
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

/// Session, descriptors, and what the process may use and do.
fn prepare(keys: &[OsString]) -> Result<(), (char, io::Error)> {
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
    confine(&Keys(keys))
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

fn pair(keys: &[OsString], key: &str) -> Option<(RawFd, RawFd)> {
    let (first, second) = Keys(keys).text(key)?.split_once(',')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
