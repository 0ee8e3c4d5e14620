//! A studio's folder: config, key, plugins, and what they and the daemon write there.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sgeventd::{
    ident::Seq,
    journal::{Journal, Sqlite},
};

use super::{KEY, Site, proof::Judged};

/// A folder with config, key and plugins.
pub(crate) struct Studio {
    pub(super) dir: Folder,
    /// Beside it: what passes through pipes is what plugins say, secrets too.
    wires: tempfile::TempDir,
    url: String,
    first: i64,
    sections: String,
    /// More lines of `[site]`.
    site: String,
    retry: &'static str,
    timeout: &'static str,
    gap: (&'static str, &'static str),
    pub(super) state: &'static str,
    /// Plugins that keep a book for the re-checker.
    pub(super) judged: Vec<Judged>,
}

/// The studio's folder, which stays when its test fails: the run can be judged again.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn path(&self) -> &Path {
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
        let wires = tempfile::tempdir().expect("a folder");
        // Daemons of other users write there as well.
        fs::set_permissions(wires.path(), fs::Permissions::from_mode(0o777)).expect("its mode");
        Self {
            dir,
            wires,
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

    /// With a plugin of the zoo, which may be told something: a file of `tests/zoo/beasts` named for its vice.
    pub(crate) fn vice(self, vice: &str, note: &str, keys: &str) -> Self {
        let (studio, program) = self.beast(vice);
        studio.plugin(vice, &[&program, note], keys)
    }

    /// With the file of a beast, and what beasts are made of: `beasts/NAME` of this folder.
    pub(crate) fn beast(self, vice: &str) -> (Self, String) {
        let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zoo/beasts");
        let to = self.path("beasts");
        fs::create_dir_all(&to).expect("a folder");
        let mut program = None;
        for entry in fs::read_dir(from).expect("the zoo").flatten() {
            let name = entry.file_name().into_string().expect("a name");
            let stem = name.split('.').next();
            if stem == Some(vice) || stem == Some("tame") {
                fs::copy(entry.path(), to.join(&name)).expect("a file");
            }
            if stem == Some(vice) {
                program = Some(format!("beasts/{name}"));
            }
        }
        let program = program.unwrap_or_else(|| panic!("no beast {vice} in {from}"));
        (self, program)
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

    /// The folder where the daemon records what passes through its pipes.
    pub(crate) fn wires(&self) -> &Path {
        self.wires.path()
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
