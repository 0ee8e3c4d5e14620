//! How the plugin is in words: what `status` says of it, and what a person can type.
//!
//! Never: a time that goes on (the report would be another one at every look), a secret.

use std::time::Duration;

use super::Task;
use crate::{
    clock::{Mono, millis},
    dispatch::Machine,
    plugin::{
        life::{State, Then},
        run::{HANDSHAKE, Run},
        scarce, told,
    },
    services::Phase,
};

/// Whose oldest event is younger is not behind.
const BEHIND: Duration = Duration::from_secs(10);
/// A handshake that takes longer is said to hang; most take less than a second.
const SLOW: Duration = Duration::from_secs(10);

/// What `status` says of a plugin.
pub(super) struct Words {
    /// One word.
    pub(super) state: &'static str,
    /// A person need not look.
    pub(super) is_ok: bool,
    /// Why it is so.
    pub(super) reason: Option<String>,
    /// What ends it, what mends it as a rule first.
    pub(super) remedies: Vec<String>,
}

impl Words {
    fn fine(state: &'static str) -> Self {
        Self {
            state,
            is_ok: true,
            reason: None,
            remedies: Vec::new(),
        }
    }

    fn bad(state: &'static str, reason: impl Into<String>, remedies: Vec<String>) -> Self {
        Self {
            state,
            is_ok: false,
            reason: Some(reason.into()),
            remedies,
        }
    }
}

impl Task {
    pub(super) fn words(&self, lag: Duration, now: Mono) -> Words {
        let name = &self.name;
        match self.life.state() {
            State::Stopped if !self.setup.settings.enabled => Words {
                reason: Some("off by config".to_owned()),
                remedies: vec![told::by_config(name)],
                ..Words::fine("off")
            },
            State::Starting => self.starting(now),
            State::Ready { .. } => self.ready(lag),
            State::Draining(_) | State::Stopping(_) if self.is_unkillable => {
                let why =
                    "its process does not die, not even by SIGKILL: a file server may hold it";
                let pid = self.run.as_ref().map(|run| run.child.pid);
                Words::bad("stopping", why, pid.map(told::stuck).into_iter().collect())
            }
            State::Draining(then) => {
                let how = "it finishes its open events, then its process is stopped";
                Words::bad("stopping", leaving(how, then), Vec::new())
            }
            State::Stopping(then) => {
                let how = "its process is being stopped";
                Words::bad("stopping", leaving(how, then), Vec::new())
            }
            State::Stopped => Words::bad("stopping", "its process is being stopped", Vec::new()),
            State::Backoff { error, .. } => {
                let remedies = vec![told::by_mending(&self.setup.file, error)];
                Words::bad("restarting", first_line(error), remedies)
            }
            State::Missing => {
                let why = format!("{} is gone", self.setup.file);
                Words::bad("missing", why, vec!["put the file back".to_owned()])
            }
            State::Disabled { cause, .. } => {
                let ways = told::ways_out(name, cause, &self.setup.file);
                Words::bad("disabled", cause.sentence(), ways)
            }
        }
    }

    fn starting(&self, now: Mono) -> Words {
        if self.shared.scarce.holds_up(&self.name) {
            return Words::bad("starting", scarce::WHY, vec![scarce::REMEDY.to_owned()]);
        }
        let hangs = self.run.as_ref().and_then(|run| silent(run, now));
        let reason = match (hangs, &self.last_error) {
            (Some(step), _) => format!(
                "no answer to `{step}` for more than {} s; its process is ended after {} s",
                SLOW.as_secs(),
                HANDSHAKE.as_secs()
            ),
            (None, Some(error)) if self.life.is_failing() => {
                format!("once more, after: {}", first_line(error))
            }
            _ => return Words::fine("starting"),
        };
        let remedies = vec![told::by_change(&self.setup.file)];
        Words::bad("starting", reason, remedies)
    }

    fn ready(&self, lag: Duration) -> Words {
        let retrying = self.machine.as_ref().and_then(Machine::retrying);
        if let Some((event_id, attempts, error)) = retrying {
            let error = first_line(error);
            let reason = format!("event {event_id}, attempt {attempts} failed: {error}");
            let remedies = vec![told::by_change(&self.setup.file)];
            return Words::bad("retrying", reason, remedies);
        }
        if let Some(pause) = &self.pause {
            return Words {
                reason: Some(pause.words.clone()),
                ..Words::fine("paused")
            };
        }
        if lag > BEHIND {
            return Words {
                reason: Some("catching up".to_owned()),
                ..Words::fine("behind")
            };
        }
        Words::fine("ok")
    }
}

/// When a handshake that goes on is said to hang.
pub(super) fn slow_at(run: &Run) -> Option<Mono> {
    let until = run.handshake_until.filter(|_| run.ladder.is_none())?;
    Some(Mono(until.0.saturating_sub(millis(HANDSHAKE - SLOW))))
}

/// The step of the handshake that it says nothing to; one whose call waits for the site does not hang.
fn silent(run: &Run, now: Mono) -> Option<&'static str> {
    let hangs = run.calls.is_empty() && slow_at(run).is_some_and(|at| now >= at);
    hangs.then(|| step_of(run))
}

/// The step of the handshake that is waited for.
pub(super) fn step_of(run: &Run) -> &'static str {
    if run.phase == Phase::Handshake {
        "initialize"
    } else {
        "start"
    }
}

/// How it is being stopped, and why, where nobody asked for it.
fn leaving(how: &str, then: &Then) -> String {
    let why = match then {
        Then::Fail(error) => error.clone(),
        Then::Disable(cause) => cause.sentence(),
        Then::Miss => "its file is gone".to_owned(),
        Then::Rest | Then::Start(_) | Then::Swap => return how.to_owned(),
    };
    format!("{how}: {}", first_line(&why))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sgeventd_protocol::message::Reason;

    use super::*;
    use crate::plugin::life::Cause;

    #[test]
    fn who_is_being_stopped_says_why() {
        let closed = "it closed its output, and lives on\nTraceback: here".to_owned();
        for (then, expected) in [
            (
                Then::Fail(closed),
                "it goes: it closed its output, and lives on",
            ),
            (
                Then::Disable(Cause::Itself("no licence".to_owned())),
                "it goes: it disabled itself: no licence",
            ),
            (Then::Miss, "it goes: its file is gone"),
            (Then::Start(Reason::Changed), "it goes"),
            (Then::Rest, "it goes"),
        ] {
            assert_eq!(leaving("it goes", &then), expected);
        }
    }
}
