//! What an operator types about plugins and dead letters is done when it is said to be, and holds after a restart.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::support::{Daemon, Site, Studio};

/// Runs a command against the studio's daemon.
async fn sgeventd(studio: &Studio, words: &str) -> (Option<i32>, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_sgeventd"))
        .args(words.split(' '))
        .arg("--socket")
        .arg(studio.path("admin.sock"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("our own binary");
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy);
    (output.status.code(), said.concat())
}

/// The same, when it is done, with `--json`.
async fn asked(studio: &Studio, words: &str) -> Value {
    let (code, said) = sgeventd(studio, &format!("{words} --json")).await;
    assert_eq!(code, Some(0), "{words}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words}: {error}: {said}"))
}

fn is_disabled(report: &Value) -> bool {
    report["state"] == "disabled"
}

#[tokio::test]
async fn enable_skip_redrive_drop_and_disable_do_what_they_say() {
    let site = Site::quiet().await;
    let truth = site.truth();
    let body = format!(
        "MANIFEST[\"version\"] = \"2.1.0\"\ndef handle(event, delivery):\n    if event['id'] == {} and not delivery.get('replay'):\n        raise KeyError('sg_cut_in')\n    return {{}}",
        truth[2]
    );
    let studio = Studio::new(&site).actor("stops", &body, "delivery = { on_error = \"stop\" }");
    let daemon = Daemon::start(&studio).await;
    let report = daemon.plugin_when("stops", "stands", is_disabled).await;
    let why = format!("it stops at event {}, which failed: KeyError", truth[2]);
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with(&why), "{report}");
    // As it can be pasted: this daemon does not listen where commands look by themselves.
    let config = studio.path("sgeventd.toml").display().to_string();
    let ways = ["", " --skip-event"]
        .map(|flag| format!("sgeventd plugins enable stops{flag} -c {config}"));
    assert_eq!(
        report["other_remedies"],
        serde_json::json!(ways),
        "{report}"
    );
    let failed = format!("the handler failed  plugin=stops  event_id={}", truth[2]);
    assert!(studio.log().contains(&failed), "{}", studio.log());
    // Again at its event, where it fails again.
    let enabled = asked(&studio, "plugins enable stops").await;
    assert_eq!(enabled["resumes_at"], truth[2], "{enabled}");
    let stands_again = |report: &Value| is_disabled(report) && report["generation"] == 2;
    daemon.plugin_when("stops", "stands", stands_again).await;
    let enabled = asked(&studio, "plugins enable stops --skip-event").await;
    assert_eq!(enabled["skipped"], truth[2], "{enabled}");
    let ok = |count: usize| move |report: &Value| report["counts"]["ok"] == count;
    daemon
        .plugin_when("stops", "handles the rest", ok(truth.len() - 1))
        .await;
    let letter = asked(&studio, "dead list").await;
    assert_eq!(letter["reason"], "skipped_by_operator", "{letter}");
    let shown = asked(&studio, &format!("dead show {}", letter["id"])).await;
    assert_eq!(shown, letter, "a list says as much as a look");
    assert_eq!(letter["event"]["id"], truth[2], "{letter}");
    let log = studio.log();
    let past = format!("past this event  plugin=stops  event_id={}", truth[2]);
    assert_eq!(log.matches("enabled by an operator").count(), 2, "{log}");
    assert_eq!(log.matches(&past).count(), 1, "{log}");
    assert_eq!(
        (&letter["plugin"], &letter["version"], &letter["event_id"]),
        (&"stops".into(), &"2.1.0".into(), &truth[2].into())
    );
    let error = letter["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("KeyError('sg_cut_in')") && error.contains("Traceback: here"),
        "{error}"
    );
    // Once more, while it runs.
    let (code, said) = sgeventd(&studio, &format!("dead redrive {}", letter["id"])).await;
    assert_eq!(code, Some(0), "{said}");
    let report = daemon
        .plugin_when("stops", "handles it at last", ok(truth.len()))
        .await;
    assert_eq!(
        (&report["dead_letters"], &report["counts"]["dead"]),
        (&0.into(), &1.into()),
        "none is kept: {report}"
    );
    let (code, said) = sgeventd(&studio, "dead list").await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (code, said) = sgeventd(&studio, "dead list --plugin stops").await;
    assert_eq!((code, said.as_str()), (Some(0), ""), "it has none");
    for (words, part) in [
        (
            "dead list --plugin nosuch",
            "there is no plugin nosuch; there are: stops",
        ),
        ("dead list --plugin stpos", "did you mean stops?"),
        (
            "dead show xyz",
            "allowed: the number of a dead letter, the first in each line of `sgeventd dead list`",
        ),
        ("dead drop 7", "Forgets 1 dead letter for good"),
        ("plugins enable nosuch", "there are: stops"),
        ("dead drop 7 --yes", "0 of 1"),
        ("dead drop 7", "--yes"),
        ("dead show 7", "there is no dead letter 7"),
        ("dead redrive 7", "0 of 1"),
        ("plugins enable stpos", "did you mean stops?"),
        ("plugins enable stops", "is not disabled"),
    ] {
        let (code, said) = sgeventd(&studio, words).await;
        assert!(
            code != Some(0) && said.contains(part),
            "{words}: {code:?} {said}"
        );
    }
    let (code, said) = sgeventd(&studio, "plugins disable stops").await;
    assert_eq!(code, Some(0), "{said}");
    let report = daemon.plugin_when("stops", "rests", is_disabled).await;
    assert_eq!(report["reason"], "disabled by an operator", "{report}");
    site.work(2);
    let waits = |report: &Value| report["waiting"].as_u64() >= Some(2);
    daemon
        .plugin_when("stops", "what waits counts", waits)
        .await;
    let (code, said) = sgeventd(&studio, "status").await;
    assert_eq!(code, Some(1), "{said}");
    let socket = studio.path("admin.sock").display().to_string();
    let remedy = format!("Next:  sgeventd plugins enable stops --socket {socket}\n");
    assert!(said.contains(&remedy), "{said}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let daemon = Daemon::start(&studio).await;
    daemon
        .plugin_when("stops", "still rests", is_disabled)
        .await;
    let (code, said) = sgeventd(&studio, "plugins enable stops").await;
    assert_eq!(code, Some(0), "{said}");
    daemon
        .plugin_when("stops", "goes on", ok(site.truth().len()))
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let mut handed = studio.handed("stops");
    let (first, again) = (
        truth[2],
        handed.iter().filter(|id| **id == truth[2]).count(),
    );
    assert_eq!(
        again, 3,
        "twice in vain, once more as a redrive: {handed:?}"
    );
    handed.sort_unstable();
    handed.dedup();
    assert_eq!(handed, site.truth(), "all of them, {first} too");
}

