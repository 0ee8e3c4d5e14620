//! What passes through a pipe, line by line, for the tests: a file a pipe in the folder that `SGEVENTD_WIRES` names.
//!
//! `{"from": "daemon"|"plugin", "message": …}`, or `"text"` where a line is no JSON, as the published examples have it.
//! In every build with debug assertions, which nobody installs; in all others it is nothing.
//! Never: an error; a line longer than [`LINE_MAX`], of which only the length is kept; more than [`FILE_MAX`].

#[cfg(debug_assertions)]
pub(super) use armed::Record;

#[cfg(debug_assertions)]
mod armed {
    use std::{
        fs::{File, OpenOptions},
        io::Write as _,
        path::PathBuf,
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
    };

    use serde_json::{json, value::RawValue};

    /// Longer lines are in the tests for their length alone.
    const LINE_MAX: usize = 1 << 20;
    /// A pipe that says more says the same.
    const FILE_MAX: usize = 8 << 20;

    static FOLDER: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("SGEVENTD_WIRES").map(PathBuf::from));
    static PIPES: AtomicU32 = AtomicU32::new(0);

    /// The record of one pipe.
    pub(crate) struct Record {
        file: Option<File>,
        written: usize,
        /// What came of a line that is not whole.
        half: Vec<u8>,
        /// Bytes of it that were not kept.
        dropped: usize,
    }

    impl Record {
        /// A record, if somebody wants one.
        pub(crate) fn new() -> Self {
            let file = FOLDER.as_ref().and_then(|folder| {
                let number = PIPES.fetch_add(1, Ordering::Relaxed);
                let name = format!("{}-{number}.jsonl", std::process::id());
                let mut options = OpenOptions::new();
                options
                    .append(true)
                    .create(true)
                    .open(folder.join(name))
                    .ok()
            });
            Self {
                file,
                written: 0,
                half: Vec::new(),
                dropped: 0,
            }
        }

        /// Lines that the plugin is sent, whole.
        pub(crate) fn sent(&mut self, lines: &[u8]) {
            if self.file.is_some() {
                self.line("daemon", lines.trim_ascii_end(), 0);
            }
        }

        /// Bytes of the plugin, cut anywhere.
        pub(crate) fn received(&mut self, bytes: &[u8]) {
            if self.file.is_none() {
                return;
            }
            let mut rest = bytes;
            while !rest.is_empty() {
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
                let part = &rest[..end];
                rest = &rest[end..];
                let room = LINE_MAX.saturating_sub(self.half.len()).min(part.len());
                self.half.extend_from_slice(&part[..room]);
                self.dropped += part.len() - room;
                if part.ends_with(b"\n") {
                    self.end();
                }
            }
        }

        /// The plugin says no more.
        pub(crate) fn end(&mut self) {
            let (line, dropped) = (
                std::mem::take(&mut self.half),
                std::mem::take(&mut self.dropped),
            );
            if !line.is_empty() {
                self.line("plugin", line.trim_ascii(), dropped);
            }
        }

        fn line(&mut self, from: &str, line: &[u8], dropped: usize) {
            let told = match serde_json::from_slice::<&RawValue>(line) {
                _ if line.len() + dropped > LINE_MAX => {
                    json!({ "from": from, "bytes": line.len() + dropped }).to_string()
                }
                Ok(message) => format!("{{\"from\":\"{from}\",\"message\":{message}}}"),
                Err(_) => {
                    json!({ "from": from, "text": String::from_utf8_lossy(line) }).to_string()
                }
            };
            self.written += told.len();
            let file = self.file.as_mut().filter(|_| self.written <= FILE_MAX);
            // Nobody who looks at the daemon is to see that it is looked at.
            let _unsaid = file.map(|file| file.write_all(format!("{told}\n").as_bytes()));
        }
    }
}

/// The record of one pipe; nothing in this build.
#[cfg(not(debug_assertions))]
pub(super) struct Record;

#[cfg(not(debug_assertions))]
impl Record {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self
    }

    #[inline(always)]
    pub(super) fn sent(&mut self, _: &[u8]) {}

    #[inline(always)]
    pub(super) fn received(&mut self, _: &[u8]) {}

    #[inline(always)]
    pub(super) fn end(&mut self) {}
}
