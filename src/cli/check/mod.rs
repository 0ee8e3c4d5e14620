//! `check`: is this a good plugin? The scenarios stand in `src/check`; here is what is typed and what is shown.

mod screen;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Exit,
    args::PluginCheckArgs,
    exit::Failure,
    output::{data, talk},
};
use crate::{
    check::{self, CheckError, Options, Report, SCENARIOS, Scenario},
    config::{PluginSettings, Severity, load},
    plugin::discovery::{self, Found},
    process,
    sdk::{self, Sdk},
    text::instead,
};

/// Runs the check.
pub(super) fn run(args: &PluginCheckArgs) -> Result<Exit, Failure> {
    let Some(plugin) = args.plugin.as_deref().filter(|_| !args.list) else {
        if args.json {
            let named = |one: &Scenario| json!({ "name": one.name, "title": one.title });
            let all: Vec<_> = SCENARIOS.iter().map(named).collect();
            data(&Value::from(all).to_string());
        } else {
            screen::list().iter().all(|line| data(line));
        }
        return Ok(Exit::Done);
    };
    process::set_not_dumpable();
    let file = there(plugin)?;
    let found = discovery::look_at(&file);
    check_names(&args.only)?;
    let settings = settings(args, found.as_ref().ok(), &file)?;
    let events = args.events.iter().map(|file| events(file));
    let events = events.collect::<Result<Vec<_>, _>>()?.concat();
    let room = Room::make().map_err(|error| Failure::new(Exit::CannotCreate, &error))?;
    let sdk = room.0.join("sdk-python");
    let unpacked = sdk::unpack(Sdk::Python, &sdk).and_then(|()| sdk::open(&sdk));
    unpacked.map_err(|error| Failure::new(Exit::CannotCreate, &error))?;
    let options = Options {
        found,
        file: plugin.to_owned(),
        settings,
        sdk,
        dir: room.0.clone(),
        timeout: args.timeout,
        only: args.only.clone(),
        events,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = Box::pin(check::check(options)) => Some(report),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    let Some(report) = report else {
        return Ok(Exit::Interrupted);
    };
    let report = report.map_err(|error: CheckError| Failure::new(Exit::Io, &error))?;
    tell(args, &report);
    Ok(if report.ok { Exit::Done } else { Exit::No })
}

fn tell(args: &PluginCheckArgs, report: &Report) {
    if args.json {
        data(&serde_json::to_string(report).expect("plain data is JSON"));
        return;
    }
    screen::report(report).iter().all(|line| data(line));
}

/// The plugin's path from the root, when something is there.
fn there(plugin: &Path) -> Result<PathBuf, Failure> {
    let file = std::path::absolute(plugin).map_err(|error| Failure::new(Exit::Io, &error))?;
    if fs::symlink_metadata(&file).is_ok() {
        // Without dots: the names of folders are those of plugins.
        let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
        return Ok(match (folder, file.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => file.canonicalize().unwrap_or(file),
        });
    }
    let shown = plugin.display();
    Err(Failure::words(Exit::Usage, format!("{shown} is not there"))
        .hint("name a program, or a folder with plugin.toml; for a script of an interpreter: plugin.toml with command = [\"node\", \"plugin.js\"]"))
}

fn check_names(only: &[String]) -> Result<(), Failure> {
    let is_known = |name: &&String| SCENARIOS.iter().any(|one| one.name == name.as_str());
    match only.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let all: Vec<&str> = SCENARIOS.iter().map(|one| one.name).collect();
            let text = format!("there is no scenario {name:?}; {}", instead(name, &all));
            Err(Failure::words(Exit::Usage, text).hint("sgeventd check --list"))
        }
    }
}

/// The plugin's settings: the operator's where a config is named, with the `config` of the command line.
fn settings(
    args: &PluginCheckArgs,
    found: Option<&Found>,
    file: &Path,
) -> Result<PluginSettings, Failure> {
    let mut settings = match (&args.config, found) {
        (Some(path), Some(found)) => {
            let loaded = load(path);
            let config = loaded.config();
            // A check asks no site: whoever writes a plugin need not be able to read the keys.
            let keys: BTreeMap<String, _> = config.keys().into_iter().collect();
            let mistakes = loaded.findings().iter();
            let mut mistakes = mistakes
                .filter(|one| one.severity == Severity::Error && !keys.contains_key(&one.key))
                .peekable();
            if mistakes.peek().is_some() {
                return Err(Failure::findings(mistakes));
            }
            let folder = file.parent();
            let paths = &config.plugins.paths;
            let index = paths
                .iter()
                .position(|entry| entry.path.canonicalize().ok().as_deref() == folder);
            config.plugin(&found.name, index).settings
        }
        _ => PluginSettings::default(),
    };
    if let Some(text) = &args.config_json {
        let (text, place) = match text.strip_prefix('@') {
            Some(file) => (read(Path::new(file))?, file),
            None => (text.clone(), "--config-json"),
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(table)) => settings.config = table,
            Ok(other) => {
                let text = format!("{place} is {other}; allowed: a JSON object");
                return Err(Failure::words(Exit::Usage, text));
            }
            Err(error) => {
                let text = format!("{place} is no JSON: {error}; allowed: a JSON object");
                return Err(Failure::words(Exit::Usage, text));
            }
        }
    }
    Ok(settings)
}

/// Rows of a file: one, a list, or one a line.
fn events(file: &Path) -> Result<Vec<Value>, Failure> {
    let text = read(file)?;
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Result<Vec<Value>, _> = values.collect();
    let values = values.map_err(|error| {
        let text = format!("{} is no JSON: {error}", file.display());
        Failure::words(Exit::Usage, text).hint("rows of the event log, as a list or one a line")
    })?;
    let rows: Vec<Value> = values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list,
            other => vec![other],
        })
        .collect();
    match rows.iter().find(|row| !row["id"].is_i64()) {
        None if !rows.is_empty() => Ok(rows),
        None => {
            let text = format!("{} holds no event", file.display());
            Err(Failure::words(Exit::Usage, text))
        }
        Some(odd) => {
            let shown: String = odd.to_string().chars().take(80).collect();
            let text = format!(
                "{}: {shown} is no row of the event log; allowed: an object with an integer `id`",
                file.display()
            );
            Err(Failure::words(Exit::Usage, text))
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        let text = format!(
            "{} cannot be read: {}",
            file.display(),
            discovery::why(&error)
        );
        Failure::words(Exit::Usage, text)
    })
}

/// A folder for this check alone, which goes with it.
struct Room(PathBuf);

impl Room {
    fn make() -> io::Result<Self> {
        let name = format!("sgeventd-check-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        // Others may write in the folder for temporary files: what is there already is not ours. Another user passes through.
        fs::DirBuilder::new().mode(0o711).create(&path)?;
        Ok(Self(path.canonicalize()?))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            talk(&format!(
                "{} could not be removed: {}",
                self.0.display(),
                error.kind()
            ));
        }
    }
}
