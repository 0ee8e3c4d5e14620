//! Measurements that are run by name: `cargo test --release journal::bench -- --ignored --nocapture`.

#![expect(clippy::print_stderr, reason = "a measurement is read by a person")]

use std::path::Path;

use super::{testing::sized_event, *};
use crate::{
    clock::{Clock, Unix},
    ident::{EventId, PluginName, Seq},
};

const ROWS: i64 = 100_000;
const BATCH: i64 = 500;

/// All batches, made before the clock starts.
fn batches(rows: i64) -> Vec<Op> {
    let starts = (1..=rows).step_by(BATCH as usize);
    let batch = |first: i64| Op::Append {
        append: testing::answer(
            (first > 1).then_some(first - 1),
            first + BATCH - 1,
            (first..first + BATCH)
                .map(|id| sized_event(id, 1200))
                .collect(),
        ),
        at: Unix(0),
    };
    starts.map(batch).collect()
}

/// The least that stores the same: the same tables, one prepared insert a table, the same settings.
fn bare(dir: &Path, ops: &[Op]) -> f64 {
    let path = dir.join("bare.db");
    drop(Sqlite::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")
        .unwrap();
    let columns = "event_id, timeline, created_at, event_type, attribute_name, is_partial, project_type, project_id, project_name,
        entity_type, entity_id, entity_name, user_type, user_id, user_name, subject_type, subject_id";
    let insert = format!(
        "INSERT INTO events (seq, {columns}) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    );
    let clock = Clock::start();
    let mut seq = 0;
    for op in ops {
        let Op::Append { append, .. } = op else {
            continue;
        };
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut events = db.prepare_cached(&insert).unwrap();
        let mut bodies = db
            .prepare_cached("INSERT INTO bodies VALUES (?1, ?2)")
            .unwrap();
        for event in &append.events {
            seq += 1;
            let facts = &event.facts;
            let (project, entity, user) = (&facts.project, &facts.entity, &facts.user);
            let values = rusqlite::params![
                seq,
                0,
                facts.created_at.map(|at| at.0),
                facts.event_type,
                facts.attribute_name,
                facts.is_partial,
                project.as_ref().map(|l| &l.kind),
                project.as_ref().map(|l| l.id),
                project.as_ref().map(|l| &l.name),
                entity.as_ref().map(|l| &l.kind),
                entity.as_ref().map(|l| l.id),
                entity.as_ref().map(|l| &l.name),
                user.as_ref().map(|l| &l.kind),
                user.as_ref().map(|l| l.id),
                user.as_ref().map(|l| &l.name),
                "Task",
                seq,
            ];
            events.execute(values).unwrap();
            bodies
                .execute(rusqlite::params![
                    seq,
                    std::str::from_utf8(&event.body).unwrap()
                ])
                .unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        if seq % 10_000 == 0 {
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .unwrap();
        }
    }
    ROWS as f64 / clock.now().mono.0 as f64 * 1000.0
}

fn start(dir: &Path) -> Journal {
    let dir = StateDir::open(dir).unwrap();
    let engine = Sqlite::open(&dir.database()).unwrap();
    Journal::start(Box::new(engine), Some(dir), Options::default()).unwrap()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn group_commit_against_a_bare_loop() {
    let folder =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".to_owned())).unwrap();
    for round in 0..3 {
        let ops = batches(ROWS);
        let own = tempfile::tempdir_in(folder.path()).unwrap();
        let bare = bare(own.path(), &ops);
        let journal = start(&own.path().join("state"));
        let clock = Clock::start();
        let mut tickets = std::collections::VecDeque::new();
        for op in ops {
            tickets.push_back(journal.try_submit(vec![op], When::Now).unwrap());
            // One on its way while the last one commits, as ingest does.
            if tickets.len() > 1 {
                let answers = tickets.pop_front().unwrap().await.unwrap();
                assert!(answers[0].is_ok());
            }
        }
        for ticket in tickets {
            ticket.await.unwrap();
        }
        let ours = ROWS as f64 / clock.now().mono.0 as f64 * 1000.0;
        journal.close().await;
        eprintln!(
            "round {round}: bare {bare:.0} rows/s, journal {ours:.0} rows/s, {:.0} %",
            ours / bare * 100.0
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn settlements_of_many_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    for op in batches(10_000) {
        journal.write(op).await.unwrap();
    }
    let plugins: Vec<_> = (0..200)
        .map(|n| PluginName::new(format!("plugin{n}")))
        .collect();
    for plugin in &plugins {
        journal.register(plugin, Place::Oldest, None).await.unwrap();
    }
    let clock = Clock::start();
    let rounds = 25u64;
    let all = plugins.into_iter().map(|plugin| {
        let journal = journal.clone();
        async move {
            for round in 1..=rounds {
                let change = CursorChange {
                    plugin: plugin.clone(),
                    position: Seq(round * 256),
                    put: vec![],
                    settled: (0..256).map(|n| Seq(round * 256 - n)).collect(),
                    dead: vec![],
                    counts: Counts::default(),
                };
                journal.settle(change, When::Now).await.unwrap();
            }
        }
    });
    futures::future::join_all(all).await;
    let settled = 200 * rounds * 256;
    eprintln!(
        "{:.0} settlements/s",
        settled as f64 / clock.now().mono.0 as f64 * 1000.0
    );
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_plugin_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    for op in batches(ROWS) {
        journal.write(op).await.unwrap();
    }
    let clock = Clock::start();
    let mut position = Seq(0);
    let mut bodies = 0;
    while position < Seq(ROWS as u64) {
        let events = journal.read(position, 256).await.unwrap();
        position = events.last().unwrap().seq;
        let wanted: Vec<_> = events.iter().step_by(10).map(|event| event.seq).collect();
        bodies += journal.bodies(&wanted).await.unwrap().len();
    }
    let rate = ROWS as f64 / clock.now().mono.0 as f64 * 1000.0;
    eprintln!("{rate:.0} rows/s of facts, {bodies} bodies among them");
}

#[tokio::test]
#[ignore = "a measurement"]
async fn memory_does_not_grow_with_events() {
    let folder = tempfile::tempdir().unwrap();
    let journal = start(folder.path());
    let mut at = Vec::new();
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let mut head: Option<EventId> = None;
    for batch in 0..2_000i64 {
        let first = batch * BATCH + 1;
        let events = (first..first + BATCH)
            .map(|id| sized_event(id, 1200))
            .collect();
        let to = first + BATCH - 1;
        let append = testing::answer(head.map(|id| id.0), to, events);
        head = Some(EventId(to));
        journal.append(append).await.unwrap();
        if batch % 200 == 199 {
            at.push(resident());
        }
    }
    eprintln!("resident KiB after each 100,000 events: {at:?}");
    assert!(at[9] < at[1] + 4096, "{at:?}");
}

/// Wants a small disk: `mount -t tmpfs -o size=16m none DIR`, then `SMALL_DISK=DIR`.
#[tokio::test]
#[ignore = "needs a small file system"]
async fn a_disk_that_is_really_full() {
    let small = std::env::var("SMALL_DISK").expect("SMALL_DISK names a small file system");
    let ballast = Path::new(&small).join("ballast");
    std::fs::write(&ballast, vec![1; 6 << 20]).unwrap();
    let journal = start(&Path::new(&small).join("state"));
    let mut health = journal.health();
    let mut ops = batches(ROWS).into_iter();
    let mut ticket = None;
    for op in ops.by_ref() {
        let sent = journal.try_submit(vec![op], When::Now).unwrap();
        tokio::select! {
            answers = sent => assert!(answers.unwrap()[0].is_ok()),
            _ = health.wait_for(|health| *health != Health::Working) => break,
        }
    }
    eprintln!(
        "stalled at {}: {:?}",
        journal.head().borrow().0,
        *journal.health().borrow()
    );
    journal.heartbeat().await.unwrap();
    assert!(matches!(*journal.health().borrow(), Health::Stalled(_)));
    assert!(!journal.read(Seq(0), 10).await.unwrap().is_empty());
    let last = *journal.head().borrow();
    if let Some(op) = ops.next() {
        ticket = journal.try_submit(vec![op], When::Now).ok();
    }
    std::fs::remove_file(&ballast).unwrap();
    let clock = Clock::start();
    health
        .wait_for(|health| *health == Health::Working)
        .await
        .unwrap();
    eprintln!("resumed after {} ms", clock.now().mono.0);
    if let Some(ticket) = ticket {
        ticket.await.unwrap()[0].clone().unwrap();
    }
    assert_eq!(
        journal.extent().await.unwrap().last,
        Seq(last.0 + 2 * BATCH as u64)
    );
    journal.close().await;
}
