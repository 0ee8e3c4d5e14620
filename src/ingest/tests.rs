//! What the machine promises, against a model of a site that reserves ids early and commits late.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    clock::{Mono, Now, Unix},
    event::Facts,
    ident::{EventId, Timeline},
    journal::{Append, IngestState},
};

const PAGE: usize = 20;

fn policy() -> Policy {
    Policy {
        interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(5),
        page: PAGE,
        start_from: StartFrom::Id(EventId(1)),
        gap_timeout: Duration::from_secs(300),
        gap_give_up: Duration::from_secs(86_400),
        gap_hold: Duration::ZERO,
        max_retry_wait: Duration::from_secs(60),
    }
}

fn row(id: i64, created_at: i64) -> Row {
    let facts = Facts {
        timeline: Timeline(0),
        event_id: EventId(id),
        created_at: Some(Unix(created_at)),
        event_type: "Shotgun_Shot_Change".into(),
        attribute_name: None,
        session_uuid: None,
        project: None,
        entity: None,
        user: None,
        subject: None,
        sudo_user: None,
        is_partial: false,
    };
    Row {
        facts,
        body: Bytes::new(),
    }
}

/// A site in a few lines: rows by id, and rows that spoil what holds them.
#[derive(Default)]
struct Site {
    rows: BTreeMap<i64, Row>,
    spoils_whole: BTreeSet<i64>,
    spoils_all: BTreeSet<i64>,
    is_down: bool,
    /// A replica that shows nothing above this id.
    lag: Option<i64>,
}

impl Site {
    fn commit(&mut self, id: i64, at: Unix) {
        self.rows.insert(id, row(id, at.0));
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = &Row> {
        let to = self.lag.unwrap_or(i64::MAX);
        self.rows.range(..=to).map(|(_, row)| row)
    }

    fn ask(&self, question: &Question, at: Unix) -> Result<Answer, Failure> {
        let failed = || Failure::Failed {
            message: "500".into(),
            retry_after: None,
        };
        if self.is_down {
            return Err(failed());
        }
        let (rows, count): (Vec<Row>, _) = match &question.kind {
            Kind::Newest { limit } => (self.visible().rev().take(*limit).cloned().collect(), None),
            Kind::Since(time) => (
                self.visible()
                    .find(|row| row.facts.created_at >= Some(*time))
                    .cloned()
                    .into_iter()
                    .collect(),
                None,
            ),
            Kind::Count(first, last) => {
                let within = |row: &&Row| (*first..=*last).contains(&row.facts.event_id);
                (
                    Vec::new(),
                    Some(self.visible().filter(within).count() as u64),
                )
            }
            Kind::Page { ranges, limit } => {
                let within = |row: &&Row| {
                    let id = row.facts.event_id;
                    ranges
                        .iter()
                        .any(|r| r.first <= id && r.last.is_none_or(|last| id <= last))
                };
                (
                    self.visible()
                        .filter(within)
                        .take(*limit)
                        .cloned()
                        .collect(),
                    None,
                )
            }
        };
        let is_page = matches!(question.kind, Kind::Page { .. });
        let is_spoiled = rows.iter().any(|row| {
            let id = row.facts.event_id.0;
            let is_whole = question.fields == Fields::Whole;
            self.spoils_all.contains(&id) || (is_whole && self.spoils_whole.contains(&id))
        });
        if is_page && is_spoiled {
            return Err(failed());
        }
        Ok(Answer {
            rows,
            bad_rows: 0,
            count,
            site_time: at,
        })
    }
}

/// The machine with a clock and what it journaled.
struct World {
    site: Site,
    machine: Machine,
    now: Now,
    journaled: Vec<i64>,
    state: IngestState,
    notices: Vec<Notice>,
    requests: usize,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self {
            site: Site::default(),
            machine: Machine::new(policy, IngestState::default(), Vec::new()),
            now: Now {
                mono: Mono(0),
                unix: Unix(1_000_000_000),
            },
            journaled: Vec::new(),
            state: IngestState::default(),
            notices: Vec::new(),
            requests: 0,
        }
    }

