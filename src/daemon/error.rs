//! Why the daemon does not start, or ends: one variant per exit code.

use std::{io, path::PathBuf};

use crate::{
    admin::server::SocketError,
    alert, config,
    journal::{JournalError, OpenError, StateError},
    sdk::UnpackError,
    site,
    telemetry::LogError,
};

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The config cannot be used: all findings.
    #[error("{}", list(.0))]
    Config(Vec<config::Finding>),
    /// A key cannot be had.
    #[error("`{key}`: {source}")]
    Key {
        /// The key of the config.
        key: String,
        /// Why.
        source: config::KeyError,
    },
    /// What alerts need cannot be had.
    #[error(transparent)]
    Alerts(#[from] alert::SetupError),
    /// The site cannot even be tried.
    #[error(transparent)]
    Site(#[from] site::SetupError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The state was made with another site.
    #[error("the state directory {} belongs to {found}, not to {asked}", dir.display())]
    OtherSite {
        /// The state directory.
        dir: PathBuf,
        /// Whom it belongs to.
        found: Box<str>,
        /// Who asks.
        asked: Box<str>,
    },
    /// The journal cannot go on.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The admin socket cannot be served.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// `log.level` cannot be set.
    #[error(transparent)]
    Level(#[from] LogError),
    /// The Python SDK cannot be laid down for plugins.
    #[error(transparent)]
    Sdk(#[from] UnpackError),
    /// The operating system refused something that always works.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A task of ours ended in a panic; that is a bug.
    #[error("the task of {0} has ended in a panic; this is a bug, and the log has its words")]
    Panic(String),
}

fn list(findings: &[config::Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
