//! The stage of the tests about bad input: a made-up site, a studio's folder, and the real binary as a child.

pub(crate) mod disk;
pub(crate) mod door;
pub(crate) mod frozen;
#[path = "../../proof/interpose.rs"]
pub(crate) mod interpose;
#[path = "../../proof/lost_power.rs"]
pub(crate) mod lost_power;
pub(crate) mod proof;
pub(crate) mod secrets;
pub(crate) mod steered;
pub(crate) mod yardstick;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proof::Judged;
use serde_json::{Value, json};
use sgeventd::{
    admin::{AdminClient as _, client::connect},
    ident::Seq,
    journal::{Journal, Sqlite},
    sandbox::{Options, Sandbox, Scenario},
    secret::Secret,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long enough for a slow machine, short enough to notice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The key of the site's script, which must stand nowhere.
pub(crate) const KEY: &str = "zq7-a-secret-of-the-tests-41x";
/// How often something is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A made-up site.
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    _stop: DropGuard,
}

impl Site {
    /// A site where nobody works by themselves.
    pub(crate) async fn quiet() -> Self {
        Self::start(0.0, 7).await
    }

    /// A site where artists work.
    pub(crate) async fn start(rate: f64, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            scripts: ["sgeventd", "other"]
                .map(|name| (name.to_owned(), Secret::new(KEY.to_owned())))
                .into(),
            seed,
            scenario: Scenario::Demo,
            rate,
            page_delay: Duration::ZERO,
        };
        let sandbox = Sandbox::start(options, stop.clone()).await.expect("a site");
        Self {
            sandbox,
            _stop: stop.drop_guard(),
        }
    }

    /// Gives it an order.
    pub(crate) fn order(&self, order: &Value) -> Value {
        self.sandbox.order(order).expect("an order")
    }

    /// Artists do so many things.
    pub(crate) fn work(&self, times: u32) {
        self.order(&json!({"verb": "work", "times": times}));
    }

    /// Everything works again.
    pub(crate) fn clear(&self) {
        self.order(&json!({"verb": "clear"}));
    }

    /// When it was asked since a time, after it; but for its limits, which is one question beside the others after each outage.
    pub(crate) fn asked_since(&self, begun: tokio::time::Instant) -> Vec<Duration> {
        let asked = self.sandbox.asked().into_iter();
        let asked = asked.filter(|call| call.at >= begun && call.method != "info");
        asked.map(|call| call.at - begun).collect()
    }

    /// How many of them were refused because of their key.
    pub(crate) fn refused(&self) -> u64 {
        self.count("refused")
    }

    fn count(&self, what: &str) -> u64 {
        self.sandbox.summary()[what].as_u64().expect("a number")
    }

    /// One call of the site's API by the script; its whole answer.
    pub(crate) async fn call(&self, method: &str, payload: &Value) -> Value {
        let auth = json!({"script_name": "sgeventd", "script_key": KEY});
        let body = json!({"method_name": method, "params": [auth, payload]}).to_string();
        let host = self.sandbox.url().replace("http://", "");
        let request = format!(
            "POST /api3/json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&host).await.expect("the site");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it listens");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).expect("JSON")
    }

    /// The ids that are readable.
    pub(crate) fn truth(&self) -> Vec<i64> {
        self.sandbox.truth()
    }
}

/// A folder with config, key and plugins.
pub(crate) struct Studio {
    dir: Folder,
    url: String,
    first: i64,
    sections: String,
    /// More lines of `[site]`.
    site: String,
    retry: &'static str,
    timeout: &'static str,
    gap: (&'static str, &'static str),
    state: &'static str,
    /// Plugins that keep a book for the re-checker.
    judged: Vec<Judged>,
}

/// The studio's folder, which stays when its test fails: the run can be judged again.
struct Folder(tempfile::TempDir);

impl Folder {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    #[expect(clippy::print_stderr, reason = "who looks for the folder reads this")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("the run's folder stays: {}", self.path().display());
        }
    }
}

