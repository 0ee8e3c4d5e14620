//! The log as it leaves: shapes, bounds, reload, files.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use tracing::{Level, info, info_span, subscriber::with_default, warn};

use super::{
    collect::{Record, Value},
    format::Shape,
    guard::build,
    journald,
    queue::Queue,
    *,
};
use crate::{
    clock::Unix,
    config::{Log, LogFormat, TrafficLog},
    ident::{EventId, PluginName},
    secret::Secret,
};

const AT: Unix = Unix(1_783_625_617_042);

fn record() -> Record {
    Record {
        time: AT,
        level: Level::WARN,
        target: "sgeventd::dispatch",
        message: "delivery failed".to_owned(),
        fields: vec![
            ("plugin", Value::Text("task_status".to_owned())),
            ("event_id", Value::Integer(7)),
            (
                "error",
                Value::Text("no \x1b[2Jsuch\u{202e} field".to_owned()),
            ),
            (
                "traceback",
                Value::Text("Traceback:\n  File \"a.py\"\n".to_owned()),
            ),
        ],
    }
}

#[test]
fn a_record_takes_its_shapes() {
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let text = Shape::Text {
        zone: zone.clone(),
        has_colours: false,
    }
    .line(&record());
    insta::assert_snapshot!(text, @r#"
    21:33:37.042 WARN  delivery failed  plugin=task_status  event_id=7  error="no \u{1b}[2Jsuch\u{202e} field"
        traceback:
          Traceback:
            File "a.py"
    "#);
    let json = Shape::Json.line(&record());
    let value: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(json.matches('\n').count(), 1);
    assert_eq!(
        (&value["time"], &value["level"]),
        (&"2026-07-09T19:33:37.042Z".into(), &"warn".into())
    );
    assert_eq!(
        (&value["event_id"], &value["message"]),
        (&7.into(), &"delivery failed".into())
    );
    let upstream = Shape::Upstream { zone }.line(&record());
    assert!(
        upstream.starts_with(
            "2026-07-09 21:33:37,042 - plugin.task_status - WARNING - delivery failed event_id=7"
        ),
        "{upstream}"
    );
}

#[test]
fn journald_gets_its_own_fields() {
    let datagram = journald::datagram(&record());
    let text = String::from_utf8_lossy(&datagram);
    for line in [
        "PRIORITY=4\n",
        "SYSLOG_IDENTIFIER=task_status\n",
        "PLUGIN=task_status\n",
        "EVENT_ID=7\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let value = "Traceback:\n  File \"a.py\"\n";
    let mut long_form = b"TRACEBACK\n".to_vec();
    long_form.extend_from_slice(&(value.len() as u64).to_le_bytes());
    long_form.extend_from_slice(value.as_bytes());
    assert!(
        datagram
            .windows(long_form.len())
            .any(|part| part == long_form),
        "{text}"
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn spans_levels_files_and_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let key = Secret::new("canary-telemetry-key");
    let log = Log {
        file: Some(dir.path().join("main.log")),
        per_plugin: Some(dir.path().join("plugins")),
        ..Log::default()
    };
    let (guard, subscriber) = build(&log).unwrap();
    with_default(subscriber, || {
        info!(password = "hunter2", "started with {}", key.expose());
        tracing::debug!("too fine");
        guard.set_level("warn,sgeventd=debug").unwrap();
        let _span = info_span!("plugin", plugin = %"a/../b", event_id = 1).entered();
        warn!(event_id = 2, "from the plugin");
        tracing::debug!("now seen");
        assert!(guard.set_level("sgeventd=loud").is_err());
    });
    drop(guard);
    let main = read(&dir.path().join("main.log"));
    assert_eq!(main.lines().count(), 3, "{main}");
    assert!(
        !main.contains("canary") && !main.contains("hunter2") && !main.contains("too fine"),
        "{main}"
    );
    let own = read(&dir.path().join("plugins/a_.._b.log"));
    assert_eq!(own.lines().count(), 2, "{own}");
    assert!(
        own.contains(r#""event_id":2"#) && own.contains(r#""event_id":1"#),
        "{own}"
    );
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let queue = Queue::default();
    let big = Record {
        message: "x".repeat(1 << 20),
        ..record()
    };
    for _ in 0..20 {
        queue.push_log(big.clone());
    }
    let batch = queue.take();
    assert_eq!(batch.log.len() as u64 + batch.dropped_log, 20);
    assert!(batch.dropped_log >= 12, "{}", batch.dropped_log);
    assert_eq!(queue.dropped(), (batch.dropped_log, 0));
    queue.push_log(big);
    assert_eq!(queue.take().log.len(), 1, "there is room again");
}

fn message(plugin: &str, body: &str) -> TrafficRecord {
    TrafficRecord {
        time: AT,
        plugin: Some(PluginName::new(plugin)),
        direction: Direction::ToPlugin,
        event_id: Some(EventId(7)),
        method: "event".into(),
        id: Some("1000001".into()),
        bytes: 12,
        latency: Some(Duration::from_micros(1_234)),
        delay: None,
        status: Some("ok".into()),
        body: Some(bytes::Bytes::copy_from_slice(body.as_bytes())),
    }
}

#[test]
fn the_traffic_log_is_on_with_one_key_and_says_what_each_plugin_may() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("traffic.jsonl");
    let traffic = TrafficLog {
        file: Some(path.clone()),
        plugins: Some(vec!["a".to_owned()]),
        ..TrafficLog::default()
    };
    let (guard, _subscriber) = build(&Log {
        traffic,
        ..Log::default()
    })
    .unwrap();
    let traffic = guard.traffic();
    let mut follower = traffic.follow().expect("a log");
    let handle = |name: &str, own| traffic.for_plugin(&PluginName::new(name), own);
    handle("a", None).record(message("a", r#"{"session_token":"canary","x":1}"#));
    handle("b", None).record(message("b", "{}"));
    handle("c", Some(Detail::Bodies)).record(message("c", "no json\n"));
    handle("d", Some(Detail::Off)).record(message("d", "{}"));
    drop(guard);
    insta::assert_snapshot!(read(&path), @r#"
    {"time":"2026-07-09T19:33:37.042Z","plugin":"a","direction":"to_plugin","event_id":7,"method":"event","id":"1000001","bytes":12,"latency_ms":1.234,"status":"ok"}
    {"time":"2026-07-09T19:33:37.042Z","plugin":"c","direction":"to_plugin","event_id":7,"method":"event","id":"1000001","bytes":12,"latency_ms":1.234,"status":"ok","body":"no json\n"}
    "#);
    let followed: Vec<Arc<str>> = std::iter::from_fn(|| follower.try_recv().ok()).collect();
    assert_eq!(followed.len(), 3, "followers see b too, and d never");
    assert!(
        followed[0].contains(r#""body":{"session_token":"[secret]","x":1}"#),
        "{}",
        followed[0]
    );
}

#[test]
fn traffic_without_a_file_is_off_until_somebody_follows() {
    let (guard, _subscriber) = build(&Log::default()).unwrap();
    let traffic = guard.traffic().for_plugin(&PluginName::new("a"), None);
    assert!(!traffic.is_on() && !traffic.wants_bodies() && !Traffic::off().is_on());
    let follower = traffic.follow();
    assert!(traffic.is_on() && traffic.wants_bodies());
    drop(follower);
    assert!(!traffic.is_on());
}

#[test]
fn a_log_that_cannot_be_written_is_refused_by_name() {
    let log = Log {
        file: Some("/proc/none/x.log".into()),
        format: LogFormat::Text,
        ..Log::default()
    };
    let refused = build(&log).err().expect("refused").to_string();
    assert!(
        refused.starts_with("cannot write the log file /proc/none/x.log"),
        "{refused}"
    );
}
