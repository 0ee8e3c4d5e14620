//! Numbers by which the processes of plugins are known, wherever they went: in a session of their own, without an environment.
//!
//! Each carries its number as its limit of file locks, which the kernel has not heeded since 2.4. A child inherits it, anyone
//! may read it in `/proc/PID/limits` (unlike another user's environment), and who is not root can lower it but not raise it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The number of one process of a plugin, of which all that it starts has the same; `whose`: the state directory, which has one
/// daemon at a time; `run`: which process. What `spares` is not ended when it is found by a later daemon.
#[must_use]
pub fn number(whose: &str, run: &str, spares: bool) -> u64 {
    u64::from(class(whose, spares)) << 32 | u64::from(crc32fast::hash(run.as_bytes()))
}

/// Upper half, without the highest bit: all bits together mean "no limit".
fn class(whose: &str, spares: bool) -> u32 {
    let kind = if spares { "spared" } else { "ended" };
    crc32fast::hash(format!("{kind} {whose}").as_bytes()) >> 1
}

/// True for the number of a process that must not outlive a daemon of this state.
pub(super) fn is_number_of(number: u64, whose: &str) -> bool {
    number >> 32 == u64::from(class(whose, false))
}

/// The number of a process; none for one that was not started for a plugin.
pub(super) fn number_of(pid: i32) -> Option<u64> {
    read(&std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn read(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max file locks"))?;
    // The hard one: the soft one may be moved up and down below it.
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The numbers that were given out.
#[derive(Debug, Clone, Default)]
pub struct Marks(Arc<Mutex<BTreeSet<u64>>>);

impl Marks {
    fn with<T>(&self, what: impl FnOnce(&mut BTreeSet<u64>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A process is about to have it.
    pub fn give(&self, number: u64) {
        self.with(|all| all.insert(number));
    }

    /// All that had it is ended.
    pub fn take_back(&self, number: u64) {
        self.with(|all| all.remove(&number));
    }

    /// True while a process may have it.
    pub(super) fn knows(&self, number: u64) -> bool {
        self.with(|all| all.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_whose_it_is() {
        let ours = number("/var/lib/a", "9/p/1", false);
        assert!(is_number_of(ours, "/var/lib/a") && !is_number_of(ours, "/var/lib/b"));
        assert!(!is_number_of(
            number("/var/lib/a", "9/p/1", true),
            "/var/lib/a"
        ));
        assert_ne!(ours, number("/var/lib/a", "9/p/2", false));
        assert!(ours < u64::MAX >> 1);
    }

    #[test]
    fn limits_as_the_kernel_writes_them() {
        let head =
            "Limit                     Soft Limit           Hard Limit           Units     \n";
        let line = |soft: &str, hard: &str| {
            format!("{head}Max file locks            {soft:<20} {hard:<20} locks     \n")
        };
        assert_eq!(read(&line("7", "5130000000")), Some(5_130_000_000));
        assert_eq!(read(&line("unlimited", "unlimited")), None);
        assert_eq!(read(head), None);
    }

    #[test]
    fn a_number_is_known_until_it_is_taken_back() {
        let marks = Marks::default();
        marks.give(7);
        assert!(marks.clone().knows(7) && !marks.knows(8));
        marks.take_back(7);
        assert!(!marks.knows(7));
    }
}
