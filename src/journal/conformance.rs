//! One suite for every engine: random operations on it and on the twin, and everything that can be read must be equal.
//!
//! A second suite looks at what must hold whatever the operations are, with the engine closed and opened at random places.
//! A third, `crashes.rs`, cuts the power inside of transactions.

use std::path::Path;

use proptest::{collection::vec, option, prelude::*};

use super::{testing::new_event, *};
use crate::{
    clock::Unix,
    event::{Body, Event},
    ident::{EventId, PluginName, Seq, Timeline},
};

/// Everything that a reader can tell.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    events: Vec<Event>,
    bodies: Vec<Body>,
    whole: Vec<Event>,
    found: Vec<Option<Seq>>,
    located: Vec<Seq>,
    aged: Vec<Seq>,
    plugins: Vec<PluginRecord>,
    dead: Vec<DeadLetter>,
    dead_counts: Vec<(PluginName, u64)>,
    state: Vec<Option<Box<str>>>,
    pub(super) ingest: IngestState,
    children: Vec<ChildRecord>,
    files: Vec<(PluginName, Box<str>)>,
    site: Option<Box<str>>,
    extent: Extent,
}

pub(super) fn see(reader: &mut dyn Reader) -> Result<Seen, JournalError> {
    let seqs: Vec<Seq> = (0..70).map(Seq).collect();
    let mut events = Vec::new();
    loop {
        let after = events.last().map_or(Seq(0), |event: &Event| event.seq);
        let page = reader.page(after, 7, 1 << 20)?;
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let mut found = Vec::new();
    let mut located = vec![reader.locate(Place::Oldest)?, reader.locate(Place::Latest)?];
    for id in 0..IDS {
        found.push(reader.find(EventId(id), None)?);
        found.push(reader.find(EventId(id), Some(Timeline(1)))?);
        located.push(reader.locate(Place::Event(EventId(id)))?);
        located.push(reader.locate(Place::Time(Unix(id * 1000)))?);
    }
    let mut state = Vec::new();
    for name in NAMES {
        for key in KEYS {
            state.push(reader.state(&PluginName::new(name), key)?);
        }
    }
    let ages = (0..8).map(|step| reader.aged(Unix(step * MARK_MS)));
    Ok(Seen {
        aged: ages.collect::<Result<_, _>>()?,
        bodies: reader.bodies(&seqs)?,
        whole: reader.events(&seqs)?,
        plugins: reader.plugins()?,
        dead: reader.dead(&DeadQuery {
            rows: 1000,
            ..DeadQuery::default()
        })?,
        dead_counts: reader.dead_counts()?,
        ingest: reader.ingest()?,
        children: reader.children()?,
        files: reader.files()?,
        site: reader.site()?,
        extent: reader.extent()?,
        events,
        found,
        located,
        state,
    })
}

const IDS: i64 = 40;
const NAMES: [&str; 3] = ["cut", "render", "slate"];
const KEYS: [&str; 3] = ["a", "b", "c"];

fn name() -> impl Strategy<Value = PluginName> {
    prop::sample::select(&NAMES[..]).prop_map(PluginName::new)
}

fn seq() -> impl Strategy<Value = Seq> {
    // Mostly what is there, now and then far beyond.
    prop_oneof![20 => (0..40u64).prop_map(Seq), 1 => Just(Seq(u64::MAX))]
}

fn at() -> impl Strategy<Value = Unix> {
    (0..6 * MARK_MS).prop_map(Unix)
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Latest),
        Just(Place::Oldest),
        seq().prop_map(Place::Seq),
        (0..IDS).prop_map(|id| Place::Event(EventId(id))),
        (0..IDS).prop_map(|id| Place::Time(Unix(id * 1000))),
    ]
}

/// The head that an append expects is filled in when it is run; here only whether it shall be right.
fn append() -> impl Strategy<Value = Op> {
    let events = vec((0..2u32, 1..IDS), 0..8);
    (events, 0..2u32, option::weighted(0.9, 1..IDS), at()).prop_map(|(ids, timeline, head, at)| {
        let head = head.map(|id| Anchor {
            event_id: EventId(id),
            event_type: "x".into(),
            created_at: None,
        });
        let mut append = Append {
            expected_head: None,
            events: ids.iter().map(|(t, id)| new_event(*t, *id)).collect(),
            ingest: IngestState {
                timeline: Timeline(timeline),
                head,
                ..IngestState::default()
            },
        };
        for event in append
            .events
            .iter_mut()
            .filter(|e| e.facts.event_id.0 % 5 == 0)
        {
            event.facts.created_at = None;
            event.facts.project = None;
        }
        Op::Append { append, at }
    })
}

fn entry() -> impl Strategy<Value = OpenEntry> {
    (seq(), 0..3u32, option::of(at())).prop_map(|(seq, attempts, next_at)| OpenEntry {
        seq,
        origin: [Origin::Event, Origin::Replay][attempts as usize % 2],
        attempts,
        crashes: attempts / 2,
        deliveries: attempts + 1,
        next_at,
        last_error: next_at.map(|_| "KeyError".into()),
        progress: None,
    })
}

