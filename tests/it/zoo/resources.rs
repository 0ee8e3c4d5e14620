//! Beasts that take what is not theirs of the machine, or do not go.

use super::{Cage, has_settled};
use crate::support::{Site, Studio, is_alive, until};

pub(super) async fn ignores_sigterm() {
    let mut cage = Cage::new("ignores_sigterm", "").await;
    let report = cage.sees("works", has_settled).await;
    let pid = report["pid"].as_i64().expect("a process");
    // The daemon's stop takes the whole ladder, and is a success.
    cage.close(&[27]).await;
    assert!(!is_alive(pid), "SIGKILL ends it");
}

#[tokio::test]
async fn leaves_grandchildren() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    let note = studio.path("grandchildren").display().to_string();
    let mut cage = Cage::of(site, studio, "leaves_grandchildren", &note, "").await;
    cage.sees("works", has_settled).await;
    let pids = std::fs::read_to_string(&note).expect("its note");
    let pids = pids.split(' ').map(|pid| pid.parse().expect("a pid"));
    let pids: Vec<i64> = pids.collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    cage.close(&[28]).await;
    until("the grandchildren are gone", || {
        !pids.iter().any(|pid| is_alive(*pid))
    })
    .await;
}
