//! Rows that spoil their answers, outages, keys, restored sites.

use super::*;

#[test]
fn a_restored_site_halts_until_it_is_accepted() {
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    world.site.rows.retain(|id, _| *id <= 30);
    world.pass(Duration::from_secs(5));
    world.live(100);
    assert!(world.machine.is_halted());
    let rewound = |n: &Notice| {
        matches!(
            n,
            Notice::Rewound {
                lost: Lost::Below,
                head: EventId(50),
                newest: Some(EventId(30))
            }
        )
    };
    assert_eq!(world.notices.iter().filter(|n| rewound(n)).count(), 1);
    world.commit(31..=60);
    world.live(200);
    assert_eq!(
        world.journaled.len(),
        50,
        "another row under a known id is not taken for granted"
    );
    let append = world.machine.accept(EventId(31), world.now);
    world.keep(append);
    world.live(5);
    assert_eq!(world.state.timeline, Timeline(1));
    assert_eq!(world.journaled[50..], (31..=60).collect::<Vec<i64>>());
}

#[test]
fn a_lagging_replica_that_looked_like_a_restore_resumes_by_itself() {
    let mut world = World::new(policy());
    world.commit(1..=5);
    world.live(3);
    world.site.lag = Some(3);
    world.live(100);
    assert!(world.machine.is_halted());
    world.site.lag = None;
    world.commit([6]);
    world.live(130);
    assert!(world.has(|n| *n == Notice::Resumed));
    assert_eq!(world.journaled, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_archived_head_row_moves_the_anchor() {
    let mut world = World::new(policy());
    world.commit(1..=5);
    world.live(3);
    world.site.rows.remove(&5);
    world.commit([7]);
    world.live(120);
    assert!(world.has(|n| *n
        == Notice::AnchorMoved {
            from: EventId(5),
            to: Some(EventId(4))
        }));
    world.commit([6]);
    world.live(20);
    assert_eq!(world.journaled, [1, 2, 3, 4, 5, 7, 6]);
}

#[test]
fn a_site_that_shows_newer_rows_and_none_that_is_known_halts() {
    let mut world = World::new(policy());
    world.commit(1..=5);
    world.live(3);
    world.site.rows.clear();
    world.commit(1000..=1010);
    world.live(120);
    assert!(world.machine.is_halted());
    assert!(world.has(|n| matches!(
        n,
        Notice::Rewound {
            lost: Lost::All,
            head: EventId(5),
            newest: Some(EventId(1010))
        }
    )));
    assert_eq!(world.journaled, [1, 2, 3, 4, 5]);
}

#[test]
fn a_row_that_spoils_its_page_is_read_with_fewer_fields() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_whole.insert(10);
    world.commit(4..=60);
    world.live(200);
    let mut sorted = world.journaled.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=60).collect::<Vec<i64>>());
    assert!(world.has(|n| *n == Notice::Partial(EventId(10))));
}

#[test]
fn a_row_that_cannot_be_read_at_all_stays_a_late_gap_and_stops_nothing() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_all.insert(10);
    world.commit(4..=60);
    world.live(300);
    assert_eq!(world.journaled.len(), 59);
    assert!(world.has(|n| *n == Notice::Unreadable(EventId(10))));
    assert_eq!(
        world
            .notices
            .iter()
            .filter(|n| matches!(n, Notice::Unreadable(_)))
            .count(),
        1
    );
    world.site.spoils_all.clear();
    world.live(4000);
    assert_eq!(world.journaled.len(), 60);
}

#[test]
fn a_bad_row_at_the_very_head_stops_nothing() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_all.insert(4);
    world.commit([4]);
    world.live(200);
    world.commit([5, 6]);
    world.live(200);
    assert_eq!(world.journaled, [1, 2, 3, 5, 6]);
}

#[test]
fn an_outage_is_told_once_after_two_minutes_and_narrows_nothing() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.is_down = true;
    world.live(600);
    assert_eq!(
        world
            .notices
            .iter()
            .filter(|n| matches!(n, Notice::Outage { .. }))
            .count(),
        1
    );
    world.site.is_down = false;
    world.commit(4..=9);
    world.live(90);
    assert!(world.has(|n| *n == Notice::Up(true)));
    assert_eq!(world.journaled, (1..=9).collect::<Vec<i64>>());
    assert!(!world.has(|n| matches!(n, Notice::Partial(_) | Notice::Unreadable(_))));
}

#[test]
fn a_refused_key_is_tried_once_a_minute() {
    let mut world = World::new(policy());
    for _ in 0..600 {
        if world.machine.poll_question(world.now).is_some() {
            world.requests += 1;
            world
                .machine
                .failed(Failure::Refused("no".into()), world.now, 0.5);
        }
        world.pass(Duration::from_secs(1));
    }
    world.notices.extend(world.machine.take_notices());
    // The first question of all is about the site's limits.
    assert!(world.requests <= 12, "{}", world.requests);
    assert!(
        world
            .notices
            .iter()
            .all(|n| matches!(n, Notice::Refused(_)))
    );
}

