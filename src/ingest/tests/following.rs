//! The usual: ids that come late, gaps, pages, counts.

use super::*;

#[test]
fn a_late_id_is_journaled_once_and_nothing_twice() {
    let mut world = World::new(policy());
    world.commit([1, 2, 5]);
    world.live(10);
    assert_eq!(world.journaled, [1, 2, 5]);
    world.commit([4]);
    world.live(10);
    world.commit([3, 6]);
    world.live(10);
    assert_eq!(world.journaled, [1, 2, 5, 4, 3, 6]);
    assert_eq!(world.state.filled, 2);
}

#[test]
fn catching_up_takes_a_page_at_once() {
    let mut world = World::new(policy());
    world.commit(1..=1000);
    world.turn();
    assert_eq!(world.journaled.len(), 1000);
    assert!(
        world.requests <= 1000 / (PAGE - 1) + 2,
        "{}",
        world.requests
    );
}

#[test]
fn a_jump_of_ten_thousand_ids_is_one_gap() {
    let mut world = World::new(policy());
    world.commit([1, 10_002]);
    world.live(5);
    assert_eq!(world.state.gaps.len(), 1);
    world.commit(5_000..5_100);
    world.live(20);
    assert_eq!(world.journaled.len(), 102);
}

#[test]
fn a_gap_is_given_up_by_the_sites_clock_after_an_answer_that_covers_it() {
    let mut world = World::new(policy());
    world.commit([1, 3]);
    world.live(80_000);
    assert!(!world.has(|n| matches!(n, Notice::GivenUp(_))));
    world.site.is_down = true;
    world.live(2 * 86_400);
    assert!(
        !world.has(|n| matches!(n, Notice::GivenUp(_))),
        "nothing is given up while the site is away"
    );
    world.site.is_down = false;
    world.commit([2]);
    world.live(700);
    assert_eq!(world.journaled, [1, 3, 2]);
    assert_eq!(world.state.given_up, 0);
    world.commit([5]);
    world.live(86_400 + 700);
    assert_eq!(world.state.given_up, 1);
    assert!(world.state.gaps.is_empty());
}

#[test]
fn a_clock_of_the_site_that_is_moved_ages_no_gap() {
    let hours = |hours: i64| hours * 3_600_000;
    let mut world = World::new(policy());
    world.commit([1, 3]);
    world.live(60);
    for step in [30, -30, -2, 10_000, 1] {
        world.now.unix = world.now.unix.moved(hours(step));
        world.live(3700);
        assert_eq!(world.state.given_up, 0, "by {step} h");
    }
    world.commit([2]);
    world.live(700);
    assert_eq!(world.journaled, [1, 3, 2]);
    // Its time is over after as long as ever.
    world.commit([5]);
    world.live(80_000);
    world.now.unix = world.now.unix.moved(hours(-9));
    world.live(5000);
    assert_eq!(world.state.given_up, 0);
    world.live(2200);
    assert_eq!(world.state.given_up, 1);
}

#[test]
fn a_page_without_the_anchor_proves_nothing() {
    let mut world = World::new(policy());
    world.commit(1..=5);
    world.live(3);
    world.site.lag = Some(3);
    world.commit([7]);
    world.live(20);
    assert_eq!(world.state.head.as_ref().map(|h| h.event_id.0), Some(5));
    world.site.lag = None;
    world.live(10);
    assert_eq!(world.journaled, [1, 2, 3, 4, 5, 7]);
    assert!(!world.machine.is_halted());
}

#[test]
fn hold_waits_for_a_young_gap_and_not_longer() {
    let mut world = World::new(Policy {
        gap_hold: Duration::from_secs(20),
        ..policy()
    });
    world.commit([1, 2, 4]);
    world.live(10);
    assert_eq!(world.journaled, [1, 2]);
    world.commit([3]);
    world.live(10);
    assert_eq!(world.journaled, [1, 2, 3, 4]);
    world.commit([6]);
    world.live(40);
    assert_eq!(world.journaled, [1, 2, 3, 4, 6]);
}

#[test]
fn a_full_page_of_filled_gaps_does_not_hide_the_anchor() {
    let mut world = World::new(policy());
    world.commit([1, 200]);
    world.live(3);
    world.commit(2..=120);
    world.commit([201]);
    world.live(60);
    assert_eq!(world.journaled.len(), 122);
}

#[test]
fn many_rows_that_the_script_may_not_see_are_counted_not_listed() {
    let mut world = World::new(policy());
    world.commit((0..400).map(|n| n * 100 + 1));
    world.live(400);
    let before = world.requests;
    world.live(600);
    assert!(world.requests - before < 400, "{}", world.requests - before);
    world.commit([20_050]);
    world.live(700);
    assert_eq!(world.journaled.last(), Some(&20_050));
}

#[test]
fn a_count_that_fails_stalls_nothing() {
    for failing_takes in [10, 60_000] {
        let mut world = World::new(policy());
        world.site.failing_takes = Duration::from_millis(failing_takes);
        world.site.cannot_count = true;
        world.commit((0..400).map(|n| n * 100 + 1));
        world.live(400);
        let behind = world.work(900);
        assert!(behind <= 6, "{behind} s behind");
        world.commit([20_050]);
        world.work(800);
        assert!(
            world.journaled.contains(&20_050),
            "late gaps are listed when they cannot be counted"
        );
        assert!(!world.has(|n| matches!(n, Notice::Down(_) | Notice::Fault(_))));
    }
}

#[test]
fn a_site_that_serves_smaller_pages_than_we_ask_for_hides_nothing() {
    for hides_limits in [false, true] {
        let mut world = World::new(Policy {
            page: 100,
            ..policy()
        });
        world.site.page_max = Some(PAGE);
        world.site.hides_limits = hides_limits;
        world.commit([1, 200]);
        world.live(3);
        world.commit(2..=120);
        world.commit(201..=1200);
        let before = world.requests;
        world.live(6);
        assert_eq!(world.wrong(), NOTHING, "without a pause between full pages");
        assert!(world.requests - before < 80);
        world.live(70);
        assert!(!world.machine.is_halted());
        assert!(!world.has(|n| matches!(n, Notice::AnchorMoved { .. })));
        // A gap whose rows were cut off was not covered.
        world.commit([1300]);
        world.live(86_400 - 100);
        world.commit(1201..=1290);
        world.live(1000);
        assert_eq!(world.wrong(), NOTHING);
    }
}

#[test]
fn a_full_answer_that_brings_nothing_is_not_asked_again_at_once() {
    let mut world = World::new(Policy {
        page: 1,
        ..policy()
    });
    world.commit([1, 2, 3]);
    world.live(100);
    assert!(world.requests < 250, "{} requests", world.requests);
}
