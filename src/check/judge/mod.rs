//! Judges: a transcript in, findings out. Pure.
//!
//! `runs.rs` knows what each scenario expects of its own run, `wire.rs` what holds in every run, `death.rs` what a log says of an end.

mod death;
pub(super) mod runs;
#[cfg(test)]
mod tests;
pub(super) mod wire;

use std::sync::Arc;

use serde_json::{Value, value::RawValue};
use sgeventd_protocol::{Manifest, PROTOCOL, RpcError, handshake};

use super::{
    rule::{self, Rule},
    transcript::{Transcript, Waiting, shortened},
};
use crate::site::permissions::Granted;

/// Of one rule so many findings are told; more say nothing new.
const EACH_MAX: usize = 3;
/// Last lines of the log beside a death.
const WORDS: usize = 5;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Against the contract.
    Fault,
    /// Worth a look; it spoils nothing.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) rule: &'static Rule,
    pub(super) weight: Weight,
    /// What is wrong, in a sentence.
    pub(super) what: String,
    /// What the plugin had been sent.
    pub(super) sent: Option<String>,
    /// What came of it.
    pub(super) came: Option<String>,
    /// The last lines of its log.
    pub(super) log: Vec<String>,
    /// What to do in this case; none: what the rule says.
    pub(super) mend: Option<&'static str>,
    /// The runs in which it was seen.
    pub(super) seen: Vec<String>,
}

impl Finding {
    /// A fault without more to show.
    pub(super) fn of(rule: &'static Rule, what: &str) -> Self {
        Self::fault(rule, what)
    }

    fn fault(rule: &'static Rule, what: impl Into<String>) -> Self {
        Self {
            rule,
            weight: Weight::Fault,
            what: what.into(),
            sent: None,
            came: None,
            log: Vec::new(),
            mend: None,
            seen: Vec::new(),
        }
    }

    fn note(rule: &'static Rule, what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Note,
            ..Self::fault(rule, what)
        }
    }

    fn sent(mut self, text: Option<String>) -> Self {
        self.sent = text;
        self
    }

    fn came(mut self, text: Option<String>) -> Self {
        self.came = text;
        self
    }

    fn log(mut self, transcript: &Transcript) -> Self {
        let lines = transcript.last_words(WORDS).into_iter();
        self.log = lines.map(|line| shortened(line, 200)).collect();
        self
    }

    /// An end with what its log says about it, where the rule itself says only that it should not be.
    fn died(self, transcript: &Transcript) -> Self {
        let says_little = [&rule::HANDSHAKE, &rule::STAYS, &rule::ANSWERED];
        let log: Vec<&str> = transcript.printed().collect();
        let says_little = says_little.contains(&self.rule);
        let cause = death::cause(&log).filter(|_| says_little);
        let Some(cause) = cause else {
            let exit = transcript.death().filter(|_| says_little);
            let is_unready = self.rule == &rule::HANDSHAKE;
            let mend = exit.and_then(|exit| death::mend(exit, is_unready, !log.is_empty()));
            return Self { mend, ..self }.log(transcript);
        };
        let lines = cause.lines.iter().map(|line| shortened(line, 200));
        Self {
            what: format!("{}: {}", self.what, shortened(cause.error, 200)),
            log: lines.collect(),
            mend: Some(cause.mend),
            ..self
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        self.rule == other.rule && self.weight == other.weight && self.what == other.what
    }
}

/// What a plugin said of itself.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) manifest: Manifest,
    pub(super) raw: Arc<RawValue>,
}

