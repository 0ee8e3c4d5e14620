//! Bytes that change on the disk: found, or named, or asked of the site again; never taken for what was written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{tests::append, *};
use crate::{
    event::Body,
    ident::PluginName,
    journal::{CursorChange, DATABASE, NewDead, OpenEntry, Origin, Place, PluginRecord, StateDir},
};

/// Of the file: what a test puts where SQLite has no sums of its own.
fn patch(path: &Path, from: &str, to: &str) -> usize {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    fs::write(path, bytes).unwrap();
    found
}

fn cursor(position: u64, open: u64) -> Op {
    Op::Cursor {
        change: CursorChange {
            plugin: PluginName::new("render"),
            position: Seq(position),
            put: vec![OpenEntry {
                seq: Seq(open),
                origin: Origin::Event,
                attempts: 1,
                crashes: 0,
                deliveries: 1,
                next_at: None,
                last_error: Some("KeyError".into()),
                progress: None,
            }],
            settled: vec![],
            dead: vec![NewDead {
                seq: Seq(open - 1),
                reason: "attempts".into(),
                error: "a letter's error".into(),
                attempts: 5,
                at: Unix(9),
                version: None,
            }],
            replays: Vec::new(),
            counts: Default::default(),
        },
        revision: None,
    }
}

/// 60 events and a plugin with all that it can have: half of it carried over, half of it in the log.
fn state(dir: &Path) -> PathBuf {
    let path = dir.join(DATABASE);
    let mut engine = Sqlite::open(&path).unwrap();
    let plugin = PluginName::new("render");
    let register = Op::Register {
        plugin: plugin.clone(),
        start: Place::Oldest,
        imported: None,
        at: Unix(0),
    };
    let set = Op::StateSet {
        plugin,
        key: "key".into(),
        value: "\"a plugin's value\"".into(),
    };
    for ops in [
        vec![register, set, append(None, 1..=40), cursor(30, 9)],
        vec![append(Some(40), 41..=60), cursor(50, 45)],
    ] {
        let answers = engine.commit(&ops).unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        if engine.last() == Seq(40) {
            engine.housekeep(true).unwrap();
        }
    }
    path
}

/// A state that is carried over whole.
fn carried(dir: &Path) -> PathBuf {
    let path = state(dir);
    Sqlite::open(&path).unwrap().housekeep(true).unwrap();
    path
}

/// All that can be read: events with their bodies, plugins.
fn all(engine: &Sqlite) -> Result<(Vec<crate::event::Event>, Vec<PluginRecord>), JournalError> {
    let mut reader = engine.reader()?;
    let seqs: Vec<Seq> = reader
        .page(Seq(0), 100, usize::MAX)?
        .iter()
        .map(|event| event.seq)
        .collect();
    Ok((reader.events(&seqs)?, reader.plugins()?))
}

