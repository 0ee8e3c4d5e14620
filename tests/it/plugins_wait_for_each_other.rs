//! `after`: an event goes to a plugin when those that come first have settled it, whatever order they are found in.

use std::fs;

use crate::support::{Daemon, Site, Studio, plugin};

/// Who wrote which event, in order.
fn book(studio: &Studio) -> Vec<(String, i64)> {
    let text = fs::read_to_string(studio.path("book.txt")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, id)| (name.to_owned(), id.parse().expect("an id")))
        .collect()
}

/// Every event was written by the first plugin before the second one.
fn in_order(book: &[(String, i64)], first: &str, second: &str) -> usize {
    let at = |name: &str, id: i64| book.iter().position(|line| *line == (name.to_owned(), id));
    let ids: Vec<i64> = book
        .iter()
        .filter(|(name, _)| name == second)
        .map(|(_, id)| *id)
        .collect();
    for id in &ids {
        let (one, two) = (at(first, *id), at(second, *id));
        assert!(one.is_some() && one < two, "event {id}: {book:?}");
    }
    ids.len()
}

fn clerk(studio: Studio, name: &str, pause: &str, keys: &str) -> Studio {
    let book = studio.path("book.txt").display().to_string();
    studio.plugin(name, &["clerk.py", &book, name, pause], keys)
}

fn studio(site: &Site) -> Studio {
    Studio::new(site).file("clerk.py", include_str!("../zoo/clerk.py"), 0o755)
}

#[tokio::test]
async fn one_that_is_found_first_waits_for_one_that_is_found_later() {
    let site = Site::quiet().await;
    let studio = clerk(
        studio(&site),
        "a_mail",
        "0",
        "after = ['b_update', 'c_typo']",
    );
    let studio = clerk(studio, "b_update", "0.01", "");
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("a_mail", "runs", |report| report["state"] == "ok")
        .await;
    site.work(4);
    let count = site.truth().len();
    daemon
        .status_when("all are written", |_| {
            in_order(&book(&studio), "b_update", "a_mail") == count
        })
        .await;
    assert!(studio.log().contains("c_typo"), "{}", studio.log());
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn one_that_comes_later_is_waited_for_from_then_on() {
    let site = Site::quiet().await;
    let studio = clerk(studio(&site), "a_mail", "0", "after = ['late']");
    let daemon = Daemon::start(&studio).await;
    site.work(1);
    let count = site.truth().len();
    daemon
        .status_when("nobody is waited for", |_| book(&studio).len() == count)
        .await;
    // The same book, by a plugin that is found in the folder.
    let (clerk, book_path) = (studio.path("clerk.py"), studio.path("book.txt"));
    let script = format!(
        "#!/bin/sh\nexec {} {} late 0.01\n",
        clerk.display(),
        book_path.display()
    );
    let studio = studio.file("plugins/late.sh", script, 0o755);
    daemon
        .plugin_when("late", "has caught up", |report| {
            report["state"] == "ok" && report["counts"]["ok"] == count
        })
        .await;
    fs::remove_file(&book_path).expect("a book");
    site.work(3);
    let count = site.truth().len() - count;
    daemon
        .status_when("all are written", |_| {
            in_order(&book(&studio), "late", "a_mail") == count
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn a_circle_through_a_folder_is_refused_by_the_check_and_broken_by_the_daemon() {
    let site = Site::quiet().await;
    let studio = studio(&site);
    let (clerk, book_path) = (studio.path("clerk.py"), studio.path("book.txt"));
    let script = |name: &str| {
        let (clerk, book) = (clerk.display(), book_path.display());
        format!("#!/bin/sh\nexec {clerk} {book} {name} 0\n")
    };
    let studio = studio
        .file("plugins/a.sh", script("a"), 0o755)
        .file("plugins/b.sh", script("b"), 0o755)
        .section("[order]\nupstream = ['plugins']\n[plugin.a]\nafter = ['b']\n");
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_sgeventd"))
        .arg("check-config")
        .arg("-c")
        .arg(studio.config())
        .output()
        .expect("our own binary");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(78), "{said}");
    assert!(said.contains("a → b → a"), "{said}");
    let daemon = Daemon::start(&studio).await;
    site.work(1);
    let count = 2 * site.truth().len();
    let status = daemon
        .status_when("nobody waits for ever", |_| book(&studio).len() == count)
        .await;
    let alerts = status["alerts"].to_string();
    assert!(alerts.contains("wait for each other"), "{alerts}");
    assert!(plugin(&status, "a").is_some());
    assert_eq!(daemon.stop().await, Some(0));
}