/// Reads the answer to `initialize`, as the daemon does.
pub(super) fn greeting(outcome: &Result<String, RpcError>) -> Result<Greeting, Box<Finding>> {
    let text = match outcome {
        Ok(text) => text,
        Err(error) => {
            let what = format!("`initialize` was answered with an error: {error}");
            return Err(Box::new(Finding::fault(&rule::HANDSHAKE, what)));
        }
    };
    let came = Some(shortened(text, 200));
    let Ok(Value::Object(result)) = serde_json::from_str(text) else {
        let what = "the answer to `initialize` is no object with `protocol` and `manifest`";
        return Err(Box::new(Finding::fault(&rule::HANDSHAKE, what).came(came)));
    };
    let version = result.get("protocol").unwrap_or(&Value::Null);
    if version.as_u64() != Some(u64::from(PROTOCOL)) {
        let what = match version {
            Value::Null => "the answer to `initialize` has no `protocol`".to_owned(),
            other => format!("it claims to speak version {other} of the protocol"),
        };
        return Err(Box::new(Finding::fault(&rule::VERSION, what).came(came)));
    }
    let raw = RawValue::from_string(text.clone()).map_err(|error| error.to_string());
    let read = raw.and_then(|raw| handshake::initialized(Ok(raw)));
    match read {
        Ok((manifest, raw)) => match Granted::new(manifest.permissions.sg.as_deref(), None) {
            Ok(_) => Ok(Greeting {
                manifest,
                raw: raw.into(),
            }),
            Err(error) => {
                let what = format!("`permissions.sg`: {error}");
                Err(Box::new(Finding::fault(&rule::MANIFEST, what).came(came)))
            }
        },
        Err(error) => Err(Box::new(Finding::fault(&rule::MANIFEST, error).came(came))),
    }
}

/// What kept a run from its end: an answer that did not come, or a death. `rule`: what it is a case of.
fn unmet(transcript: &Transcript, rule: &'static Rule) -> Option<Finding> {
    if let Some(Err(finding)) = transcript.greeting().map(greeting) {
        return Some(*finding);
    }
    if let Some(bytes) = transcript.clogged() {
        let what = "it goes on calling and does not read the answers".to_owned();
        let came = Some(format!("calls, while {bytes} bytes of answers lie unread"));
        return Some(Finding::fault(&rule::READS, what).came(came));
    }
    let gave_up = transcript.gave_up();
    if let (Some((Waiting::Answer(..), _)), Some(line)) = (gave_up, transcript.unended()) {
        let what = "its last message has no newline at its end, so nobody reads it";
        return Some(Finding::fault(&rule::NEWLINE, what).came(Some(line)));
    }
    let last = transcript.asked().last();
    // Before it was ready nothing of this scenario was tried, but for what a later daemon says.
    let is_unready = last.is_none_or(|asked| {
        let is_first = matches!(asked.method, "initialize" | "start");
        is_first && transcript.answers(asked.id).next().is_none()
    });
    let rule = if is_unready && rule != &rule::UNKNOWN {
        &rule::HANDSHAKE
    } else {
        rule
    };
    let sent = last.and_then(|asked| transcript.show(asked.at));
    if let Some(exit) = transcript.death() {
        let after = last.map_or("nothing", |asked| asked.method);
        let what = format!("it ended by itself, {exit}, after `{after}`");
        return Some(Finding::fault(rule, what).sent(sent).died(transcript));
    }
    let (waiting, ms) = gave_up?;
    let waited = seconds(ms);
    Some(match waiting {
        Waiting::Answer(id, method) => {
            let asked = transcript.asked().find(|asked| asked.id == id.to_string());
            let asked_at = asked.map_or(0, |asked| asked.at);
            let after = transcript.came().filter(|(at, _)| *at > asked_at).last();
            let came = after.map_or_else(|| "nothing".to_owned(), |(_, said)| said.to_string());
            let what = format!("no answer to `{method}` within {waited}");
            let sent = asked.and_then(|asked| transcript.show(asked.at));
            Finding::fault(rule, what)
                .sent(sent)
                .came(Some(came))
                .log(transcript)
        }
        Waiting::Exit => {
            let what = format!("it still runs {waited} after its input ended");
            Finding::fault(&rule::EOF, what).log(transcript)
        }
    })
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{ms} ms")
    }
}

/// What a judge finds in all runs, each thing once, with the runs in which it was seen.
pub(super) fn over_all(
    all: &[(&str, &Transcript)],
    judge: fn(&Transcript) -> Vec<Finding>,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (name, transcript) in all {
        for finding in judge(transcript) {
            if let Some(known) = found.iter_mut().find(|known| known.is_as(&finding)) {
                if known.seen.last().is_none_or(|last| last != name) {
                    known.seen.push((*name).to_owned());
                }
                continue;
            }
            let same = found.iter().filter(|other| other.rule == finding.rule);
            if same.count() < EACH_MAX {
                found.push(Finding {
                    seen: vec![(*name).to_owned()],
                    ..finding
                });
            }
        }
    }
    found
}
