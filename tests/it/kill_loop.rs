//! A daemon that is killed at any moment loses nothing, repeats only what was not settled on disk, and leaves no process behind.
//!
//! `make kill-loop KILLS=1000` runs the same with other numbers: `SGEVENTD_KILLS` kills, each up to 3 s after the daemon is
//! ready. Without it 50 kills up to 0.5 s after: what is young is where the risk is, and a test takes a minute at most.
//! `SGEVENTD_SEED` draws the moments; the first line says which it was.
//!
//! Every start is held to its first delivery: a daemon that is killed without one counts with its age when that is more than it
//! may take, and each fourth is killed only after it.

#[expect(dead_code, reason = "the stage of all end-to-end tests")]
mod support;

use std::time::Duration;

use crate::support::{
    Daemon, Site, Studio, is_alive,
    proof::{monotonic_s, number},
    until, with_in_environment,
};

/// From the start of a daemon until an event of what waits is handed out.
const SOON_S: f64 = 2.0;
/// So many event ids a second; one in twelve is never committed, one in four late.
const RATE: f64 = 25.0;
/// Every so manyth kill waits for a first delivery: so the figure is not one of those alone that were soon enough.
const WAITS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "a run of an hour says how far it is")]
async fn at_random_moments() {
    let asked = number("SGEVENTD_KILLS");
    let seed = number("SGEVENTD_SEED").unwrap_or(11);
    let (kills, latest_ms) = asked.map_or((50, 500), |kills| (kills, 3000));
    println!("{kills} kills, seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let site = Site::start(RATE, seed).await;
    let studio = Studio::new(&site).witness();
    let studio = studio.witness_as("lanes", &[], "entity", 4);
    let note = studio.path("grandchildren").display().to_string();
    let studio = studio.vice("leaves_grandchildren", &note, "");
    let folder = studio.path("state").display().to_string();
    let (mut left, mut ended, mut starts_s) = (Vec::new(), 0, Vec::new());
    let mut killed_before = 0;
    for kill in 1..=kills {
        let (began, before) = (monotonic_s(), studio.witnessed().len());
        let daemon = Daemon::start(&studio).await;
        until("what the last one left behind is ended", || {
            !left.iter().any(|pid| is_alive(*pid))
        })
        .await;
        ended += left.len();
        if kill % WAITS == 0 {
            // Artists are at work all the time: something waits.
            until("a first delivery", || {
                first_delivery(&studio, before).is_some()
            })
            .await;
        }
        tokio::time::sleep(Duration::from_millis(chance.u64(10..latest_ms))).await;
        let age_s = monotonic_s() - began;
        daemon.kill().await;
        if let Some(at) = first_delivery(&studio, before) {
            starts_s.push(at - began);
        } else if age_s >= SOON_S {
            // It would have taken at least so long.
            starts_s.push(age_s);
        } else {
            killed_before += 1;
        }
        studio.crashed();
        left = with_in_environment(&folder);
        left.retain(|pid| is_alive(*pid));
        studio.is_whole(&format!("kill {kill}"));
        if kill % 100 == 0 {
            println!("{kill} kills, {} events", studio.witnessed().len());
        }
    }
    assert!(
        ended > 0,
        "grandchildren outlive a kill, else this shows nothing"
    );
    site.sandbox.quiet();
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(with_in_environment(&folder), [0; 0], "nothing is left");

    let waited = usize::try_from(kills / WAITS).expect("a few");
    assert!(starts_s.len() >= waited, "each that waited delivered");
    starts_s.sort_by(f64::total_cmp);
    let (middle, slowest) = (starts_s[starts_s.len() / 2], starts_s[starts_s.len() - 1]);
    let run = studio.recheck(&site, "kill-loop", &[1]);
    let run = run
        .with("kills", kills)
        .with("seed", seed)
        .with("left_behind_and_ended", ended)
        .with("starts_that_delivered", starts_s.len())
        .with("killed_before_it", killed_before)
        .with("first_delivery_s", middle)
        .with("first_delivery_s_max", slowest);
    run.told_and_over(&[]);
    run.judge();
    assert!(
        run.dup > Some(0),
        "no kill hit anything: this shows nothing"
    );
    assert!(slowest < SOON_S, "{starts_s:?}");
}

/// When the first event after so many was written down, if one was.
fn first_delivery(studio: &Studio, before: usize) -> Option<f64> {
    studio.book("witness").get(before)?["at"].as_f64()
}
