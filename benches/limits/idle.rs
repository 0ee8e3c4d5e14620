//! A daemon with 50 plugins and a site where nobody works: its memory, its processor time over a minute, and what is left in memory after a
//! million events.
//!
//! Resident memory of the daemon's process alone, its own code included. Two of the plugins want a type of the events, so that a fifth of
//! them is handed out.

use std::time::Duration;

use crate::{
    bench::Bench,
    catch_up::KINDS,
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const PLUGINS: usize = 50;
/// No event has it.
const NOTHING: &str = "Shotgun_Cut_New";
const MINUTE: Duration = Duration::from_secs(60);
/// Events before the first look, after which every buffer has its size.
const WARM_UP: usize = 100_000;
const EVENTS: usize = 1_000_000;
/// The made-up site gets them in such portions.
const PORTION: usize = 100_000;
/// Pages come and go; a leak of two bytes an event would be more.
const NOISE: f64 = 2.0;

/// Measures what 50 plugins cost that do nothing.
pub(crate) fn idle(bench: &Bench) -> Vec<Row> {
    bench.runtime().block_on(async {
        let folder = bench.folder();
        let site = SiteProcess::start(Duration::ZERO);
        let daemon = start(&folder, &site).await;
        let memory = daemon.resident();
        let before = daemon.cpu();
        // The measurement itself: a minute in which nothing is asked of the daemon.
        tokio::time::sleep(MINUTE).await;
        let share = (daemon.cpu() - before) / MINUTE.as_secs_f64() * 100.0;
        let memory = memory.max(daemon.resident());
        daemon.stop();
        vec![
            Row::at_most("memory, 50 idle plugins", (memory, "MiB"), 30.0),
            Row::at_most("CPU of a core, idle site, 50 plugins", (share, "%"), 0.5),
        ]
    })
}

/// Measures what a million events leave behind.
pub(crate) fn growth(bench: &Bench) -> Vec<Row> {
    bench.runtime().block_on(async {
        let folder = bench.folder();
        let site = SiteProcess::start(Duration::ZERO);
        let mut daemon = start(&folder, &site).await;
        site.bulk(WARM_UP).await;
        daemon.done(WARM_UP as u64).await;
        let before = daemon.resident();
        let mut rows = WARM_UP;
        while rows < WARM_UP + EVENTS {
            site.bulk(PORTION).await;
            rows += PORTION;
            daemon.done(rows as u64).await;
            bench.say(&format!("  {rows} events: {:.1} MiB", daemon.resident()));
        }
        let grown = daemon.resident() - before;
        daemon.stop();
        vec![Row::at_most(
            "memory left by 1 M events",
            (grown, "MiB"),
            NOISE,
        )]
    })
}

async fn start(folder: &tempfile::TempDir, site: &SiteProcess) -> DaemonProcess {
    let mut wants = vec![NOTHING; PLUGINS];
    wants[..2].copy_from_slice(&KINDS[..2]);
    let mut daemon = DaemonProcess::start(folder.path(), site, &wants, "");
    daemon.ready(PLUGINS).await;
    daemon
}