#[test]
fn a_byte_in_what_is_small_is_refused() {
    for (from, to) in [
        ("KeyError", "KeyErroR"),
        ("a letter's error", "a letter's errOr"),
        ("a plugin's value", "a plugin's valUe"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = carried(dir.path());
        assert!(patch(&path, from, to) > 0, "{from}");
        let before = fs::read(&path).unwrap();
        let error = Sqlite::open(&path).err().expect("refused").to_string();
        assert!(
            error.contains("not as they were written"),
            "{from}: {error}"
        );
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_byte_in_a_body_is_asked_of_the_site_and_one_in_a_row_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = carried(dir.path());
    assert_eq!(
        patch(&path, r#""id":33,"event_type""#, r#""id":34,"event_type""#),
        1
    );
    let mut reader = Sqlite::open(&path).unwrap().reader().unwrap();
    let bodies = reader.bodies(&[Seq(32), Seq(33)]).unwrap();
    assert!(
        matches!(bodies[..], [Body::Here(_), Body::Dropped]),
        "{bodies:?}"
    );
    let findings = Sqlite::check(&path).unwrap().join("; ");
    assert!(findings.contains("1 bodies of events"), "{findings}");

    let row = dir.path().join("row");
    fs::create_dir(&row).unwrap();
    let path = carried(&row);
    let engine = Sqlite::open(&path).unwrap();
    let mut reader = engine.reader().unwrap();
    let (from, to) = ("Shotgun_Task_Changesg", "Shotgun_Tusk_Changesg");
    assert!(patch(&path, from, to) > 0);
    let error = reader
        .page(Seq(0), 100, usize::MAX)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the row of event 1 is not as it was written"),
        "{error}"
    );
    drop((reader, engine));
    let error = Sqlite::open(&path).err().expect("refused").to_string();
    assert!(error.contains("not as "), "{error}");
}

#[test]
fn an_entry_of_the_index_hides_no_new_event() {
    let dir = tempfile::tempdir().unwrap();
    let path = carried(dir.path());
    let mut engine = Sqlite::open(&path).unwrap();
    // As if the entry of event 60 had become that of the next: the row still says 60.
    engine
        .db
        .execute_batch("DROP INDEX events_by_id; CREATE UNIQUE INDEX events_by_id ON events (event_id + 1, timeline)")
        .unwrap();
    let sql = "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX events_by_id ON events (event_id, timeline)'
        WHERE name = 'events_by_id'";
    drop(engine);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let error = Sqlite::open(&path).err().expect("refused").to_string();
    assert!(error.contains("is damaged"), "{error}");
    // Found after the start, too, as in a file that is too big to be looked at whole.
    let db = open::writer(&path).unwrap();
    engine = Sqlite::new(db, &path).unwrap();
    let error = engine.commit(&[append(Some(60), 61..=61)]).unwrap_err();
    assert!(
        error.to_string().contains("index entry of event id 61"),
        "{error}"
    );
}

/// Flipped bytes are found, or all is there, or the rows that are missing can be named by the lock file.
#[test]
fn damage_is_never_silent() {
    let dir = tempfile::tempdir().unwrap();
    let lock = StateDir::open(dir.path()).unwrap();
    let path = state(dir.path());
    lock.note_seq(Seq(60));
    drop(lock);
    let (events, plugins) = all(&Sqlite::open(&path).unwrap()).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut refused, mut asked) = (0, 0);
    for seed in 0..120 {
        let copy = tempfile::tempdir().unwrap();
        for name in ["lock", DATABASE, "journal.db-wal"] {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let victim = open::beside(&copy.path().join(DATABASE), ["", "-wal"][seed % 2]);
        let mut bytes = fs::read(&victim).unwrap();
        for _ in 0..random.usize(1..=64).min(1 << (seed % 7)) {
            let at = random.usize(100..bytes.len());
            bytes[at] ^= random.u8(1..);
        }
        fs::write(&victim, &bytes).unwrap();
        let damaged = fs::read(copy.path().join(DATABASE)).unwrap();

        let lock = StateDir::open(copy.path()).unwrap();
        let engine = match Sqlite::open(&lock.database()) {
            Ok(engine) => engine,
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("is damaged"), "{error}");
                assert_eq!(fs::read(copy.path().join(DATABASE)).unwrap(), damaged);
                continue;
            }
        };
        let last = engine.last();
        let named = lock
            .missing(last)
            .map_or(0, |range| range.end().0 - range.start().0 + 1);
        assert_eq!(last.0 + named, 60, "seed {seed}");
        let Ok((found, cursors)) = all(&engine) else {
            refused += 1;
            continue;
        };
        assert_eq!(found.len() as u64, last.0, "seed {seed}");
        for (found, event) in found.iter().zip(&events) {
            assert_eq!(
                (found.seq, &found.facts),
                (event.seq, &event.facts),
                "seed {seed}"
            );
            asked += u32::from(found.body == Body::Dropped);
            assert!(
                found.body == Body::Dropped || found.body == event.body,
                "seed {seed}"
            );
        }
        // The log of the second half may be lost whole: then the cursor is that of the first.
        let position = if last == Seq(60) { 50 } else { 30 };
        assert_eq!(cursors[0].cursor.position, Seq(position), "seed {seed}");
        assert!(last < Seq(60) || cursors == plugins, "seed {seed}");
    }
    assert!(
        refused > 0 && asked > 0,
        "no flip was found: {refused}, {asked}"
    );
}

