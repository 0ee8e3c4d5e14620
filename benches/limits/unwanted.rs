//! Events that nobody wants, 200 plugins: what each costs for each plugin.
//!
//! The dispatcher's machine alone, and the processor time of a whole daemon: with 200 plugins less without any, for the same events. A
//! plugin must look at them all the same: its position moves, and that is written.

use std::{sync::Arc, time::Duration};

use sgeventd::{
    clock::Clock,
    dispatch::{Filter, Machine, Policy, SelfIdentity},
    event::{Body, Event, parse},
    ident::{PluginName, Seq, Timeline},
};

use crate::{
    bench::{Bench, median, seconds},
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const PLUGINS: usize = 200;
/// No event has it.
const NOTHING: &str = "Shotgun_Cut_New";
/// Events of a read, as the dispatcher asks for them.
const PAGE: u64 = 256;
const EVENTS: usize = 100_000;
const ROUNDS: usize = 3;
const BOUND: f64 = 100.0;

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let alone = median((0..ROUNDS).map(|_| machines()).collect());
    bench.say(&format!("  machine alone: {alone:.1} ns"));
    let runtime = bench.runtime();
    let turns = bench.in_turn(
        ROUNDS,
        || runtime.block_on(daemon(bench, 0)),
        || runtime.block_on(daemon(bench, PLUGINS)),
    );
    let each = (turns.ours - turns.bare) * 1e9 / (PLUGINS * EVENTS) as f64;
    vec![
        Row::at_most("unwanted event, filter", (alone, "ns"), BOUND),
        Row::at_most("unwanted event, daemon's CPU", (each, "ns"), BOUND),
    ]
}

/// Nanoseconds an event and machine.
fn machines() -> f64 {
    let manifest = serde_json::json!({ "subscriptions": [{ "events": { NOTHING: null } }] });
    let manifest = serde_json::from_value(manifest).expect("a manifest");
    let machine = |number: usize| {
        let filter = Filter::new(&manifest, SelfIdentity::default());
        let name = PluginName::new(format!("p{number}"));
        Machine::new(name, Policy::default(), filter, Seq(0))
    };
    let mut machines: Vec<Machine> = (0..PLUGINS).map(machine).collect();
    let pages: Vec<Vec<Arc<Event>>> = (0..40).map(page).collect();
    let now = Clock::start().now();
    let (took, ()) = seconds(|| {
        for page in &pages {
            for machine in &mut machines {
                machine.handle_rows(page, now);
            }
        }
    });
    let last = Seq(PAGE * pages.len() as u64);
    assert!(machines.iter().all(|machine| machine.position() == last));
    took * 1e9 / (last.0 as f64 * PLUGINS as f64)
}

fn page(number: u64) -> Vec<Arc<Event>> {
    let event = |seq: u64| {
        let row = format!(
            r#"{{"type":"EventLogEntry","id":{seq},"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","meta":{{"entity_type":"Task","entity_id":7}},"entity":{{"type":"Task","id":7,"name":"comp"}},"user":{{"type":"HumanUser","id":7,"name":"jo"}},"project":{{"type":"Project","id":3,"name":"ABC"}},"session_uuid":null,"created_at":"2026-07-09T19:33:37Z"}}"#
        );
        let (facts, body) = parse(Timeline(0), &row).expect("a good row");
        Arc::new(Event {
            seq: Seq(seq),
            facts: facts.into(),
            body: Body::Here(body),
        })
    };
    (number * PAGE + 1..=(number + 1) * PAGE)
        .map(event)
        .collect()
}

/// Processor seconds that a daemon with so many plugins takes for all events, beyond its start.
async fn daemon(bench: &Bench, plugins: usize) -> f64 {
    let folder = bench.folder();
    let site = SiteProcess::start(Duration::ZERO);
    let wants = vec![NOTHING; plugins];
    let mut daemon = DaemonProcess::start(folder.path(), &site, &wants, "");
    daemon.ready(plugins).await;
    let before = daemon.cpu();
    site.bulk(EVENTS).await;
    daemon.done(EVENTS as u64).await;
    let took = daemon.cpu() - before;
    daemon.stop();
    took
}
