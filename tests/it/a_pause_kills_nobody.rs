//! The machine stands still for longer than a plugin may take: when it goes on, the plugins have the time that they had left.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{Daemon, Site, Studio, until};

/// Longer than an event may take, and than what the daemon takes for a busy machine.
const PAUSE: Duration = Duration::from_secs(9);
/// Works for a second and a half of a time that stands still when it does.
const SLOW: &str = "def handle(event, delivery):\n    if event['id'] == LAST:\n        for _ in range(50):\n            time.sleep(0.03)\n    return {}";

#[tokio::test]
async fn deadlines_count_from_the_resume() {
    let site = Site::quiet().await;
    let names = ["a", "b", "c", "d"];
    let studio = Studio::new(&site).witness();
    site.work(1);
    let last = *site.truth().last().expect("an event");
    let body = SLOW.replace("LAST", &last.to_string());
    let keys = "delivery = { timeout = \"3s\" }";
    let studio = names
        .into_iter()
        .fold(studio, |studio, name| studio.actor(name, &body, keys));
    let daemon = Daemon::start(&studio).await;
    until("all work on the last one", || {
        names.iter().all(|name| studio.handed(name).contains(&last))
    })
    .await;
    let mut processes = vec![daemon.pid()];
    for name in names {
        let report = daemon.plugin_when(name, "it runs", |_| true).await;
        let pid = report["pid"].as_i64().expect("a process");
        processes.push(i32::try_from(pid).expect("a process id"));
    }
    let all = |signal| {
        for pid in &processes {
            kill(Pid::from_raw(*pid), signal).expect("it runs");
        }
    };
    all(Signal::SIGSTOP);
    tokio::time::sleep(PAUSE).await;
    // The daemon first: it must not take the silence of the others for theirs.
    all(Signal::SIGCONT);
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    for name in names {
        let all = site.truth();
        until("it has all", || {
            let book = studio.book(name);
            book.iter().filter(|line| !line["done"].is_null()).count() >= all.len()
        })
        .await;
        let report = daemon.plugin_when(name, "it runs", |_| true).await;
        assert_eq!(
            (&report["restarts"], &report["generation"]),
            (&0.into(), &1.into())
        );
        assert_eq!(studio.handed(name), all, "in order, each once");
        let book = studio.book(name);
        let cancelled = book.iter().filter(|line| line["method"] == "$/cancel");
        assert_eq!(cancelled.count(), 0, "{name} was told that it is late");
    }
    daemon
        .status_when("all is settled", |status| {
            let plugins = status["plugins"].as_array();
            plugins.is_some_and(|all| all.iter().all(|one| one["behind"] == 0))
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(&site, "suspend", &[24]);
    run.told_and_over(&[]);
    run.with("kills", 0)
        .with("paused_s", PAUSE.as_secs())
        .judge();
}
