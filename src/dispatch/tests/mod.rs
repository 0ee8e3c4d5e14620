//! What the dispatcher promises, against a naive journal and a plugin that does anything.

mod bodies;
mod replay;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use sgeventd_protocol::manifest::{Manifest, OnError, Order};

use super::{machine::resume, *};
use crate::{
    clock::{Mono, Now, Unix},
    event::{Body, Event, parse},
    ident::{PluginName, Seq, Timeline},
    journal::{Cursor, CursorChange, OpenEntry, Replay},
};

const HOUR: i64 = 3_600_000;

fn event(seq: u64, entity: u64) -> Arc<Event> {
    let row =
        format!(r#"{{"id":{seq},"event_type":"T","entity":{{"type":"Shot","id":{entity}}}}}"#);
    let (facts, body) = parse(Timeline(0), &row).expect("a row");
    Arc::new(Event {
        seq: Seq(seq),
        facts: facts.into(),
        body: Body::Here(body),
    })
}

/// A journal in a few lines: what was committed.
#[derive(Default)]
struct Disk {
    position: Seq,
    open: BTreeMap<Seq, OpenEntry>,
    dead: Vec<u64>,
    replays: Vec<Replay>,
}

impl Disk {
    fn commit(&mut self, change: CursorChange) {
        assert!(
            change.position >= self.position,
            "a position never goes back"
        );
        self.position = change.position;
        for seq in change.settled {
            self.open.remove(&seq);
        }
        for dead in change.dead {
            self.open.remove(&dead.seq);
            self.dead.push(dead.seq.0);
        }
        for entry in change.put {
            self.open.insert(entry.seq, entry);
        }
        for replay in change.replays {
            self.replays.retain(|known| known.first != replay.first);
            self.replays
                .extend(Some(replay).filter(|replay| replay.next <= replay.last));
        }
    }
}

struct World {
    events: Vec<Arc<Event>>,
    machine: Machine,
    policy: Policy,
    disk: Disk,
    now: Now,
    out: Vec<Delivery>,
    settled: BTreeSet<u64>,
}

impl World {
    fn new(events: Vec<Arc<Event>>, policy: Policy) -> Self {
        let machine = Self::machine(&policy, Seq(0));
        let now = Now {
            mono: Mono(0),
            unix: Unix(1_000_000),
        };
        let (disk, out, settled) = (Disk::default(), Vec::new(), BTreeSet::new());
        Self {
            events,
            machine,
            policy,
            disk,
            now,
            out,
            settled,
        }
    }

    fn machine(policy: &Policy, position: Seq) -> Machine {
        let manifest: Manifest =
            serde_json::from_str(r#"{"subscriptions":[{}]}"#).expect("a manifest");
        let filter = Filter::new(&manifest, SelfIdentity::default());
        Machine::new(PluginName::new("p"), policy.clone(), filter, position)
    }

    fn pass(&mut self, wait: Duration) {
        self.now = Now {
            mono: self.now.mono + wait,
            unix: self.now.unix + wait,
        };
    }

    fn commit(&mut self) {
        if let Some(change) = self.machine.poll_commit(self.now) {
            self.disk.commit(change);
            self.machine.handle_committed();
        }
    }

    /// Reads, and takes all deliveries that may go.
    fn turn(&mut self) -> usize {
        while let Some((after, rows)) = self.machine.poll_read() {
            let page: Vec<_> = self
                .events
                .iter()
                .filter(|e| e.seq > after)
                .take(rows)
                .cloned()
                .collect();
            if page.is_empty() {
                break;
            }
            self.machine.handle_rows(&page, self.now);
        }
        while let Some((after, rows)) = self.machine.poll_replay() {
            let page = self.events.iter().filter(|e| e.seq > after);
            let page: Vec<_> = page.take(rows).cloned().collect();
            self.machine.handle_replay(&page, self.now);
        }
        let mut taken = 0;
        while let Some(delivery) = self.machine.poll_delivery(self.now) {
            self.out.push(delivery);
            taken += 1;
        }
        taken
    }

    fn answer(&mut self, at: usize, ended: Disposition) {
        let delivery = self.out.remove(at);
        if matches!(ended, Disposition::Ok) {
            self.settled.insert(delivery.event.seq.0);
        }
        self.machine
            .handle_answer(delivery.event.seq, ended, true, self.now, 0.5);
    }

    /// The daemon dies and starts with what is on disk.
    fn restart(&mut self) {
        self.out.clear();
        let cursor = Cursor {
            position: self.disk.position,
            open: self.disk.open.values().cloned().collect(),
        };
        self.machine = resume(
            Self::machine(&self.policy, cursor.position),
            &cursor,
            &self.disk.replays,
            &self.events,
            self.now,
        );
    }
}

fn failed() -> Disposition {
    Disposition::Failed {
        error: "no".into(),
        progress: Some("7".into()),
    }
}

fn seqs(world: &World) -> Vec<u64> {
    world
        .out
        .iter()
        .map(|delivery| delivery.event.seq.0)
        .collect()
}

#[test]
fn one_lane_hands_out_one_at_a_time_in_order() {
    let mut world = World::new(
        (1..=3).map(|seq| event(seq, seq)).collect(),
        Policy::default(),
    );
    for seq in 1..=3 {
        world.turn();
        assert_eq!(seqs(&world), [seq]);
        world.answer(0, Disposition::Ok);
    }
    world.pass(Duration::from_millis(100));
    world.commit();
    assert_eq!((world.disk.position, world.disk.open.len()), (Seq(3), 0));
}

#[test]
fn what_is_on_its_way_to_the_disk_counts_among_what_waits_for_it() {
    let most = machine::UNCOMMITTED_MAX as u64;
    let events = (1..=most + 300).map(|seq| event(seq, seq)).collect();
    let mut world = World::new(events, Policy::default());
    let mut under_way = None;
    while world.turn() > 0 {
        world.answer(0, Disposition::Ok);
        world.pass(Duration::from_millis(50));
        // The disk is full: the first change never gets there.
        under_way = under_way.or_else(|| world.machine.poll_commit(world.now));
    }
    assert!(under_way.is_some_and(|change| change.position > Seq(0)));
    assert_eq!(world.settled.len() as u64, most);
    world.machine.handle_committed();
    assert!(world.turn() > 0, "with room it goes on");
}

#[test]
fn a_delayed_retry_holds_up_its_lane_only() {
    let policy = Policy {
        window: 8,
        order: Order::Entity,
        ..Policy::default()
    };
    let events = vec![event(1, 1), event(2, 2), event(3, 1), event(4, 2)];
    let mut world = World::new(events, policy);
    world.turn();
    assert_eq!(seqs(&world), [1, 2]);
    world.answer(0, failed());
    world.answer(0, Disposition::Ok);
    world.turn();
    assert_eq!(seqs(&world), [4]);
    world.pass(Duration::from_secs(1));
    world.turn();
    assert_eq!(seqs(&world), [4, 1]);
    assert_eq!(
        (world.out[1].attempt, world.out[1].progress.as_deref()),
        (2, Some("7"))
    );
}

#[test]
fn a_wall_clock_that_jumps_delays_no_retry() {
    let mut world = World::new(vec![event(1, 1)], Policy::default());
    world.turn();
    world.answer(0, failed());
    world.now.unix = Unix(world.now.unix.0 - 10 * HOUR);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.turn(), 1);
    // Who goes on from the journal has that clock only: nothing waits for longer than anything may.
    world.answer(0, failed());
    world.commit();
    world.now.unix = Unix(world.now.unix.0 - 100 * HOUR);
    world.restart();
    assert_eq!(world.turn(), 0);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.turn(), 1);
    // At a stop the wait is written down by the clock as it is then.
    world.answer(0, failed());
    world.now.unix = Unix(world.now.unix.0 - HOUR / 2);
    let rest = world.machine.take_rest(world.now);
    world.disk.commit(rest);
    world.restart();
    world.pass(Duration::from_secs(40));
    assert_eq!(world.turn(), 1);
}

