//! What the plugin tells: its report for `status`, and alerts.

use std::time::Duration;

use super::{REPORT, Task};
use crate::{
    alert::{Alert, CauseKey, Grade},
    clock::{Mono, Now, millis},
    dispatch::Machine,
    journal::CursorChange,
    plugin::{
        life::{Cause, State},
        report::PluginReport,
        run::Run,
        told,
    },
    services::Level,
};

/// Ages grow without anything that happens: while events wait they are told this often.
const AGES: Duration = Duration::from_secs(5);
/// Lines that were dropped are told of this often at most.
const DROPPED: Duration = Duration::from_secs(60);
/// Whose oldest event is younger is not behind.
const BEHIND: Duration = Duration::from_secs(10);

impl Task {
    /// Makes the report anew, when it is time; else returns when.
    pub(super) fn tell(&mut self, now: Now) -> Option<Mono> {
        let due = self.reported.map(|at| at + REPORT);
        if due.is_some_and(|due| now.mono < due) {
            return due;
        }
        let report = self.make_report(now);
        let is_new = self.report.borrow().differs(&report);
        let has_work = report.open > 0 || report.behind > 0;
        let is_stale = self.reported.is_none_or(|at| now.mono >= at + AGES);
        let is_told = is_new || has_work && is_stale;
        if !is_told {
            // Idle: nothing to tell, and no timer that says so four times a second.
            return has_work.then(|| now.mono + AGES);
        }
        self.reported = Some(now.mono);
        self.tell_lag(&report);
        self.tell_dropped(report.dropped_lines, now.mono);
        self.report.send_replace(report);
        Some(now.mono + REPORT)
    }

    fn make_report(&self, now: Now) -> PluginReport {
        let machine = self.machine.as_ref();
        let position = machine.map_or(self.record.cursor.position, Machine::position);
        let open = machine.map_or(self.record.cursor.open.len(), Machine::open_len);
        let behind = self.head.borrow().0.saturating_sub(position.0);
        let oldest = machine.and_then(Machine::oldest);
        let lag = oldest
            .and_then(|event| event.facts.created_at)
            .map_or(Duration::ZERO, |at| self.site_now(now) - at);
        let (state, reason, remedy) = self.words(lag);
        let run = self.run.as_ref();
        PluginReport {
            name: self.name.clone(),
            ok: matches!(state, "ok" | "off" | "starting" | "behind"),
            state: state.to_owned(),
            since: self.life.since(),
            reason,
            remedy,
            subscriptions: self.subscriptions.clone(),
            version: self.version.clone(),
            file: self.setup.file.clone(),
            language: self.setup.language.clone(),
            pid: run.map(|run| run.child.pid),
            generation: self.generation,
            restarts: self.life.restarts(),
            behind,
            lag_ms: millis(lag),
            open,
            last_event: self.last_event,
            counts: self.counts,
            dead_letters: self.counts.dead,
            writes: self.writes,
            dropped_lines: self.dropped_lines(),
            p50_ms: self.stats.percentile(0.5),
            p95_ms: self.stats.percentile(0.95),
            rate: self.stats.rate(now.mono),
            last_error: self.last_error.clone(),
        }
    }

    /// The word, why, and what ends it.
    fn words(&self, lag: Duration) -> (&'static str, Option<String>, Option<String>) {
        let show = || Some("sgeventd status --json".to_owned());
        let by_change = || {
            Some(format!(
                "edit {}: it starts again when the file changes",
                self.setup.file
            ))
        };
        match self.life.state() {
            State::Stopped if !self.setup.settings.enabled => {
                let line = format!("[plugin.{}] enabled = true, then reload", self.name);
                ("off", Some("off by config".to_owned()), Some(line))
            }
            State::Stopped => ("stopping", None, None),
            State::Starting => ("starting", None, None),
            State::Ready { .. } => {
                let retrying = self.machine.as_ref().and_then(Machine::retrying);
                if let Some((attempts, error)) = retrying {
                    let error = error.lines().next().unwrap_or_default();
                    return (
                        "retrying",
                        Some(format!("attempt {attempts} failed: {error}")),
                        show(),
                    );
                }
                if lag > BEHIND {
                    return ("behind", Some("catching up".to_owned()), None);
                }
                ("ok", None, None)
            }
            State::Draining(_) | State::Stopping(_) if self.is_unkillable => {
                let why =
                    "its process does not die, not even by SIGKILL: a file server may hold it";
                ("stopping", Some(why.to_owned()), show())
            }
            State::Draining(_) | State::Stopping(_) => ("stopping", None, None),
            State::Backoff { error, .. } => {
                let error = error.lines().next().unwrap_or_default();
                ("restarting", Some(error.to_owned()), by_change())
            }
            State::Missing => {
                let why = format!("{} is gone", self.setup.file);
                ("missing", Some(why), Some("put the file back".to_owned()))
            }
            State::Disabled {
                cause: Cause::Operator,
                ..
            } => {
                let enable = format!("sgeventd plugins enable {}", self.name);
                ("disabled", Some(Cause::Operator.sentence()), Some(enable))
            }
            State::Disabled { cause, .. } => ("disabled", Some(cause.sentence()), by_change()),
        }
    }

