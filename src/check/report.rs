//! What a check found: data for people and programs. Its JSON is described by `docs/check.schema.json`.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde::Serialize;
use sgeventd_protocol::Manifest;

use super::{
    judge::{Finding, Weight},
    made::Events,
    rule::{self, Rule},
    scenario::Scenario,
    transcript::Transcript,
};
use crate::{clock::millis, plugin::discovery::Found};

/// A whole check.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it is called.
    pub plugin: String,
    /// Its file or folder.
    pub file: String,
    /// What is executed.
    pub command: Vec<String>,
    /// The version that its manifest names.
    pub version: Option<String>,
    /// The version of the protocol that it was held against.
    pub protocol: u32,
    /// True when no scenario failed.
    pub ok: bool,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many could not be applied.
    pub not_applicable: usize,
    /// The whole check.
    pub elapsed_ms: u64,
    /// Each of its event types, as far as events of it were made.
    pub events: Vec<String>,
    /// Subscriptions for which no event could be made.
    pub unmade: Vec<Unmade>,
    /// In the order in which they are told.
    pub scenarios: Vec<ScenarioReport>,
}

/// A subscription without an event.
#[derive(Debug, Serialize)]
pub struct Unmade {
    /// Its id.
    pub subscription: String,
    /// Why.
    pub why: String,
}

