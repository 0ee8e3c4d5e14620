//! The file that had a name keeps it, over a restart of the daemon, too.

use std::fs;

use crate::support::{Daemon, Site, Studio, plugin};

#[tokio::test]
async fn a_file_in_an_earlier_folder_does_not_take_a_name_over_at_a_restart() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    let start = |studio: &Studio| {
        let path = studio.config();
        let text = fs::read_to_string(&path).expect("a config");
        let text = text.replace("paths = [\"plugins\"]", "paths = ['early', 'late']");
        fs::write(&path, text).expect("a config");
        Daemon::spawn(studio, &path)
    };
    for folder in ["early", "late/x"] {
        fs::create_dir_all(studio.path(folder)).expect("a folder");
    }
    let program = include_str!("../proof/witness.py");
    let manifest = format!(
        "command = ['main.py', '{}']\n",
        studio.path("late.txt").display()
    );
    let studio =
        studio
            .file("late/x/main.py", program, 0o755)
            .file("late/x/plugin.toml", manifest, 0o644);
    let file = |status: &serde_json::Value, name: &str| {
        plugin(status, name).map(|report| report["file"].as_str().unwrap_or_default().to_owned())
    };
    let is_late = |status: &serde_json::Value, name: &str| {
        file(status, name).is_some_and(|file| file.ends_with("late/x/main.py"))
    };
    let daemon = start(&studio);
    daemon
        .status_when("it is there", |status| is_late(status, "x"))
        .await;
    let other = "#!/bin/sh\nexec sleep 60\n";
    let studio = studio.file("early/x.sh", other, 0o755);
    let both = |status: &serde_json::Value| {
        is_late(status, "x")
            && file(status, "early/x").is_some_and(|file| file.ends_with("early/x.sh"))
    };
    daemon
        .status_when("the other has a longer name", both)
        .await;
    assert!(studio.log().contains("another file has the name"));
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = start(&studio);
    daemon
        .status_when("both are there again", |status| {
            file(status, "x").is_some()
                && status["plugins"]
                    .as_array()
                    .is_some_and(|all| all.len() == 2)
        })
        .await;
    let status = daemon.status().await.expect("a status");
    assert!(both(&status), "{status:#}");
    daemon.kill().await;
}