/// A file as the version before wrote it.
fn without_sums(dir: &Path) -> PathBuf {
    let path = carried(dir);
    let db = open::writer(&path).unwrap();
    for table in ["events", "bodies"]
        .into_iter()
        .chain(schema::SMALL.map(|(table, _)| table))
    {
        db.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN sum"))
            .unwrap();
    }
    db.execute_batch(
        "ALTER TABLE extent DROP COLUMN sums_from; ALTER TABLE dead DROP COLUMN version;
         PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .unwrap();
    path
}

/// A file as version 2 wrote it: its letters have sums, and no versions.
fn without_versions(dir: &Path) -> PathBuf {
    let path = carried(dir);
    let db = open::writer(&path).unwrap();
    let sum = schema::DEAD_SUM_WITHOUT_VERSION;
    db.execute_batch(&format!(
        "ALTER TABLE dead DROP COLUMN version; UPDATE dead SET sum = {sum};
         PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)"
    ))
    .unwrap();
    path
}

#[test]
fn letters_without_a_version_are_brought_up_and_damaged_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let whole = all(&Sqlite::open(&carried(dir.path())).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = without_versions(dir.path());
    assert_eq!(Sqlite::check(&path).unwrap(), [""; 0]);
    let engine = Sqlite::open(&path).unwrap();
    assert_eq!(all(&engine).unwrap(), whole);
    drop(engine);
    assert_eq!(open::inspect_header(&path).unwrap(), schema::VERSION);
    assert_eq!(Sqlite::check(&path).unwrap(), [""; 0]);
    let dir = tempfile::tempdir().unwrap();
    let path = without_versions(dir.path());
    patch(&path, "a letter's error", "a letter's erroR");
    let error = Sqlite::open(&path).err().expect("refused").to_string();
    assert!(
        error.contains("a dead letter is not as it was written"),
        "{error}"
    );
}

#[test]
fn a_file_from_before_sums_is_brought_up_and_what_comes_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let whole = all(&Sqlite::open(&carried(dir.path())).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = without_sums(dir.path());
    assert_eq!(Sqlite::check(&path).unwrap(), [""; 0]);
    let mut engine = Sqlite::open(&path).unwrap();
    assert_eq!(all(&engine).unwrap(), whole);
    engine.commit(&[append(Some(60), 61..=70)]).unwrap();
    engine.housekeep(true).unwrap();
    drop(engine);
    assert_eq!(Sqlite::check(&path).unwrap(), [""; 0]);
    // An old body has nothing to be held against; a new one has.
    patch(&path, r#""id":33,"event_type""#, r#""id":34,"event_type""#);
    patch(&path, r#""id":63,"event_type""#, r#""id":64,"event_type""#);
    let mut reader = Sqlite::open(&path).unwrap().reader().unwrap();
    let bodies = reader.bodies(&[Seq(33), Seq(63)]).unwrap();
    assert!(
        matches!(bodies[..], [Body::Here(_), Body::Dropped]),
        "{bodies:?}"
    );
}

#[test]
fn a_crash_while_sums_are_added_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let path = without_sums(dir.path());
    // The change is in the log; the head of the file does not have it yet.
    let db = open::writer(&path).unwrap();
    db.execute_batch("BEGIN").unwrap();
    sum::add(&db).unwrap();
    db.execute_batch("PRAGMA user_version = 3; COMMIT").unwrap();
    drop(db);
    assert_eq!(open::inspect_header(&path).unwrap(), schema::WITHOUT_SUMS);
    for _ in 0..2 {
        assert_eq!(Sqlite::open(&path).unwrap().last(), Seq(60));
        assert_eq!(open::inspect_header(&path).unwrap(), schema::VERSION);
    }
}

#[test]
fn a_damaged_file_from_before_sums_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = without_sums(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    let error = Sqlite::open(&path).err().expect("refused").to_string();
    assert!(error.contains("is damaged"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
