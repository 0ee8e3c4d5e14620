//! What a plugin's life is made of: states, what happens, what must be done, and why it may be disabled.

use std::time::Duration;

use sgeventd_protocol::message::Reason as Why;

use super::LOOP_FAILURES;
use crate::{clock::Mono, ident::EventId};

/// A plugin that disabled itself, or was given up, is tried again this often.
const PROBE: Duration = Duration::from_secs(3600);

/// Why a plugin is disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its manifest, protocol version or config cannot be used.
    Manifest(String),
    /// It said so itself: `disable`, `unhealthy` or exit 78.
    Itself(String),
    /// It ended again and again.
    CrashLoop(String),
    /// Event after event used up its attempts; the last error.
    Failing(String),
    /// It stops at an event that failed.
    OnError {
        /// Which event.
        event_id: EventId,
        /// Why it failed.
        error: String,
    },
    /// An operator said so.
    Operator,
}

impl Cause {
    /// The word of the protocol's table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manifest(_) => "manifest",
            Self::Itself(_) => "self",
            Self::CrashLoop(_) => "crash_loop",
            Self::Failing(_) => "failing",
            Self::OnError { .. } => "on_error",
            Self::Operator => "operator",
        }
    }

    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Manifest(what) => what.clone(),
            Self::Itself(what) => format!("it disabled itself: {what}"),
            Self::CrashLoop(what) => {
                format!(
                    "crash loop: {LOOP_FAILURES} failures in a row or within 15 minutes, the last: {what}"
                )
            }
            Self::Failing(what) => {
                format!("three events in a row used up their attempts, the last: {what}")
            }
            Self::OnError { event_id, error } => {
                format!("it stops at event {event_id}, which failed: {error}")
            }
            Self::Operator => "disabled by an operator".to_owned(),
        }
    }

    pub(super) fn probe_at(&self, now: Mono) -> Option<Mono> {
        let is_probed = matches!(
            self,
            Self::Itself(_) | Self::CrashLoop(_) | Self::Failing(_)
        );
        is_probed.then(|| now + PROBE)
    }
}

/// What comes after the process has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the daemon stops, or the plugin was removed.
    Rest,
    /// A new process.
    Start(Why),
    /// The version that has passed its handshake takes over.
    Swap,
    /// Nothing until somebody acts.
    Disable(Cause),
    /// Nothing until the file is back.
    Miss,
    /// It counts as a failure.
    Fail(String),
}

/// How a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No process, and none is wanted.
    Stopped,
    /// The process shakes hands.
    Starting,
    /// It takes events.
    Ready {
        /// Since when.
        since: Mono,
    },
    /// Its open events are waited for, then it is stopped.
    Draining(Then),
    /// It is being stopped.
    Stopping(Then),
    /// It failed and is started again.
    Backoff {
        /// Then.
        until: Mono,
        /// What went wrong.
        error: String,
    },
    /// Its file is gone.
    Missing,
    /// It gets nothing until somebody acts, or the probe.
    Disabled {
        /// Why.
        cause: Cause,
        /// Tried again by itself.
        probe_at: Option<Mono>,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The daemon starts, and it shall run.
    Boot,
    /// It shall run from now on: its file came, or the config switches it on.
    Start,
    /// The process answered `start`.
    Ready,
    /// The process could not be started, or did not shake hands and is dead already.
    StartFailed(String),
    /// It lives, but its handshake failed.
    HandshakeFailed(String),
    /// It lives, but it cannot or does not want to run, or its events fail.
    Refused(Cause),
    /// It must be ended and started again: it hangs.
    Hung(String),
    /// The process has ended. `counts`: as a failure, if nobody asked for it.
    Exited {
        /// In words.
        error: String,
        /// False when an event is to blame, or a signal from outside.
        counts: bool,
    },
    /// Its files or its config changed.
    Changed,
    /// The changed version passed `initialize`.
    Validated,
    /// The changed version did not, and lives.
    Invalid,
    /// The changed version has no process any more.
    CandidateGone,
    /// Its file is gone.
    Vanished,
    /// An operator enables it.
    Enable,
    /// An operator disables it.
    Disable,
    /// The config switches it off.
    Off,
    /// The daemon stops.
    Shutdown,
    /// Time has passed.
    Tick,
}

/// What the task must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process.
    Spawn(Why),
    /// Start the changed version beside the running one, up to `initialize`.
    Validate,
    /// The changed version takes over.
    Promote,
    /// End the changed version.
    EndCandidate,
    /// Wait for its open events, then stop it.
    Drain,
    /// Stop it now, from SIGTERM on.
    End,
    /// It was given up; somebody must know.
    TellDisabled,
    /// It works again.
    TellRecovered,
}
