//! Catching up: from a daemon's start until 100 000 events that wait on the site are handled by ten plugins, each of which wants a tenth
//! of them.
//!
//! The bare loop reads and parses the same pages with the same client and stores nothing. What cannot be avoided: a page is asked for
//! by the last id of the page before it, so pages come one after the other, each after the 50 ms that the site takes. A
//! daemon can hide storing and delivering behind that wait, as far as there are processors for it: site, daemon and ten plugins share
//! those of this machine. The daemon's start, with ten processes to start, counts.

use std::time::Duration;

use sgeventd::{
    event::parse,
    ident::{EventId, Timeline},
    site::{EventQuery, Span, Tries},
};
use tokio::time::Instant;

use crate::{
    bench::Bench,
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const EVENTS: u64 = 100_000;
/// The daemon's default.
const PAGE: u32 = 500;
const ROUNDS: usize = 3;
/// Half of it would be a site without load; 330 ms is what a real one takes.
const PAGE_DELAY: Duration = Duration::from_millis(50);
/// What the made-up site's bulk is made of.
pub(crate) const KINDS: [&str; 10] = [
    "Shotgun_Task_New",
    "Shotgun_Task_Change",
    "Shotgun_Shot_New",
    "Shotgun_Shot_Change",
    "Shotgun_Version_New",
    "Shotgun_Version_Change",
    "Shotgun_Asset_New",
    "Shotgun_Asset_Change",
    "Shotgun_Note_New",
    "Shotgun_Note_Change",
];

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let runtime = bench.runtime();
    let site = SiteProcess::start(PAGE_DELAY);
    runtime.block_on(site.bulk(EVENTS as usize));
    let turns = bench.in_turn(
        ROUNDS,
        || runtime.block_on(fetch(&site)),
        || runtime.block_on(catch_up(bench, &site)),
    );
    let value = (turns.ours, "s");
    vec![Row::at_most_times(
        "catch-up, 100 000 events",
        value,
        turns.bare,
        1.3,
    )]
}

/// Seconds to read and parse all pages.
async fn fetch(site: &SiteProcess) -> f64 {
    let session = site.session();
    let began = Instant::now();
    let mut last = EventId(0);
    let mut events = 0;
    loop {
        let spans = [Span::Above(last)];
        let query = EventQuery::new(&spans, PAGE);
        let page = session.read_events(&query, Tries::Once).await;
        let page = page.expect("the site answers");
        for row in page.rows() {
            let (facts, body) = parse(Timeline(0), row).expect("a good row");
            std::hint::black_box(body);
            last = facts.event_id;
            events += 1;
        }
        if events == EVENTS {
            return began.elapsed().as_secs_f64();
        }
        assert_eq!(page.len(), PAGE as usize, "after {events} events");
    }
}

/// Seconds from the daemon's start until everything is handled.
async fn catch_up(bench: &Bench, site: &SiteProcess) -> f64 {
    let folder = bench.folder();
    let began = Instant::now();
    let mut daemon = DaemonProcess::start(folder.path(), site, &KINDS, "");
    let each = EVENTS / KINDS.len() as u64;
    daemon
        .wait("every plugin has its events", |status| {
            let counts = status.plugins.iter().map(|plugin| plugin.counts.ok);
            status.plugins.len() == KINDS.len() && counts.min() == Some(each)
        })
        .await;
    let took = began.elapsed().as_secs_f64();
    daemon.stop();
    took
}
