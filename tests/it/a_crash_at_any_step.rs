//! A daemon that dies at any step loses nothing: each failpoint of the source is crossed by a crash under load, with three
//! plugins at work, and those of a start by two more crashes while it recovers.
//!
//! Redrive and retention are done to the state by a child of this test, through the journal's own engine: a daemon prunes
//! rows that are days old, so its part of a run is what it makes of the state afterwards.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use nix::sys::signal::Signal;
use rusqlite::types::Value;
use serde_json::json;
use sgeventd::{
    clock::Unix,
    ident::Seq,
    journal::{Engine as _, Op, Sqlite},
};

use crate::support::{Daemon, Site, Studio, is_alive, until, with_in_environment};

/// What a crash by a failpoint ends with.
const CRASHED: i32 = 9;
/// So many events, at 15 ms each, the witness has before it when its daemon is killed amid its work.
const AHEAD: usize = 70;
/// So many stages stand at once.
const AT_ONCE: usize = 4;

/// How a run comes to its point.
#[derive(Clone, Copy)]
enum Run {
    /// By work, at this crossing.
    Work(u32),
    /// In the start after a kill amid work, at this crossing.
    Start(u32),
    /// When the daemon is stopped.
    Stop,
    /// When a plugin's file changes.
    Change,
    /// By something done to the state while no daemon runs.
    Offline(&'static str),
}

/// Every failpoint of the source.
const POINTS: &[(&str, Run)] = &[
    ("ack.received_before_queue", Run::Work(100)),
    ("checkpoint.after", Run::Stop),
    ("checkpoint.before", Run::Stop),
    ("create.filled", Run::Work(1)),
    ("cursor.after_commit", Run::Work(3)),
    ("cursor.before_commit", Run::Work(3)),
    ("dead.inserted", Run::Work(2)),
    ("gap.state_written", Run::Work(2)),
    ("ingest.page_received", Run::Work(3)),
    ("journal.after_commit_before_publish", Run::Work(12)),
    ("journal.before_commit", Run::Work(12)),
    ("journal.rows_inserted", Run::Work(3)),
    ("journal.txn_begin", Run::Work(12)),
    ("redrive.moved", Run::Offline("redrive")),
    ("retention.bodies_dropped", Run::Offline("bodies")),
    ("retention.rows_deleted", Run::Offline("rows")),
    ("spawn.forked", Run::Work(2)),
    ("spawn.handshaken", Run::Start(2)),
    ("spawn.recorded", Run::Work(2)),
    ("spawn.swapped", Run::Change),
    ("start.children_ended", Run::Start(1)),
    ("start.locked", Run::Start(1)),
    ("start.opened", Run::Start(1)),
    ("start.statfs", Run::Start(1)),
];

/// The one that only the first start of all crosses.
const OF_THE_FIRST: &str = "create.filled";
/// Those that a start crosses before it hands anything out.
const OF_A_START: [&str; 11] = [
    OF_THE_FIRST,
    "start.statfs",
    "start.locked",
    "start.opened",
    "journal.txn_begin",
    "journal.before_commit",
    "journal.after_commit_before_publish",
    "start.children_ended",
    "spawn.forked",
    "spawn.recorded",
    "spawn.handshaken",
];

#[test]
fn every_point_of_the_source_has_its_run() {
    let mut found = BTreeSet::new();
    for path in crate::tidy::files("src", "rs") {
        let text = fs::read_to_string(&path).expect("a file");
        let text: String = text.split_whitespace().collect();
        for call in ["fail::at(\"", "fail::or(\""] {
            for rest in text.split(call).skip(1) {
                let point = rest.split('"').next().expect("a name").to_owned();
                assert!(found.insert(point.clone()), "{point} stands twice");
            }
        }
    }
    let known: BTreeSet<String> = POINTS
        .iter()
        .map(|(point, _)| (*point).to_owned())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn a_build_for_users_has_no_failpoints() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fail.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    for (assertions, has_them) in [("off", false), ("on", true)] {
        let library = dir.path().join(assertions);
        let made = Command::new(&rustc)
            .args(["--edition=2024", "--crate-type=lib", "--emit=obj"])
            .arg(format!("-Cdebug-assertions={assertions}"))
            .args(["--check-cfg=cfg(feature,values(\"failpoints\"))", "-o"])
            .arg(&library)
            .arg(source)
            .output()
            .expect("a compiler");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let bytes = fs::read(&library).expect("a library");
        let name = b"SGEVENTD_FAILPOINTS";
        let is_there = bytes.windows(name.len()).any(|part| part == name);
        assert_eq!(is_there, has_them, "debug assertions {assertions}");
    }
    let manifest = include_str!("../../Cargo.toml");
    assert!(!manifest.contains("debug-assertions"), "release has none");
}

#[tokio::test]
async fn each_point_once() {
    let runs = POINTS.iter().map(|(point, run)| crash_at(point, *run));
    stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
}

#[tokio::test]
async fn a_failed_sync_or_a_panic_ends_the_daemon_and_loses_nothing() {
    // 74: the journal cannot be written, or a part of the daemon has ended by itself.
    let runs = [
        "journal.before_commit=error@12",
        "journal.rows_inserted=panic@3",
        "journal.after_commit_before_publish=panic@12",
        "ingest.page_received=panic@3",
        "ack.received_before_queue=panic@100",
    ];
    let runs = runs.into_iter().map(|plan| async move {
        let (site, studio) = stage().await;
        let code = broken_off(&site, &studio, plan).await;
        assert_eq!(code, Some(74), "{plan}: {}", studio.log());
        let run = format!("{}-ends", plan.replace(['.', '=', '@'], "-"));
        go_on(&site, &studio, &run, &[2]).await;
    });
    stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
}

#[tokio::test]
async fn twice_more_in_the_start_after_a_crash() {
    let runs = OF_A_START.into_iter().map(|point| async move {
        let site = Site::quiet().await;
        let studio = Studio::new(&site).witness_as("witness", &["0.015"], "all", 1);
        if point != OF_THE_FIRST {
            let daemon = Daemon::start(&studio).await;
            until("it is amid its work, with a second of it before it", || {
                let (done, all) = (studio.witnessed().len(), site.truth().len());
                let is_read = rows(&studio) == all;
                let has_work = done + AHEAD < all;
                // Only when it runs out of work: a start that is slow finds no more before it.
                if is_read && !has_work {
                    site.order(&json!({"verb": "bulk", "count": 2 * AHEAD}));
                }
                is_read && has_work && done > 10
            })
            .await;
            daemon.kill().await;
            studio.crashed();
        }
        let plan = format!("{point}=exit");
        let mut states = Vec::new();
        for _ in 0..2 {
            let code = spawn(&studio, &plan).exit().await;
            assert_eq!(code, Some(CRASHED), "{point}: {}", studio.log());
            ended(&studio).await;
            studio.crashed();
            let recorded = ask(&studio, "SELECT plugin FROM children");
            assert!(recorded.len() <= 1, "{point}: {recorded:?}");
            states.push((state(&studio), files(&studio)));
        }
        let all = site.truth().len();
        assert!(studio.witnessed().len() < all, "there was something to do");
        assert_eq!(states[0], states[1], "{point}");
        go_on(&site, &studio, &format!("twice-at-{}", dashed(point)), &[3]).await;
    });
    stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
}

/// A plugin that keeps all in order, one with lanes, and one that refuses some events until they are dead letters.
async fn stage() -> (Site, Studio) {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let studio = studio.witness_as("lanes", &[], "entity", 4);
    let book = studio.book_of("fails").display().to_string();
    let refuses = ["witness.py", &book, "0", "50"];
    let keys = "delivery = { max_attempts = 2 }";
    let studio = studio.plugin("fails", &refuses, keys);
    (site, studio.judged("fails", "all", 1, None))
}

async fn crash_at(point: &str, run: Run) {
    let (site, studio) = stage().await;
    let plan = match run {
        Run::Work(nth) | Run::Start(nth) => format!("{point}=exit@{nth}"),
        _ => format!("{point}=exit"),
    };
    let code = match run {
        Run::Work(_) => broken_off(&site, &studio, &plan).await,
        Run::Start(_) => {
            let daemon = Daemon::start(&studio).await;
            until("it works", || studio.witnessed().len() > 50).await;
            daemon.kill().await;
            studio.crashed();
            broken_off(&site, &studio, &plan).await
        }
        Run::Stop => {
            let daemon = spawn(&studio, &plan);
            until("it works", || studio.witnessed().len() > 50).await;
            // It may have come to its point before.
            if daemon.status().await.is_some() {
                daemon.signal(Signal::SIGTERM);
            }
            daemon.exit().await
        }
        Run::Change => {
            let daemon = spawn(&studio, &plan);
            until("it works", || studio.witnessed().len() > 50).await;
            let text = include_str!("../proof/witness.py");
            studio.replace("witness.py", format!("{text}# another one\n"), 0o755);
            daemon.exit().await
        }
        Run::Offline(what) => {
            let daemon = Daemon::start(&studio).await;
            site.work(20);
            daemon.all_done(&site, &studio).await;
            assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
            let before = state(&studio);
            let code = offline(&studio, what, &plan);
            assert_eq!(before, state(&studio), "{point}: all or nothing");
            assert_eq!(offline(&studio, what, ""), Some(0), "{what}");
            assert_ne!(before, state(&studio), "{what} does something");
            // Who redrives has mended the plugin: else it is given up after three events that fail again.
            let text = include_str!("../proof/witness.py");
            let mended = text.replace("is_refused = FAILS and", "is_refused = False and");
            assert_ne!(mended, text);
            studio.replace("witness.py", mended, 0o755);
            code
        }
    };
    assert_eq!(code, Some(CRASHED), "{point}: {}", studio.log());
    go_on(&site, &studio, &format!("crash-at-{}", dashed(point)), &[2]).await;
}

fn dashed(point: &str) -> String {
    point.replace(['.', '_'], "-")
}

/// A daemon that is to break off.
fn spawn(studio: &Studio, plan: &str) -> Daemon {
    let plan = [
        ("SGEVENTD_FAILPOINTS", plan.to_owned()),
        // A second goes by until a backtrace is written, in which plugins are handed more and nothing is committed.
        ("RUST_BACKTRACE", "0".to_owned()),
    ];
    Daemon::spawn_with(studio, &studio.config(), &[], &plan)
}

/// Its exit code; until then artists work, with rows that come late and rows that never come.
async fn broken_off(site: &Site, studio: &Studio, plan: &str) -> Option<i32> {
    let artists = async {
        loop {
            site.work(2);
            site.order(&json!({"verb": "work", "late_ms": 120}));
            site.order(&json!({"verb": "abandon"}));
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    tokio::select! {
        code = spawn(studio, plan).exit() => code,
        () = artists => None,
    }
}

/// The next daemon does what is left; then the run is judged.
async fn go_on(site: &Site, studio: &Studio, run: &str, about: &[u32]) {
    ended(studio).await;
    studio.crashed();
    site.work(3);
    let daemon = Daemon::start(studio).await;
    daemon.all_done(site, studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{run}: {}", studio.log());
    ended(studio).await;
    let children = ask(studio, "SELECT * FROM children");
    assert!(children.is_empty(), "{run}: {children:?}");
    // A letter is made with the end of its event, and counted then.
    let letters = ask(
        studio,
        "SELECT dead, (SELECT count(*) FROM dead WHERE plugin = name) FROM plugins",
    );
    for row in letters.iter().filter(|_| !run.contains("redrive")) {
        assert_eq!(row[0], row[1], "{run}: {letters:?}");
    }
    studio.recheck(site, run, about).judge();
}

/// Waits until nothing lives that a daemon of this studio had started: it dies with its daemon.
async fn ended(studio: &Studio) {
    let folder = studio.path("state").display().to_string();
    until("the plugins died with their daemon", || {
        !with_in_environment(&folder).into_iter().any(is_alive)
    })
    .await;
}

/// How many rows are on disk.
fn rows(studio: &Studio) -> usize {
    let found = ask(studio, "SELECT last FROM extent");
    let last = found.first().map(|row| &row[0]);
    last.map_or(0, |last| match last {
        Value::Integer(last) => usize::try_from(*last).expect("a position"),
        other => panic!("{other:?}"),
    })
}

/// What the state says, but for process ids and the times at which something was seen.
fn state(studio: &Studio) -> Vec<Vec<Vec<Value>>> {
    let tables = [
        "SELECT * FROM extent",
        "SELECT * FROM about ORDER BY key",
        "SELECT * FROM events ORDER BY seq",
        "SELECT * FROM bodies ORDER BY seq",
        "SELECT name, disabled, position, delivered, ok, skipped, retried, dead, too_old FROM plugins ORDER BY name",
        "SELECT * FROM open ORDER BY plugin, seq",
        "SELECT * FROM dead ORDER BY id",
        "SELECT * FROM state ORDER BY plugin, key",
        // The processes differ; that each is dead is held when the daemon ends.
        "SELECT plugin FROM children ORDER BY plugin",
    ];
    tables.map(|sql| ask(studio, sql)).into()
}

/// The files of the state: a start that breaks off leaves no more of them each time. The log's own may be there or not.
fn files(studio: &Studio) -> BTreeSet<String> {
    let found = fs::read_dir(studio.path("state")).expect("a folder");
    let names = found.flatten().map(|file| file.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect()
}

/// Rows of the state's database; none when there is no database.
fn ask(studio: &Studio, sql: &str) -> Vec<Vec<Value>> {
    crate::support::proof::ask(&database(studio), sql).unwrap_or_default()
}

fn database(studio: &Studio) -> PathBuf {
    studio.path("state/journal.db")
}

/// Has a child of ours do something to the state, with a plan; its exit code.
fn offline(studio: &Studio, what: &str, plan: &str) -> Option<i32> {
    let program = std::env::current_exe().expect("our own binary");
    let mut command = Command::new(program);
    command
        .args(["--exact", "a_crash_at_any_step::as_a_child"])
        .env("SGEVENTD_TEST_STATE", database(studio))
        .env("SGEVENTD_TEST_DOES", what)
        .env("SGEVENTD_FAILPOINTS", plan);
    command.output().expect("it starts").status.code()
}

/// The other side of [`offline`]; nothing when it is run as a test.
#[test]
fn as_a_child() {
    let Some(state) = std::env::var_os("SGEVENTD_TEST_STATE") else {
        return;
    };
    let path = Path::new(&state);
    let mut engine = Sqlite::open(path).expect("a database");
    let (up_to, at_most) = (engine.last(), 10_000);
    let rows = Op::DropRows {
        up_to,
        at_most,
        orphans: Vec::new(),
        at: Unix(0),
    };
    let bodies = Op::DropBodies { up_to, at_most };
    let ids = crate::support::proof::ask(path, "SELECT id FROM dead").expect("letters");
    let ids = ids.into_iter().map(|row| match row[0] {
        Value::Integer(id) => id,
        ref other => panic!("{other:?}"),
    });
    let ids = ids.collect();
    assert!(up_to > Seq(0), "something to prune");
    let ops = match std::env::var("SGEVENTD_TEST_DOES").as_deref() {
        Ok("redrive") => vec![Op::Redrive { ids }],
        Ok("bodies") => vec![bodies],
        _ => vec![bodies, rows],
    };
    for answer in engine.commit(&ops).expect("a commit") {
        answer.expect("it is done");
    }
}
