//! The file: whose it is, what becomes of it when it is damaged, and what the engine promises on disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::*;
use crate::{
    ident::PluginName,
    journal::{
        CursorChange, DATABASE, DeadQuery, NewDead, Outcome, Place,
        testing::{answer, sized_event},
    },
};

pub(super) fn append(from: Option<i64>, ids: std::ops::RangeInclusive<i64>) -> Op {
    let to = *ids.end();
    let events = ids.map(|id| sized_event(id, 1200)).collect();
    Op::Append {
        append: answer(from, to, events),
        at: Unix(0),
    }
}

/// A state with 60 events, closed without a checkpoint, as after a kill.
fn killed(dir: &Path) -> PathBuf {
    let path = dir.join(DATABASE);
    let mut engine = Sqlite::open(&path).unwrap();
    engine.commit(&[append(None, 1..=40)]).unwrap();
    engine.housekeep(true).unwrap();
    engine.commit(&[append(Some(40), 41..=60)]).unwrap();
    path
}

fn last(engine: &Sqlite) -> Seq {
    engine.reader().unwrap().extent().unwrap().last
}

#[test]
fn the_library_has_the_fixes_we_count_on() {
    // 3.51.3 mends a race between a checkpoint and a writer that could damage the database.
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "{}",
        rusqlite::version()
    );
}

#[test]
fn the_settings_are_what_the_head_of_the_module_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = killed(dir.path());
    let engine = Sqlite::open(&path).unwrap();
    let reader = open::reader(&path).unwrap();
    let get = |db: &Connection, name: &str| -> String {
        let value: rusqlite::types::Value =
            db.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        format!("{value:?}")
    };
    for (name, expected) in [
        ("page_size", "Integer(4096)"),
        ("journal_mode", "Text(\"wal\")"),
        ("synchronous", "Integer(2)"),
        ("wal_autocheckpoint", "Integer(0)"),
        ("cell_size_check", "Integer(1)"),
        ("application_id", "Integer(1936156022)"),
        ("user_version", "Integer(3)"),
    ] {
        assert_eq!(get(&engine.db, name), expected, "{name}");
    }
    assert_eq!(get(&reader, "query_only"), "Integer(1)");
    assert!(reader.execute("DELETE FROM events", []).is_err());
    for suffix in ["", "-wal", "-shm"] {
        let mode = fs::metadata(open::beside(&path, suffix))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let sql = |name: &str, text: &str| {
        let path = dir.path().join(name);
        Connection::open(&path)
            .unwrap()
            .execute_batch(text)
            .unwrap();
        path
    };
    let bytes = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let newer = format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 4; CREATE TABLE t (a)",
        schema::APPLICATION_ID
    );
    for (path, words) in [
        (bytes("empty", b""), "it is empty"),
        (bytes("short", b"SQLite"), "it is no SQLite database"),
        (bytes("text", &[b'x'; 5000]), "it is no SQLite database"),
        (sql("other", "CREATE TABLE t (a)"), "another program's"),
        (sql("newer", &newer), "has version 4"),
    ] {
        let before = fs::read(&path).unwrap();
        let files = fs::read_dir(dir.path()).unwrap().count();
        let error = Sqlite::open(&path).err().expect("refused");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), files, "{words}");
    }
}

#[test]
fn a_crash_while_the_database_is_made_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    fs::write(open::beside(&path, ".new"), b"half").unwrap();
    let engine = Sqlite::open(&path).unwrap();
    assert_eq!(last(&engine), Seq(0));
    assert!(!open::beside(&path, ".new").exists());
}

#[test]
fn a_log_without_its_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = killed(dir.path());
    let log = open::beside(&path, "-wal");
    let bytes = fs::read(&log).unwrap();
    let aside = dir.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    let error = Sqlite::open(&path).err().expect("refused").to_string();
    let all = "move journal.db, journal.db-wal and journal.db-shm away together";
    assert!(
        error.contains("journal.db is gone") && error.contains(all),
        "{error}"
    );
    assert!(!path.exists());
    assert_eq!(fs::read(&log).unwrap(), bytes);
    // The one way on: the file comes back, and nothing is lost.
    fs::rename(&aside, &path).unwrap();
    assert_eq!(last(&Sqlite::open(&path).unwrap()), Seq(60));
    // The other: all three go.
    for suffix in ["", "-wal", "-shm"] {
        let from = open::beside(&path, suffix);
        if from.exists() {
            fs::rename(&from, open::beside(&aside, suffix)).unwrap();
        }
    }
    assert_eq!(last(&Sqlite::open(&path).unwrap()), Seq(0));
    assert_eq!(last(&Sqlite::open(&aside).unwrap()), Seq(60));
}

#[test]
fn a_log_that_holds_nothing_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    fs::write(open::beside(&path, "-wal"), b"").unwrap();
    fs::write(open::beside(&path, "-shm"), [7; 32_768]).unwrap();
    let mut engine = Sqlite::open(&path).unwrap();
    engine.commit(&[append(None, 1..=3)]).unwrap();
    drop(engine);
    assert_eq!(last(&Sqlite::open(&path).unwrap()), Seq(3));
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Sqlite::open(&killed(dir.path())).unwrap();
    assert_eq!(last(&engine), Seq(60));
}

#[test]
fn a_missing_row_is_damage_and_no_silence() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Sqlite::open(&killed(dir.path())).unwrap();
    engine
        .db
        .execute("DELETE FROM events WHERE seq BETWEEN 20 AND 21", [])
        .unwrap();
    let mut reader = engine.reader().unwrap();
    let words = "the rows of events 20 to 21 are missing";
    for after in [0, 10, 19] {
        let error = reader.page(Seq(after), 100, usize::MAX).unwrap_err();
        assert!(error.to_string().contains(words), "after {after}: {error}");
    }
    assert_eq!(reader.page(Seq(21), 100, usize::MAX).unwrap().len(), 39);
}

