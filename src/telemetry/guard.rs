//! Sets the log up, once in a process, and takes it down again.
//!
//! In: `[log]`. Out: a [`Guard`]: level by reload, the traffic handle, what was dropped, a flush at its end.
//! Never: a second subscriber, a wait of more than two seconds at the end.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use jiff::tz::TimeZone;
use tracing::{Dispatch, Level, Subscriber};
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt as _, reload};

use super::{
    collect::Collector,
    format::Shape,
    journald::{self, Journald},
    queue::Queue,
    rotate::RotatedFile,
    traffic::Traffic,
    writer::{Main, PerPlugin, Writer, has_colours},
};
use crate::{
    clock::Clock,
    config::{Log, LogFormat},
};

/// A log that cannot be written in this time is left behind.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file cannot be opened.
    #[error("cannot write the log file {path}: {}", source.kind())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `log.format` is journald, and there is none.
    #[error("`log.format` is \"journald\", but {} does not answer: {}", journald::SOCKET, source.kind())]
    Journald {
        /// Why.
        source: io::Error,
    },
    /// `log.level` is no filter.
    #[error(
        "`log.level` is \"{level}\"; allowed: a level, or levels by part: \"info,sgeventd::ingest=debug\""
    )]
    Level {
        /// What it is.
        level: String,
    },
    /// This process has a log already.
    #[error("the log is set up already")]
    Twice,
    /// The writer thread cannot be started.
    #[error("cannot start the log's thread: {}", source.kind())]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// What did not fit into the queues so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Lines of the log.
    pub log: u64,
    /// Lines of the traffic log.
    pub traffic: u64,
}

/// Holds the log up; at its end what is queued is written.
#[derive(Debug)]
pub struct Guard {
    queue: Arc<Queue>,
    traffic: Traffic,
    level: reload::Handle<Targets, Registry>,
    writer: Option<JoinHandle<()>>,
}

/// Sets the log up for this process.
///
/// # Errors
/// When a file or journald cannot be opened, the level is none, or there is a log already.
pub fn init(log: &Log) -> Result<Guard, LogError> {
    let (guard, subscriber) = build(log)?;
    tracing::dispatcher::set_global_default(Dispatch::new(subscriber))
        .map_err(|_| LogError::Twice)?;
    Ok(guard)
}

/// As [`init`], without making it the process's log.
pub(super) fn build(
    log: &Log,
) -> Result<(Guard, impl Subscriber + Send + Sync + 'static), LogError> {
    let targets = targets(&log.level)?;
    let queue = Arc::new(Queue::default());
    let traffic = Traffic::new(Arc::clone(&queue), &log.traffic);
    let writer = Writer {
        main: main(log)?,
        per_plugin: log.per_plugin.clone().map(|folder| per_plugin(log, folder)),
        traffic_file: log
            .traffic
            .file
            .as_ref()
            .map(|path| open(path, log))
            .transpose()?,
        traffic: traffic.clone(),
    };
    let (filter, level) = reload::Layer::new(targets);
    let subscriber = Registry::default().with(filter).with(Collector {
        queue: Arc::clone(&queue),
    });
    let of_thread = Arc::clone(&queue);
    let thread = std::thread::Builder::new()
        .name("log-writer".to_owned())
        .spawn(move || writer.run(&of_thread));
    let writer = Some(thread.map_err(|source| LogError::Thread { source })?);
    Ok((
        Guard {
            queue,
            traffic,
            level,
            writer,
        },
        subscriber,
    ))
}

fn targets(level: &str) -> Result<Targets, LogError> {
    level.parse().map_err(|_| LogError::Level {
        level: level.to_owned(),
    })
}

fn open(path: &std::path::Path, log: &Log) -> Result<RotatedFile, LogError> {
    let wrong = |source| LogError::File {
        path: path.to_owned(),
        source,
    };
    RotatedFile::open(path, &log.rotate, Clock::unix()).map_err(wrong)
}

fn per_plugin(log: &Log, folder: PathBuf) -> PerPlugin {
    PerPlugin {
        folder,
        shape: file_shape(log.format),
        rotate: log.rotate.clone(),
        files: HashMap::new(),
    }
}

fn main(log: &Log) -> Result<Main, LogError> {
    if let Some(path) = &log.file {
        return Ok(Main::File(file_shape(log.format), open(path, log)?));
    }
    let zone = TimeZone::system;
    let is_terminal = || io::IsTerminal::is_terminal(&io::stderr());
    Ok(match log.format {
        LogFormat::Journald => Main::Journald(
            Journald::open(journald::SOCKET.as_ref())
                .map_err(|source| LogError::Journald { source })?,
        ),
        LogFormat::Auto if is_journal_stream() => match Journald::open(journald::SOCKET.as_ref()) {
            Ok(journald) => Main::Journald(journald),
            // Its stream works in any case.
            Err(_) => Main::Standard(Shape::Json),
        },
        LogFormat::Text => Main::Standard(Shape::Text {
            zone: zone(),
            has_colours: has_colours(),
        }),
        LogFormat::Auto if is_terminal() => Main::Standard(Shape::Text {
            zone: zone(),
            has_colours: has_colours(),
        }),
        LogFormat::Upstream => Main::Standard(Shape::Upstream { zone: zone() }),
        LogFormat::Auto | LogFormat::Json => Main::Standard(Shape::Json),
    })
}

/// A file is read by programs, unless somebody asked for a shape.
fn file_shape(format: LogFormat) -> Shape {
    let zone = TimeZone::system;
    match format {
        LogFormat::Text => Shape::Text {
            zone: zone(),
            has_colours: false,
        },
        LogFormat::Upstream => Shape::Upstream { zone: zone() },
        LogFormat::Auto | LogFormat::Json | LogFormat::Journald => Shape::Json,
    }
}

/// True when systemd says that our standard error is the journal, and it is (it may have been redirected since).
fn is_journal_stream() -> bool {
    let Some(said) = std::env::var("JOURNAL_STREAM").ok() else {
        return false;
    };
    let Some((device, inode)) = said.split_once(':') else {
        return false;
    };
    let found = rustix::fs::fstat(io::stderr());
    found.is_ok_and(|stat| device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
}

impl Guard {
    /// The handle for whoever moves messages.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// Sets the level, as `[log] level` is written; a text that is no level changes nothing.
    ///
    /// # Errors
    /// When the text is no level.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let wrong = |_| LogError::Level {
            level: level.to_owned(),
        };
        self.level.reload(targets(level)?).map_err(wrong)
    }

    /// Opens all files again with their next line.
    pub fn reopen(&self) {
        self.queue.ask_reopen();
    }

    /// What was dropped so far.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        let (log, traffic) = self.queue.dropped();
        Dropped { log, traffic }
    }

    /// Waits until all that was said is written, at most two seconds; false when it was not.
    pub fn flush(&self) -> bool {
        self.queue.flush(LAST_FLUSH)
    }

    /// True for lines of this level and target, as of now.
    #[must_use]
    pub fn is_enabled(&self, target: &str, level: Level) -> bool {
        self.level
            .with_current(|targets| targets.would_enable(target, &level))
            .unwrap_or(false)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.close();
        // A writer that hangs on a dead disk is left to the end of the process.
        if self.queue.flush(LAST_FLUSH)
            && let Some(writer) = self.writer.take()
        {
            drop(writer.join());
        }
    }
}
