//! Deliveries: events that wait in the journal, handed to one plugin as fast as it answers; and the daemon's own CPU for each.
//!
//! The bare loops pass the same bytes through the same two pipes between two processes: one line at a time for one lane, a window
//! of 64 for 64 lanes. The far side is the read loop of twenty lines that a plugin without an SDK is, in Rust and in Python: it parses
//! each message and answers it at once. The near side counts answers: it stores nothing, decides nothing and keeps no order.

use std::{
    fs,
    io::{BufRead as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use sgeventd_protocol::{
    message::{Delivery, EventMeta},
    write,
};
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    bench::{Bench, median, seconds},
    plugin::{ECHO, TIMED},
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const ROUNDS: usize = 5;
const WINDOW: usize = 64;
/// A page of the site, as the daemon's plugins see its rows.
const BODY: &str = r#"{"type":"EventLogEntry","id":2011531,"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","meta":{"type":"attribute_change","attribute_name":"sg_status_list","entity_type":"Task","entity_id":67378,"field_data_type":"status_list","old_value":"wtg","new_value":"ip"},"entity":{"type":"Task","id":67378,"name":"comp"},"project":{"type":"Project","id":66,"name":"Sandbox"},"user":{"type":"HumanUser","id":108,"name":"A. Artist"},"session_uuid":"dd6a1d6a-83a0-11ec-8826-0242ac110006","created_at":"2026-07-09T19:33:37Z"}"#;
const PYTHON_LOOP: &str = r#"
import json, sys
for line in sys.stdin:
    msg = json.loads(line)
    print(json.dumps({"jsonrpc": "2.0", "id": msg["id"], "result": {"status": "ok"}}), flush=True)
"#;
/// Handles events and says how long all but the first took; waits at the first one until it may go.
const PYTHON_PLUGIN: &str = r#"
import os, sys, time
from sgeventd import Plugin
folder, count, window = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
plugin = Plugin(name="timed", max_in_flight=window, order="all" if window == 1 else "none")
state = {"seen": 0, "began": 0.0}
@plugin.on()
def on_event(event, sg):
    if state["seen"] == 0:
        while not os.path.exists(folder + "/go"):
            time.sleep(0.001)
        state["began"] = time.perf_counter()
    state["seen"] += 1
    if state["seen"] == count:
        with open(folder + "/took.new", "w") as file:
            file.write(repr(time.perf_counter() - state["began"]))
        os.rename(folder + "/took.new", folder + "/took")
plugin.run()
"#;

/// One kind of plugin in one kind of window.
struct Case {
    name: &'static str,
    is_python: bool,
    window: usize,
    events: usize,
    percent: u32,
    /// So many a second, whatever the bare loop does.
    at_least: Option<f64>,
    /// The daemon's own CPU for each delivery, µs.
    cpu: Option<f64>,
}

const CASES: [Case; 4] = [
    Case {
        name: "Rust, one lane",
        is_python: false,
        window: 1,
        events: 60_000,
        percent: 60,
        at_least: None,
        cpu: Some(35.0),
    },
    Case {
        name: "Rust, 64 lanes",
        is_python: false,
        window: WINDOW,
        events: 200_000,
        percent: 60,
        at_least: Some(80_000.0),
        cpu: Some(6.0),
    },
    Case {
        name: "Python, one lane",
        is_python: true,
        window: 1,
        events: 30_000,
        percent: 60,
        at_least: None,
        cpu: None,
    },
    Case {
        name: "Python, 64 lanes",
        is_python: true,
        window: WINDOW,
        events: 60_000,
        percent: 70,
        at_least: Some(20_000.0),
        cpu: None,
    },
];

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let runtime = bench.runtime();
    let site = SiteProcess::start(Duration::ZERO);
    let most = CASES.iter().map(|case| case.events).max().unwrap_or(0);
    runtime.block_on(site.bulk(most));
    CASES
        .iter()
        .flat_map(|case| measure(bench, &runtime, &site, case))
        .collect()
}

fn measure(bench: &Bench, runtime: &Runtime, site: &SiteProcess, case: &Case) -> Vec<Row> {
    bench.say(case.name);
    let stage = Stage::fill(bench, runtime, site, case);
    let mut cpus = Vec::new();
    let mut bare_cpus = Vec::new();
    let turns = bench.in_turn(
        ROUNDS,
        || {
            let (rate, cpu) = bare(bench, case);
            bare_cpus.push(cpu);
            rate
        },
        || {
            let (rate, cpu) = stage.run(runtime, site, case);
            cpus.push(cpu);
            rate
        },
    );
    let value = (turns.ours, "/s");
    let name = format!("deliveries, {}", case.name);
    let row = Row::at_least_percent(name, value, turns.bare, case.percent);
    let row = match case.at_least {
        Some(bound) => row.and_at_least(bound),
        None => row,
    };
    let cpu = case.cpu.map(|bound| {
        let value = (median(cpus), "µs");
        let name = format!("daemon's CPU, {}", case.name);
        Row::at_most(name, value, bound).beside(median(bare_cpus))
    });
    [Some(row), cpu].into_iter().flatten().collect()
}

/// A state directory whose journal holds the events and no plugin's place.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn fill(bench: &Bench, runtime: &Runtime, site: &SiteProcess, case: &Case) -> Self {
        let folder = bench.folder();
        runtime.block_on(async {
            let mut daemon = DaemonProcess::start(folder.path(), site, &[], "");
            daemon.done(case.events as u64).await;
            daemon.stop();
        });
        Self { folder }
    }

    /// Deliveries a second, and the daemon's CPU for each in µs; a name of its own each time starts at the beginning.
    fn run(&self, runtime: &Runtime, site: &SiteProcess, case: &Case) -> (f64, f64) {
        let own = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        let name = own
            .path()
            .file_name()
            .expect("it has one")
            .to_string_lossy();
        let name = format!("timed-{}", name.trim_start_matches('.'));
        let command = self.command(own.path(), case);
        let order = if case.window == 1 { "all" } else { "none" };
        let window = case.window;
        let section = format!(
            "[plugin.{name}]\ncommand = {command}\ndelivery = {{ max_in_flight = {window}, order = \"{order}\" }}\n"
        );
        runtime.block_on(async {
            let folder = self.folder.path();
            let mut daemon = DaemonProcess::start(folder, site, &[], &section);
            daemon
                .wait("the plugin has its first event", |status| {
                    status
                        .plugins
                        .iter()
                        .any(|plugin| plugin.counts.delivered > 0 || plugin.open > 0)
                })
                .await;
            let before = daemon.cpu();
            fs::write(own.path().join("go"), "").expect("a file");
            let took = wait_for(&own.path().join("took")).await;
            let cpu = daemon.cpu() - before;
            daemon.stop();
            let events = (case.events - 1) as f64;
            (events / took, cpu * 1e6 / events)
        })
    }

    fn command(&self, own: &Path, case: &Case) -> String {
        let own = own.display().to_string();
        let (events, window) = (case.events.to_string(), case.window.to_string());
        let words: Vec<String> = if case.is_python {
            let script = self.folder.path().join("timed.py");
            fs::write(&script, PYTHON_PLUGIN).expect("a file");
            let script = script.display().to_string();
            vec!["python3".into(), script, own, events, window]
        } else {
            vec![this(), TIMED.into(), own, events]
        };
        serde_json::to_string(&words).expect("JSON")
    }
}

