//! Why a program cannot be started, in a sentence with the remedy. Reads the program's first bytes; blocks on disk.

use std::{ffi::OsStr, fs, io, os::unix::fs::MetadataExt as _, path::Path};

use nix::sys::signal::Signal;

use crate::{
    config::{Limits, write_size},
    process::{Exit, SpawnError},
};

/// `e_machine` of ELF files, as far as people meet them.
const MACHINES: [(u16, &str); 5] = [
    (3, "x86"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// What people are told about a start that failed.
#[must_use]
pub fn explain(error: &SpawnError) -> String {
    match error {
        SpawnError::Exec { path, source } => exec(path, source),
        SpawnError::Cwd { path, source } => format!(
            "the working directory {} cannot be entered: {}",
            path.display(),
            source.kind()
        ),
        SpawnError::Shim(source) => format!("no process can be started: {}", source.kind()),
        SpawnError::User { name, source } => format!(
            "it cannot run as the user {name}: {}; the daemon needs CAP_SETUID and CAP_SETGID for `user`",
            source.kind()
        ),
        SpawnError::Group { path, source } => format!(
            "it cannot join its control group {}: {}",
            path.display(),
            source.kind()
        ),
        SpawnError::Descriptors | SpawnError::NoProgram { .. } | SpawnError::Stopping => {
            error.to_string()
        }
    }
}

/// What people say and what runtimes print when a limit is met, and which key sets it.
const OUT_OF_MEMORY: [&str; 6] = [
    "MemoryError",
    "out of memory",
    "OutOfMemoryError",
    "memory allocation of",
    "Cannot allocate memory",
    "bad_alloc",
];
const NO_PROCESS: [&str; 4] = [
    "Resource temporarily unavailable",
    "can't start new thread",
    "Cannot fork",
    "EAGAIN",
];
const TOO_LARGE: [&str; 2] = ["File too large", "EFBIG"];
const NO_FILE: [&str; 2] = ["Too many open files", "EMFILE"];

/// The limit that a process met, as its last words or its end tell: a hint, for who has no control group is not told more.
#[must_use]
pub(super) fn limit_met(exit: Exit, words: &[String], limits: &Limits) -> Option<String> {
    let signal = |signal: Signal| exit == Exit::Signal(signal as i32);
    let last = words.iter().rev().take(20);
    let last: Vec<&String> = last.collect();
    let said = |any: &[&str]| {
        last.iter()
            .any(|line| any.iter().any(|part| line.contains(part)))
    };
    if signal(Signal::SIGXCPU) {
        let seconds = limits.cpu_time.as_secs();
        return Some(format!("it used up `limits.cpu_time`, {seconds} s"));
    }
    let is_bad_end = !matches!(exit, Exit::Code(0));
    let of = |key: &str, value: String| Some(format!("`limits.{key}` is {value}"));
    match () {
        () if !is_bad_end => None,
        () if said(&OUT_OF_MEMORY) => of("memory", write_size(limits.memory)),
        () if signal(Signal::SIGXFSZ) || said(&TOO_LARGE) => {
            of("file_size", write_size(limits.file_size?))
        }
        () if said(&NO_FILE) => of("open_files", limits.open_files.to_string()),
        () if said(&NO_PROCESS) => of("processes", limits.processes.to_string()),
        () => None,
    }
}

/// Why `env` found nothing to run for a script, as far as the script's first line tells; `search` is the `PATH` of its process.
#[must_use]
pub(super) fn broken_script(path: &Path, search: &OsStr) -> Option<String> {
    let head = head(path);
    let text = head.strip_prefix(b"#!")?;
    let line = first_line(text);
    if line.ends_with(b"\r") {
        return Some(script(path, text, &io::ErrorKind::NotFound.into()));
    }
    let line = String::from_utf8_lossy(line);
    let program = sought_by_env(&line)?;
    let mut folders = std::env::split_paths(search);
    if folders.any(|folder| folder.join(program).is_file()) {
        return None;
    }
    Some(format!(
        "the program {program}, which the first line of {} names, is not found on PATH, which is {}",
        path.display(),
        search.display()
    ))
}

/// The program that a first line has `env` search for on `PATH`.
fn sought_by_env(line: &str) -> Option<&str> {
    let (env, rest) = line.trim().split_once(char::is_whitespace)?;
    if Path::new(env).file_name()? != "env" {
        return None;
    }
    let rest = rest.trim();
    let program = match rest.strip_prefix("-S") {
        Some(words) => words.split_whitespace().find(|word| !word.contains('='))?,
        // The kernel hands over all that follows as one word.
        None => rest,
    };
    let is_sought = !program.starts_with('-') && !program.contains('/');
    is_sought.then_some(program)
}

fn exec(path: &Path, source: &io::Error) -> String {
    let shown = path.display();
    let Ok(meta) = fs::metadata(path) else {
        return unbuilt(path)
            .unwrap_or_else(|| format!("{shown} is gone, or its folder cannot be read"));
    };
    if meta.is_dir() {
        return format!("{shown} is a folder; a folder needs plugin.toml with `command`");
    }
    if meta.mode() & 0o111 == 0 {
        return format!("{shown} is not executable: chmod +x {shown}");
    }
    let head = head(path);
    if let Some(text) = head.strip_prefix(b"#!") {
        return script(path, text, source);
    }
    if head.starts_with(b"\x7fELF") {
        return elf(path, &head, source);
    }
    match source.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{shown} may not be executed: its mode is {:o}, its owner {}, or its file system is mounted noexec",
            meta.mode() & 0o7777,
            meta.uid()
        ),
        _ => format!(
            "{shown} is neither a program nor a script: its first line must name an interpreter, such as #!/usr/bin/env python3"
        ),
    }
}

