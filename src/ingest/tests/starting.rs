//! Where an empty journal begins.

use super::*;

#[test]
fn the_newest_page_is_the_start_and_its_gaps_are_ours() {
    let mut world = World::new(Policy {
        start_from: StartFrom::Latest,
        ..policy()
    });
    world.commit([10, 11, 14]);
    world.live(3);
    world.commit([12, 15, 9]);
    world.live(3);
    assert_eq!(
        world.journaled,
        [12, 15],
        "9 lies below the first page, which was fixed by the first answer"
    );
}

#[test]
fn an_empty_log_is_a_start_too() {
    let mut world = World::new(Policy {
        start_from: StartFrom::Latest,
        ..policy()
    });
    world.live(3);
    world.commit([7]);
    world.live(7);
    world.commit([6]);
    world.live(7);
    assert_eq!(world.journaled, [7, 6]);
}

#[test]
fn a_time_is_a_start() {
    let start = Unix(1_000_000_000 + 5_000);
    let mut world = World::new(Policy {
        start_from: StartFrom::Time(start),
        ..policy()
    });
    world.site.commit(3, Unix(start.0 - 1));
    world.site.commit(4, start);
    world.live(3);
    assert_eq!(world.journaled, [4]);
}

fn latest() -> World {
    World::new(Policy {
        start_from: StartFrom::Latest,
        ..policy()
    })
}

#[test]
fn a_bad_row_among_the_newest_does_not_keep_us_from_beginning() {
    for bad in [90, 100] {
        let mut world = latest();
        world.commit((1..=100).filter(|id| *id != 95));
        world.site.spoils_all.insert(bad);
        world.live(60);
        world.commit([95, 101]);
        world.live(120);
        assert_eq!(world.sorted(), [95, 101], "{bad}");
    }
}

#[test]
fn a_row_that_cannot_even_show_its_id_does_not_either() {
    let mut world = latest();
    world.commit((1..=100).filter(|id| *id != 95));
    world.site.spoils_id.insert(90);
    world.live(60);
    world.commit([95, 101]);
    world.live(200);
    assert!(world.journaled.contains(&95) && world.journaled.contains(&101));
}

#[test]
fn an_outage_at_the_first_start_changes_nothing_of_it() {
    let mut world = latest();
    world.commit((1..=100).filter(|id| *id != 95));
    world.site.is_down = true;
    world.live(900);
    world.site.is_down = false;
    world.live(140);
    world.commit([95, 101]);
    world.live(70);
    assert_eq!(world.sorted(), [95, 101]);
}

#[test]
fn a_bad_row_at_the_time_we_begin_does_not_keep_us_from_beginning() {
    let start = Unix(1_000_000_000);
    let mut world = World::new(Policy {
        start_from: StartFrom::Time(start),
        ..policy()
    });
    world.site.commit(3, Unix(start.0 - 1));
    world.commit(4..=9);
    world.site.spoils_all.insert(4);
    world.live(120);
    assert_eq!(world.journaled, [5, 6, 7, 8, 9]);
}

#[test]
fn the_gap_below_the_first_row_reaches_down_to_the_id_that_was_asked_for() {
    let mut world = World::new(Policy {
        start_from: StartFrom::Id(EventId(5000)),
        ..policy()
    });
    world.commit([15_001]);
    world.live(10);
    world.commit([9000, 4999]);
    world.live(10);
    assert_eq!(world.journaled, [15_001, 9000]);
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    let append = world.machine.accept(EventId(60), world.now);
    world.keep(append);
    world.site.rows.clear();
    world.commit([9000]);
    world.live(10);
    world.commit([70]);
    world.live(10);
    assert_eq!(world.journaled[50..], [9000, 70]);
}

#[test]
fn what_commits_late_below_the_first_row_of_a_time_is_ours_by_its_time() {
    let start = Unix(1_000_000_000 + 5_000);
    let mut world = World::new(Policy {
        start_from: StartFrom::Time(start),
        ..policy()
    });
    for id in (2000..2100).filter(|id| id % 10 != 8) {
        world.site.commit(id, Unix(start.0 - 1));
    }
    world.site.commit(2100, start);
    world.live(10);
    assert_eq!(world.journaled, [2100]);
    world.site.commit(2098, Unix(start.0 + 1));
    world.site.commit(2088, Unix(start.0 - 1));
    world.live(10);
    assert_eq!(world.journaled, [2100, 2098]);
}

#[test]
fn a_restored_site_is_noticed_though_the_journal_is_empty_and_the_daemon_was_killed() {
    let mut policy = policy();
    policy.start_from = StartFrom::Latest;
    let mut world = World::new(policy);
    world.commit(1..=10);
    world.live(3);
    // Restored to a few rows ago; the id of the head is not given out again, the others are.
    world.site.rows.retain(|id, _| *id <= 5);
    world.pass(Duration::from_secs(1));
    world.commit((6..=9).chain(11..=20));
    for _ in 0..3 {
        world.restart();
        world.live(100);
        assert!(world.machine.is_halted(), "{:?}", world.notices);
    }
    let from = world
        .machine
        .would_accept_from()
        .expect("some rows are as they were");
    assert_eq!(from, EventId(6));
    let append = world.machine.accept(from, world.now);
    world.keep(append);
    let told = world.machine.take_notices();
    assert!(told.contains(&Notice::Accepted(EventId(6))), "{told:?}");
    world.live(10);
    let all: Vec<i64> = (6..=9).chain(11..=20).collect();
    assert_eq!(world.journaled, all);
}

#[test]
fn an_anchor_of_which_only_the_id_was_known_is_learned() {
    let mut policy = policy();
    policy.start_from = StartFrom::Latest;
    let mut world = World::new(policy);
    world.commit(1..=10);
    world.site.spoils_all.insert(4);
    world.live(60);
    let head = world.state.head.clone().expect("it began");
    assert_eq!(
        (head.event_id, &*head.event_type),
        (EventId(10), "Shotgun_Shot_Change")
    );
}
