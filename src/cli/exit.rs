//! Exit codes, the same for every command, and how a failure is told.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use crate::{config::Finding, secret::redact};

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// No: not found, refused, a check failed; for `status`: degraded.
    No = 1,
    /// Only of `status`: down.
    Down = 2,
    /// The daemon does not run.
    NotRunning = 3,
    /// The command line is wrong.
    Usage = 64,
    /// The state is corrupt, foreign, newer or another site's.
    State = 65,
    /// The state cannot be created.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Locked by another daemon.
    Locked = 75,
    /// No permission.
    Permission = 77,
    /// The config is wrong.
    Config = 78,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong, in the words of the terminal.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    text: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with its causes.
    pub(super) fn new(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut text = format!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let _written = write!(text, "\n  caused by: {error}");
            cause = error.source();
        }
        Self {
            exit,
            text,
            hint: None,
        }
    }

    /// A failure in words.
    pub(super) fn words(exit: Exit, text: impl std::fmt::Display) -> Self {
        Self {
            exit,
            text: format!("error: {text}"),
            hint: None,
        }
    }

    /// Mistakes of a config; each says itself that it is one.
    pub(super) fn findings<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let all: Vec<_> = findings.into_iter().map(ToString::to_string).collect();
        Self {
            exit: Exit::Config,
            text: all.join("\n"),
            hint: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on stderr.
    pub(super) fn tell(&self) -> Exit {
        super::output::talk(&redact(&self.text));
        if let Some(hint) = &self.hint {
            super::output::talk(&redact(&format!("hint: {hint}")));
        }
        self.exit
    }
}
