//! Runs that can be judged again: the witnesses, the marks of crashes, and the re-checker, a program of its own.
//!
//! ```ignore
//! let studio = Studio::new(&site).witness();
//! …                                           // faults, and for each crash `studio.crashed()`
//! studio.recheck(&site, "disk-full", &[5]).judge();      // when no daemon runs
//! ```

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use rusqlite::{Connection, OpenFlags, types::Value as Sql};
use serde_json::{Value, json};

use super::{Daemon, Site, Studio, yardstick::Yardstick};

/// A plugin that keeps a book, as the re-checker must know it.
pub(crate) struct Judged {
    name: String,
    window: u32,
    order: &'static str,
    /// The ids that it wants; none: all.
    wants: Option<Vec<i64>>,
}

impl Studio {
    /// With a healthy plugin that writes down what it was handed.
    pub(crate) fn witness(self) -> Self {
        self.witness_as("witness", &[], "all", 1)
    }

    /// With a witness of another name, with arguments (see `tests/proof/witness.py`), an order, and so many lanes at work.
    pub(crate) fn witness_as(
        self,
        name: &str,
        arguments: &[&str],
        order: &'static str,
        lanes: u32,
    ) -> Self {
        let book = self.book_of(name).display().to_string();
        let command = [&["witness.py", &book], arguments].concat();
        let keys = format!("delivery = {{ max_in_flight = {lanes}, order = \"{order}\" }}");
        let keys = if lanes == 1 { "" } else { &keys };
        self.plugin(name, &command, keys)
            .judged(name, order, lanes, None)
    }

    /// Has the re-checker judge a plugin with a book; `wants` are the ids that it is to get, none: all.
    pub(crate) fn judged(
        mut self,
        name: &str,
        order: &'static str,
        window: u32,
        wants: Option<Vec<i64>>,
    ) -> Self {
        let name = name.to_owned();
        self.judged.retain(|one| one.name != name);
        self.judged.push(Judged {
            name,
            window,
            order,
            wants,
        });
        self
    }

    /// Where a plugin that writes down what it is handed does so.
    pub(crate) fn book_of(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.book"))
    }

    /// What the witness was handed, in order.
    pub(crate) fn witnessed(&self) -> Vec<i64> {
        self.handed("witness")
    }

    /// What the witness was handed, as a set.
    pub(crate) fn witnessed_ids(&self) -> BTreeSet<i64> {
        self.witnessed().into_iter().collect()
    }

    /// Marks a crash of the daemon for the re-checker, with what the disk says of each plugin. After the daemon has ended, and
    /// before the next one starts.
    pub(crate) fn crashed(&self) {
        let mark = json!({"at": monotonic_s(), "cursors": self.cursors()});
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("crashes.jsonl"))
            .expect("a file");
        file.write_all(format!("{mark}\n").as_bytes())
            .expect("room for a line");
    }

    /// Has the re-checker judge the run, when no daemon runs: everything that is readable on the site, for each witness.
    pub(crate) fn recheck(&self, site: &Site, run: &str, rows: &[u32]) -> Yardstick {
        self.recheck_ids(&site.truth(), run, rows)
    }

    /// The same, when only these ids are to be found.
    pub(crate) fn recheck_ids(&self, ids: &[i64], run: &str, rows: &[u32]) -> Yardstick {
        let plugins = self.judged.iter().map(|one| {
            let book = self.book_of(&one.name);
            let book = book.file_name().expect("a name").to_string_lossy();
            let plugin =
                json!({"book": book, "window": one.window, "order": one.order, "wants": one.wants});
            (one.name.clone(), plugin)
        });
        let settle = sgeventd::config::Settle::default();
        let site = json!({
            "run": run,
            "rows": rows,
            "ids": ids,
            "plugins": plugins.collect::<serde_json::Map<_, _>>(),
            "settle_wait_s": settle.wait.as_secs_f64(),
            "database": format!("{}/journal.db", self.state),
        });
        fs::write(self.path("site.json"), site.to_string()).expect("a file");
        recheck(self.dir.path())
    }

    /// Where each plugin stands on disk, `position` and `open`; null when there is no database that could be read.
    pub(crate) fn cursors(&self) -> Value {
        cursors(&self.path(self.state).join("journal.db")).unwrap_or_default()
    }
}

/// Runs the re-checker on a folder. What it finds violated beyond the figures stands in `more`.
pub(crate) fn recheck(folder: &Path) -> Yardstick {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proof/recheck.py");
    let output = Command::new("python3").arg(program).arg(folder).output();
    let output = output.expect("python");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let mut yardstick: Yardstick = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("no yardstick: {error}\n{said}{complaint}"));
    yardstick.is_violated = !output.status.success();
    yardstick
}

/// A number that a long run is asked for with, in the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// The clock that every process of this machine shares.
pub(crate) fn monotonic_s() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    Duration::from(time).as_secs_f64()
}

fn cursors(database: &Path) -> rusqlite::Result<Value> {
    let mut all = serde_json::Map::new();
    for row in ask(database, "SELECT name, position FROM plugins")? {
        let [Sql::Text(name), Sql::Integer(position)] = &row[..] else {
            panic!("{row:?}");
        };
        all.insert(name.clone(), json!({"position": position, "open": []}));
    }
    for row in ask(database, "SELECT plugin, seq FROM open ORDER BY seq")? {
        let [Sql::Text(name), Sql::Integer(seq)] = &row[..] else {
            panic!("{row:?}");
        };
        if let Some(open) = all.get_mut(name) {
            open["open"]
                .as_array_mut()
                .expect("a list")
                .push((*seq).into());
        }
    }
    Ok(Value::Object(all))
}

/// Rows of a state's database, whoever else reads or writes it.
pub(crate) fn ask(database: &Path, sql: &str) -> rusqlite::Result<Vec<Vec<Sql>>> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(Duration::from_secs(1))?;
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
    rows.collect()
}

impl Daemon {
    /// Waits until everything that is readable on the site, or will be, is on disk, and that each judged plugin is done with it.
    pub(crate) async fn all_done(&self, site: &Site, studio: &Studio) {
        self.status_when("everything is settled on disk", |_| {
            let cursors = studio.cursors();
            let readable = site.truth().len();
            site.sandbox.summary()["waiting"] == 0
                && studio.judged.iter().all(|one| {
                    let cursor = &cursors[&one.name];
                    cursor["position"] == readable && cursor["open"] == json!([])
                })
        })
        .await;
    }
}
