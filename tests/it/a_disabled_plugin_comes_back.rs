//! Each reason for which a plugin is disabled ends as the contract says, and no event is skipped for it.

use std::collections::BTreeSet;

use serde_json::Value;
use sgeventd::{ident::PluginName, journal::Op};
use tokio::time::Instant;

use crate::support::{
    Daemon, Site, Studio,
    interposed::Interposed,
    plugin,
    steered::Word,
    versions::{alerts, file, is_version, version},
};

const FAILS: &str = "def handle(event, delivery):\n    raise KeyError('sg_cut_in')";

/// A plugin for each reason that comes without an operator and without many failures: its lines, its keys, the word.
const REASONS: [(&str, &str, &str, &str); 5] = [
    (
        "manifest",
        "MANIFEST[\"subscriptions\"] = \"all\"",
        "",
        "subscriptions",
    ),
    (
        "exits",
        "def told(msg):\n    note(asked=msg[\"method\"])\n    sys.exit(78)",
        "",
        "it disabled itself: exit 78",
    ),
    (
        "declines",
        "def told(msg):\n    if msg[\"method\"] == \"start\":\n        send({\"id\": msg[\"id\"], \"result\": {\"disable\": \"no licence\"}})",
        "",
        "it disabled itself: no licence",
    ),
    (
        "stops",
        FAILS,
        "delivery = { on_error = \"stop\" }",
        "it stops at event ",
    ),
    (
        "fails",
        FAILS,
        "delivery = { max_attempts = 1 }",
        "three events in a row used up their attempts",
    ),
];

/// Waits until each is disabled for its reason, by its first process.
async fn all_disabled(daemon: &Daemon) {
    for (name, _, _, why) in REASONS {
        let report = daemon
            .plugin_when(name, "disabled", |report| report["state"] == "disabled")
            .await;
        let reason = report["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{name}: {reason}");
        assert!(report["remedy"].is_string(), "{report}");
        assert_eq!(report["generation"], 1, "one process, not more: {report}");
    }
}

#[tokio::test]
async fn each_is_tried_after_a_restart_and_by_an_edit_but_an_operators_word_stays() {
    let site = Site::quiet().await;
    let mut studio = Studio::new(&site).witness();
    for (name, body, keys, _) in REASONS {
        let text = version(&studio, name, 1, body);
        studio =
            studio
                .section(&format!("[plugin.{name}]\n{keys}\n"))
                .file(&file(name), text, 0o755);
    }
    let text = version(&studio, "resting", 1, "");
    let studio = studio.file(&file("resting"), text, 0o755);
    let daemon = Daemon::start(&studio).await;
    all_disabled(&daemon).await;
    daemon
        .plugin_when("resting", "works", is_version("1"))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let journal = studio.journal();
    let disable = Op::SetDisabled {
        plugin: PluginName::new("resting"),
        reason: Some("\"operator\"".into()),
    };
    journal.write(disable).await.expect("on disk");
    journal.close().await;
    // The daemon starts again: each is tried again, and fails again for the same reason.
    let daemon = Daemon::start(&studio).await;
    all_disabled(&daemon).await;
    // A file that is mended.
    for name in REASONS.map(|reason| reason.0).iter().chain(&["resting"]) {
        studio.replace(&file(name), version(&studio, name, 2, ""), 0o755);
    }
    for (name, ..) in REASONS {
        daemon.plugin_when(name, "is back", is_version("2")).await;
    }
    site.work(3);
    let truth: BTreeSet<i64> = site.truth().into_iter().collect();
    let status = daemon
        .status_when("all is handled, and no alert stands", |status| {
            let is_done = |name: &str| {
                let handed: BTreeSet<i64> = studio.handed(name).into_iter().collect();
                handed.is_superset(&truth) && alerts(status, name).is_empty()
            };
            REASONS.iter().all(|reason| is_done(reason.0))
        })
        .await;
    let resting = plugin(&status, "resting").expect("it is there");
    assert_eq!(
        (&resting["state"], &resting["generation"]),
        (&"disabled".into(), &0.into()),
        "{resting}"
    );
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let stopped = studio.handed("stops");
    let first = site.truth()[0];
    assert_eq!(stopped[..3], [first; 3], "again at its event, each time");
    assert_eq!(stopped[2..], site.truth(), "and on from there");
}

/// So long a plugin waits at most after its failures, in milliseconds: 1, 2, 4 … 60 s and a fifth.
const BACKOFF_MS: [i64; 7] = [1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 72_000];

/// The clock of timers is moved on by `tests/proof/interpose.c` when a restart is waited for: two minutes in two seconds.
#[tokio::test]
async fn eight_failures_are_a_crash_loop_which_a_mended_file_ends() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().pulse();
    let (program, book) = (studio.path("witness.py"), studio.book_of("looper"));
    let good = format!("#!/bin/sh\nexec {} {}\n", program.display(), book.display());
    let bad = "#!/bin/sh\necho no licence >&2\nexit 1\n";
    let studio = studio.judged("looper", "all", 1, None);
    let (clock, control) = Interposed::steered(&studio);
    let daemon = clock.start(&studio).await;
    let calm = studio.beats().await;
    let since = studio.beat();
    studio.replace("plugins/looper.sh", bad, 0o755);
    let mut moved = 0;
    for (restarts, wait) in BACKOFF_MS.into_iter().enumerate() {
        let waits =
            |report: &Value| report["state"] == "restarting" && report["restarts"] == restarts;
        daemon.plugin_when("looper", "waits", waits).await;
        moved += wait;
        control.set(Word::TimersMs, moved);
    }
    let is_disabled = |report: &Value| report["state"] == "disabled";
    let report = daemon.plugin_when("looper", "disabled", is_disabled).await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("crash loop: 8 failures") && reason.contains("no licence"),
        "{reason}"
    );
    assert_eq!(report["restarts"], 7, "{report}");
    let during = studio.beats().await;
    studio.never_stood_still(since);
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    studio.replace("plugins/looper.sh", good, 0o755);
    let saved = Instant::now();
    let is_ok = |report: &Value| report["state"] == "ok";
    daemon.plugin_when("looper", "back", is_ok).await;
    let took = saved.elapsed();
    site.work(2);
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(&site, "crash-loop", &[38]);
    run.told_and_over(&["disabled"]);
    run.with("failures", 8)
        .with("back_s", took.as_secs_f64())
        .quiet(&[(calm, during)])
        .judge();
}