impl Studio {
    /// A folder for a site.
    pub(crate) fn new(site: &Site) -> Self {
        let dir = Folder(tempfile::tempdir().expect("a folder"));
        fs::create_dir(dir.path().join("plugins")).expect("a folder");
        let key = dir.path().join("site.key");
        fs::write(&key, KEY).expect("a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
        Self {
            dir,
            url: site.sandbox.url(),
            first: site.truth().into_iter().min().unwrap_or(1),
            sections: String::new(),
            site: String::new(),
            retry: "1s",
            timeout: "5s",
            gap: ("2s", "10s"),
            state: "state",
            judged: Vec::new(),
        }
        .file("zoo.py", include_str!("../../zoo/zoo.py"), 0o755)
        .file("witness.py", include_str!("../../proof/witness.py"), 0o755)
    }

    /// With another address of the site.
    pub(crate) fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// With another line in `[site]`.
    pub(crate) fn site(mut self, line: &str) -> Self {
        self.site.push_str(line);
        self.site.push('\n');
        self
    }

    /// With another place of the state.
    pub(crate) fn state(mut self, dir: &'static str) -> Self {
        self.state = dir;
        self
    }

    /// With the waits of the product while the site is in trouble.
    pub(crate) fn patient(mut self) -> Self {
        self.retry = "60s";
        self
    }

    /// With another deadline of a call.
    pub(crate) fn timeout(mut self, timeout: &'static str) -> Self {
        self.timeout = timeout;
        self
    }

    /// Missing ids are asked for less often after this, and given up after that.
    pub(crate) fn gaps(mut self, timeout: &'static str, give_up: &'static str) -> Self {
        self.gap = (timeout, give_up);
        self
    }

    /// Asks a site in trouble ten times a second, so that the end of trouble is soon seen.
    pub(crate) fn impatient(mut self) -> Self {
        self.retry = "100ms";
        self
    }

    /// With a plugin of the zoo, which may be called by something.
    pub(crate) fn vice(self, vice: &str, note: &str, keys: &str) -> Self {
        self.plugin(vice, &["zoo.py", vice, note], keys)
    }

    /// With a plugin: a file of this folder with its arguments, and more keys of its section.
    pub(crate) fn plugin(self, name: &str, command: &[&str], keys: &str) -> Self {
        let mut command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        command[0] = self.path(&command[0]).display().to_string();
        let command = serde_json::to_string(&command).expect("JSON");
        self.section(&format!("[plugin.{name}]\ncommand = {command}\n{keys}\n"))
    }

    /// With a plugin that writes down all that it is handed, see [`Self::book`], and does what some lines of Python say.
    pub(crate) fn actor(self, name: &str, body: &str, keys: &str) -> Self {
        let file = format!("{name}.py");
        let text = self.actor_text(name, body);
        self.file(&file, text, 0o755).plugin(name, &[&file], keys)
    }

    /// The text of such a plugin.
    pub(crate) fn actor_text(&self, name: &str, body: &str) -> String {
        let book = self.path(&format!("{name}.book"));
        include_str!("../../zoo/actor.py")
            .replace("@BOOK@", &book.display().to_string())
            .replace("# @BODY@", body)
    }

    /// The lines that an actor wrote.
    pub(crate) fn book(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(&format!("{name}.book"))).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(serde_json::from_str);
        lines.map(|line| line.expect("a line of JSON")).collect()
    }

    /// The events that an actor was handed, in order.
    pub(crate) fn handed(&self, name: &str) -> Vec<i64> {
        let book = self.book(name);
        book.iter()
            .filter_map(|line| line["event"].as_i64())
            .collect()
    }

    /// Changes the config's file.
    pub(crate) fn edit_config(&self, from: &str, to: &str) {
        let file = self.path("sgeventd.toml");
        let text = fs::read_to_string(&file).expect("a config");
        assert!(text.contains(from), "no {from:?} in {text}");
        fs::write(&file, text.replace(from, to)).expect("a config");
    }