/// What is said of a program that Cargo makes, beside whose `target` folder a `Cargo.toml` stands.
fn unbuilt(path: &Path) -> Option<String> {
    let target = path.ancestors().find(|above| above.ends_with("target"))?;
    let folder = target
        .parent()
        .filter(|folder| folder.join("Cargo.toml").is_file())?;
    let is_release = path.starts_with(target.join("release"));
    let how = if is_release { " --release" } else { "" };
    let (program, folder) = (
        path.strip_prefix(folder).ok()?.display(),
        folder.components(),
    );
    let folder = folder.as_path().display();
    Some(format!(
        "{program} in {folder} is not built: cd {folder} && cargo build{how}"
    ))
}

fn first_line(text: &[u8]) -> &[u8] {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.next().unwrap_or_default()
}

fn script(path: &Path, text: &[u8], source: &io::Error) -> String {
    let shown = path.display();
    let line = first_line(text);
    if line.ends_with(b"\r") {
        return format!(
            "{shown} has Windows line ends, so its interpreter is not found: sed -i 's/\\r$//' {shown}"
        );
    }
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    if interpreter.is_empty() {
        return format!(
            "the first line of {shown} names no interpreter; such as #!/usr/bin/env python3"
        );
    }
    if !Path::new(interpreter).exists() {
        return format!(
            "the interpreter {interpreter}, which the first line of {shown} names, is not there"
        );
    }
    format!(
        "{shown} cannot be executed by {interpreter}: {}",
        source.kind()
    )
}

fn elf(path: &Path, head: &[u8], source: &io::Error) -> String {
    let shown = path.display();
    let bytes = [head.get(18), head.get(19)].map(|byte| byte.copied().unwrap_or_default());
    let is_big = head.get(5) == Some(&2);
    let machine = if is_big {
        u16::from_be_bytes(bytes)
    } else {
        u16::from_le_bytes(bytes)
    };
    let name = |number: u16| {
        let known = MACHINES.iter().find(|(known, _)| *known == number);
        known.map_or_else(
            || format!("machine {number}"),
            |(_, name)| (*name).to_owned(),
        )
    };
    if name(machine) != std::env::consts::ARCH {
        return format!(
            "{shown} is a program for {}, this machine is {}: build it for this machine",
            name(machine),
            std::env::consts::ARCH
        );
    }
    match source.kind() {
        io::ErrorKind::NotFound => {
            format!("{shown} needs a loader that is not on this machine: see `file {shown}`")
        }
        kind => format!("{shown} cannot be executed: {kind}"),
    }
}

