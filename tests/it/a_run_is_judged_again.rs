//! The re-checker passes a run that went well, and finds each thing that must not happen in what such a run left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{
    Daemon, Site, Studio, proof::recheck, until, with_in_environment, yardstick::Yardstick,
};

/// A copy of a run's folder with one of its files changed.
fn with(studio: &Studio, file: &str, change: impl FnOnce(&mut Vec<Value>)) -> Yardstick {
    let copy = tempfile::tempdir().expect("a folder");
    let files = [
        "site.json",
        "crashes.jsonl",
        "sgeventd.log",
        "witness.book",
        "state/journal.db",
    ];
    fs::create_dir(copy.path().join("state")).expect("a folder");
    for name in files {
        fs::copy(studio.path(name), copy.path().join(name)).expect("a copy");
    }
    let path: PathBuf = copy.path().join(file);
    let mut lines = lines(&path);
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).expect("a file");
    recheck(copy.path())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file");
    let lines = text.lines().map(serde_json::from_str);
    lines.map(|line| line.expect("JSON")).collect()
}

/// Numbers that a test changes: figures, and whether the re-checker says no.
fn figures(run: &Yardstick) -> (u64, u64, u64, bool) {
    let [lost, dup, order] = [run.lost, run.dup, run.order].map(|one| one.expect("measured"));
    (lost, dup, order, run.is_violated)
}

#[tokio::test]
async fn whatever_a_run_did_wrong_is_found_in_what_it_left() {
    let site = Site::quiet().await;
    site.work(20);
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let is_written = |status: &Value| status["plugins"][0]["behind"] == 0;
    daemon.status_when("it is settled", is_written).await;
    until("it is on disk", || {
        let witness = &studio.cursors()["witness"];
        witness["position"] == site.truth().len() && witness["open"] == json!([])
    })
    .await;
    daemon.kill().await;
    let folder = studio.path("").display().to_string();
    until("its plugin died with it", || {
        with_in_environment(folder.trim_end_matches('/')).is_empty()
    })
    .await;
    studio.crashed();
    let daemon = Daemon::start(&studio).await;
    site.work(10);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let good = studio.recheck(&site, "a-run-is-judged-again", &[1]);
    assert_eq!(figures(&good), (0, 0, 0, false), "{good:?}");
    good.judge();

    // An event of the second life, which is the newest of its book.
    let lost = with(&studio, "witness.book", |book| {
        let _last = book.pop();
    });
    assert_eq!(figures(&lost), (1, 0, 0, true), "{lost:?}");
    let swapped = with(&studio, "witness.book", |book| book.swap(3, 4));
    assert_eq!(figures(&swapped), (0, 0, 1, true), "{swapped:?}");
    let twice = with(&studio, "witness.book", |book| book.push(book[25].clone()));
    assert!(twice.dup == Some(1) && twice.is_violated, "{twice:?}");

    // One of the first life once more in the second: it was settled on disk.
    let again = with(&studio, "witness.book", |book| {
        let mut line = book[book.len() - 1].clone();
        line["event"] = book[0]["event"].clone();
        book.push(line);
    });
    assert_eq!(figures(&again), (0, 1, 0, true), "{again:?}");
    // More than the window and the answers of the last moment: a whole life.
    let beyond = with(&studio, "witness.book", |book| {
        let last = book[book.len() - 1].clone();
        let first = book.iter().filter(|line| line["start"] != last["start"]);
        let more: Vec<Value> = first
            .map(|line| {
                let mut copy = last.clone();
                copy["event"] = line["event"].clone();
                copy
            })
            .collect();
        book.extend(more);
    });
    assert!(beyond.dup > Some(1) && beyond.is_violated, "{beyond:?}");
    // An attempt after one that was refused is none too many; the same attempt again is.
    for (attempt, dup) in [(2, 0), (1, 1)] {
        let refused = with(&studio, "witness.book", |book| {
            let mut line = book[book.len() - 1].clone();
            line["attempt"] = attempt.into();
            let at = book.len() - 1;
            book[at]["answer"] = "retry".into();
            book.push(line);
        });
        assert_eq!(figures(&refused), (0, dup, 0, dup > 0), "{refused:?}");
    }
    // An event that nobody ever saw, until the log says that its id was given up.
    let more = with(&studio, "site.json", |site| {
        site[0]["ids"]
            .as_array_mut()
            .expect("ids")
            .push(json!(999_999));
    });
    assert_eq!(figures(&more), (1, 0, 0, true), "{more:?}");
}