#[test]
fn events_are_as_old_as_the_clock_of_the_site_says() {
    let policy = Policy {
        max_age: Duration::from_secs(60),
        ..Policy::default()
    };
    let site = Unix(1_000_000);
    let events = (1..=2).map(|seq| {
        let mut event = Event::clone(&event(seq, seq));
        Arc::make_mut(&mut event.facts).created_at = Some(site);
        Arc::new(event)
    });
    let mut world = World::new(events.collect(), policy);
    // Ours says that ten years have passed.
    world.now.unix = Unix(site.0 + 10 * 365 * 24 * HOUR);
    world.machine.set_site_time(site, world.now);
    assert_eq!(world.turn(), 1);
}

#[test]
fn a_triggered_event_above_the_position_takes_no_other_along() {
    let events: Vec<_> = (1..=300).map(|seq| event(seq, seq)).collect();
    let mut world = World::new(events, Policy::default());
    let trigger = OpenEntry {
        origin: crate::journal::Origin::Trigger,
        ..machine::new_entry(Seq(299))
    };
    let last = Arc::clone(&world.events[298]);
    world.machine.reopen(trigger, last, world.now);
    let first = Arc::clone(&world.events[0]);
    world.machine.handle_rows(&[first], world.now);
    let rest = world.machine.take_rest(world.now);
    assert_eq!(rest.position, Seq(1));
    world.disk.commit(rest);
    world.restart();
    while world.settled.len() < 300 {
        world.turn();
        assert!(!world.out.is_empty(), "{:?}", world.settled.last());
        world.answer(0, Disposition::Ok);
    }
}