    /// Writes a file as editors do: beside it, then over it.
    pub(crate) fn replace(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) {
        let (path, beside) = (self.path(name), self.path("replace.tmp"));
        fs::write(&beside, text).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode)).expect("its mode");
        fs::rename(&beside, &path).expect("the same disk");
    }

    /// With more text in the config.
    pub(crate) fn section(mut self, text: &str) -> Self {
        self.sections.push_str(text);
        self
    }

    /// With a file in this folder.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        self
    }

    /// A path below the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The config's text, for another place of the state.
    pub(crate) fn text(&self, state: &str) -> String {
        let (url, first, sections) = (&self.url, self.first, &self.sections);
        let (site, retry, timeout) = (&self.site, self.retry, self.timeout);
        let (gap_timeout, give_up) = self.gap;
        format!(
            r#"[site]
url = "{url}"
script = "sgeventd"
key = {{ file = "site.key" }}
timeout = "{timeout}"
max_retry_wait = "{retry}"
{site}
[poll]
interval = "100ms"
max_interval = "200ms"
start_from = {first}

[gap]
timeout = "{gap_timeout}"
give_up = "{give_up}"

[state]
dir = "{state}"

[plugins]
paths = ["plugins"]
defaults = {{ start_from = "oldest" }}

[log]
file = "sgeventd.log"
format = "text"

[admin]
socket = "admin.sock"

{sections}"#
        )
    }

    /// Writes the config and returns its path.
    pub(crate) fn config(&self) -> PathBuf {
        let path = self.path("sgeventd.toml");
        fs::write(&path, self.text(self.state)).expect("a config");
        path
    }

    /// The journal, when no daemon runs.
    pub(crate) fn journal(&self) -> Journal {
        let engine = Sqlite::open(&self.path("state/journal.db")).expect("a database");
        let options = sgeventd::journal::Options::default();
        Journal::start(Box::new(engine), None, options).expect("a journal")
    }

    /// The ids in the journal in its order, when no daemon runs.
    pub(crate) async fn journaled(&self) -> Vec<i64> {
        let journal = self.journal();
        let ids = Self::ids(&journal).await;
        journal.close().await;
        ids
    }

    /// The ids that a plugin has settled on disk, when no daemon runs.
    pub(crate) async fn settled(&self, plugin: &str) -> BTreeSet<i64> {
        let journal = self.journal();
        let plugins = journal.plugins().await.expect("plugins");
        let record = plugins.iter().find(|one| one.name.as_str() == plugin);
        let mut settled = BTreeSet::new();
        if let Some(record) = record {
            let open: BTreeSet<Seq> = record.cursor.open.iter().map(|one| one.seq).collect();
            let ids = Self::ids(&journal).await;
            let ids = (1..).map(Seq).zip(ids);
            let done = ids.filter(|(seq, _)| *seq <= record.cursor.position && !open.contains(seq));
            settled.extend(done.map(|(_, id)| id));
        }
        journal.close().await;
        settled
    }

    async fn ids(journal: &Journal) -> Vec<i64> {
        let mut ids = Vec::new();
        let mut after = Seq(0);
        while let Some(last) = {
            let rows = journal.read(after, 500).await.expect("rows");
            ids.extend(rows.iter().map(|event| event.facts.event_id.0));
            rows.last().map(|event| event.seq)
        } {
            after = last;
        }
        ids
    }

    /// All that the daemon said.
    pub(crate) fn log(&self) -> String {
        self.read("sgeventd.log") + &self.stderr()
    }

    /// What it said to whom started it.
    pub(crate) fn stderr(&self) -> String {
        self.read("stderr.txt")
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Waits until something holds, for a bounded time.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "never: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// The real binary.
pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    folder: PathBuf,
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

    /// Ends it at once.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
        secrets::search(&self.folder, KEY);
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
        secrets::search(&self.folder, KEY);
        ended.expect("our child").code()
    }
}

/// Says what a test lacks on this machine: a skip, but in CI a failure.
#[expect(clippy::print_stdout, reason = "who reads of a skip must know of what")]
pub(crate) fn need(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "missing: {what}");
    println!("skipped, missing: {what}");
}

/// True while a process lives; a zombie does not.
pub(crate) fn is_alive(pid: i64) -> bool {
    // The third field, after the name in parentheses: Z has ended.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The processes with a text in their environment: a folder's name finds all that plugins of it started.
pub(crate) fn with_in_environment(text: &str) -> Vec<i64> {
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok());
    pids.filter(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environ).contains(text)
    })
    .collect()
}

/// A plugin's report in a status.
pub(crate) fn plugin<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let all = status["plugins"].as_array()?;
    all.iter().find(|plugin| plugin["name"] == name)
}
