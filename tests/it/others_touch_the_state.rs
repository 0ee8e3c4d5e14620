//! Other hands on the state of a daemon that runs: the directory moved away or replaced, another program in the database.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{Daemon, Site, Studio, need, proof::ask, until};

/// How soon a directory that is not ours any more is noticed.
const NOTICED: Duration = Duration::from_secs(10);
/// `application_id`, as `file` shows it too.
const OURS: &str = "1936156022";

/// All files and folders below a folder with what is in them; none when it is not there.
fn below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().expect("its kind").is_dir() {
            found.extend(below(&entry.path()));
        }
        let content = fs::read(entry.path()).unwrap_or_default();
        found.insert(entry.path(), content);
    }
    found
}

/// Moves the state away while events flow or none do, puts something in its place, and waits for the end.
async fn moved_away(works: bool, instead: impl Fn(&Path, &Path)) -> (Studio, Site, Duration) {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    // It is started again and again: what is made for a plugin's start would be seen.
    let studio = studio.vice("exits_1", "", "");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let (state, away) = (studio.path("state"), studio.path("away"));
    fs::rename(&state, &away).expect("the same disk");
    instead(&away, &state);
    let before = below(&state);
    let began = Instant::now();
    let mut daemon = daemon;
    until("it is noticed", || {
        if works {
            site.work(1);
        }
        daemon.ended().is_some()
    })
    .await;
    let noticed = began.elapsed();
    assert_eq!(daemon.exit().await, Some(74), "{}", studio.log());
    assert!(noticed < NOTICED, "{noticed:?}");
    let words = format!("{} was removed or replaced while in use", state.display());
    assert!(studio.stderr().contains(&words), "{}", studio.stderr());
    let after = below(&state);
    assert!(after == before, "something was written into it");
    // The state comes back: nothing is lost.
    fs::remove_dir_all(&state).ok();
    fs::rename(&away, &state).expect("the same disk");
    studio.crashed();
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    (studio, site, noticed)
}

#[tokio::test]
async fn a_state_that_is_replaced_by_an_empty_one_is_noticed() {
    let (studio, site, noticed) = moved_away(true, |_, state| {
        fs::create_dir(state).expect("a folder");
    })
    .await;
    let run = studio.recheck(&site, "state-replaced", &[9]);
    run.told_and_over(&[]);
    run.with("noticed_s", noticed.as_secs_f64()).judge();
}

#[tokio::test]
async fn a_state_that_is_gone_is_noticed_though_nothing_happens() {
    let (studio, site, noticed) = moved_away(false, |_, _| {}).await;
    let run = studio.recheck(&site, "state-gone", &[9]);
    run.told_and_over(&[]);
    run.with("noticed_s", noticed.as_secs_f64()).judge();
}

#[tokio::test]
async fn a_state_that_is_replaced_by_its_copy_is_noticed() {
    let (studio, site, noticed) = moved_away(true, |away, state| {
        let copied = Command::new("cp").arg("-a").args([away, state]).status();
        assert!(copied.expect("cp").success());
    })
    .await;
    let run = studio.recheck(&site, "state-copied", &[9]);
    run.told_and_over(&[]);
    run.with("noticed_s", noticed.as_secs_f64()).judge();
}

/// What another program says to some words on the database.
fn said(output: &Output, what: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {text}{complaint}");
    text.trim().to_owned()
}

fn shell(database: &Path, options: &[&str], sql: &str) -> String {
    let output = Command::new("sqlite3")
        .args(options)
        .args(["-cmd", ".timeout 5000"])
        .arg(database)
        .arg(sql)
        .output();
    said(&output.expect("sqlite3"), sql)
}

