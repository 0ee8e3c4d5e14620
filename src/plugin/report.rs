//! What one plugin tells of itself: a snapshot that `status` shows.
//!
//! Never: more than one page of text; a secret (texts are redacted where they are made).

use serde::{Deserialize, Serialize};

use crate::{
    clock::Unix,
    ident::{EventId, Generation, PluginName},
    journal::Counts,
};

/// What a plugin told people of, and went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// When, Unix milliseconds.
    pub at: Unix,
    /// A line.
    pub what: String,
}

/// A plugin as `status` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PluginReport {
    /// Its name.
    pub name: PluginName,
    /// One word: `ok`, `behind`, `paused`, `retrying`, `restarting`, `starting`, `stopping`, `missing`, `disabled`, `off`.
    pub state: String,
    /// Since when it is in that state, Unix milliseconds.
    pub since: Unix,
    /// True when a person need not look.
    pub ok: bool,
    /// Why it is not ok, as a sentence; of one that retries, with the time of the next attempt.
    pub reason: Option<String>,
    /// The one command, or act, that ends it as a rule.
    pub remedy: Option<String>,
    /// Further commands that end it.
    #[serde(default)]
    pub other_remedies: Vec<String>,
    /// What it subscribed to, one text each; empty: it gets nothing.
    pub subscriptions: Vec<String>,
    /// The version its manifest names.
    pub version: Option<String>,
    /// Its file or command.
    pub file: String,
    /// `rust`, `python`, `shell` …, as far as the file tells; empty otherwise.
    #[serde(default)]
    pub language: String,
    /// The process, when one runs.
    pub pid: Option<i32>,
    /// How many processes it had since the daemon started.
    pub generation: Generation,
    /// Restarts since the daemon started that nobody asked for.
    pub restarts: u32,
    /// Journal rows after its position.
    pub behind: u64,
    /// Events that wait for it: those that are open, and rows that it has not looked at.
    #[serde(default)]
    pub waiting: u64,
    /// Age of the oldest event that waits, milliseconds.
    pub lag_ms: u64,
    /// Wanted events that are not settled.
    pub open: usize,
    /// The last event it was handed.
    pub last_event: Option<EventId>,
    /// What it did since it was first seen.
    pub counts: Counts,
    /// Dead letters that are kept.
    pub dead_letters: u64,
    /// Writes to the site since the daemon started.
    pub writes: u64,
    /// Lines of its output that nobody sees since the daemon started: more than the log takes in a second.
    #[serde(default)]
    pub dropped_lines: u64,
    /// Milliseconds from delivery to answer, half of the last ones were faster.
    pub p50_ms: Option<f64>,
    /// Milliseconds from delivery to answer, 95 of 100 of the last ones were faster.
    pub p95_ms: Option<f64>,
    /// Deliveries a second over the last minute.
    pub rate: f64,
    /// The last failure in words.
    pub last_error: Option<String>,
    /// The last error that it logged or answered an event with, or the last alert of its own, since the daemon started.
    #[serde(default)]
    pub complaint: Option<Complaint>,
}

impl PluginReport {
    /// A plugin of which nothing is known yet.
    #[must_use]
    pub fn of(name: &PluginName, file: &str) -> Self {
        Self {
            name: name.clone(),
            state: "starting".to_owned(),
            since: Unix::default(),
            ok: true,
            reason: None,
            remedy: None,
            other_remedies: Vec::new(),
            subscriptions: Vec::new(),
            version: None,
            file: file.to_owned(),
            language: String::new(),
            pid: None,
            generation: Generation::default(),
            restarts: 0,
            behind: 0,
            waiting: 0,
            lag_ms: 0,
            open: 0,
            last_event: None,
            counts: Counts::default(),
            dead_letters: 0,
            writes: 0,
            dropped_lines: 0,
            p50_ms: None,
            p95_ms: None,
            rate: 0.0,
            last_error: None,
            complaint: None,
        }
    }

    /// True when there is something new to tell; ages alone are not.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        let essence = |report: &Self| {
            (
                (report.state.clone(), report.since, report.reason.clone()),
                report.remedy.clone(),
                (
                    report.pid,
                    report.generation,
                    report.restarts,
                    report.writes,
                    report.dropped_lines,
                ),
                (report.behind, report.open, report.last_event, report.counts),
                (report.subscriptions.clone(), report.version.clone()),
                (
                    report.file.clone(),
                    report.last_error.clone(),
                    report.complaint.clone(),
                ),
            )
        };
        essence(self) != essence(other)
    }
}
