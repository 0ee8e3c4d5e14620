//! What the plugin tells: its report for `status`, and alerts.

use std::{collections::BTreeSet, time::Duration};

use super::{REPORT, Task};
use crate::{
    alert::{Alert, COMPLAINTS, CauseKey, Grade, gist},
    clock::{Mono, Now, Unix, millis, time_of_day},
    dispatch::Machine,
    journal::CursorChange,
    plugin::{
        life::State,
        report::{Complaint, PluginReport},
        run::Run,
        told,
    },
    services::Level,
    site::{Health, Session, SiteError},
    text::shorten,
};

/// Ages grow without anything that happens: while events wait they are told this often.
const AGES: Duration = Duration::from_secs(5);
/// Lines that were dropped are told of this often at most.
const DROPPED: Duration = Duration::from_secs(60);
/// So much of what it complained of stands in `status`.
const COMPLAINT_MAX: usize = 200;

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

    /// Wanted events that are not settled, and rows that it has not looked at.
    fn waiting(&self) -> (usize, u64) {
        let machine = self.machine.as_ref();
        let position = machine.map_or(self.record.cursor.position, Machine::position);
        let open = machine.map_or(self.record.cursor.open.len(), Machine::open_len);
        (open, self.head.borrow().0.saturating_sub(position.0))
    }

    fn make_report(&self, now: Now) -> PluginReport {
        let (open, behind) = self.waiting();
        let oldest = self.machine.as_ref().and_then(Machine::oldest);
        let lag = oldest
            .and_then(|event| event.facts.created_at)
            .map_or(Duration::ZERO, |at| self.site_now(now) - at);
        let words = self.words(lag, now.mono);
        let next_at = self.next_attempt(words.state, now);
        let mut remedies = words.remedies.into_iter();
        let run = self.run.as_ref();
        PluginReport {
            name: self.name.clone(),
            ok: words.is_ok,
            state: words.state.to_owned(),
            since: self.life.since(),
            reason: words.reason.map(|why| with_next(why, next_at)),
            remedy: remedies.next(),
            other_remedies: remedies.collect(),
            subscriptions: self.subscriptions.clone(),
            version: self.version.clone(),
            file: self.setup.file.clone(),
            language: self.setup.language.clone(),
            pid: run.map(|run| run.child.pid),
            generation: self.generation,
            restarts: self.life.restarts(),
            behind,
            waiting: open as u64 + behind,
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
            complaint: self.complaint.clone(),
        }
    }

    /// When the event that it retries is tried again, while that is to come.
    fn next_attempt(&self, state: &str, now: Now) -> Option<Unix> {
        let machine = self.machine.as_ref().filter(|_| state == "retrying")?;
        machine.retry_at().filter(|at| *at > now.unix)
    }

    pub(super) fn key(&self, kind: &str) -> CauseKey {
        CauseKey::of_plugin(&self.name, kind)
    }

    /// Begins an alert of this plugin, with what waits and its last words.
    fn raise(&self, alert: Alert) {
        let excerpt = self.last_error.clone();
        self.begin_alert(Alert { excerpt, ..alert });
    }

    /// The same, for what its last words have no part in.
    fn begin_alert(&self, alert: Alert) {
        let (open, behind) = self.waiting();
        self.shared.alerts.begin(Alert {
            recipients: self.setup.recipients(self.emails.as_ref()),
            waits: Some(open as u64 + behind),
            ..alert
        });
    }

    pub(super) fn tell_disabled(&self) {
        if let State::Disabled { cause, .. } = self.life.state() {
            self.shared.alerts.end(&self.key("start"));
            self.raise(told::disabled(&self.name, cause, &self.setup.file));
        }
    }

    pub(super) fn tell_recovered(&self) {
        for kind in told::LASTING {
            self.shared.alerts.end(&self.key(kind));
        }
    }

    pub(super) fn tell_no_start(&self, error: &str) {
        self.raise(told::no_start(&self.name, &self.setup.file, error));
    }

    pub(super) fn tell_invalid(&self, error: &str) {
        self.raise(told::invalid(&self.name, &self.setup.file, error));
    }

    /// Its file is gone, or what made it a plugin. `is_missed`: a file, and it would run.
    pub(super) fn tell_gone(&self, is_missed: bool) {
        let file = &self.setup.file;
        if is_missed {
            self.begin_alert(told::missing(&self.name, file));
        } else {
            tracing::warn!(plugin = %self.name, file, "its file, or its section of the config, is gone");
        }
    }

    /// Scripts of its own whose key the site refuses: each said once, and once more when the key is taken. What ingest tells
    /// of the daemon's script is not told again.
    pub(super) fn tell_keys(&mut self) {
        let own = &self.setup.settings.scripts;
        if own.is_empty() && self.refused.is_empty() {
            return;
        }
        let told = match &*self.shared.site.health().borrow() {
            Health::AuthFailed { script, .. } => Some(script.clone()),
            Health::Up | Health::Down { .. } => None,
        };
        let is_own = |session: &&Session| {
            let script = session.script();
            own.iter().any(|one| one == script) && told.as_deref() != Some(script)
        };
        let mut refused = BTreeSet::new();
        for session in self.setup.sessions.iter().filter(is_own) {
            let Some(SiteError::Auth {
                script, message, ..
            }) = session.refusal()
            else {
                continue;
            };
            if !self.refused.contains(&script) {
                self.begin_alert(told::key_refused(&self.name, &script, &message));
            }
            refused.insert(script);
        }
        for script in self.refused.difference(&refused) {
            self.shared.alerts.end(&told::key_of(&self.name, script));
        }
        self.refused = refused;
    }

    /// What people are told of shows in `status`, too.
    pub(super) fn note_complaint(&mut self, message: &str) {
        self.complaint = Some(Complaint {
            at: self.shared.clock.now().unix,
            what: shorten(gist(message), COMPLAINT_MAX),
        });
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

    pub(super) fn tell_unkillable(&self, pid: i32) {
        self.raise(told::unkillable(&self.name, pid));
    }

    pub(super) fn tell_dead(&self, change: &CursorChange) {
        for dead in &change.dead {
            let machine = self.machine.as_ref();
            let event_id = machine.and_then(|machine| machine.event_id(dead.seq));
            self.shared.alerts.once(Alert {
                recipients: self.setup.recipients(self.emails.as_ref()),
                ..told::dead_letter(&self.name, event_id, dead)
            });
        }
    }

    pub(super) fn alert(&mut self, level: Level, message: String) {
        self.note_complaint(&message);
        let grade = if level >= Level::Error {
            Grade::Error
        } else {
            Grade::Warning
        };
        let key = self.key(&format!("said/{message}"));
        self.shared.alerts.once(Alert {
            plugin: Some(self.name.clone()),
            recipients: self.setup.recipients(self.emails.as_ref()),
            remedy: COMPLAINTS.to_owned(),
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
            let mut remedies = report.remedy.iter().chain(&report.other_remedies);
            let command = remedies.find(|remedy| remedy.starts_with("sgeventd "));
            let remedy = command.map_or("sgeventd status --all", String::as_str);
            self.raise(Alert {
                plugin: Some(self.name.clone()),
                remedy: remedy.to_owned(),
                by_itself: "It goes on with what waits.".to_owned(),
                ..alert
            });
        } else {
            self.shared.alerts.end(&self.key("lag"));
        }
    }
}

/// Why it is not well, with when the next attempt is: first, for `status` cuts a failure that is long.
fn with_next(why: String, next_at: Option<Unix>) -> String {
    match next_at {
        Some(at) => format!("next attempt at {} UTC; {why}", time_of_day(at)),
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_attempt_is_told() {
        let failed = "event 1339, attempt 1 failed: KeyError";
        for (next_at, expected) in [
            (None, failed.to_owned()),
            (
                Some(Unix(1_700_000_000_000)),
                format!("next attempt at 22:13:20 UTC; {failed}"),
            ),
        ] {
            assert_eq!(with_next(failed.to_owned(), next_at), expected);
        }
    }
}
