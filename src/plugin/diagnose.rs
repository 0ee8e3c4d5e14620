//! Why a program cannot be started, in a sentence with the remedy. Reads the program's first bytes; blocks on disk.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use crate::process::SpawnError;

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
pub(super) fn explain(error: &SpawnError) -> String {
    match error {
        SpawnError::Exec { path, source } => exec(path, source),
        SpawnError::Cwd { path, source } => format!(
            "the working directory {} cannot be entered: {}",
            path.display(),
            source.kind()
        ),
        SpawnError::Shim(source) => format!("no process can be started: {}", source.kind()),
        SpawnError::NoProgram { .. } | SpawnError::Stopping => error.to_string(),
    }
}

fn exec(path: &Path, source: &io::Error) -> String {
    let shown = path.display();
    let Ok(meta) = fs::metadata(path) else {
        return format!("{shown} is gone, or its folder cannot be read");
    };
    if meta.is_dir() {
        return format!("{shown} is a folder; a folder needs plugin.toml with `command`");
    }
    if meta.mode() & 0o111 == 0 {
        return format!("{shown} is not executable: chmod +x {shown}");
    }
    let head = head(path);
    if let Some(line) = head.strip_prefix(b"#!") {
        return script(path, line, source);
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

fn script(path: &Path, line: &[u8], source: &io::Error) -> String {
    let shown = path.display();
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
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
