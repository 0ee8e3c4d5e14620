//! Beasts that take what is not theirs of the machine, or do not go.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use nix::unistd::Uid;
use tokio::time::Instant;

use super::{Cage, FAST, has_settled, reason, visits, was_ended};
use crate::support::{Site, Studio, is_alive, need, until};

pub(super) async fn ignores_sigterm() {
    visits(async || {
        let mut cage = Cage::new("ignores_sigterm", "").await;
        let report = cage.sees("works", has_settled).await;
        let pid = report["pid"].as_i64().expect("a process");
        // The daemon's stop takes the whole ladder, and is a success.
        let seen = cage.close(&[27]).await;
        assert!(!is_alive(pid), "SIGKILL ends it");
        seen
    })
    .await;
}

#[tokio::test]
async fn leaves_grandchildren() {
    visits(async || {
        let site = Site::quiet().await;
        let studio = Studio::new(&site);
        let note = studio.path("grandchildren").display().to_string();
        let mut cage = Cage::of(site, studio, "leaves_grandchildren", &note, "").await;
        cage.sees("works", has_settled).await;
        let pids = fs::read_to_string(&note).expect("its note");
        let pids = pids.split(' ').map(|pid| pid.parse().expect("a pid"));
        let pids: Vec<i64> = pids.collect();
        assert_eq!(pids.len(), 2);
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        let seen = cage.close(&[28]).await;
        until("the grandchildren are gone", || {
            !pids.iter().any(|pid| is_alive(*pid))
        })
        .await;
        seen
    })
    .await;
}

/// Users of nobody: root is not held by limits of processes, and reads everything. The processes of the first are counted.
const CROWD: &str = "64003";
const SOMEBODY: &str = "64004";

/// A beast that runs as another user than its daemon, which writes its books in a folder that is open to it.
async fn as_user(user: &str, vice: &str, keys: &str) -> Cage {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    let books = ["book", "lives"].map(|kind| format!("{vice}.{kind}"));
    let studio = books
        .iter()
        .fold(studio, |studio, book| studio.file(book, "", 0o666));
    fs::set_permissions(studio.path(""), fs::Permissions::from_mode(0o711)).expect("its mode");
    let keys = format!("user = \"{user}\"\n{keys}");
    Cage::of(site, studio, vice, "", &keys).await
}

/// True when a daemon can start a plugin as another user; else what is missing is said.
fn can_change_users() -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        need("root, to run a plugin as another user");
    }
    is_root
}

/// Processes that run as a user; what is dead and not yet reaped does not run.
fn processes_of(user: &str) -> usize {
    let user: u32 = user.parse().expect("a number");
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let theirs = all.filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == user));
    let pids = theirs.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid| is_alive(*pid)).count()
}

pub(super) async fn spins() {
    visits(async || {
        let mut cage = Cage::new("spins", FAST).await;
        let report = cage.sees("was ended", was_ended).await;
        assert!(reason(&report).contains("no answer within"), "{report}");
        cage.sees("works in its second life", has_settled).await;
        cage.close(&[25]).await
    })
    .await;
}

#[tokio::test]
async fn eats_memory() {
    visits(async || {
        let mut cage = Cage::new("eats_memory", "limits = { memory = \"200MiB\" }").await;
        let report = cage.sees("was ended", was_ended).await;
        let words = "exit 1; `limits.memory` is 200MiB; last words on stderr: \"MemoryError\"";
        assert!(reason(&report).contains(words), "{report}");
        cage.sees("works in its second life", has_settled).await;
        let seen = cage.close(&[30]).await;
        assert!(seen.rss_step_mib < 20.0, "{} MiB", seen.rss_step_mib);
        seen
    })
    .await;
}

#[tokio::test]
async fn fork_bomb() {
    if !can_change_users() {
        return;
    }
    visits(async || {
        let mut cage = as_user(CROWD, "fork_bomb", "limits = { processes = 40 }").await;
        let most = std::cell::Cell::new(0);
        let report = cage
            .sees("was ended", |report| {
                most.set(most.get().max(processes_of(CROWD)));
                was_ended(report)
            })
            .await;
        assert!(reason(&report).contains("exit 3"), "{report}");
        assert!((20..=41).contains(&most.get()), "{} processes", most.get());
        cage.sees("works in its second life", has_settled).await;
        until("all that the first life forked is gone", || {
            processes_of(CROWD) == 1
        })
        .await;
        let seen = cage.close(&[29]).await;
        assert_eq!(processes_of(CROWD), 0);
        seen
    })
    .await;
}

pub(super) async fn stops_itself() {
    visits(async || {
        let mut cage = Cage::new("stops_itself", FAST).await;
        let before = Instant::now();
        let report = cage.sees("was ended", was_ended).await;
        // Its deadline is one second; cancel and grace, then SIGTERM, which SIGCONT lets it take.
        let took = before.elapsed().as_secs();
        assert!(took <= 1 + 22, "{took} s");
        assert!(reason(&report).contains("no answer within"), "{report}");
        let report = cage.sees("works in its second life", has_settled).await;
        assert_eq!(report["generation"], 2, "{report}");
        cage.close(&[26]).await
    })
    .await;
}

#[tokio::test]
async fn daemonises() {
    visits(async || {
        let site = Site::quiet().await;
        let studio = Studio::new(&site);
        let note = studio.path("daemon").display().to_string();
        let mut cage = Cage::of(site, studio, "daemonises", &note, "").await;
        cage.sees("works", has_settled).await;
        let pid = fs::read_to_string(&note)
            .expect("its note")
            .parse()
            .expect("a pid");
        assert!(is_alive(pid));
        let seen = cage.close(&[28]).await;
        until("it is gone", || !is_alive(pid)).await;
        seen
    })
    .await;
}

#[tokio::test]
async fn leaks_descriptors() {
    visits(async || {
        let mut cage = Cage::new("leaks_descriptors", "limits = { open_files = 64 }").await;
        let report = cage.sees("was ended", was_ended).await;
        let words = reason(&report);
        assert!(
            words.contains("`limits.open_files` is 64") && words.contains("Too many open files"),
            "{report}"
        );
        cage.sees("works in its second life", has_settled).await;
        cage.close(&[31]).await
    })
    .await;
}

#[tokio::test]
async fn reads_the_daemon() {
    if !can_change_users() {
        return;
    }
    visits(async || {
        let mut cage = as_user(SOMEBODY, "reads_the_daemon", "").await;
        cage.sees("works", has_settled).await;
        let book = cage.studio.book("reads_the_daemon");
        let tried: Vec<_> = book
            .iter()
            .filter(|line| !line["tried"].is_null())
            .collect();
        assert!(tried.len() >= 14, "{tried:?}");
        for line in tried {
            let got = line["got"].as_str();
            assert!(
                matches!(got, Some("Permission denied" | "No such file or directory")),
                "{line}"
            );
        }
        cage.close(&[46]).await
    })
    .await;
}