fn letter() -> impl Strategy<Value = NewDead> {
    let version = prop_oneof![
        Just(None),
        "[a-z.0-9]{0,8}".prop_map(|text| Some(text.into()))
    ];
    (seq(), at(), version).prop_map(|(seq, at, version)| NewDead {
        seq,
        reason: "attempts".into(),
        error: format!("at {at:?}").into(),
        attempts: 5,
        at,
        version,
    })
}

fn replay() -> impl Strategy<Value = Replay> {
    (seq(), seq(), seq()).prop_map(|(first, last, next)| Replay { first, last, next })
}

fn cursor() -> impl Strategy<Value = Op> {
    let lists = (
        vec(entry(), 0..4),
        vec(seq(), 0..4),
        vec(letter(), 0..2),
        vec(replay(), 0..2),
    );
    (name(), seq(), lists, option::weighted(0.3, 0..6u64)).prop_map(
        |(plugin, position, (put, settled, dead, replays), revision)| Op::Cursor {
            change: CursorChange {
                plugin,
                position,
                counts: Counts {
                    delivered: 2,
                    ok: settled.len() as u64,
                    dead: dead.len() as u64,
                    ..Counts::default()
                },
                put,
                settled,
                dead,
                replays,
            },
            revision,
        },
    )
}

fn plugin_op() -> impl Strategy<Value = Op> {
    let register = (name(), place(), at()).prop_map(|(plugin, start, at)| Op::Register {
        plugin,
        start,
        imported: None,
        at,
    });
    let replay = (name(), replay()).prop_map(|(plugin, replay)| Op::Replay { plugin, replay });
    prop_oneof![
        4 => register,
        2 => (name(), place()).prop_map(|(plugin, to)| Op::Seek { plugin, to }),
        2 => replay,
        2 => (name(), seq()).prop_map(|(plugin, seq)| Op::Trigger { plugin, seq }),
        1 => (name(), name()).prop_map(|(from, to)| Op::Rename { from, to }),
        1 => name().prop_map(|plugin| Op::Forget { plugin }),
        1 => (name(), at()).prop_map(|(plugin, at)| Op::Seen { plugins: vec![plugin], at }),
        1 => name().prop_map(|plugin| Op::SetDisabled { plugin, reason: Some("{}".into()) }),
    ]
}

fn keep_op() -> impl Strategy<Value = Op> {
    let key = || prop::sample::select(&KEYS[..]).prop_map(Box::<str>::from);
    // Now and then too long.
    let value = prop_oneof![9 => 0..300usize, 1 => Just(STATE_VALUE_MAX + 1)];
    let set = (name(), key(), value).prop_map(|(plugin, key, length)| Op::StateSet {
        plugin,
        key,
        value: "v".repeat(length).into(),
    });
    let child = (0..4i32, name()).prop_map(|(pid, plugin)| {
        Op::ChildPut(ChildRecord {
            plugin,
            pid,
            start_time: 7,
            boot_id: "b".into(),
        })
    });
    prop_oneof![
        4 => set,
        2 => (name(), key()).prop_map(|(plugin, key)| Op::StateDelete { plugin, key }),
        1 => child,
        1 => (name(), key()).prop_map(|(plugin, file)| Op::PluginFile { plugin, file }),
        1 => (0..4i32).prop_map(|pid| Op::ChildRemove { pid, start_time: 7 }),
        1 => (0..2u8).prop_map(|n| Op::Site { url: format!("https://{n}").into() }),
        1 => (0..2u8).prop_map(|n| Op::AdoptSite { url: format!("https://{n}").into() }),
    ]
}

