//! Children of a daemon that died: found by process id, start time and boot, ended before new ones start.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::journal::ChildRecord;

const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// This boot of the machine.
#[must_use]
pub fn boot_id() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// When a process started, clock ticks since boot: field 22 of `/proc/PID/stat`; none when there is no such process, or only a zombie.
#[must_use]
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (state != "Z").then_some(start)
}

/// Ends recorded children that still live, with their groups. Returns those that do not die.
pub async fn end_recorded(children: &[ChildRecord]) -> Vec<ChildRecord> {
    let boot = boot_id();
    let lives = |child: &&ChildRecord| {
        *child.boot_id == *boot && start_time(child.pid) == Some(child.start_time)
    };
    let mut left: Vec<ChildRecord> = children.iter().filter(lives).cloned().collect();
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for child in &left {
            let group = Pid::from_raw(child.pid);
            let _gone = killpg(group, signal);
            let _gone = killpg(group, Signal::SIGCONT);
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        while !left.is_empty() && tokio::time::Instant::now() < until {
            left.retain(|child| lives(&child));
            if !left.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_started_once() {
        let me = i32::try_from(std::process::id()).expect("a process id");
        assert!(start_time(me).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time(-1), None);
    }
}
