//! The handle: what is answered is on disk, what is shown was committed, and what happens when the disk does not play along.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    event::Body,
    ident::{EventId, PluginName, Seq},
    journal::testing::{answer, new_event},
};

/// An engine whose commits fail as long as somebody wants them to.
struct Moody {
    inner: Model,
    mood: Mood,
    commits: Arc<Mutex<Vec<usize>>>,
}

type Mood = Arc<Mutex<Option<JournalError>>>;

impl Engine for Moody {
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Answer>, JournalError> {
        if let Some(error) = self.mood.lock().unwrap().clone() {
            return Err(error);
        }
        self.commits.lock().unwrap().push(ops.len());
        self.inner.commit(ops)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        self.inner.reader()
    }

    fn housekeep(&mut self, _: bool) -> Result<(), JournalError> {
        Ok(())
    }
}

struct Bench {
    journal: Journal,
    mood: Mood,
    commits: Arc<Mutex<Vec<usize>>>,
}

fn bench(options: Options) -> Bench {
    let (mood, commits) = (Mood::default(), Arc::default());
    let engine = Moody {
        inner: Model::new(),
        mood: Arc::clone(&mood),
        commits: Arc::clone(&commits),
    };
    Bench {
        journal: Journal::start(Box::new(engine), None, options).unwrap(),
        mood,
        commits,
    }
}

fn full() -> JournalError {
    JournalError::Full {
        dir: "/state".into(),
    }
}

fn batch(from: Option<i64>, ids: std::ops::RangeInclusive<i64>) -> Append {
    let to = *ids.end();
    answer(from, to, ids.map(|id| new_event(0, id)).collect())
}

fn progress(position: u64) -> CursorChange {
    CursorChange {
        plugin: PluginName::new("render"),
        position: Seq(position),
        put: vec![],
        settled: vec![],
        dead: vec![],
        replays: Vec::new(),
        counts: Counts::default(),
    }
}

fn seqs(events: &[Arc<crate::event::Event>]) -> Vec<u64> {
    events.iter().map(|event| event.seq.0).collect()
}

#[tokio::test]
async fn what_is_appended_is_told_and_can_be_read() {
    let Bench { journal, .. } = bench(Options::default());
    let mut head = journal.head();
    let mut double = batch(None, 1..=3);
    double.events.push(new_event(0, 2));
    let appended = journal.append(double).await.unwrap();
    assert_eq!((appended.first, appended.fresh), (Seq(1), vec![0, 1, 2]));
    assert_eq!(*head.borrow_and_update(), Seq(3));
    let events = journal.read(Seq(1), 9).await.unwrap();
    assert_eq!(seqs(&events), [2, 3]);
    assert!(matches!(events[0].body, Body::Here(_)));

    let stale = journal.append(batch(None, 4..=4)).await.unwrap_err();
    let refused = Refused::Head {
        expected: None,
        found: Some(EventId(3)),
    };
    assert_eq!(stale, JournalError::Refused(refused));
    assert!(!head.has_changed().unwrap());
}