    fn key(&self, kind: &str) -> CauseKey {
        CauseKey::of_plugin(&self.name, kind)
    }

    /// Begins an alert of this plugin, with what waits and its last words.
    fn raise(&self, alert: Alert) {
        let machine = self.machine.as_ref();
        self.shared.alerts.begin(Alert {
            recipients: self.setup.recipients(self.emails.as_ref()),
            excerpt: self.last_error.clone(),
            waits: machine.map(|machine| {
                let behind = self.head.borrow().0.saturating_sub(machine.position().0);
                machine.open_len() as u64 + behind
            }),
            ..alert
        });
    }

    pub(super) fn tell_disabled(&self) {
        if let State::Disabled { cause, .. } = self.life.state() {
            self.shared.alerts.end(&self.key("start"));
            self.raise(told::disabled(&self.name, cause));
        }
    }

    pub(super) fn tell_recovered(&self) {
        for kind in told::LASTING {
            self.shared.alerts.end(&self.key(kind));
        }
    }

    pub(super) fn tell_no_start(&self, error: &str) {
        self.raise(told::no_start(&self.name, error));
    }

    pub(super) fn tell_invalid(&self, error: &str) {
        self.raise(told::invalid(&self.name, &self.setup.file, error));
    }

    pub(super) fn tell_host(&self) {
        let sentence = "more than half of the plugins failed within 30 s: look at this host, its file servers and its network";
        let alert = Alert {
            by_itself: "Restarts rest for 30 s, then each plugin is started again.".to_owned(),
            ..Alert::new(
                CauseKey::new("host/failing"),
                "host",
                Grade::Error,
                sentence,
            )
        };
        self.shared.alerts.once(alert);
    }

    pub(super) fn tell_unkillable(&self) {
        self.raise(told::unkillable(&self.name));
    }

    pub(super) fn tell_dead(&self, change: &CursorChange) {
        for dead in &change.dead {
            let error = dead.error.lines().next().unwrap_or_default();
            let alert = Alert {
                plugin: Some(self.name.clone()),
                excerpt: Some(dead.error.to_string()),
                recipients: self.setup.recipients(self.emails.as_ref()),
                by_itself: "The event is kept as a dead letter; the plugin goes on.".to_owned(),
                ..Alert::new(
                    self.key("dead_letter"),
                    "dead_letter",
                    Grade::Error,
                    format!("{} gave up an event ({}): {error}", self.name, dead.reason),
                )
            };
            self.shared.alerts.once(alert);
        }
    }

    pub(super) fn alert(&self, level: Level, message: String) {
        let grade = if level >= Level::Error {
            Grade::Error
        } else {
            Grade::Warning
        };
        let key = self.key(&format!("said/{message}"));
        self.shared.alerts.once(Alert {
            plugin: Some(self.name.clone()),
            recipients: self.setup.recipients(self.emails.as_ref()),
            ..Alert::new(key, "plugin", grade, format!("{}: {message}", self.name))
        });
    }

    /// Lines that it printed and nobody sees, since the daemon started.
    fn dropped_lines(&self) -> u64 {
        let runs = [&self.run, &self.candidate].into_iter().flatten();
        self.lost_lines + runs.map(Run::dropped).sum::<u64>()
    }

    /// What was dropped since is said in the log, now and then.
    fn tell_dropped(&mut self, dropped: u64, now: Mono) {
        let (told, at) = self.told_lines;
        if dropped > told && at.is_none_or(|at| now >= at + DROPPED) {
            let lines = dropped - told;
            tracing::warn!(plugin = %self.name, lines, "lines of its output were dropped: more than the log takes in a second");
            self.told_lines = (dropped, Some(now));
        }
    }

    fn tell_lag(&self, report: &PluginReport) {
        let limit = millis(*self.shared.lag.borrow());
        if report.lag_ms > limit {
            let sentence = format!("{} is {} min behind", self.name, report.lag_ms / 60_000);
            let alert = Alert::new(self.key("lag"), "lag", Grade::Warning, sentence);
            self.raise(Alert {
                plugin: Some(self.name.clone()),
                by_itself: "It goes on with what waits.".to_owned(),
                ..alert
            });
        } else {
            self.shared.alerts.end(&self.key("lag"));
        }
    }
}