/// Opens it for reading and writing as scripts of a studio would, holds the lock for a moment, and reads.
const PYTHON: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)
db.execute('BEGIN IMMEDIATE')
rows = db.execute('SELECT count(*), max(seq) FROM events').fetchone()
db.execute('UPDATE plugins SET last_seen = last_seen')
db.execute('ROLLBACK')
db.execute('UPDATE marks SET at = at')
db.execute('PRAGMA wal_checkpoint(PASSIVE)').fetchall()
print(sqlite3.sqlite_version, *rows)
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_sqlite_in_the_database_hurts_nobody() {
    let site = Site::start(60.0, 13).await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let database = studio.path("state/journal.db");
    let has_shell = has("sqlite3");
    let (mut opened, mut version) = (0, String::new());
    while opened < 12 {
        let before = studio.witnessed().len();
        let output = Command::new("python3")
            .args(["-c", PYTHON])
            .arg(&database)
            .output();
        let words = said(&output.expect("python"), "python's sqlite3");
        version = words.split(' ').next().unwrap_or_default().to_owned();
        if has_shell {
            let ours = shell(
                &database,
                &["-readonly"],
                "PRAGMA application_id; PRAGMA user_version;",
            );
            assert_eq!(ours, format!("{OURS}\n3"));
            let rows = shell(
                &database,
                &["-readonly"],
                "SELECT count(*) FROM bodies JOIN events USING (seq)",
            );
            assert!(rows.parse::<usize>().expect("a number") > 0);
            let write = "BEGIN IMMEDIATE; UPDATE extent SET last = last; COMMIT; PRAGMA wal_checkpoint(PASSIVE);";
            shell(&database, &[], write);
        }
        opened += 1;
        until("events flow meanwhile", || {
            studio.witnessed().len() > before
        })
        .await;
    }
    site.sandbox.quiet();
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let verdict = format!("{:?}", ask(&database, "PRAGMA integrity_check"));
    assert_eq!(verdict, r#"Ok([[Text("ok")]])"#);
    let findings = sgeventd::journal::Sqlite::check(&database).expect("a database");
    assert_eq!(findings, [""; 0]);
    let run = studio.recheck(&site, "old-sqlite", &[13]);
    run.told_and_over(&[]);
    run.with("opened", opened)
        .with("its_version", version)
        .with("with_the_shell", has_shell)
        .judge();
}

/// What is said to those who want to look into it: they may read, and the words that they are given do.
#[tokio::test]
async fn who_looks_into_it_is_told_to_read_only() {
    let words = include_str!("../../docs/reliability.md");
    let rule = "**Other programs that write into the database.**";
    let (_, told) = words.split_once(rule).expect("the rule stands there");
    let command = told.split('`').find(|words| words.starts_with("sqlite3 "));
    let command = command.expect("a command that reads");
    let readme = include_str!("../../README.md");
    assert!(readme.contains("docs/reliability.md"), "it is found");
    if !has("sqlite3") {
        return;
    }
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    let typed = |command: &str| {
        let shell = ["-c", command];
        let output = Command::new("sh")
            .args(shell)
            .current_dir(studio.path("state"))
            .output();
        output.expect("a shell")
    };
    let rows = said(&typed(command), command);
    assert_eq!(rows, site.truth().len().to_string(), "{command}");
    let writes = command.replace(
        "SELECT count(*) FROM events",
        "UPDATE plugins SET position = 1",
    );
    assert_ne!(writes, command);
    assert!(!typed(&writes).status.success(), "{writes}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

/// True when a program is there.
fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if !is_there {
        need(program);
    }
    is_there
}

/// The other side: what such a program changes is not taken for ours.
#[tokio::test]
async fn what_another_program_wrote_is_refused() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let database = studio.path("state/journal.db");
    let db = rusqlite::Connection::open(&database).expect("a database");
    db.execute("UPDATE plugins SET position = 1", [])
        .expect("it is a database");
    drop(db);
    let daemon = Daemon::spawn(&studio, &studio.config());
    assert_eq!(daemon.exit().await, Some(65), "{}", studio.log());
    let words = "1 rows of `plugins` are not as they were written";
    assert!(studio.stderr().contains(words), "{}", studio.stderr());
}