#[test]
fn an_anchor_that_begins_to_spoil_its_answers_is_replaced() {
    let mut world = World::new(policy());
    world.commit(1..=5);
    world.live(3);
    world.site.spoils_whole.insert(5);
    world.commit(6..=9);
    world.live(200);
    assert_eq!(world.journaled, (1..=9).collect::<Vec<i64>>());
    assert!(!world.has(|n| matches!(n, Notice::Partial(_))));
}

#[test]
fn a_row_that_is_known_to_be_unreadable_never_holds_the_polls_up() {
    for failing_takes in [10, 60_000] {
        let mut world = World::new(policy());
        world.site.failing_takes = Duration::from_millis(failing_takes);
        world.commit([1, 2, 3]);
        world.live(3);
        world.site.spoils_all.insert(10);
        world.commit(4..=60);
        // The newest id may be far away: how long the search takes must not depend on it.
        world.commit([100_000]);
        let search = world.work(900);
        let bound = if failing_takes == 10 { 60 } else { 700 };
        assert!(search <= bound, "{failing_takes} ms: {search} s");
        let later = world.work(3600);
        assert!(later <= 6, "{failing_takes} ms: {later} s behind");
        assert_eq!(world.wrong(), NOTHING);
        assert_eq!(world.count(|n| *n == Notice::Unreadable(EventId(10))), 1);
        world.site.spoils_all.clear();
        world.work(700);
        assert!(world.journaled.contains(&10), "it is read when it can be");
    }
}

#[test]
fn a_search_that_takes_long_goes_on_beside_the_polls() {
    let mut world = World::new(policy());
    world.site.failing_takes = Duration::from_secs(60);
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_all.extend([30, 31]);
    world.commit(4..=5000);
    world.work(1500);
    assert!(world.has(|n| matches!(n, Notice::SetAside(_))));
    let later = world.work(3600);
    assert!(later <= 6, "{later} s behind");
    assert_eq!(world.wrong(), NOTHING);
    for bad in [30, 31] {
        assert_eq!(world.count(|n| *n == Notice::Unreadable(EventId(bad))), 1);
    }
}

#[test]
fn a_search_beside_the_polls_finds_a_row_that_is_partly_readable() {
    let mut world = World::new(policy());
    world.site.failing_takes = Duration::from_secs(60);
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_whole.insert(30);
    world.commit(4..=50);
    world.work(3600);
    assert_eq!(world.count(|n| *n == Notice::Partial(EventId(30))), 1);
    assert_eq!(world.wrong(), NOTHING);
}

#[test]
fn an_outage_in_a_search_says_nothing_of_a_row() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.spoils_whole.insert(10);
    world.commit(4..=60);
    world.live(8);
    for _ in 0..20 {
        world.site.is_down = true;
        world.live(70);
        world.site.is_down = false;
        world.live(1);
    }
    world.live(120);
    assert_eq!(world.wrong(), NOTHING);
    assert_eq!(world.count(|n| matches!(n, Notice::Partial(_))), 1);
    assert!(!world.has(|n| matches!(n, Notice::SetAside(_) | Notice::Unreadable(_))));
}

#[test]
fn a_known_row_that_begins_to_spoil_its_answers_is_no_gap() {
    let mut world = World::new(policy());
    world.commit((1..=30).filter(|id| id % 2 == 1));
    world.live(3);
    world.site.spoils_all.insert(15);
    world.live(120);
    world.commit((1..=30).filter(|id| id % 2 == 0));
    world.live(120);
    assert_eq!(world.sorted(), (1..=30).collect::<Vec<i64>>());
    assert!(world.state.gaps.is_empty(), "{:?}", world.state.gaps);
    assert_eq!(world.state.filled, 14);
}

#[test]
fn a_fault_is_not_an_outage() {
    let mut world = World::new(policy());
    world.commit(1..=3);
    world.live(3);
    world.site.is_faulty = true;
    world.live(600);
    assert!(world.has(|n| matches!(n, Notice::Fault(_))));
    assert!(
        !world.has(|n| matches!(n, Notice::Down(_))),
        "the site answers others"
    );
    assert_eq!(world.machine.fault(), Some("500"));
    let told = |n: &Notice| matches!(n, Notice::Outage { is_fault: true, .. });
    assert_eq!(world.count(told), 1);
    world.site.is_faulty = false;
    world.commit([4]);
    world.live(90);
    assert!(world.has(|n| *n == Notice::Up(true)));
    assert_eq!(world.machine.fault(), None);
    assert_eq!(world.journaled, [1, 2, 3, 4]);
}

