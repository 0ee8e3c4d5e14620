//! A replay hands out a range once more, behind what is new, and is on disk as far as it is.

use super::*;
use crate::journal::Origin;

fn range(first: u64, last: u64) -> Replay {
    Replay {
        first: Seq(first),
        last: Seq(last),
        next: Seq(first),
    }
}

/// A world that has settled so many events, and stands there with a replay.
fn settled(count: u64, policy: Policy, replay: Replay) -> World {
    let mut world = World::new((1..=count).map(|seq| event(seq, seq)).collect(), policy);
    world.disk.position = Seq(count);
    world.disk.replays = vec![replay];
    world.restart();
    world
}

fn finish(world: &mut World) -> Vec<(u64, bool)> {
    let mut handed_out = Vec::new();
    while world.turn() > 0 || !world.out.is_empty() {
        handed_out.extend(world.out.iter().map(|out| (out.event.seq.0, out.is_replay)));
        world.answer(0, Disposition::Ok);
        world.pass(Duration::from_millis(20));
        world.commit();
    }
    world.pass(Duration::from_secs(11));
    world.commit();
    handed_out
}

#[test]
fn a_range_is_handed_out_once_more_in_order_and_leaves_the_position_alone() {
    let mut world = settled(9, Policy::default(), range(3, 5));
    let again = finish(&mut world);
    assert_eq!(again, [(3, true), (4, true), (5, true)]);
    assert_eq!(world.disk.position, Seq(9));
    assert!(world.disk.replays.is_empty() && world.disk.open.is_empty());
    world.restart();
    assert_eq!(finish(&mut world), []);
}

#[test]
fn what_is_new_goes_before_it_and_never_beside_it_in_a_lane() {
    let mut world = settled(3, Policy::default(), range(1, 3));
    world.turn();
    assert_eq!(seqs(&world), [1]);
    // Two that are new stand before the one that is out now.
    world.events.extend([event(4, 4), event(5, 5)]);
    assert_eq!((world.turn(), seqs(&world)), (0, vec![1]));
    world.answer(0, Disposition::Ok);
    let rest = finish(&mut world);
    assert_eq!(rest, [(4, false), (5, false), (2, true), (3, true)]);
}

#[test]
fn one_that_is_to_be_tried_again_gives_way_to_what_is_new() {
    let mut world = settled(2, Policy::default(), range(1, 2));
    world.turn();
    world.answer(0, failed());
    world.events.push(event(3, 3));
    assert_eq!((world.turn(), seqs(&world)), (1, vec![3]));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.turn(), 0, "one of the lane is out");
    world.answer(0, Disposition::Ok);
    assert_eq!(finish(&mut world), [(1, true), (2, true)]);
}

#[test]
fn a_long_one_leaves_room_for_what_is_new() {
    let mut world = settled(5000, Policy::default(), range(1, 5000));
    world.turn();
    let open = world.machine.open_len();
    assert!(open < 600, "{open} are open");
    assert!(world.machine.poll_read().is_some());
    let again = finish(&mut world);
    assert_eq!(again.len(), 5000);
    assert!(again.windows(2).all(|two| two[0].0 < two[1].0));
}

#[test]
fn it_holds_up_nobody_who_waits_for_the_plugin() {
    let mut world = settled(9, Policy::default(), range(3, 5));
    world.turn();
    assert_eq!(world.machine.settled_to(), Seq(9));
    assert!(world.machine.oldest().is_none());
}

#[test]
fn what_the_plugin_has_not_come_to_is_no_repetition() {
    let mut world = settled(5, Policy::default(), range(4, 8));
    world.events.extend((6..=8).map(|seq| event(seq, seq)));
    let handed_out = finish(&mut world);
    let expected = [(6, false), (7, false), (8, false), (4, true), (5, true)];
    assert_eq!(handed_out, expected);
    assert!(world.disk.replays.is_empty());
}