#[test]
fn a_full_disk_changes_nothing_and_can_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    let mut engine = Sqlite::open(&path).unwrap();
    let pages: i64 = engine
        .db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    engine
        .db
        .pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))
        .unwrap();
    let ops = [append(None, 1..=500)];
    let error = engine.commit(&ops).unwrap_err();
    assert!(error.can_be_retried(), "{error}");
    assert_eq!(last(&engine), Seq(0));
    engine
        .db
        .pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(()))
        .unwrap();
    assert!(matches!(
        engine.commit(&ops).unwrap()[..],
        [Ok(Outcome::Appended(_))]
    ));
    assert_eq!(last(&engine), Seq(500));
}

#[test]
fn another_process_that_writes_makes_us_wait_and_not_fail() {
    let dir = tempfile::tempdir().unwrap();
    let path = killed(dir.path());
    let mut engine = Sqlite::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = engine.commit(&[append(Some(60), 61..=61)]).unwrap_err();
    assert!(matches!(error, JournalError::Busy(_)), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    engine.commit(&[append(Some(60), 61..=61)]).unwrap();
    assert_eq!(last(&engine), Seq(61));
}

#[test]
fn the_log_is_carried_over_by_the_writer_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    let mut engine = Sqlite::open(&path).unwrap();
    let log = open::beside(&path, "-wal");
    let mut head = None;
    for step in 0..40 {
        let ids = step * 500 + 1..=(step + 1) * 500;
        let to = *ids.end();
        engine.commit(&[append(head, ids)]).unwrap();
        engine.housekeep(false).unwrap();
        head = Some(to);
    }
    let most = u64::from(CHECKPOINT_PAGES) * 4096 * 2;
    assert!(fs::metadata(&log).unwrap().len() < most, "the log grows");
    engine.housekeep(true).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(last(&engine), Seq(20_000));
}

#[test]
fn dropped_bodies_give_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = Sqlite::open(&dir.path().join(DATABASE)).unwrap();
    engine.commit(&[append(None, 1..=4000)]).unwrap();
    let mut reader = engine.reader().unwrap();
    let before = reader.sizes().unwrap().used_bytes;
    for _ in 0..8 {
        let op = Op::DropBodies {
            up_to: Seq(4000),
            at_most: 500,
        };
        engine.commit(&[op]).unwrap();
    }
    let after = reader.sizes().unwrap().used_bytes;
    assert!(after * 2 < before, "{before} became {after}");
    assert_eq!(reader.extent().unwrap().body_bytes, 0);
}

#[test]
fn a_dead_letter_outlives_its_row_and_can_be_redriven() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = Sqlite::open(&dir.path().join(DATABASE)).unwrap();
    let plugin = PluginName::new("render");
    let register = Op::Register {
        plugin: plugin.clone(),
        start: Place::Oldest,
        imported: None,
        at: Unix(0),
    };
    let die = Op::Cursor {
        change: CursorChange {
            plugin: plugin.clone(),
            position: Seq(60),
            put: vec![],
            settled: vec![],
            dead: vec![NewDead {
                seq: Seq(7),
                reason: "attempts".into(),
                error: "KeyError".into(),
                attempts: 5,
                at: Unix(9),
                version: Some("2.1.0".into()),
            }],
            replays: Vec::new(),
            counts: Default::default(),
        },
        revision: Some(0),
    };
    let bodies = Op::DropBodies {
        up_to: Seq(60),
        at_most: 100,
    };
    let rows = Op::DropRows {
        up_to: Seq(60),
        at_most: 100,
        orphans: vec![],
        at: Unix(0),
    };
    let answers = engine
        .commit(&[register, append(None, 1..=60), die, bodies, rows])
        .unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut reader = engine.reader().unwrap();
    assert!(reader.events(&[Seq(7)]).unwrap().is_empty());
    let letters = reader
        .dead(&DeadQuery {
            rows: 9,
            ..DeadQuery::default()
        })
        .unwrap();
    let body = letters[0].body.clone().expect("the letter has the body");
    assert_eq!(letters[0].facts.event_id, EventId(7));

    engine
        .commit(&[Op::Redrive {
            ids: vec![letters[0].id],
        }])
        .unwrap();
    let events = reader.events(&[Seq(7)]).unwrap();
    assert_eq!(events[0].body, crate::event::Body::Here(body));
    let record = reader.plugin(&plugin).unwrap().expect("registered");
    assert_eq!(record.cursor.open[0].seq, Seq(7));
    assert!(reader.dead_counts().unwrap().is_empty());
}

#[test]
fn the_file_can_be_checked_copied_and_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = killed(dir.path());
    let copy = dir.path().join("copy.db");
    let mut engine = Sqlite::open(&path).unwrap();
    assert_eq!(Sqlite::check(&path).unwrap(), [""; 0]);
    Sqlite::snapshot(&path, &copy).unwrap();
    assert_eq!(last(&Sqlite::open(&copy).unwrap()), Seq(60));
    let mode = fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        Sqlite::snapshot(&path, &copy).is_err(),
        "a copy is never written over"
    );

    let op = Op::DropBodies {
        up_to: Seq(60),
        at_most: 60,
    };
    engine.commit(&[op]).unwrap();
    engine.housekeep(true).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    engine.compact().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < before);

    let engine = Sqlite::open(&path).unwrap();
    engine
        .db
        .execute("DELETE FROM events WHERE seq = 9", [])
        .unwrap();
    assert_eq!(
        Sqlite::check(&path).unwrap(),
        ["1 of 60 events are missing"]
    );
}