#[tokio::test]
async fn what_a_plugin_says_of_itself_is_seen_in_status() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    params = {'for_ms': 60000, 'reason': 'the farm is full'}\n    send({'method': 'pause', 'params': params})\n    return {'errors': ['no thumbnail']}";
    let studio = Studio::new(&site).actor("rests", body, "");
    let daemon = Daemon::start(&studio).await;
    let report = daemon
        .plugin_when("rests", "pauses", |report| {
            report["state"] == "paused" && report["complaint"]["what"] == "no thumbnail"
        })
        .await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("it wants no events until ")
            && reason.ends_with(" UTC: the farm is full"),
        "{report}"
    );
    assert_eq!(
        (&report["ok"], &report["remedy"]),
        (&true.into(), &Value::Null)
    );
    let (_, said) = sgeventd(&studio, "status --all").await;
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("it wants no events until"), "{said}");
    assert!(words.contains("Told: no thumbnail (at "), "{said}");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

/// An event that waits behind others may be passed over before it was ever handed out.
#[tokio::test]
async fn what_was_skipped_says_how_to_have_it_back() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().actor("rests", "", "");
    let daemon = Daemon::start(&studio).await;
    let known = site.truth().len();
    let ok = |count: usize| move |report: &Value| report["counts"]["ok"] == count;
    daemon.plugin_when("rests", "has all", ok(known)).await;
    let (code, said) = sgeventd(&studio, "plugins disable rests").await;
    assert_eq!(code, Some(0), "{said}");
    site.work(2);
    let waits = |report: &Value| is_disabled(report) && report["open"].as_u64() >= Some(2);
    daemon.plugin_when("rests", "two wait", waits).await;
    let (code, said) = sgeventd(&studio, "plugins enable rests --skip-event").await;
    assert_eq!(code, Some(0), "{said}");
    let letter = asked(&studio, "dead list --plugin rests").await;
    let socket = studio.path("admin.sock").display().to_string();
    for undo in [
        "sgeventd plugins disable rests".to_owned(),
        format!("sgeventd dead redrive {}", letter["id"]),
    ] {
        let line = format!("undo: {undo} --socket {socket}\n");
        assert!(said.contains(&line), "{line} in {said}");
    }
    assert_eq!(letter["attempts"], 0, "{letter}");
    let (_, said) = sgeventd(&studio, "dead list").await;
    assert!(
        said.contains("skipped_by_operator, never handed out"),
        "{said}"
    );
    let event = &letter["event_id"];
    let alert = format!("rests gave up event {event} (skipped_by_operator)");
    assert!(studio.log().contains(&alert), "{}", studio.log());
    let (_, said) = sgeventd(&studio, "status").await;
    assert!(said.contains("dead letters  1: rests 1"), "{said}");
    let (code, said) = sgeventd(&studio, &format!("dead redrive {}", letter["id"])).await;
    assert_eq!(code, Some(0), "{said}");
    let all = site.truth().len();
    daemon.plugin_when("rests", "has it, too", ok(all)).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}
