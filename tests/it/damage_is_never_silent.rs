//! A state whose bytes changed while nobody looked, or that lost a part: refused in words, or all is still right. No row is
//! missing without a word, no body and no cursor is taken for true that was not written.
//!
//! `CORRUPT_SEEDS=200` tries more than 20. What each kind of row does about it: `src/journal/sqlite/damage_tests.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rusqlite::types::Value as Sql;
use serde_json::Value;

use crate::support::{Daemon, Site, Studio, proof::ask, until, yardstick::Yardstick};

const DATABASE: &str = "state/journal.db";
/// The files of a state that a copy of it has.
const FILES: [&str; 3] = ["journal.db", "journal.db-wal", "lock"];
/// A state that has seen everything: half of it carried over into the database, half of it in its log, as after a kill.
async fn killed(site: &Site, studio: &Studio) {
    site.work(10);
    let daemon = Daemon::start(studio).await;
    daemon.all_done(site, studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let daemon = Daemon::start(studio).await;
    site.work(10);
    daemon.all_done(site, studio).await;
    daemon.kill().await;
    let log = fs::metadata(studio.path("state/journal.db-wal")).expect("a log");
    assert!(log.len() > 0, "something is in the log only");
}

fn save(studio: &Studio) {
    fs::create_dir(studio.path("saved")).expect("a folder");
    for name in FILES {
        copy(studio, "state", "saved", name);
    }
}

fn restore(studio: &Studio) {
    fs::remove_dir_all(studio.path("state")).expect("a folder");
    fs::create_dir(studio.path("state")).expect("a folder");
    for name in FILES {
        copy(studio, "saved", "state", name);
    }
}

fn copy(studio: &Studio, from: &str, to: &str, name: &str) {
    let path = |folder: &str| studio.path(folder).join(name);
    fs::copy(path(from), path(to)).expect("a copy");
}

/// What the reader was handed: each row by its id.
fn rows(studio: &Studio) -> BTreeMap<i64, Value> {
    let rows = studio.book("reader");
    let rows = rows.into_iter();
    rows.map(|row| (row["id"].as_i64().expect("an id"), row))
        .collect()
}

/// Forgets what the reader was handed.
fn forget(studio: &Studio) {
    fs::remove_file(studio.book_of("reader")).ok();
}

/// Starts with an empty log, so that what is said is of the next run.
fn clear(studio: &Studio) {
    for name in ["sgeventd.log", "stderr.txt"] {
        fs::write(studio.path(name), "").expect("a file");
    }
}

/// Starts a daemon and waits until it ends by itself or the reader has everything; its exit code and what it said.
async fn run(site: &Site, studio: &Studio) -> (Option<i32>, String) {
    clear(studio);
    let mut daemon = Daemon::spawn(studio, &studio.config());
    let all: BTreeSet<i64> = site.truth().into_iter().collect();
    until("it has ended, or the reader has all", || {
        daemon.ended().is_some() || all.is_subset(&rows(studio).into_keys().collect())
    })
    .await;
    let code = if daemon.ended().is_some() {
        daemon.exit().await
    } else {
        daemon.stop().await
    };
    (code, studio.log())
}

/// Flips 1 to 64 bytes at random places of one of the two files.
fn flip(path: &Path, chance: &mut fastrand::Rng) -> usize {
    let mut bytes = fs::read(path).expect("a file");
    let most = [1, 4, 64][chance.usize(0..3)];
    let count = chance.usize(1..=most);
    for _ in 0..count {
        let at = chance.usize(0..bytes.len());
        bytes[at] ^= chance.u8(1..);
    }
    fs::write(path, bytes).expect("a file");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_bytes_flip() {
    let seeds = std::env::var("CORRUPT_SEEDS").ok();
    let seeds: u64 = seeds.map_or(20, |text| text.parse().expect("a number"));
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    killed(&site, &studio).await;
    save(&studio);
    let book = studio.book_of("reader").display().to_string();
    let studio = studio
        .file("scribe.py", include_str!("../zoo/scribe.py"), 0o755)
        .plugin("reader", &["scribe.py", &book, "whole"], "");
    let (code, _) = run(&site, &studio).await;
    assert_eq!(code, Some(0), "{}", studio.log());
    let truth = rows(&studio);
    assert!(truth.keys().copied().eq(site.truth()), "it has all");

    let (mut refused, mut asked, mut named, mut flipped, mut lost) = (0, 0, 0, 0, 0);
    for seed in 0..seeds {
        restore(&studio);
        forget(&studio);
        let mut chance = fastrand::Rng::with_seed(seed);
        let victim = ["journal.db", "journal.db-wal"][chance.usize(0..2)];
        flipped += flip(&studio.path("state").join(victim), &mut chance);
        let damaged = fs::read(studio.path(DATABASE)).expect("a file");
        let (code, said) = run(&site, &studio).await;
        let seen = rows(&studio);
        let right = seen.iter().filter(|(id, row)| truth.get(id) == Some(row));
        assert_eq!(
            right.count(),
            seen.len(),
            "seed {seed}: a row is not what the site has"
        );
        if code == Some(0) {
            lost += truth.len() - seen.len();
            asked += said.matches("the site is asked for it again").count();
            named += said.matches("rows that the lock file knows").count();
            continue;
        }
        refused += 1;
        assert_eq!(code, Some(65), "seed {seed}: {said}");
        assert!(
            said.contains("damaged")
                || said.contains("is not a journal")
                || said.contains("has version"),
            "seed {seed}: {said}"
        );
        if seen.is_empty() {
            let is_left = fs::read(studio.path(DATABASE)).expect("a file") == damaged;
            assert!(is_left, "seed {seed}: it was changed");
        }
    }
    assert!(
        refused > 0 && refused < seeds,
        "{refused} of {seeds} were refused"
    );
    let mut line = Yardstick::of("flipped-bytes", &[10])
        .with("seeds", seeds)
        .with("bytes_flipped", flipped)
        .with("refused", refused)
        .with("bodies_asked_again", asked)
        .with("lost_logs_named", named);
    line.lost = Some(lost as u64);
    line.judge();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_part_is_lost() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    killed(&site, &studio).await;
    save(&studio);
    let on_disk = site.truth().len() as i64;
    let (mut dup_bound, mut said_by) = (0, Vec::new());
    for (what, kept, words) in [
        ("the log's index", &FILES[..], None),
        (
            "the log",
            &["journal.db", "lock"],
            Some("rows that the lock file knows are not in the journal"),
        ),
        (
            "all but the database",
            &["journal.db"],
            Some("the journal has no lock file beside it"),
        ),
    ] {
        restore(&studio);
        for name in FILES.iter().filter(|name| !kept.contains(name)) {
            fs::remove_file(studio.path("state").join(name)).expect("a file");
        }
        let found = ask(&studio.path(DATABASE), "SELECT last FROM extent").expect("a database");
        let Sql::Integer(found) = found[0][0] else {
            panic!("{found:?}");
        };
        assert_eq!(
            found < on_disk,
            words.is_some(),
            "{what}: {found} of {on_disk}"
        );
        // What this copy does not have is fetched again, and handed out again; that of the case before is new to it, too.
        dup_bound += site.truth().len() as i64 - found;
        clear(&studio);
        site.work(1);
        let daemon = Daemon::start(&studio).await;
        daemon.all_done(&site, &studio).await;
        assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
        let log = studio.log();
        let warned = ["rows that the lock file knows", "no lock file beside it"]
            .map(|one| log.contains(one));
        match words {
            None => assert_eq!(warned, [false; 2], "{what}: {log}"),
            Some(words) => assert!(log.contains(words), "{what}: {log}"),
        }
        if let Some(words) = words.filter(|words| words.contains("knows")) {
            let line = log
                .lines()
                .find(|line| line.contains(words))
                .expect("it was there");
            let range = format!("first={}  last={on_disk}", found + 1);
            assert!(line.contains(&range), "{range}: {line}");
        }
        said_by.extend(words);
        let mut ids = studio.journaled().await;
        ids.sort_unstable();
        assert_eq!(ids, site.truth(), "{what}: each once");
    }
    let (all, unique) = (studio.witnessed(), studio.witnessed_ids());
    let mut line = Yardstick::of("log-lost", &[12]).with("said", said_by);
    let truth = site.truth();
    let lost = truth.iter().filter(|id| !unique.contains(id));
    line.lost = Some(lost.count() as u64);
    line.dup = Some((all.len() - unique.len()) as u64);
    line.dup_bound = Some(dup_bound.unsigned_abs());
    // The re-checker knows nothing of copies that are put back: what it says of repeats counts here as above.
    let last = studio.recheck(&site, "log-lost", &[12]);
    (line.order, line.stuck) = (last.order, last.stuck);
    line.judge();
    assert!(line.dup > Some(0), "no log was lost: this shows nothing");
}

/// What the refusal says can be done is what can be done: a copy is put back, or the journal begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ways_on_that_are_told_lead_on() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    killed(&site, &studio).await;
    studio.crashed();
    save(&studio);
    let damage = || {
        let mut bytes = fs::read(studio.path(DATABASE)).expect("a file");
        bytes[4096..40_960].fill(0xA5);
        fs::write(studio.path(DATABASE), bytes).expect("a file");
    };
    damage();
    let (code, said) = run(&site, &studio).await;
    assert_eq!(code, Some(65), "{said}");
    let anew = "move journal.db, journal.db-wal and journal.db-shm away together to begin anew where [poll] start_from says";
    let ways = format!("Ways on: restore the journal from a copy, or {anew}");
    assert!(said.contains(&ways), "{said}");
    assert!(
        !said.contains("sgeventd state"),
        "no verb that is not there: {said}"
    );

    restore(&studio);
    site.work(3);
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run_of_copy = studio.recheck(&site, "damaged-then-a-copy", &[10]);
    run_of_copy.told_and_over(&[]);
    run_of_copy.judge();

    damage();
    assert_eq!(run(&site, &studio).await.0, Some(65));
    fs::create_dir(studio.path("away")).expect("a folder");
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let from = studio.path("state").join(name);
        if from.exists() {
            fs::rename(from, studio.path("away").join(name)).expect("the same disk");
        }
    }
    // All that it had been handed is handed out again, as to a new one.
    fs::rename(studio.book_of("witness"), studio.path("away/book")).expect("the same disk");
    fs::remove_file(studio.path("crashes.jsonl")).expect("a file");
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    studio.recheck(&site, "damaged-then-anew", &[10]).judge();
}
