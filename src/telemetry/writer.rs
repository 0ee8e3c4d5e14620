//! The one thread that writes: takes batches off the queue, shapes lines, hands them to terminal, files and journald.
//!
//! In: batches. Out: lines; and a line that says how many were dropped.
//! Never: tracing (it would talk to itself).

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::Level;

use super::{
    collect::{Record, Value},
    format::Shape,
    journald::Journald,
    queue::{Batch, Queue},
    rotate::RotatedFile,
    traffic::{Detail, Message, Traffic},
};
use crate::{
    clock::{Clock, Unix},
    config::Rotate,
};

/// Files per plugin that are open at once; beyond, all are closed and opened again as needed.
const MAX_OPEN_PLUGIN_FILES: usize = 128;

/// Where the log goes.
#[derive(Debug)]
pub(super) enum Main {
    /// Standard error.
    Standard(Shape),
    /// A file.
    File(Shape, RotatedFile),
    /// journald.
    Journald(Journald),
}

/// Files per plugin, besides the log.
#[derive(Debug)]
pub(super) struct PerPlugin {
    pub(super) folder: PathBuf,
    pub(super) shape: Shape,
    pub(super) rotate: Rotate,
    pub(super) files: HashMap<String, RotatedFile>,
}

/// All that the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) main: Main,
    pub(super) per_plugin: Option<PerPlugin>,
    pub(super) traffic_file: Option<RotatedFile>,
    pub(super) traffic: Traffic,
}

impl Writer {
    /// Writes until the queue is closed.
    pub(super) fn run(mut self, queue: &Arc<Queue>) {
        loop {
            let batch = queue.take();
            let is_last = batch.is_last;
            self.write(batch);
            if is_last {
                // Says to whoever flushes that the last batch is out.
                queue.finish();
                return;
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        if batch.reopen {
            self.reopen();
        }
        let mut standard = String::new();
        for record in &batch.log {
            self.log(record, &mut standard);
        }
        for (count, what) in [
            (batch.dropped_log, "log lines dropped"),
            (batch.dropped_traffic, "traffic lines dropped"),
        ] {
            if count > 0 {
                self.log(&dropped(what, count), &mut standard);
            }
        }
        // A closed standard error is nobody's fault and nothing can be said about it.
        drop(io::stderr().lock().write_all(standard.as_bytes()));
        for message in batch.traffic {
            self.traffic(message);
        }
    }

    fn log(&mut self, record: &Record, standard: &mut String) {
        match &mut self.main {
            Main::Standard(shape) => standard.push_str(&shape.line(record)),
            Main::File(shape, file) => file.write(&shape.line(record), record.time),
            Main::Journald(journald) => {
                if journald.write(record).is_err() {
                    standard.push_str(&Shape::Json.line(record));
                }
            }
        }
        if let (Some(per_plugin), Some(plugin)) = (&mut self.per_plugin, record.text("plugin")) {
            per_plugin.write(plugin, record);
        }
    }

    fn traffic(&mut self, message: Message) {
        let Message { mut record, detail } = message;
        self.traffic.publish(|| record.line());
        if let Some(file) = self.traffic_file.as_mut().filter(|_| detail > Detail::Off) {
            if detail == Detail::Headers {
                record.body = None;
            }
            file.write(&record.line(), record.time);
        }
    }

    fn reopen(&mut self) {
        if let Main::File(_, file) = &mut self.main {
            file.reopen();
        }
        if let Some(per_plugin) = &mut self.per_plugin {
            per_plugin.files.clear();
        }
        if let Some(file) = &mut self.traffic_file {
            file.reopen();
        }
    }
}

impl PerPlugin {
    fn write(&mut self, plugin: &str, record: &Record) {
        if self.files.len() >= MAX_OPEN_PLUGIN_FILES && !self.files.contains_key(plugin) {
            self.files.clear();
        }
        let (folder, rotate) = (&self.folder, &self.rotate);
        let file = self.files.entry(plugin.to_owned());
        let file = file.or_insert_with(|| RotatedFile::lazy(plugin_file(folder, plugin), rotate));
        file.write(&self.shape.line(record), record.time);
    }
}

/// `NAME.log` in the folder; a name cannot lead out of it.
fn plugin_file(folder: &Path, plugin: &str) -> PathBuf {
    let plain: String = plugin
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .collect();
    folder.join(format!("{}.log", plain.trim_start_matches('.')))
}

fn dropped(message: &str, count: u64) -> Record {
    let time: Unix = Clock::unix();
    Record {
        time,
        level: Level::WARN,
        target: "sgeventd::telemetry",
        message: message.to_owned(),
        fields: vec![("count", Value::Natural(count))],
    }
}

/// True when standard error takes colours.
pub(super) fn has_colours() -> bool {
    let is_set =
        |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if is_set("CLICOLOR_FORCE") {
        return true;
    }
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}
