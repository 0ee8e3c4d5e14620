//! What a plugin started and left behind: its group, and what left the group (setsid, double fork).
//!
//! The daemon is a subreaper: what loses its parent becomes our child and is reaped by its own number, never by "any child".

use std::{collections::BTreeSet, time::Duration};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use tokio_util::sync::CancellationToken;

/// The variable by which a process is known as a plugin's, wherever it went.
pub const RUN_MARK: &str = "SGEVENTD_RUN";

/// Makes orphans of plugins our children.
pub fn become_subreaper() {
    // It cannot fail on a kernel that we run on.
    let _done = prctl::set_child_subreaper(true);
}

/// Signals a plugin's whole group; one that is gone is fine.
pub fn signal_group(pid: i32, sig: Signal) {
    let group = Pid::from_raw(pid);
    let _gone = killpg(group, sig);
    if sig == Signal::SIGTERM {
        // A stopped process takes no signal but these.
        let _gone = killpg(group, Signal::SIGCONT);
    }
}

/// Signals one process; one that is gone is fine.
pub fn signal_one(pid: i32, sig: Signal) {
    let _gone = kill(Pid::from_raw(pid), sig);
}

/// Kills a plugin's whole group.
pub fn kill_group(pid: i32) {
    signal_group(pid, Signal::SIGKILL);
}

/// Kills what left the group of a plugin: same session, or the same mark in its environment. Returns how many.
pub fn end_escaped(pid: i32, mark: &str) -> usize {
    let wanted = format!("{RUN_MARK}={mark}");
    let mut ended = 0;
    for other in processes() {
        if other == pid || !(session(other) == Some(pid) || has_mark(other, &wanted)) {
            continue;
        }
        if kill(Pid::from_raw(other), Signal::SIGKILL).is_ok() {
            ended += 1;
        }
    }
    ended
}

/// Kills what a daemon that died has left: all that is marked as started for `whose`, wherever it went. Returns how many.
///
/// The kernel ends a plugin with its daemon, but not what the plugin started.
pub fn end_left_behind(whose: &str) -> usize {
    let wanted = format!("{RUN_MARK}={whose}#");
    let left =
        processes().filter(|pid| environ_has(*pid, |pair| pair.starts_with(wanted.as_bytes())));
    left.filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
        .count()
}

fn processes() -> impl Iterator<Item = i32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat_field(pid: i32, field: usize) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(field)?
        .parse()
        .ok()
}

fn session(pid: i32) -> Option<i32> {
    stat_field(pid, 3)
}

fn has_mark(pid: i32, wanted: &str) -> bool {
    environ_has(pid, |pair| pair == wanted.as_bytes())
}

fn environ_has(pid: i32, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(is_it)
}

/// Orphans are looked for this often.
const REAP: Duration = Duration::from_secs(5);

/// Reaps adopted orphans until `stop`. A dead child is taken when it was seen dead twice: whoever waits for it had its turn.
pub async fn reap_orphans(stop: CancellationToken) {
    let mut seen: BTreeSet<i32> = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REAP) => {}
        }
        let dead: BTreeSet<i32> = tokio::task::spawn_blocking(|| dead_children().collect())
            .await
            .unwrap_or_default();
        for pid in dead.intersection(&seen) {
            let _gone = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
        }
        seen = dead;
    }
}

/// Our own dead children: each thread's list, so that a host with many processes costs nothing.
fn dead_children() -> impl Iterator<Item = i32> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all: Vec<i32> = lists
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    all.into_iter().filter(|pid| is_dead(*pid))
}

fn is_dead(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|rest| rest.starts_with('Z'))
}