#[test]
fn what_became_of_an_event_that_was_triggered_early_is_written_down_at_once() {
    let events: Vec<_> = (1..=3).map(|seq| event(seq, seq)).collect();
    let mut world = World::new(events, Policy::default());
    let trigger = OpenEntry {
        origin: crate::journal::Origin::Trigger,
        ..machine::new_entry(Seq(3))
    };
    let last = Arc::clone(&world.events[2]);
    world.machine.reopen(trigger, last, world.now);
    assert!(world.machine.poll_delivery(world.now).is_some());
    world.machine.handle_exit(true, "SIGSEGV", world.now);
    assert!(world.machine.poll_delivery(world.now).is_none());
    world.commit();
    let kept = world.disk.open.get(&Seq(3)).map(|entry| entry.crashes);
    assert_eq!((kept, world.disk.position), (Some(1), Seq(0)));
    assert!(world.machine.poll_delivery(world.now).is_some());
}

#[test]
fn a_triggered_event_that_is_settled_and_has_its_turn_in_one_change_stays_open() {
    let events: Vec<_> = (1..=3).map(|seq| event(seq, seq)).collect();
    let mut world = World::new(events, Policy::default());
    let trigger = OpenEntry {
        origin: crate::journal::Origin::Trigger,
        ..machine::new_entry(Seq(2))
    };
    let event = Arc::clone(&world.events[1]);
    world.machine.reopen(trigger, event, world.now);
    assert!(world.machine.poll_delivery(world.now).is_some());
    let ok = Disposition::Ok;
    world
        .machine
        .handle_answer(Seq(2), ok, true, world.now, 0.5);
    let rows = world.events.clone();
    world.machine.handle_rows(&rows, world.now);
    let rest = world.machine.take_rest(world.now);
    world.disk.commit(rest);
    world.restart();
    world.turn();
    assert_eq!(seqs(&world), [1]);
    world.answer(0, Disposition::Ok);
    world.turn();
    assert_eq!(seqs(&world), [2]);
}

#[test]
fn attempts_end_in_a_dead_letter_and_three_in_a_row_in_a_refusal() {
    let mut world = World::new(
        (1..=5).map(|seq| event(seq, seq)).collect(),
        Policy::default(),
    );
    let mut deliveries = 0;
    while world.machine.refusal().is_none() {
        deliveries += world.turn();
        if !world.out.is_empty() {
            world.answer(0, failed());
        }
        world.commit();
        world.pass(Duration::from_secs(200));
    }
    assert_eq!((deliveries, world.disk.dead.clone()), (15, vec![1, 2, 3]));
    assert_eq!(world.machine.refusal(), Some(&Refusal::Failing));
    world.machine.enable();
    world.turn();
    assert_eq!(seqs(&world), [4]);
}

