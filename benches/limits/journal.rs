//! The journal's writer: rows a second with group commit, against a loop around rusqlite with the same tables, settings and batches.

use std::{collections::VecDeque, path::Path};

use sgeventd::{
    clock::Unix,
    event,
    ident::{EventId, Timeline},
    journal::{
        Anchor, Append, IngestState, Journal, NewEvent, Op, Options, Sqlite, StateDir, When,
    },
};

use crate::{
    bench::{Bench, seconds},
    report::Row,
};

const ROWS: i64 = 100_000;
const BATCH: i64 = 500;
/// What a row of a studio's site comes to.
const BYTES: usize = 1200;
const ROUNDS: usize = 5;

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let folder = bench.folder();
    let runtime = bench.runtime();
    let rate = |took: f64| ROWS as f64 / took;
    let place = |name: &str| {
        let own = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(folder.path());
        own.expect("a folder")
    };
    let turns = bench.in_turn(
        ROUNDS,
        || {
            let own = place("bare");
            rate(bare(own.path(), &batches()))
        },
        || {
            let own = place("ours");
            rate(runtime.block_on(ours(&own.path().join("state"), batches())))
        },
    );
    let value = (turns.ours, "rows/s");
    vec![Row::at_least_percent(
        "journal, group commit",
        value,
        turns.bare,
        80,
    )]
}

/// An event as a site gives it, made up to a size.
fn new_event(id: i64) -> NewEvent {
    let row = |pad: &str| {
        format!(
            r#"{{"type":"EventLogEntry","id":{id},"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","meta":{{"entity_type":"Task","entity_id":{id}}},"entity":{{"type":"Task","id":{id},"name":"comp"}},"user":{{"type":"HumanUser","id":7,"name":"jo"}},"project":{{"type":"Project","id":3,"name":"ABC"}},"session_uuid":null,"created_at":"2026-07-09T19:33:37Z","description":"{pad}"}}"#
        )
    };
    let pad = BYTES.saturating_sub(row("").len());
    let (facts, body) = event::parse(Timeline(0), &row(&"x".repeat(pad))).expect("a good row");
    NewEvent { facts, body }
}

/// All batches, made before the clock starts.
fn batches() -> Vec<Op> {
    let batch = |first: i64| {
        let head = |id: i64| Anchor {
            event_id: EventId(id),
            event_type: "Shotgun_Task_Change".into(),
            created_at: Some(Unix(0)),
        };
        let append = Append {
            expected_head: (first > 1).then_some(EventId(first - 1)),
            events: (first..first + BATCH).map(new_event).collect(),
            ingest: IngestState {
                head: Some(head(first + BATCH - 1)),
                ..IngestState::default()
            },
        };
        Op::Append {
            append,
            at: Unix(0),
        }
    };
    (1..=ROWS).step_by(BATCH as usize).map(batch).collect()
}

/// Seconds of what we made. One batch is on its way while the last one commits, as ingest does.
async fn ours(dir: &Path, ops: Vec<Op>) -> f64 {
    let dir = StateDir::open(dir).expect("a state directory");
    let engine = Sqlite::open(&dir.database()).expect("a database");
    let journal =
        Journal::start(Box::new(engine), Some(dir), Options::default()).expect("a journal");
    let began = tokio::time::Instant::now();
    let mut tickets = VecDeque::new();
    for op in ops {
        let ticket = journal
            .try_submit(vec![op], When::Now)
            .expect("there is room");
        tickets.push_back(ticket);
        if tickets.len() > 1 {
            let answers = tickets.pop_front().expect("two are there").await;
            let answers = answers.expect("the disk works");
            assert!(answers[0].is_ok(), "{answers:?}");
        }
    }
    for ticket in tickets {
        ticket.await.expect("the disk works");
    }
    let took = began.elapsed().as_secs_f64();
    journal.close().await;
    took
}

/// Seconds of the least that stores the same: the same tables, one prepared insert a table, the same settings.
fn bare(dir: &Path, ops: &[Op]) -> f64 {
    let path = dir.join("bare.db");
    drop(Sqlite::open(&path).expect("a database"));
    let db = rusqlite::Connection::open(&path).expect("a database");
    let (took, done) = seconds(|| insert_all(&db, ops));
    done.expect("the disk works");
    took
}

fn insert_all(db: &rusqlite::Connection, ops: &[Op]) -> rusqlite::Result<()> {
    db.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4096; PRAGMA cell_size_check = true;",
    )?;
    let columns = "event_id, timeline, created_at, event_type, attribute_name, is_partial, project_type, project_id, project_name,
        entity_type, entity_id, entity_name, user_type, user_id, user_name, subject_type, subject_id";
    let insert = format!(
        "INSERT INTO events (seq, {columns}) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    );
    let mut seq = 0;
    for op in ops {
        let Op::Append { append, .. } = op else {
            continue;
        };
        db.execute_batch("BEGIN IMMEDIATE")?;
        let mut events = db.prepare_cached(&insert)?;
        let mut bodies = db.prepare_cached("INSERT INTO bodies (seq, body) VALUES (?1, ?2)")?;
        for event in &append.events {
            seq += 1;
            let facts = &event.facts;
            let (project, entity, user) = (&facts.project, &facts.entity, &facts.user);
            events.execute(rusqlite::params![
                seq,
                0,
                facts.created_at.map(|at| at.0),
                facts.event_type,
                facts.attribute_name,
                facts.is_partial,
                project.as_ref().map(|link| &link.kind),
                project.as_ref().map(|link| link.id),
                project.as_ref().map(|link| &link.name),
                entity.as_ref().map(|link| &link.kind),
                entity.as_ref().map(|link| link.id),
                entity.as_ref().map(|link| &link.name),
                user.as_ref().map(|link| &link.kind),
                user.as_ref().map(|link| link.id),
                user.as_ref().map(|link| &link.name),
                "Task",
                seq,
            ])?;
            let body = std::str::from_utf8(&event.body).expect("JSON is text");
            bodies.execute(rusqlite::params![seq, body])?;
        }
        db.execute_batch("COMMIT")?;
        if seq % 10_000 == 0 {
            db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
    }
    Ok(())
}
