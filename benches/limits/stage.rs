//! The stage of what is measured whole: a made-up site and the daemon, each a process of its own from the binary that users run, and
//! plugins that are this executable.
//!
//! In: how many plugins, what each wants. Out: what the daemon says of itself, what the kernel says of its process.
//! Never: a sleep in place of a state that is waited for.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use sgeventd::{
    admin::{AdminClient as _, Status, client::connect},
    secret::Secret,
    site::{Session, Site, SiteOptions},
};
use tokio::time::Instant;

use crate::{plugin, process};

const BINARY: &str = env!("CARGO_BIN_EXE_sgeventd");
/// Who asks.
pub(crate) const SCRIPT: &str = "sgeventd";
/// Its key.
pub(crate) const KEY: &str = "a-key-of-the-bench";
/// No measurement takes longer.
const PATIENCE: Duration = Duration::from_secs(170);
/// How often a state is looked at: seldom enough that looking costs the daemon nothing that counts.
const LOOK: Duration = Duration::from_millis(100);

/// A made-up site.
pub(crate) struct SiteProcess {
    child: Child,
    url: String,
}

impl SiteProcess {
    /// Starts one without events, whose every answer takes so long.
    pub(crate) fn start(page_delay: Duration) -> Self {
        Self::start_as("empty", page_delay)
    }

    /// Starts one as a scenario has it; it listens when this returns.
    pub(crate) fn start_as(scenario: &str, page_delay: Duration) -> Self {
        let mut child = Command::new(BINARY)
            .args(["sandbox", "--scenario", scenario, "--json"])
            .args(["--script", SCRIPT, "--key", KEY])
            .args(["--page-delay-ms", &page_delay.as_millis().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary of this build");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its one line");
        let said: Value = serde_json::from_str(&line).expect("it says where it is");
        let url = said["url"].as_str().expect("its address").to_owned();
        Self { child, url }
    }

    /// Appends events of the ten types, in turns.
    pub(crate) async fn bulk(&self, count: usize) {
        let order = json!({ "verb": "bulk", "count": count }).to_string();
        let url = format!("{}/_sandbox/ctl", self.url);
        let answer = reqwest::Client::new().post(url).body(order).send().await;
        let answer = answer.expect("it listens");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Daemons find it here from now on; returns where it was.
    pub(crate) fn redirect(&mut self, url: &str) -> String {
        std::mem::replace(&mut self.url, url.to_owned())
    }

    /// Seconds on a processor so far.
    pub(crate) fn cpu(&self) -> f64 {
        process::cpu(self.child.id())
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        process::resident(self.child.id())
    }

    /// A session as the daemon's own.
    pub(crate) fn session(&self) -> Session {
        let site = Site::new(&SiteOptions::new(&self.url)).expect("plain HTTP");
        site.session(SCRIPT, Secret::new(KEY.to_owned()))
    }
}

impl Drop for SiteProcess {
    fn drop(&mut self) {
        // It keeps nothing.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A daemon.
pub(crate) struct DaemonProcess {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl DaemonProcess {
    /// Starts one below `dir` with a plugin for each of these: the event type it wants.
    pub(crate) fn start(dir: &Path, site: &SiteProcess, wants: &[&str], sections: &str) -> Self {
        let config = dir.join("sgeventd.toml");
        let key = dir.join("site.key");
        fs::write(&key, KEY).expect("a file");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
        fs::write(&config, config_text(site, wants, sections)).expect("a file");
        let log = dir.join("stderr.txt");
        let child = Command::new(BINARY)
            .arg("run")
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("the binary of this build");
        Self {
            child,
            socket: dir.join("admin.sock"),
            log,
        }
    }

    /// Waits for a status.
    pub(crate) async fn wait(&mut self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Ok(client) = connect(&self.socket).await
                && let Ok(status) = client.status().await
                && holds(&status)
            {
                return status;
            }
            let has_ended = self.child.try_wait().expect("our child").is_some();
            if has_ended || Instant::now() > end {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                panic!("never: {what}\n{log}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until so many plugins take events and the site has been asked.
    pub(crate) async fn ready(&mut self, plugins: usize) {
        self.wait("all plugins are ready", |status| {
            let is_ok = status.plugins.iter().all(|plugin| plugin.state == "ok");
            status.plugins.len() == plugins && is_ok && status.site.polled_at.is_some()
        })
        .await;
    }

    /// Waits until the journal has so many rows and every plugin has looked at them and is done.
    pub(crate) async fn done(&mut self, rows: u64) -> Status {
        self.wait("all events are handled", |status| {
            let is_still = |plugin: &sgeventd::plugin::report::PluginReport| {
                plugin.behind == 0 && plugin.open == 0
            };
            status.journal.seq >= rows && status.plugins.iter().all(is_still)
        })
        .await
    }

    /// Seconds on a processor so far.
    pub(crate) fn cpu(&self) -> f64 {
        process::cpu(self.child.id())
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        process::resident(self.child.id())
    }

    /// Ends it as a person would.
    pub(crate) fn stop(mut self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("it runs");
        let ended = self.child.wait().expect("our child");
        let log = || fs::read_to_string(&self.log).unwrap_or_default();
        assert!(ended.success(), "{ended}\n{}", log());
    }
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        // Ended already, unless a measurement failed.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn config_text(site: &SiteProcess, wants: &[&str], sections: &str) -> String {
    let own = std::env::current_exe().expect("this executable");
    let url = &site.url;
    let mut text = format!(
        r#"[site]
url = "{url}"
script = "{SCRIPT}"
key = {{ file = "site.key" }}

[poll]
start_from = "oldest"

[state]
dir = "state"

[plugins]
paths = []
defaults = {{ start_from = "oldest" }}

[admin]
socket = "admin.sock"

{sections}
"#
    );
    for (number, want) in wants.iter().enumerate() {
        let command = json!([own, plugin::WORD, format!("p{number:03}"), want]);
        let _infallible = write!(text, "[plugin.p{number:03}]\ncommand = {command}\n");
    }
    text
}
