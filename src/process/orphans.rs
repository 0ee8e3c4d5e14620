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

use super::mark::{Marks, is_number_of, number_of};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What is killed dies within milliseconds, unless a file server holds it: two seconds and what the looks take.
const LOOKS: u32 = 400;
/// Of a few hundred that fork, some are seen only by the next look; one that a file server holds is never stopped.
const STOPS: u32 = 20;

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

/// Kills what left the group of a plugin: what has its number, or is of its session still; until there is nothing more, for
/// some fork while they are killed. Returns how many were found at once.
pub fn end_escaped(pid: i32, number: u64) -> usize {
    let is_its = |other: i32| {
        other != pid && (number_of(other) == Some(number) || session(other) == Some(pid))
    };
    end_all(is_its)
}

/// Kills what a daemon that died has left: all that has a number of `whose`, wherever it went. Returns how many.
///
/// The kernel ends a plugin with its daemon, but not what the plugin started.
pub fn end_left_behind(whose: &str) -> usize {
    end_all(|pid| number_of(pid).is_some_and(|number| is_number_of(number, whose)))
}

fn end_all(is_one: impl Fn(i32) -> bool) -> usize {
    // Whoever forks for ever fills each place that a kill makes free; a stopped one keeps its place and forks no more.
    for _ in 0..STOPS {
        let stopped = processes()
            .filter(|pid| is_one(*pid) && !matches!(state(*pid), None | Some('Z' | 'T')))
            .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGSTOP).is_ok())
            .count();
        if stopped == 0 {
            break;
        }
    }
    let mut most = 0;
    for _ in 0..LOOKS {
        let killed = processes()
            .filter(|pid| is_one(*pid) && !is_dead(*pid))
            .filter(|pid| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok())
            .count();
        most = most.max(killed);
        if killed == 0 {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    most
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

/// Orphans are looked for this often.
const REAP: Duration = Duration::from_secs(5);

/// Reaps adopted orphans until `stop`, and ends those that changed their number to be found by nobody. A dead child is taken
/// when it was seen dead twice: whoever waits for it had its turn.
pub async fn reap_orphans(marks: Marks, stop: CancellationToken) {
    let mut seen: BTreeSet<i32> = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REAP) => {}
        }
        let marks = marks.clone();
        let dead: BTreeSet<i32> = tokio::task::spawn_blocking(move || {
            let (dead, alive): (BTreeSet<i32>, BTreeSet<i32>) =
                children().partition(|pid| is_dead(*pid));
            end_strangers(&alive, &marks);
            dead
        })
        .await
        .unwrap_or_default();
        for pid in dead.intersection(&seen) {
            let _gone = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
        }
        seen = dead;
    }
}

/// A child of ours with a number that nobody was given has made it itself. One without any is a shim that begins.
fn end_strangers(alive: &BTreeSet<i32>, marks: &Marks) {
    for pid in alive {
        if number_of(*pid).is_some_and(|number| !marks.knows(number)) {
            tracing::warn!(pid, "a process that hid from its plugin is ended");
            signal_one(*pid, Signal::SIGKILL);
        }
    }
}

/// Our own children: each thread's list, so that a host with many processes costs nothing.
fn children() -> impl Iterator<Item = i32> {
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
    all.into_iter()
}

fn is_dead(pid: i32) -> bool {
    state(pid) == Some('Z')
}

/// The letter of a process's state; none when it is gone.
fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.trim_start().chars().next()
}
