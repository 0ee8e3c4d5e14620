//! The real binary as a child: start, questions, signals, end.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sgeventd::admin::{AdminClient as _, client::connect};
use tokio::process::{Child, Command};

use super::{
    KEY, LOOK, PATIENCE, Studio, plugin, secrets,
    wires::{self, Plugins},
};

/// The real binary.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    folder: PathBuf,
    wires: PathBuf,
}

impl Daemon {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(studio: &Studio) -> Self {
        let daemon = Self::spawn(studio, &studio.config());
        daemon.status_when("it answers", |_| true).await;
        daemon
    }

    /// Starts it.
    pub(crate) fn spawn(studio: &Studio, config: &Path) -> Self {
        Self::spawn_with(studio, config, &[], &[])
    }

    /// Starts it by another program, which runs what stands behind its own arguments.
    pub(crate) fn spawn_by(studio: &Studio, config: &Path, by: &[&str]) -> Self {
        Self::spawn_with(studio, config, by, &[])
    }

    /// Starts it by another program, if any, with more in its environment.
    pub(crate) fn spawn_with(
        studio: &Studio,
        config: &Path,
        by: &[&str],
        environment: &[(&str, String)],
    ) -> Self {
        let stderr = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(studio.path("stderr.txt"))
            .expect("a file");
        let stdout = fs::File::create(studio.path("stdout.txt")).expect("a file");
        let words = [by, &[env!("CARGO_BIN_EXE_sgeventd")]].concat();
        let child = Command::new(words[0])
            .args(&words[1..])
            .arg("run")
            .arg("-c")
            .arg(config)
            .env_remove("SGEVENTD_SOCKET")
            .env_remove("SGEVENTD_FAILPOINTS")
            .env("SGEVENTD_WIRES", studio.wires())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .expect("our own binary");
        Self {
            child,
            socket: studio.path("admin.sock"),
            log: studio.path("sgeventd.log"),
            folder: studio.dir.path().to_owned(),
            wires: studio.wires().to_owned(),
        }
    }

    /// What `status` says, once it answers.
    pub(crate) async fn status(&self) -> Option<Value> {
        let client = connect(&self.socket).await.ok()?;
        let status = client.status().await.ok()?;
        serde_json::to_value(status).ok()
    }

    /// Waits for a status.
    pub(crate) async fn status_when(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = self.status().await;
            if let Some(status) = &status
                && holds(status)
            {
                return status.clone();
            }
            if tokio::time::Instant::now() > end {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let status = serde_json::to_string_pretty(&status).expect("JSON");
                panic!("never: {what}\n{status}\n{log}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for a state of a plugin and returns its report.
    pub(crate) async fn plugin_when(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let status = self
            .status_when(&format!("{name}: {what}"), |status| {
                plugin(status, name).is_some_and(&holds)
            })
            .await;
        plugin(&status, name).expect("it was there").clone()
    }

    /// Waits until the witness has all of these.
    pub(crate) async fn delivered(&self, studio: &Studio, ids: &[i64]) {
        let wanted: BTreeSet<i64> = ids.iter().copied().collect();
        let what = format!("the witness has {} events", wanted.len());
        self.status_when(&what, |_| studio.witnessed_ids().is_superset(&wanted))
            .await;
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        let id = self.child.id().expect("it runs");
        i32::try_from(id).expect("a process id")
    }

    /// How it ended, when it does.
    pub(crate) async fn waited(mut self) -> std::process::ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("in time").expect("our child")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it runs");
    }

    /// The exit code, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let ended = self.child.try_wait().expect("our child");
        ended.map(|ended| ended.code().unwrap_or(-1))
    }

    /// The key must stand in nothing that it wrote, and what passed through its pipes is what is published.
    fn judge(&self) {
        secrets::search(&self.folder, KEY);
        wires::judge_all(&self.wires, Plugins::MayBeWrong);
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
        self.judge();
    }

    /// SIGTERM, and the exit code.
    pub(crate) async fn stop(self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.exit().await
    }

    /// The exit code, when it ends by itself; the key must stand in nothing that it wrote.
    pub(crate) async fn exit(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(ended) = ended else {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            panic!("it does not end\n{log}");
        };
        self.judge();
        ended.expect("our child").code()
    }
}