#[test]
fn on_error_stop_stays_at_the_event_and_skip_buries_it() {
    let policy = |on_error| Policy {
        on_error,
        ..Policy::default()
    };
    let mut world = World::new(vec![event(1, 1), event(2, 1)], policy(OnError::Stop));
    world.turn();
    world.answer(0, failed());
    assert_eq!(
        (world.turn(), world.machine.refusal()),
        (0, Some(&Refusal::OnError(Seq(1))))
    );
    let named = world.machine.event_id(Seq(1));
    assert_eq!(named, Some(event(1, 1).facts.event_id));
    world.machine.enable();
    world.turn();
    assert_eq!(seqs(&world), [1]);
    let mut world = World::new(vec![event(1, 1), event(2, 1)], policy(OnError::Skip));
    world.turn();
    world.answer(0, failed());
    world.turn();
    assert_eq!(seqs(&world), [2]);
}

#[test]
fn a_letter_counts_what_was_handed_out_and_names_its_event() {
    let policy = Policy {
        on_error: OnError::Stop,
        ..Policy::default()
    };
    let mut world = World::new(vec![event(1, 1), event(2, 2)], policy);
    world.turn();
    world.answer(0, failed());
    world.turn();
    for _ in 0..2 {
        let skipped = world.machine.skip_oldest(world.now);
        assert!(skipped.is_some());
    }
    let change = world.machine.poll_commit(world.now).expect("at once");
    let attempts: Vec<_> = change.dead.iter().map(|dead| dead.attempts).collect();
    assert_eq!(attempts, [1, 0], "the second was never handed out");
    for (dead, seq) in change.dead.iter().zip(1..) {
        let id = event(seq, seq).facts.event_id;
        assert_eq!(world.machine.event_id(dead.seq), Some(id));
    }
}

#[test]
fn what_the_site_is_to_blame_for_is_not_charged() {
    let mut world = World::new(
        vec![event(1, 1)],
        Policy {
            max_attempts: 2,
            ..Policy::default()
        },
    );
    for _ in 0..10 {
        world.turn();
        let delivery = world.out.remove(0);
        world
            .machine
            .handle_answer(delivery.event.seq, failed(), false, world.now, 0.5);
        world.pass(Duration::from_secs(10));
    }
    world.turn();
    assert_eq!((world.out[0].attempt, world.disk.dead.len()), (11, 0));
}

#[test]
fn an_event_that_kills_the_plugin_is_found_alone_and_charged_on_disk_first() {
    let policy = Policy {
        window: 4,
        order: Order::None,
        ..Policy::default()
    };
    let mut world = World::new((1..=3).map(|seq| event(seq, seq)).collect(), policy);
    assert_eq!(world.turn(), 3);
    world.events.extend((4..=5).map(|seq| event(seq, seq)));
    let crash = |world: &mut World| {
        world.out.clear();
        world.machine.handle_exit(true, "SIGSEGV", world.now);
    };
    crash(&mut world);
    assert_eq!((world.turn(), seqs(&world)), (1, vec![1]));
    crash(&mut world);
    assert_eq!(world.turn(), 0, "not before the crash is on disk");
    world.commit();
    assert_eq!((world.turn(), seqs(&world)), (1, vec![1]));
    crash(&mut world);
    world.commit();
    assert_eq!(world.disk.dead, [1]);
    for seq in [2, 3] {
        assert_eq!(
            (world.turn(), seqs(&world)),
            (1, vec![seq]),
            "one at a time"
        );
        world.answer(0, Disposition::Ok);
    }
    assert_eq!(world.turn(), 2, "and then the window is open again");
}