#[test]
fn a_refusal_is_told_again_after_a_failure_between() {
    let mut world = World::new(policy());
    let refused = || Failure::Refused("no".into());
    let ask = |world: &mut World, failure: Failure| {
        while world.machine.poll_question(world.now).is_none() {
            world.pass(Duration::from_secs(1));
        }
        world.machine.failed(failure, world.now, 0.5);
        world.machine.take_notices().pop()
    };
    assert_eq!(
        ask(&mut world, refused()),
        Some(Notice::Refused("no".into()))
    );
    assert_eq!(
        ask(&mut world, trouble(true)),
        Some(Notice::Down("500".into()))
    );
    assert_eq!(
        ask(&mut world, refused()),
        Some(Notice::Refused("no".into())),
        "the last word is what is so"
    );
}

#[test]
fn a_halted_ingest_goes_on_when_the_head_is_only_gone_from_sight() {
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    // On a quiet evening somebody archives the newest row: for hours the newest id is below the head.
    world.site.rows.remove(&50);
    world.live(3600);
    assert!(world.machine.is_halted());
    world.commit(51..=90);
    world.live(130);
    assert!(!world.machine.is_halted());
    assert!(world.has(|n| *n == Notice::Resumed));
    assert!(world.has(|n| *n
        == Notice::AnchorMoved {
            from: EventId(50),
            to: Some(EventId(49))
        }));
    assert_eq!(world.journaled, (1..=90).collect::<Vec<i64>>());
}

#[test]
fn a_restored_site_that_grows_past_the_head_stays_halted() {
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    world.site.rows.retain(|id, _| *id <= 30);
    world.live(100);
    world.pass(Duration::from_secs(60));
    // The ids are given out anew, but for the head's.
    world.commit((31..=80).filter(|id| *id != 50));
    world.live(600);
    assert!(world.machine.is_halted());
    assert_eq!(world.journaled.len(), 50);
}

#[test]
fn another_row_under_a_known_id_is_not_forgotten_in_an_outage() {
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    world.site.rows.retain(|id, _| *id <= 30);
    world.pass(Duration::from_secs(5));
    world.commit(31..=60);
    world.live(100);
    assert!(world.machine.is_halted());
    // Each question that fails leaves one more of the known rows out of the next.
    world.site.is_down = true;
    world.live(1000);
    world.site.is_down = false;
    world.live(1000);
    assert!(world.machine.is_halted());
    assert_eq!(world.journaled.len(), 50);
}

#[test]
fn accepting_a_site_says_what_of_the_old_timeline_is_given_up() {
    let mut world = World::new(policy());
    world.commit((1..=50).filter(|id| *id != 7 && *id != 8));
    world.live(3);
    world.site.rows.retain(|id, _| *id <= 30);
    world.live(100);
    let append = world.machine.accept(EventId(31), world.now);
    assert_eq!(append.ingest.given_up, 2);
    assert!(append.ingest.gaps.is_empty());
    let given_up = |n: &Notice| matches!(n, Notice::GivenUp(gaps) if gaps[0].first == EventId(7));
    assert!(world.machine.take_notices().iter().any(given_up));
}

#[test]
fn a_question_that_was_under_way_when_a_site_was_accepted_is_forgotten() {
    let mut world = World::new(policy());
    world.commit(1..=50);
    world.live(3);
    world.site.rows.retain(|id, _| *id <= 30);
    world.live(100);
    world.pass(Duration::from_secs(60));
    let question = world.machine.poll_question(world.now).expect("a question");
    let answer = world
        .site
        .ask(&question, world.now.unix)
        .expect("an answer");
    let _append = world.machine.accept(EventId(31), world.now);
    assert_eq!(world.machine.answered(answer, world.now), None);
}

#[test]
fn rows_without_an_id_are_told_now_and_then() {
    let mut world = World::new(policy());
    world.site.without_id = 1;
    world.work(300);
    assert_eq!(world.count(|n| *n == Notice::BadRows(1)), 1);
    world.work(600);
    assert_eq!(world.count(|n| *n == Notice::BadRows(1)), 2);
}

#[test]
fn after_a_restart_whole_rows_are_anchors_by_id() {
    let event = |id: i64, timeline: u32, is_partial: bool| {
        let mut facts = row(id, id).facts;
        (facts.timeline, facts.is_partial) = (Timeline(timeline), is_partial);
        crate::event::Event {
            seq: crate::ident::Seq(1),
            facts: facts.into(),
            body: crate::event::Body::Dropped,
        }
    };
    // In the journal's order: late ones last.
    let recent = [
        event(9, 0, false),
        event(4, 1, false),
        event(7, 1, true),
        event(8, 1, false),
        event(6, 1, false),
    ];
    let ids: Vec<i64> = anchors(&recent, Timeline(1))
        .iter()
        .map(|anchor| anchor.event_id.0)
        .collect();
    assert_eq!(ids, [4, 6, 8]);
}