/// How a scenario came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As the contract has it.
    Passed,
    /// Against it.
    Failed,
    /// It says nothing about this plugin.
    NotApplicable,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub struct ScenarioReport {
    /// Its name.
    pub name: &'static str,
    /// In a sentence.
    pub title: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// Why it is not applicable.
    pub why: Option<String>,
    /// Its run; none for those that look at all runs.
    pub elapsed_ms: Option<u64>,
    /// What was found.
    pub findings: Vec<FindingReport>,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
pub struct FindingReport {
    /// The rule's name.
    pub rule: &'static str,
    /// Where it stands in `protocol/v1/PROTOCOL.md`.
    pub section: &'static str,
    /// `fault`, or `note`: worth a look, fails nothing.
    pub weight: &'static str,
    /// What is wrong.
    pub what: String,
    /// What the plugin was sent.
    pub sent: Option<String>,
    /// What came.
    pub came: Option<String>,
    /// What the contract says.
    pub expected: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// The runs in which it was seen, for those that look at all.
    pub seen: Vec<String>,
}

/// A run of a scenario, or why there is none.
pub(super) type Ran = (&'static str, Result<Transcript, String>);

impl Report {
    pub(super) fn new(file: &Path, found: Option<&Found>) -> Self {
        // `.` and `..` have no name of their own.
        let named = match file.file_stem() {
            Some(_) => file.to_owned(),
            None => file.canonicalize().unwrap_or_default(),
        };
        let stem = || named.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            plugin: found.map_or_else(|| stem().into_owned(), |found| found.name.to_string()),
            file: file.display().to_string(),
            command: found.map(|found| found.command.clone()).unwrap_or_default(),
            version: None,
            protocol: sgeventd_protocol::PROTOCOL,
            ok: false,
            passed: 0,
            failed: 0,
            not_applicable: 0,
            elapsed_ms: 0,
            events: Vec::new(),
            unmade: Vec::new(),
            scenarios: Vec::new(),
        }
    }

    /// What it said of itself, and what events it gets.
    pub(super) fn greeted(&mut self, manifest: &Manifest, events: &Events) {
        self.version.clone_from(&manifest.version);
        let kinds = events.made.iter().map(|made| {
            let text = |key: &str| made.row[key].as_str().unwrap_or_default();
            match text("attribute_name") {
                "" => text("event_type").to_owned(),
                attribute => format!("{}({attribute})", text("event_type")),
            }
        });
        self.events = kinds.collect();
        self.events.dedup();
        let unmade = events.unmade.iter().cloned();
        self.unmade = unmade
            .map(|(subscription, why)| Unmade { subscription, why })
            .collect();
    }

    /// It is none that the daemon would start.
    pub(super) fn cannot_start(
        &mut self,
        chosen: &[&'static Scenario],
        why: &str,
        mend: Option<&'static str>,
    ) {
        for scenario in chosen {
            let is_first = scenario.name == super::scenario::HANDSHAKE;
            let judged = if is_first {
                let finding = Finding::of(&rule::STARTS, why);
                Ok(vec![Finding { mend, ..finding }])
            } else {
                Err("it cannot be started".to_owned())
            };
            self.add(scenario, judged, None);
        }
    }

    /// Judges the runs.
    pub(super) fn take(&mut self, chosen: &[&'static Scenario], runs: &[Ran]) {
        let done = runs.iter();
        let done = done.filter_map(|(name, run)| Some((*name, run.as_ref().ok()?)));
        let done: Vec<(&str, &Transcript)> = done.collect();
        // Those that failed, and those that mean nothing because of them.
        let mut did_not_pass = BTreeSet::new();
        for scenario in chosen {
            let run = runs.iter().find(|(name, _)| *name == scenario.name);
            let failed = scenario
                .needs
                .iter()
                .find(|need| did_not_pass.contains(*need))
                .copied();
            let judged = match (failed, run) {
                (Some(need), _) => Err(format!("needs `{need}`, which did not pass")),
                (None, Some((_, Err(why)))) => Err(why.clone()),
                (None, Some((_, Ok(own)))) => scenario.judge(Some(own), &done),
                (None, None) => scenario.judge(None, &done),
            };
            let elapsed = run.and_then(|(_, run)| Some(run.as_ref().ok()?.elapsed_ms));
            let is_skipped = failed.is_some();
            let outcome = self.add(scenario, judged, elapsed);
            if is_skipped || outcome == Outcome::Failed {
                did_not_pass.insert(scenario.name);
            }
        }
    }

    fn add(
        &mut self,
        scenario: &Scenario,
        judged: Result<Vec<Finding>, String>,
        elapsed_ms: Option<u64>,
    ) -> Outcome {
        let is_known = |one: &Finding| {
            let told = self.scenarios.iter().flat_map(|known| &known.findings);
            let mut told = told.filter(|known| known.rule == one.rule.name);
            one.weight == Weight::Note && told.any(|known| known.what == one.what)
        };
        // A note is told once.
        let judged = judged.map(|mut findings| {
            findings.retain(|one| !is_known(one));
            findings
        });
        let (outcome, why, findings) = match judged {
            Err(why) => (Outcome::NotApplicable, Some(why), Vec::new()),
            Ok(findings) if findings.iter().any(|one| one.weight == Weight::Fault) => {
                (Outcome::Failed, None, findings)
            }
            Ok(findings) => (Outcome::Passed, None, findings),
        };
        self.scenarios.push(ScenarioReport {
            name: scenario.name,
            title: scenario.title,
            outcome,
            why,
            elapsed_ms,
            findings: findings.into_iter().map(FindingReport::from).collect(),
        });
        outcome
    }

    pub(super) fn done(mut self, elapsed: Duration) -> Self {
        let count = |outcome| {
            let all = self.scenarios.iter();
            all.filter(|one| one.outcome == outcome).count()
        };
        (self.passed, self.failed) = (count(Outcome::Passed), count(Outcome::Failed));
        self.not_applicable = count(Outcome::NotApplicable);
        self.ok = self.failed == 0;
        self.elapsed_ms = millis(elapsed);
        self
    }
}

impl From<Finding> for FindingReport {
    fn from(finding: Finding) -> Self {
        let Rule {
            name,
            section,
            expected,
            mend,
        } = finding.rule;
        Self {
            rule: name,
            section,
            weight: match finding.weight {
                Weight::Fault => "fault",
                Weight::Note => "note",
            },
            what: finding.what,
            sent: finding.sent,
            came: finding.came,
            expected,
            mend: finding.mend.unwrap_or(mend),
            log: finding.log,
            seen: finding.seen,
        }
    }
}