    fn commit(&mut self, ids: impl IntoIterator<Item = i64>) {
        for id in ids {
            self.site.commit(id, self.now.unix);
        }
    }

    fn pass(&mut self, wait: Duration) {
        self.now = Now {
            mono: self.now.mono + wait,
            unix: self.now.unix + wait,
        };
    }

    fn keep(&mut self, append: Append) {
        self.journaled
            .extend(append.events.iter().map(|event| event.facts.event_id.0));
        self.state = append.ingest;
    }

    /// Asks what is due now, until nothing is.
    fn turn(&mut self) {
        let before = self.requests;
        while let Some(question) = self.machine.poll_question(self.now) {
            self.requests += 1;
            assert!(
                self.requests < before + 5000,
                "asks without end: {question:?} {:?}",
                self.notices.last()
            );
            match self.site.ask(&question, self.now.unix) {
                Ok(answer) => {
                    if let Some(append) = self.machine.answered(answer, self.now, 0.5) {
                        self.keep(append);
                    }
                }
                Err(failure) => self.machine.failed(failure, self.now, 0.5),
            }
            self.notices.extend(self.machine.take_notices());
            self.pass(Duration::from_millis(10));
        }
    }

    /// Lives for so long, a second at a time.
    fn live(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.turn();
            self.pass(Duration::from_secs(1));
        }
    }

    /// The daemon dies and starts again with what was committed.
    fn restart(&mut self) {
        self.machine = Machine::new(policy(), self.state.clone(), Vec::new());
    }

    fn has(&self, wanted: impl Fn(&Notice) -> bool) -> bool {
        self.notices.iter().any(wanted)
    }
}

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
fn a_refused_key_is_told_once_and_tried_once_a_minute() {
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
    assert!(world.requests <= 11, "{}", world.requests);
    assert_eq!(world.notices.len(), 1);
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

/// What may happen to a site and to us.
#[derive(Debug, Clone)]
enum Happening {
    Reserve(u8),
    CommitOldest,
    CommitNewest,
    RollBack,
    Live(u8),
    Outage(u8),
    Lag(u8),
    Restart,
    Spoil,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (1u8..40).prop_map(Happening::Reserve),
        4 => Just(Happening::CommitOldest),
        4 => Just(Happening::CommitNewest),
        1 => Just(Happening::RollBack),
        4 => (1u8..20).prop_map(Happening::Live),
        1 => (1u8..200).prop_map(Happening::Outage),
        1 => (1u8..40).prop_map(Happening::Lag),
        1 => Just(Happening::Restart),
        1 => Just(Happening::Spoil),
    ];
    prop::collection::vec(one, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_committed_id_is_journaled_once(happenings in happenings()) {
        let mut world = World::new(policy());
        let (mut next, mut open) = (1i64, Vec::<i64>::new());
        for happening in happenings {
            match happening {
                Happening::Reserve(n) => {
                    open.extend(next..next + i64::from(n));
                    next += i64::from(n);
                }
                Happening::CommitOldest if !open.is_empty() => {
                    let ids: Vec<i64> = open.drain(..open.len().div_ceil(3)).collect();
                    world.commit(ids);
                }
                Happening::CommitNewest if !open.is_empty() => {
                    let ids = open.split_off(open.len() / 2);
                    world.commit(ids);
                }
                Happening::RollBack => drop(open.pop()),
                Happening::Live(seconds) => world.live(seconds.into()),
                Happening::Outage(seconds) => {
                    world.site.is_down = true;
                    world.live(seconds.into());
                    world.site.is_down = false;
                }
                Happening::Lag(seconds) => {
                    world.site.lag = Some(next / 2);
                    world.live(seconds.into());
                    world.site.lag = None;
                }
                Happening::Restart => world.restart(),
                Happening::Spoil => drop(world.site.spoils_whole.insert(next)),
                _ => {}
            }
        }
        world.commit(open);
        world.live(3000);
        let mut sorted = world.journaled.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, world.site.rows.keys().copied().collect::<Vec<i64>>());
        prop_assert!(!world.machine.is_halted());
    }
}
