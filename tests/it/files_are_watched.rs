//! A change of a plugin's files starts it again, and whatever a plugin has watched harms nobody else.

use std::fs;

use nix::{sys::stat::Mode, unistd::mkfifo};

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
