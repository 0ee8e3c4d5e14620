//! A disk without space at any write, and one that fails: the daemon says so, damages nothing, and goes on when the disk is well.
//!
//! The faults come from `tests/proof/interpose.c`, which stands between the real daemon and the files of its state.
//! `SGEVENTD_FULL=n` tries n writes in place of a few.

use std::{collections::BTreeMap, fs};

use crate::support::{
    Daemon, Site, Studio,
    interposed::Interposed,
    proof::{ask, number},
    steered::{Control, Word},
    until,
};

/// The first writes, each; and this many later ones.
const FIRST: i64 = 12;
const LATER: i64 = 12;
/// Later ones are drawn among so many.
const WRITES: i64 = 120;
/// `EX_CANTCREAT`.
const CANNOT_CREATE: i32 = 73;
/// `EX_IOERR`.
const IO: i32 = 74;

/// A studio whose daemon's disk is steered.
struct Stage {
    site: Site,
    studio: Studio,
    control: Control,
    disk: Interposed,
}

impl Stage {
    async fn new() -> Self {
        let site = Site::quiet().await;
        let studio = Studio::new(&site).witness();
        let (disk, control) = Interposed::steered(&studio);
        Self {
            site,
            studio,
            control,
            disk,
        }
    }

    /// Artists work until something was made to fail, or the daemon has ended.
    async fn work_until_fault(&self, daemon: &mut Daemon) {
        until("a fault", || {
            self.site.work(1);
            self.control.get(Word::Faults) > 0 || daemon.ended().is_some()
        })
        .await;
    }

    /// A daemon with a well disk comes to rest, and everything is there.
    async fn goes_on(&self) {
        let daemon = Daemon::start(&self.studio).await;
        daemon.all_done(&self.site, &self.studio).await;
        assert_eq!(daemon.stop().await, Some(0), "{}", self.studio.log());
        self.studio.is_whole("it goes on");
    }
}

#[tokio::test]
async fn no_space_at_any_write() {
    let stage = Stage::new().await;
    let mut chance = fastrand::Rng::with_seed(6);
    let asked = number("SGEVENTD_FULL").map_or(LATER, |writes| writes as i64);
    let later = (0..asked).map(|_| chance.i64(FIRST..WRITES));
    let mut ends = BTreeMap::<String, u64>::new();
    for at in (1..=FIRST).chain(later) {
        stage.control.set(Word::Writes, 0);
        stage.control.set(Word::Faults, 0);
        stage.control.set(Word::FullFrom, at);
        let mut daemon = stage.disk.spawn(&stage.studio);
        stage.work_until_fault(&mut daemon).await;
        stage.control.set(Word::FullFrom, 0);
        let truth = stage.site.truth();
        until("it ends, or goes on", || {
            let handed = stage.studio.witnessed_ids();
            daemon.ended().is_some() || truth.iter().all(|id| handed.contains(id))
        })
        .await;
        let end = if let Some(code) = daemon.ended() {
            assert!([CANNOT_CREATE, IO].contains(&code), "{code}");
            stage.studio.crashed();
            code.to_string()
        } else {
            assert_eq!(daemon.stop().await, Some(0), "{}", stage.studio.log());
            "goes on".to_owned()
        };
        *ends.entry(end).or_default() += 1;
        if at <= FIRST {
            // A state that was half made is made whole, and the next one is new again.
            stage.goes_on().await;
            fs::remove_dir_all(stage.studio.path("state")).unwrap_or_default();
            for file in ["witness.book", "crashes.jsonl"] {
                fs::remove_file(stage.studio.path(file)).unwrap_or_default();
            }
        } else {
            stage.studio.is_whole("it was full");
        }
    }
    stage.goes_on().await;
    let log = stage.studio.log();
    assert!(!log.contains("panicked"), "{log}");
    let run = stage
        .studio
        .recheck(&stage.site, "disk-full-at-any-write", &[6]);
    // Who goes on has said once that there was no room, and once that there is; a fault that no event had to wait for
    // is none.
    let goes_on = ends.get("goes on").copied().unwrap_or_default();
    let told = run.alerts.clone().unwrap_or_default();
    assert_eq!(Some(&told), run.recovered.as_ref());
    let said = told.get("journal_stalled").copied().unwrap_or_default();
    assert!(told.len() == 1 && (1..=goes_on).contains(&said), "{told:?}");
    run.with("ends", serde_json::to_value(&ends).expect("JSON"))
        .judge();
}

/// Lets a call fail while the daemon works; how it ends, and what it says.
async fn fails(run: &str, word: Word, reason: &str, after: impl Fn(&Control) -> i64) {
    let stage = Stage::new().await;
    for _ in 0..3 {
        stage.control.set(Word::Faults, 0);
        let mut daemon = stage.disk.start(&stage.studio).await;
        stage.site.work(5);
        daemon.delivered(&stage.studio, &stage.site.truth()).await;
        stage.control.set(word, after(&stage.control));
        stage.work_until_fault(&mut daemon).await;
        until("it ends", || {
            stage.site.work(1);
            daemon.ended().is_some()
        })
        .await;
        stage.control.set(word, 0);
        assert_eq!(daemon.ended(), Some(IO), "{}", stage.studio.log());
        let said = stage.studio.stderr();
        assert!(
            said.contains("journal.db") && said.contains(reason),
            "{said}"
        );
        stage.studio.crashed();
        stage.studio.is_whole(run);
        has_what_was_handed(&stage.studio);
    }
    stage.goes_on().await;
    let run = stage.studio.recheck(&stage.site, run, &[7]);
    // It ends, and says why where it was started: an alert would have nobody who ends it.
    run.told_and_over(&[]);
    run.judge();
}

/// What was handed out was on disk before.
fn has_what_was_handed(studio: &Studio) {
    let rows = ask(
        &studio.path("state/journal.db"),
        "SELECT event_id FROM events",
    );
    let ids: Vec<_> = rows.expect("a database").into_iter().flatten().collect();
    for id in studio.witnessed() {
        assert!(ids.contains(&rusqlite::types::Value::Integer(id)), "{id}");
    }
}

#[tokio::test]
async fn a_sync_that_fails_ends_it() {
    fails("sync-fails", Word::SyncFails, "disk I/O error", |control| {
        control.get(Word::Syncs) + 2
    })
    .await;
}

#[tokio::test]
async fn a_read_that_fails_ends_it() {
    fails(
        "read-fails",
        Word::ReadFails,
        "Input/output error",
        |control| control.get(Word::Reads) + 1,
    )
    .await;
}
