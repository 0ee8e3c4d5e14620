//! The traffic log has a plugin's calls to the site as its `traffic` key says, as it has its messages.

use std::fs;

use serde_json::Value;

use crate::support::{Daemon, Site, Studio, until};

#[tokio::test]
async fn calls_to_the_site_are_logged_as_their_plugin_wants() {
    let site = Site::quiet().await;
    let mut studio = Studio::new(&site)
        .file("clerk.py", include_str!("../zoo/clerk.py"), 0o755)
        .section("[log.traffic]\nfile = \"traffic.jsonl\"\nplugins = [\"listed\", \"silent\"]\n");
    for (name, keys) in [
        ("listed", ""),
        ("silent", "traffic = \"off\""),
        ("unlisted", ""),
        ("wordy", "traffic = \"bodies\""),
    ] {
        let book = studio.path("book.txt").display().to_string();
        studio = studio.plugin(name, &["clerk.py", &book, name, "0", "asks"], keys);
    }
    let daemon = Daemon::start(&studio).await;
    site.work(1);
    let count = 4 * site.truth().len();
    until("all have asked", || {
        let book = fs::read_to_string(studio.path("book.txt")).unwrap_or_default();
        book.lines().count() == count
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
    let text = fs::read_to_string(studio.path("traffic.jsonl")).expect("a file");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let calls = |name: &str, way: &str| -> Vec<&Value> {
        let calls = lines.iter();
        let calls = calls.filter(|line| line["plugin"] == name && line["direction"] == way);
        calls.collect()
    };
    let is_call = |line: &Value| match line["direction"].as_str() {
        Some("from_plugin") => line["method"] == "sg.find",
        Some("to_plugin") => line["method"] == "response",
        _ => true,
    };
    for way in ["from_plugin", "to_site", "from_site", "to_plugin"] {
        let mut lines = calls("listed", way);
        lines.retain(|line| is_call(line));
        let mut events: Vec<i64> = lines
            .iter()
            .map(|line| line["event_id"].as_i64().expect("the event of the call"))
            .collect();
        events.dedup();
        assert_eq!(events, site.truth(), "{way}: each call with its event");
    }
    for way in ["to_site", "from_site", "to_plugin"] {
        assert!(!calls("listed", way).is_empty(), "{way}");
        assert!(
            calls("listed", way)
                .iter()
                .all(|line| line["body"].is_null())
        );
        assert!(calls("silent", way).is_empty(), "{way}");
        assert!(calls("unlisted", way).is_empty(), "{way}");
        assert!(!calls("wordy", way).is_empty(), "{way}");
        assert!(
            calls("wordy", way)
                .iter()
                .all(|line| !line["body"].is_null())
        );
    }
}

#[tokio::test]
async fn what_is_no_message_is_in_it_too() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site)
        .vice("prints_before_it_speaks", "", "")
        .vice("echoes", "", "")
        .vice("wrong_id", "", "")
        .section("[log.traffic]\nfile = \"traffic.jsonl\"\n");
    let daemon = Daemon::start(&studio).await;
    let has = |plugin: &str, method: &str| {
        let text = fs::read_to_string(studio.path("traffic.jsonl")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.into_iter().any(|line: Value| {
            let is_odd = line["status"] == "odd" && line["direction"] == "from_plugin";
            is_odd && line["plugin"] == plugin && line["method"] == method
        })
    };
    until("all are there", || {
        has("prints_before_it_speaks", "stray")
            && has("echoes", "echo")
            && has("wrong_id", "unasked")
    })
    .await;
    daemon.kill().await;
}