#[tokio::test]
async fn who_is_behind_reads_pages_from_disk() {
    let tail = TailBounds {
        bytes: usize::MAX,
        events: 10,
    };
    let Bench { journal, .. } = bench(Options {
        tail,
        ..Options::default()
    });
    journal.append(batch(None, 1..=1000)).await.unwrap();
    let mut position = Seq(0);
    let mut read = Vec::new();
    loop {
        let events = journal.read(position, 100).await.unwrap();
        let Some(last) = events.last() else {
            break;
        };
        position = last.seq;
        read.extend(events);
    }
    assert_eq!(seqs(&read), (1..=1000).collect::<Vec<_>>());
    assert_eq!(read[0].body, Body::Unread);
    // The second one takes the same pages from memory.
    let again = journal.read(Seq(0), 100).await.unwrap();
    assert!(Arc::ptr_eq(&again[7], &read[7]));

    let wanted = [Seq(5), Seq(999), Seq(4000)];
    let bodies = journal.bodies(&wanted).await.unwrap();
    let is_here: Vec<_> = bodies
        .iter()
        .map(|body| matches!(body, Body::Here(_)))
        .collect();
    assert_eq!(is_here, [true, true, false]);
    let events = journal.events(&wanted).await.unwrap();
    assert_eq!(seqs(&events), [5, 999]);

    // Rows that are gone are passed over, wherever the page began.
    let bodies = Op::DropBodies {
        up_to: Seq(700),
        at_most: 1000,
    };
    let rows = Op::DropRows {
        up_to: Seq(700),
        at_most: 1000,
        orphans: vec![],
        at: crate::clock::Unix(0),
    };
    journal.submit(vec![bodies, rows], When::Now).await.unwrap();
    let events = journal.read(Seq(600), 100).await.unwrap();
    assert_eq!(seqs(&events).first(), Some(&701));
}

#[tokio::test]
async fn settlements_wait_for_company_and_urgent_ones_take_them_along() {
    let Bench {
        journal, commits, ..
    } = bench(Options {
        settle_wait: std::time::Duration::from_secs(3600),
        settle_count: 3,
        ..Options::default()
    });
    let plugin = PluginName::new("render");
    journal.append(batch(None, 1..=9)).await.unwrap();
    journal
        .register(&plugin, Place::Oldest, None)
        .await
        .unwrap();
    let change = |position| Op::Cursor {
        change: progress(position),
        revision: None,
    };
    let lazy = |position| {
        journal
            .try_submit(vec![change(position)], When::Company)
            .unwrap()
    };
    let first = lazy(1);
    // The thread has turned after the first one, and has not committed it.
    journal.heartbeat().await.unwrap();
    assert_eq!(*commits.lock().unwrap(), [1, 1]);
    let urgent = journal.settle(progress(2), When::Now).await.unwrap();
    assert_eq!((first.await.unwrap().len(), urgent), (1, 2));
    let (a, b, c) = (lazy(3), lazy(4), lazy(5));
    for ticket in [a, b, c] {
        assert!(ticket.await.unwrap()[0].is_ok());
    }
    assert_eq!(commits.lock().unwrap()[..3], [1, 1, 2]);
    assert_eq!(journal.plugins().await.unwrap()[0].cursor.position, Seq(5));
}

#[tokio::test]
async fn a_full_disk_holds_answers_back_until_there_is_room() {
    let Bench { journal, mood, .. } = bench(Options::default());
    journal.append(batch(None, 1..=1)).await.unwrap();
    let mut health = journal.health();
    *mood.lock().unwrap() = Some(full());
    let append = Op::Append {
        append: batch(Some(1), 2..=2),
        at: crate::clock::Unix(0),
    };
    let ticket = journal.try_submit(vec![append], When::Now).unwrap();
    health
        .wait_for(|health| *health == Health::Stalled(full()))
        .await
        .unwrap();
    // The thread turns all the while, and what is on disk can be read.
    journal.heartbeat().await.unwrap();
    assert_eq!(seqs(&journal.read(Seq(0), 9).await.unwrap()), [1]);
    *mood.lock().unwrap() = None;
    assert!(ticket.await.unwrap()[0].is_ok());
    health
        .wait_for(|health| *health == Health::Working)
        .await
        .unwrap();
    assert_eq!(seqs(&journal.read(Seq(0), 9).await.unwrap()), [1, 2]);
}