fn this() -> String {
    let this = std::env::current_exe().expect("this executable");
    this.display().to_string()
}

async fn wait_for(file: &PathBuf) -> f64 {
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            return text.parse().expect("seconds");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lines a second through a bare loop, and the CPU of this side for each in µs.
fn bare(bench: &Bench, case: &Case) -> (f64, f64) {
    let lines = lines(case.events);
    let mut child = if case.is_python {
        child(Command::new("python3").args(["-c", PYTHON_LOOP]))
    } else {
        child(Command::new(this()).args([ECHO, &case.window.to_string()]))
    };
    let before = own_cpu();
    let (took, ()) = seconds(|| pump(&mut child, &lines, case.window));
    let cpu = own_cpu() - before;
    drop(child.stdin.take());
    let ended = child.wait().expect("our child");
    assert!(ended.success(), "{ended}");
    let events = case.events as f64;
    bench.say(&format!(
        "    bare: {:.1} µs of CPU each",
        cpu * 1e6 / events
    ));
    (events / took, cpu * 1e6 / events)
}

fn child(command: &mut Command) -> Child {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("a program of this machine")
}

/// The messages that the daemon would send.
fn lines(count: usize) -> Vec<Vec<u8>> {
    let head = Delivery {
        attempt: 1,
        deadline_ms: 120_000,
        behind: 12,
        matched: vec!["0".into()],
        replay: false,
        progress: None,
    };
    let meta = EventMeta {
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    };
    let line = |number: usize| {
        let mut line = Vec::new();
        let id = 1_000_001 + number as u64;
        write::event(&mut line, id, &head, &meta, BODY.as_bytes());
        line
    };
    (0..count).map(line).collect()
}

/// Keeps `window` lines unanswered until all are answered.
fn pump(child: &mut Child, lines: &[Vec<u8>], window: usize) {
    let mut input = child.stdin.as_ref().expect("it is piped");
    let mut output = child.stdout.take().expect("it is piped");
    let (mut sent, mut answered) = (0, 0);
    let mut chunk = vec![0; 64 * 1024];
    let mut batch = Vec::new();
    while answered < lines.len() {
        let room = lines.len().min(answered + window);
        if sent < room {
            batch.clear();
            for line in &lines[sent..room] {
                batch.extend_from_slice(line);
            }
            input.write_all(&batch).expect("it reads");
            sent = room;
        }
        let read = output.read(&mut chunk).expect("it answers");
        assert!(read > 0, "it has ended after {answered} answers");
        answered += chunk[..read].iter().filter(|byte| **byte == b'\n').count();
    }
}

fn own_cpu() -> f64 {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    };
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is ours");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}

/// The other side of the bare Rust loop: the read loop of twenty lines, which parses each message and answers it at once.
pub(crate) fn echo() {
    let mut output = std::io::stdout();
    for line in std::io::stdin().lock().split(b'\n') {
        let message = line
            .ok()
            .and_then(|line| serde_json::from_slice::<Value>(&line).ok());
        let Some(message) = message else { return };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"status": "ok"}});
        let written = writeln!(output, "{answer}").and_then(|()| output.flush());
        if written.is_err() {
            return;
        }
    }
}

/// Handles events and says how long all but the first took; waits at the first one until it may go.
pub(crate) struct Timed {
    folder: PathBuf,
    count: usize,
    seen: usize,
    began: Instant,
}

impl Timed {
    pub(crate) fn new(folder: &str, count: &str) -> Self {
        Self {
            folder: folder.into(),
            count: count.parse().unwrap_or(usize::MAX),
            seen: 0,
            began: Instant::now(),
        }
    }

    pub(crate) fn event(&mut self) {
        if self.seen == 0 {
            while !self.folder.join("go").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.began = Instant::now();
        }
        self.seen += 1;
        if self.seen == self.count {
            let took = self.began.elapsed().as_secs_f64().to_string();
            let new = self.folder.join("took.new");
            // Whoever waits gives up when there is nothing to read.
            let _told =
                fs::write(&new, took).and_then(|()| fs::rename(&new, self.folder.join("took")));
        }
    }
}