#[test]
fn one_that_was_poison_under_another_policy_is_given_up_alone_only() {
    let policy = Policy {
        window: 4,
        order: Order::None,
        ..Policy::default()
    };
    let mut world = World::new(vec![event(1, 1), event(2, 2)], policy);
    let entry = OpenEntry {
        crashes: 2,
        ..machine::new_entry(Seq(1))
    };
    world.disk.position = Seq(1);
    world.disk.open.insert(Seq(1), entry);
    world.restart();
    assert_eq!(world.turn(), 2);
    world.out.clear();
    world
        .machine
        .handle_exit(true, "it was the other", world.now);
    assert_eq!((world.turn(), world.machine.open_len()), (1, 2));
    world.out.clear();
    world.machine.handle_exit(true, "it was this", world.now);
    world.commit();
    assert_eq!(world.disk.dead, [1]);
}

#[test]
fn a_stop_charges_nothing() {
    let mut world = World::new(vec![event(1, 1)], Policy::default());
    for _ in 0..5 {
        world.turn();
        world.out.clear();
        world.machine.handle_exit(false, "stop", world.now);
    }
    assert_eq!((world.turn(), world.disk.dead.len()), (1, 0));
}

#[derive(Debug, Clone)]
enum Happening {
    Turn,
    Answer(usize, u8),
    Crash(bool),
    Pass(u16),
    Commit,
    Restart,
}

fn pruned(seq: u64, entity: u64) -> Arc<Event> {
    let body = Body::Dropped;
    let event = Event::clone(&event(seq, entity));
    Arc::new(Event { body, ..event })
}

fn at(ms: u64) -> Now {
    let unix = Unix(i64::try_from(ms).expect("small"));
    Now {
        mono: Mono(ms),
        unix,
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => Just(Happening::Turn),
        6 => (0usize..8, 0u8..8).prop_map(|(at, how)| Happening::Answer(at, how)),
        1 => any::<bool>().prop_map(Happening::Crash),
        2 => (0u16..5000).prop_map(Happening::Pass),
        3 => Just(Happening::Commit),
        1 => Just(Happening::Restart),
    ];
    prop::collection::vec(one, 0..120)
}

proptest! {
    #[test]
    fn each_event_is_settled_or_dead_once_and_lanes_keep_their_order(
        happenings in happenings(), entities in prop::collection::vec(1u64..4, 1..30), order in 0usize..4,
    ) {
        let order = [Order::All, Order::Entity, Order::Project, Order::None][order];
        let events: Vec<_> = (1..).zip(&entities).map(|(seq, entity)| event(seq, *entity)).collect();
        let mut world = World::new(events, Policy { window: 4, order, ..Policy::default() });
        for happening in happenings {
            step(&mut world, &happening);
            // One of a lane at a time, and never behind one that is not settled.
            for (at, delivery) in world.out.iter().enumerate() {
                let lane = |d: &Delivery| open::Lane::of(order, d.event.seq, &d.event.facts);
                prop_assert!(world.out[..at].iter().all(|other| lane(other) != lane(delivery)));
            }
        }
        for _ in 0..2000 {
            world.machine.enable();
            world.turn();
            while !world.out.is_empty() {
                world.answer(0, Disposition::Ok);
            }
            world.commit();
            world.pass(Duration::from_secs(5));
        }
        prop_assert_eq!(world.disk.open.len(), 0);
        let mut dead = world.disk.dead.clone();
        dead.sort_unstable();
        let once: BTreeSet<u64> = dead.iter().copied().collect();
        prop_assert_eq!(once.len(), dead.len(), "a dead letter exists once");
        let all: BTreeSet<u64> = world.settled.union(&once).copied().collect();
        prop_assert_eq!(all.len(), entities.len());
    }
}

fn step(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Turn => drop(world.turn()),
        Happening::Answer(at, how) if !world.out.is_empty() => {
            let ended = match how {
                0 => failed(),
                1 => Disposition::Retry {
                    after: None,
                    reason: "later".into(),
                    progress: None,
                },
                2 => Disposition::Dead {
                    reason: "never".into(),
                },
                _ => Disposition::Ok,
            };
            world.answer(at % world.out.len(), ended);
        }
        Happening::Crash(is_own) => {
            world.out.clear();
            world.machine.handle_exit(*is_own, "crash", world.now);
        }
        Happening::Pass(ms) => world.pass(Duration::from_millis((*ms).into())),
        Happening::Commit => world.commit(),
        Happening::Restart => world.restart(),
        Happening::Answer(..) => {}
    }
}