fn head(path: &Path) -> Vec<u8> {
    use io::Read as _;
    let mut head = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        // What cannot be read says nothing.
        let _unread = file.take(256).read_to_end(&mut head);
    }
    head
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_limit_that_was_met_is_named() {
        let limits = Limits {
            cpu_time: std::time::Duration::from_secs(60),
            file_size: Some(5 << 20),
            ..Limits::default()
        };
        for (exit, words, expected) in [
            (
                Exit::Code(1),
                "MemoryError",
                Some("`limits.memory` is 1GiB"),
            ),
            (
                Exit::Signal(6),
                "memory allocation of 8 bytes failed",
                Some("`limits.memory` is 1GiB"),
            ),
            (
                Exit::Code(1),
                "OSError: [Errno 24] Too many open files: 'x'",
                Some("`limits.open_files` is 1024"),
            ),
            (
                Exit::Code(2),
                "sh: 1: Cannot fork",
                Some("`limits.processes` is 256"),
            ),
            (
                Exit::Signal(24),
                "",
                Some("it used up `limits.cpu_time`, 60 s"),
            ),
            (Exit::Signal(25), "", Some("`limits.file_size` is 5MiB")),
            (Exit::Code(0), "MemoryError", None),
            (Exit::Code(1), "KeyError: 'memory'", None),
            (Exit::Signal(9), "", None),
        ] {
            let met = limit_met(exit, &[words.to_owned()], &limits);
            assert_eq!(met.as_deref(), expected, "{exit} {words}");
        }
    }

    #[test]
    fn a_program_that_is_not_built_is_no_program_that_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let said = |program: &str| {
            let path = dir.path().join(program);
            let source = io::Error::from_raw_os_error(2);
            explain(&SpawnError::Exec { path, source })
        };
        assert!(said("./target/release/plugin").contains("is gone"));
        fs::write(dir.path().join("Cargo.toml"), "").expect("a file");
        let folder = dir.path().display().to_string();
        for (program, how) in [
            ("./target/release/plugin", "cargo build --release"),
            ("target/debug/plugin", "cargo build"),
        ] {
            let said = said(program);
            let end = format!("is not built: cd {folder} && {how}");
            assert!(said.ends_with(&end), "{said}");
        }
    }

    #[test]
    fn a_first_line_with_which_env_finds_nothing_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("python9"), "").expect("a file");
        let path = dir.path().join("script");
        let sed = format!("sed -i 's/\\r$//' {}", path.display());
        for (text, part) in [
            ("#!/usr/bin/env python9\r\nx = 1\r\n", Some(sed.as_str())),
            ("#!/usr/bin/env nosuch\r\n", Some("Windows line ends")),
            ("#!/usr/bin/env python9\nx = 1\r\n", None),
            (
                "#!/usr/bin/env nosuch\n",
                Some("the program nosuch, which the first line of"),
            ),
            ("#! /usr/bin/env  nosuch \n", Some("the program nosuch, ")),
            (
                "#!/usr/bin/env python9 -u\n",
                Some("the program python9 -u, "),
            ),
            ("#!/usr/bin/env -S python9 -u\n", None),
            (
                "#!/usr/bin/env -S A=b nosuch -u\n",
                Some("the program nosuch, "),
            ),
            ("#!/usr/bin/env -i nosuch\n", None),
            ("#!/usr/bin/env\n", None),
            ("#!/bin/sh\nnosuch\n", None),
            ("\x7fELF", None),
        ] {
            fs::write(&path, text).expect("a file");
            let said = broken_script(&path, dir.path().as_os_str());
            let is_right = match part {
                Some(part) => said.as_ref().is_some_and(|said| said.contains(part)),
                None => said.is_none(),
            };
            assert!(is_right, "{text}: {said:?}");
        }
    }

    #[test]
    fn each_reason_in_words() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1];
        elf.resize(18, 0);
        elf.extend([0x16, 0]);
        for (name, bytes, mode, errno, part) in [
            ("gone", None, 0, 2, "is gone"),
            ("mode", Some(b"#!/bin/sh\n".to_vec()), 0o644, 13, "chmod +x"),
            (
                "crlf",
                Some(b"#!/bin/sh\r\n".to_vec()),
                0o755,
                2,
                "Windows line ends",
            ),
            (
                "lost",
                Some(b"#!/no/such/python\n".to_vec()),
                0o755,
                2,
                "/no/such/python",
            ),
            (
                "none",
                Some(b"#!\n".to_vec()),
                0o755,
                8,
                "names no interpreter",
            ),
            ("arch", Some(elf), 0o755, 8, "is a program for machine 22"),
            (
                "text",
                Some(b"hello".to_vec()),
                0o755,
                8,
                "neither a program nor a script",
            ),
        ] {
            let path = dir.path().join(name);
            if let Some(bytes) = bytes {
                fs::write(&path, bytes).expect("a file");
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            }
            let source = io::Error::from_raw_os_error(errno);
            let said = explain(&SpawnError::Exec { path, source });
            assert!(said.contains(part), "{name}: {said}");
            assert!(!said.contains("os error"), "{said}");
        }
    }
}