#[tokio::test]
async fn who_leaves_does_not_wait_for_room() {
    let Bench { journal, mood, .. } = bench(Options::default());
    let mut health = journal.health();
    *mood.lock().unwrap() = Some(full());
    let append = |ids| Op::Append {
        append: batch(None, ids),
        at: crate::clock::Unix(0),
    };
    let ticket = journal.try_submit(vec![append(1..=1)], When::Now).unwrap();
    health
        .wait_for(|health| *health == Health::Stalled(full()))
        .await
        .unwrap();
    journal.leave();
    assert_eq!(ticket.await.unwrap_err(), full());
    assert_eq!(journal.write(append(1..=1)).await.unwrap_err(), full());
    *mood.lock().unwrap() = None;
    journal.write(append(2..=2)).await.unwrap();
    let read = journal.read(Seq(0), 9).await.unwrap();
    assert_eq!(
        read[0].facts.event_id,
        EventId(2),
        "what was given up is gone"
    );
    journal.close().await;
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_taken_any_more() {
    let Bench { journal, mood, .. } = bench(Options::default());
    let mut health = journal.health();
    let broken = JournalError::Broken("disk I/O error".into());
    *mood.lock().unwrap() = Some(broken.clone());
    assert_eq!(
        journal.append(batch(None, 1..=1)).await.unwrap_err(),
        broken
    );
    health
        .wait_for(|health| *health == Health::Broken(broken.clone()))
        .await
        .unwrap();
    *mood.lock().unwrap() = None;
    for _ in 0..3 {
        assert_eq!(
            journal.append(batch(None, 1..=1)).await.unwrap_err(),
            broken
        );
        assert_eq!(journal.heartbeat().await.unwrap_err(), broken);
    }
    assert_eq!(*journal.head().borrow(), Seq(0));
}

#[tokio::test]
async fn a_panic_in_a_question_is_its_askers_alone() {
    let Bench { journal, .. } = bench(Options {
        readers: 1,
        ..Options::default()
    });
    let lost: Result<(), _> = journal.query(|_| panic!("on purpose")).await;
    assert!(matches!(lost, Err(JournalError::Broken(_))));
    assert!(journal.plugins().await.unwrap().is_empty());
}

#[tokio::test]
async fn closing_commits_what_is_queued_and_lets_the_directory_go() {
    let folder = tempfile::tempdir().unwrap();
    let dir = StateDir::open(folder.path()).unwrap();
    let engine = Sqlite::open(&dir.database()).unwrap();
    let options = Options {
        settle_wait: std::time::Duration::from_secs(3600),
        ..Options::default()
    };
    let journal = Journal::start(Box::new(engine), Some(dir), options).unwrap();
    journal.append(batch(None, 1..=5)).await.unwrap();
    let plugin = PluginName::new("render");
    journal
        .register(&plugin, Place::Oldest, None)
        .await
        .unwrap();
    let change = Op::Cursor {
        change: progress(4),
        revision: None,
    };
    let ticket = journal.try_submit(vec![change], When::Company).unwrap();
    journal.note_status(["ok".to_owned(), "all well".to_owned()]);
    assert!(matches!(
        StateDir::open(folder.path()),
        Err(StateError::InUse { .. })
    ));
    journal.close().await;
    assert!(ticket.await.unwrap()[0].is_ok());
    assert_eq!(
        journal.append(batch(Some(5), 6..=6)).await.unwrap_err(),
        JournalError::Closed
    );

    let dir = StateDir::open(folder.path()).unwrap();
    let previous = dir.previous().expect("the last run left its lines");
    assert_eq!(previous.last_seq, Seq(5));
    assert_eq!(previous.status[1], "all well");
    let engine = Sqlite::open(&dir.database()).unwrap();
    assert_eq!(dir.missing(engine.last()), None);
    let record = engine.reader().unwrap().plugin(&plugin).unwrap();
    assert_eq!(record.expect("registered").cursor.position, Seq(4));
}

#[tokio::test]
async fn a_directory_that_was_swapped_ends_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let dir = StateDir::open(&path).unwrap();
    dir.check().unwrap();
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    assert!(matches!(dir.check(), Err(StateError::Gone { .. })));
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(dir.check(), Err(StateError::Gone { .. })));
}
