//! The machine that a run was made on.
//!
//! In: `/proc`, `/etc/os-release`. Out: five words. Never: a name of the host.

use std::{fmt, fs};

use serde::Serialize;

/// What the numbers depend on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's own name.
    pub(crate) cpu: String,
    /// How many of them a process may use.
    pub(crate) cores: usize,
    /// Its release.
    pub(crate) kernel: String,
    /// In all.
    pub(crate) memory: String,
    /// The distribution's own name.
    pub(crate) os: String,
}

impl Machine {
    /// Looks.
    pub(crate) fn look() -> Self {
        let kib: f64 = line("/proc/meminfo", "MemTotal:")
            .trim_end_matches("kB")
            .trim()
            .parse()
            .unwrap_or(0.0);
        Self {
            cpu: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory: format!("{:.1} GiB", kib / 1024.0 / 1024.0),
            os: line("/etc/os-release", "PRETTY_NAME=")
                .trim_matches('"')
                .to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cores,
            kernel,
            memory,
            os,
        } = self;
        write!(f, "{cpu}, {cores} cores, {memory}; Linux {kernel}, {os}")
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What follows the first line that begins so.
fn line(path: &str, begin: &str) -> String {
    let text = read(path);
    let found = text.lines().find_map(|line| line.strip_prefix(begin));
    let found = found.unwrap_or("unknown").trim();
    found.trim_start_matches(':').trim().to_owned()
}
