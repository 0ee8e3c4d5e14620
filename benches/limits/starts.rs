//! Starts: 200 Rust plugins at once, and one again after it has crashed.
//!
//! A restart is timed from the plugin's last moment until `start` reaches the new process. Beside it stands the plugin's own start: the
//! same program as a child of this one, with the same two questions. A first crash after a minute of good service is started again at
//! once, so a minute is waited for.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;
use sgeventd_plugin::{Outcome, Plugin};
use tokio::time::Instant;

use crate::{
    bench::{Bench, median},
    latency::now_ms,
    plugin::MORTAL,
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

const PLUGINS: usize = 200;
/// No event has it.
const NOTHING: &str = "Shotgun_Cut_New";
const MORTALS: usize = 5;
/// So many that the crashes do not look like the host's: half of all plugins failing would make restarts rest.
const BYSTANDERS: usize = 10;
/// Beyond the minute after which a crash is the first one.
const SERVICE: Duration = Duration::from_secs(62);

/// Measures 200 at once: time until the last is ready, and the daemon's memory then.
pub(crate) fn many(bench: &Bench) -> Vec<Row> {
    bench.runtime().block_on(async {
        let folder = bench.folder();
        let site = SiteProcess::start(Duration::ZERO);
        let began = Instant::now();
        let mut daemon = DaemonProcess::start(folder.path(), &site, &[NOTHING; PLUGINS], "");
        daemon.ready(PLUGINS).await;
        let took = began.elapsed().as_secs_f64();
        let memory = daemon.resident();
        daemon.stop();
        vec![
            Row::at_most("200 Rust plugins ready", (took, "s"), 5.0),
            Row::at_most("memory, 200 plugins", (memory, "MiB"), 60.0),
        ]
    })
}

/// Measures one again.
pub(crate) fn again(bench: &Bench) -> Vec<Row> {
    let own = median((0..MORTALS).map(|_| own_start(bench)).collect());
    let restarts = bench.runtime().block_on(restarts(bench));
    bench.say(&format!(
        "  restarts {restarts:.1?} ms, own start {own:.1} ms"
    ));
    let value = (median(restarts), "ms");
    vec![Row::at_most_beyond(
        "restart of a crashed Rust plugin",
        value,
        own,
        50.0,
    )]
}

async fn restarts(bench: &Bench) -> Vec<f64> {
    let folder = bench.folder();
    let site = SiteProcess::start(Duration::ZERO);
    let own = std::env::current_exe().expect("this executable");
    let files: Vec<PathBuf> = (0..MORTALS)
        .map(|number| folder.path().join(format!("mortal{number}")))
        .collect();
    let sections: String = files
        .iter()
        .enumerate()
        .map(|(number, file)| {
            let command = json!([own, MORTAL, (number + 1).to_string(), file]);
            format!("[plugin.mortal{number}]\ncommand = {command}\n")
        })
        .collect();
    let bystanders = [NOTHING; BYSTANDERS];
    let mut daemon = DaemonProcess::start(folder.path(), &site, &bystanders, &sections);
    daemon.ready(MORTALS + BYSTANDERS).await;
    // The measurement itself: without good service the restart would wait, as it should.
    tokio::time::sleep(SERVICE).await;
    let mut took = Vec::new();
    for (number, file) in files.iter().enumerate() {
        site.bulk(1).await;
        daemon
            .wait("it has crashed and is back", |status| {
                let back = |plugin: &&sgeventd::plugin::report::PluginReport| {
                    plugin.restarts > 0 && plugin.state == "ok"
                };
                status.plugins.iter().filter(back).count() > number
            })
            .await;
        let text = fs::read_to_string(file).expect("its notes");
        let times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        // Started, died, started again.
        assert_eq!(times.len(), 3, "{text}");
        took.push(times[2] - times[1]);
    }
    daemon.stop();
    took
}

/// A plugin that dies at one of its events, the first, the second …, and notes when it was started and when it died.
pub(crate) fn mortal(turn: &str, file: &str) -> Plugin {
    let (at_start, at_death) = (PathBuf::from(file), PathBuf::from(file));
    let turn: usize = turn.parse().unwrap_or(usize::MAX);
    let mut seen = 0;
    Plugin::new("mortal")
        .on_start(move |_config| note(&at_start).map_err(|error| error.to_string()))
        .on_matching(json!({}), move |_event, _context| {
            seen += 1;
            if seen != turn || is_dead(&at_death) {
                return Ok(Outcome::Ok);
            }
            note(&at_death)?;
            std::process::exit(1)
        })
}

/// Whether this process is the second one: started, died, started.
fn is_dead(file: &Path) -> bool {
    let notes = fs::read_to_string(file).unwrap_or_default();
    notes.lines().count() > 2
}

fn note(file: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    writeln!(file, "{}", now_ms())
}

/// From the spawn to the answer to `start`, in ms.
fn own_start(bench: &Bench) -> f64 {
    let folder = bench.folder();
    let began = now_ms();
    let mut child = Command::new(std::env::current_exe().expect("this executable"))
        .args([MORTAL, "1"])
        .arg(folder.path().join("notes"))
        .env("SGEVENTD_PLUGIN", "mortal")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this executable");
    let mut input = child.stdin.take().expect("it is piped");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    for (id, method) in [(1, "initialize"), (2, "start")] {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {} });
        writeln!(input, "{request}").expect("it reads");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("it answers");
    }
    let took = now_ms() - began;
    drop(input);
    let ended = child.wait().expect("our child");
    assert!(ended.success(), "{ended}");
    took
}