#[test]
fn one_whose_body_nobody_has_is_a_dead_letter_and_the_next_goes_on() {
    let manifest = r#"{"subscriptions":[{"where":[["meta.x","is",1]]}]}"#;
    let manifest: Manifest = serde_json::from_str(manifest).expect("a manifest");
    let filter = Filter::new(&manifest, SelfIdentity::default());
    let machine = Machine::new(PluginName::new("p"), Policy::default(), filter, Seq(2));
    let mut machine = resume(machine, &Cursor::default(), &[range(1, 2)], &[], at(0));
    machine.handle_replay(&[pruned(1, 1), pruned(2, 2)], at(0));
    let asked = machine.poll_body().cloned().expect("its body is asked for");
    assert_eq!((asked.seq, machine.poll_replay()), (Seq(1), None));
    machine.handle_body(&asked, None, at(0));
    assert_eq!(machine.poll_replay().map(|(after, _)| after), Some(Seq(1)));
    machine.handle_replay(&[pruned(2, 2)], at(0));
    let asked = machine.poll_body().cloned().expect("its body is asked for");
    let body = r#"{"id":2,"event_type":"T","meta":{"x":1}}"#;
    machine.handle_body(&asked, Some(body.into()), at(0));
    let again = machine.poll_delivery(at(0)).expect("the second");
    assert!(again.is_replay && again.event.seq == Seq(2));
    let change = machine.take_rest(at(0));
    assert_eq!((change.dead.len(), &*change.dead[0].reason), (1, "pruned"));
    assert_eq!(
        change.replays.last().map(|replay| replay.next),
        Some(Seq(3))
    );
}

#[test]
fn an_open_event_without_a_row_is_said_and_holds_nothing_up() {
    let mut world = settled(2, Policy::default(), range(1, 2));
    let entry = machine::new_entry(Seq(1));
    world.disk.open.insert(Seq(1), entry);
    world.events.remove(0);
    world.restart();
    world.commit();
    assert_eq!(
        (world.disk.dead.clone(), world.disk.open.len()),
        (vec![1], 0)
    );
}

#[derive(Debug, Clone)]
enum Deed {
    Happens(Happening),
    Comes,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let happens = happenings().prop_map(|all| all.into_iter().map(Deed::Happens));
    (happens, prop::collection::vec(0usize..120, 0..20)).prop_map(|(happens, comes)| {
        let mut all: Vec<Deed> = happens.collect();
        for at in comes {
            all.insert(at.min(all.len()), Deed::Comes);
        }
        all
    })
}

proptest! {
    #[test]
    fn through_crashes_each_of_the_range_is_handed_out_again_and_one_of_a_lane_at_a_time(
        deeds in deeds(), first in 1u64..40, length in 0u64..40, order in 0usize..4,
    ) {
        let order = [Order::All, Order::Entity, Order::Project, Order::None][order];
        let policy = Policy { window: 4, order, ..Policy::default() };
        let last = (first + length).min(40);
        let mut world = settled(40, policy, range(first, last));
        world.events = (1..=40).map(|seq| event(seq, seq % 3)).collect();
        world.restart();
        let mut again = BTreeSet::new();
        for deed in deeds {
            match deed {
                Deed::Happens(happening) => step(&mut world, &happening),
                Deed::Comes => {
                    let seq = world.events.len() as u64 + 1;
                    world.events.push(event(seq, seq % 3));
                }
            }
            again.extend(world.out.iter().filter(|out| out.is_replay).map(|out| out.event.seq.0));
            for (at, delivery) in world.out.iter().enumerate() {
                let lane = |d: &Delivery| open::Lane::of(order, d.event.seq, &d.event.facts);
                prop_assert!(world.out[..at].iter().all(|other| lane(other) != lane(delivery)));
            }
            let open = world.disk.open.values();
            let mut replayed = open.filter(|entry| entry.origin == Origin::Replay);
            prop_assert!(replayed.all(|entry| (first..=last).contains(&entry.seq.0)));
        }
        for _ in 0..300 {
            world.machine.enable();
            world.turn();
            while !world.out.is_empty() {
                again.extend(world.out.iter().filter(|out| out.is_replay).map(|out| out.event.seq.0));
                world.answer(0, Disposition::Ok);
            }
            world.commit();
            world.pass(Duration::from_secs(11));
        }
        prop_assert!(world.disk.open.is_empty() && world.disk.replays.is_empty());
        prop_assert_eq!(again, (first..=last).collect::<BTreeSet<_>>());
        let fresh: BTreeSet<u64> = (41..=world.events.len() as u64).collect();
        let dead: BTreeSet<u64> = world.disk.dead.iter().copied().collect();
        prop_assert!(fresh.iter().all(|seq| world.settled.contains(seq) || dead.contains(seq)));
    }
}
