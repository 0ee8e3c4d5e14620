//! A change of a plugin's files starts it again, and whatever a plugin has watched harms nobody else.

use std::{fs, process::Command, time::Duration};

use nix::{sys::stat::Mode, unistd::mkfifo};

use tokio::time::Instant;

use crate::support::{Daemon, Site, Studio};

#[tokio::test]
async fn the_script_of_an_interpreter_is_a_file_of_the_plugin() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    fs::create_dir(studio.path("plugins/boxed")).expect("a folder");
    let manifest = format!(
        "command = ['python3', 'main.py', '{}']\n",
        studio.book_of("witness").display()
    );
    let program = include_str!("../proof/witness.py");
    let studio = studio
        .file("plugins/boxed/plugin.toml", manifest, 0o644)
        .file("plugins/boxed/main.py", program, 0o644);
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let report = daemon
        .plugin_when("boxed", "it runs", |report| report["state"] == "ok")
        .await;
    assert_eq!(report["language"], "python", "{report:#}");
    let generation = report["generation"].as_u64();
    let studio = studio.file(
        "plugins/boxed/main.py",
        format!("{program}# another one\n"),
        0o644,
    );
    daemon
        .plugin_when("boxed", "it runs anew", |report| {
            report["generation"].as_u64() > generation && report["state"] == "ok"
        })
        .await;
    // What it writes itself is its data: it is no reason to start it again.
    site.work(1);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn a_pipe_or_a_device_that_is_watched_blinds_nobody() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    mkfifo(&studio.path("plugins/pipe"), Mode::S_IRWXU).expect("a pipe");
    let program = include_str!("../proof/witness.py").replace(
        r#"{"subscriptions": [{}]}"#,
        r#"{"subscriptions": [{}], "watch": ["/dev/zero", "pipe", "*"]}"#,
    );
    assert!(program.contains("/dev/zero"));
    let script = |studio: &Studio, name: &str| {
        let (program, book) = (studio.path(name), studio.book_of("witness"));
        format!("#!/bin/sh\nexec {} {}\n", program.display(), book.display())
    };
    let studio = studio.file("greedy.py", program, 0o755);
    let greedy = script(&studio, "greedy.py");
    let studio = studio.file("plugins/greedy.sh", greedy, 0o755);
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("greedy", "it runs", |report| report["state"] == "ok")
        .await;
    let late = script(&studio, "witness.py");
    let _studio = studio.file("plugins/late.sh", late, 0o755);
    daemon
        .plugin_when("late", "it is found", |report| report["state"] == "ok")
        .await;
    assert_eq!(daemon.stop().await, Some(0));
}

/// Runs what follows in a user namespace with so few watches of the kernel that none is left.
const NO_WATCHES: [&str; 6] = [
    "unshare",
    "-r",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"",
    "env",
];

/// True when a test cannot have such a namespace here: said where people test, a failure in CI.
#[expect(
    clippy::print_stderr,
    reason = "who reads the tests' output is told what is missing"
)]
fn is_without_namespaces() -> bool {
    let tried = Command::new(NO_WATCHES[0])
        .args(&NO_WATCHES[1..])
        .arg("true")
        .output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        assert!(std::env::var_os("CI").is_none(), "no user namespaces in CI");
        eprintln!(
            "skipped: `unshare -r` with /proc/sys/user/max_inotify_watches is not allowed here"
        );
    }
    !works
}

#[tokio::test]
async fn without_watches_of_the_kernel_the_poll_finds_a_change_and_it_is_said_once() {
    if is_without_namespaces() {
        return;
    }
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let program = |number: u32| {
        let body = format!("MANIFEST[\"version\"] = \"{number}\"");
        studio.actor_text("blind", &body)
    };
    let (first, second) = (program(1), program(2));
    let studio = studio.file("plugins/blind.py", first, 0o755);
    let daemon = Daemon::spawn_by(&studio, &studio.config(), &NO_WATCHES);
    let is_version = |number: &'static str| {
        move |report: &serde_json::Value| report["state"] == "ok" && report["version"] == number
    };
    daemon
        .plugin_when("blind", "version 1", is_version("1"))
        .await;
    studio.replace("plugins/blind.py", second, 0o755);
    let begun = Instant::now();
    daemon
        .plugin_when("blind", "version 2", is_version("2"))
        .await;
    let took = begun.elapsed();
    assert!(took <= Duration::from_secs(10), "{took:?}");
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let log = studio.log();
    let said = log
        .matches("the kernel tells of no changes of plugin files")
        .count();
    assert_eq!(said, 1, "{log}");
    let run = studio.recheck(&site, "no-inotify-watches", &[40]);
    run.told_and_over(&[]);
    run.with("swap_s", took.as_secs_f64())
        .with("said", said)
        .judge();
}