fn retain_op() -> impl Strategy<Value = Op> {
    let rows = (seq(), 0..20u32, vec(name(), 0..3), at());
    prop_oneof![
        (seq(), 0..20u32).prop_map(|(up_to, at_most)| Op::DropBodies { up_to, at_most }),
        rows.prop_map(|(up_to, at_most, orphans, at)| Op::DropRows {
            up_to,
            at_most,
            orphans,
            at,
        }),
        vec(1..12i64, 0..4).prop_map(|ids| Op::Redrive { ids }),
        vec(1..12i64, 0..2).prop_map(|ids| Op::DropDead { ids }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![5 => append(), 6 => cursor(), 6 => plugin_op(), 2 => keep_op(), 3 => retain_op()]
}

/// A transaction, and whether the engine is closed and opened after it.
pub(super) fn steps() -> impl Strategy<Value = Vec<(Vec<Op>, bool)>> {
    vec((vec(op(), 1..6), prop::bool::weighted(0.2)), 1..14)
}

/// Lets most appends expect the head that is there.
pub(super) fn aim(ops: &mut [Op], head: Option<EventId>) {
    let mut head = head;
    for op in ops {
        if let Op::Append { append, at } = op
            && at.0 % 8 != 0
        {
            append.expected_head = head;
            head = append.ingest.head.as_ref().map(|head| head.event_id);
        }
    }
}

/// The lines in which the two differ: the whole would fill the screen many times.
pub(super) fn differences(seen: &Seen, expected: &Seen) -> String {
    let (seen, expected) = (format!("{seen:#?}"), format!("{expected:#?}"));
    let pairs = seen.lines().zip(expected.lines());
    let pairs = pairs.filter(|(seen, expected)| seen != expected).take(10);
    pairs
        .map(|(seen, expected)| format!("\n seen {seen}\n want {expected}"))
        .collect()
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path).expect("our own journal opens")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_is_the_models_twin(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DATABASE);
        let (mut sqlite, mut model) = (open(&path), Model::new());
        let mut reader = model.reader().unwrap();
        for (mut ops, is_reopened) in steps {
            let head = reader.ingest().unwrap().head.map(|head| head.event_id);
            aim(&mut ops, head);
            prop_assert_eq!(sqlite.commit(&ops).unwrap(), model.commit(&ops).unwrap(), "{:?}", ops);
            if is_reopened {
                // Without a checkpoint: as after a kill.
                drop(sqlite);
                sqlite = open(&path);
            }
            let seen = see(sqlite.reader().unwrap().as_mut()).unwrap();
            let expected = see(reader.as_mut()).unwrap();
            prop_assert!(seen == expected, "{}", differences(&seen, &expected));
        }
    }

    #[test]
    fn what_must_always_hold_holds(steps in steps()) {
        let mut model = Model::new();
        let mut reader = model.reader().unwrap();
        let mut last = Seq(0);
        for (mut ops, _) in steps {
            let before = see(reader.as_mut()).unwrap();
            aim(&mut ops, before.ingest.head.as_ref().map(|head| head.event_id));
            let answers = model.commit(&ops).unwrap();
            let after = see(reader.as_mut()).unwrap();
            // Positions are never ahead of the journal, which never goes back.
            prop_assert!(after.extent.last >= last);
            last = after.extent.last;
            for plugin in &after.plugins {
                prop_assert!(plugin.cursor.position <= last);
                prop_assert!(plugin.cursor.open.iter().all(|entry| entry.seq <= last));
            }
            // An event stands once in the journal.
            let mut ids: Vec<_> = after.events.iter().map(|e| (e.facts.timeline, e.facts.event_id)).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), after.events.len());
            // A dead letter exists once.
            let mut letters: Vec<_> = after.dead.iter().map(|l| (&l.plugin, l.dead.seq)).collect();
            letters.sort();
            letters.dedup();
            prop_assert_eq!(letters.len(), after.dead.len());
            // Where all was refused, nothing changed.
            if answers.iter().all(Result::is_err) {
                prop_assert_eq!(before, after);
            }
        }
    }
}

#[test]
fn an_open_list_takes_no_more_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut engines: [Box<dyn Engine>; 2] = [
        Box::new(Model::new()),
        Box::new(open(&dir.path().join(DATABASE))),
    ];
    let plugin = PluginName::new("p");
    let most = i64::try_from(OPEN_MAX).unwrap();
    for engine in &mut engines {
        let append = Append {
            expected_head: None,
            events: (1..=most + 2).map(|id| new_event(0, id)).collect(),
            ingest: IngestState::default(),
        };
        let start = Place::Latest;
        let (at, imported) = (Unix(0), None);
        let trigger = |seq: u64| Op::Trigger {
            plugin: plugin.clone(),
            seq: Seq(seq),
        };
        let change = CursorChange {
            plugin: plugin.clone(),
            position: Seq(OPEN_MAX as u64 + 2),
            put: Vec::new(),
            settled: Vec::new(),
            dead: vec![NewDead {
                seq: Seq(OPEN_MAX as u64 + 2),
                reason: "dead".into(),
                error: "".into(),
                attempts: 1,
                at,
                version: None,
            }],
            replays: Vec::new(),
            counts: Counts::default(),
        };
        let register = Op::Register {
            plugin: plugin.clone(),
            start,
            imported,
            at,
        };
        let revision = None;
        let mut ops = vec![Op::Append { append, at }, register];
        ops.push(Op::Cursor { change, revision });
        ops.extend((1..=OPEN_MAX as u64).map(trigger));
        let done = engine.commit(&ops).unwrap();
        assert!(done.iter().all(Result::is_ok), "{:?}", done.last());
        let full = Err(Refused::OpenFull {
            plugin: plugin.clone(),
        });
        let redrive = |ids| Op::Redrive { ids };
        let ops = [trigger(OPEN_MAX as u64 + 1), trigger(1), redrive(vec![1])];
        let answers = engine.commit(&ops).unwrap();
        let none = Ok(Outcome::Redriven(Vec::new()));
        assert_eq!(answers, [full, Ok(Outcome::Done), none]);
        let letters = engine.reader().unwrap().dead_counts().unwrap();
        assert_eq!(letters, [(plugin.clone(), 1)], "the letter is kept");
    }
}
