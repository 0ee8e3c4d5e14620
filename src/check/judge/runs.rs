//! What each scenario expects of its own run.
//!
//! In: the run's transcript. Out: findings; or why nothing could be seen in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sgeventd_protocol::{Answer, ErrorCode};

use super::{Finding, Weight, greeting, seconds, unmet, wire::parent};
use crate::{
    check::{
        rule::{self, Rule},
        run::UNKNOWN,
        transcript::{Asked, Said, Transcript, Waiting, What, shortened},
    },
    process::Exit,
};

/// Members of a manifest that mean something.
const MEMBERS: [&str; 9] = [
    "name",
    "version",
    "description",
    "subscriptions",
    "delivery",
    "permissions",
    "alerts",
    "config_schema",
    "watch",
];

/// What a program does that prints where it should answer.
const PRINTS: &str = "print to standard error; answer `initialize`, on standard output, with one line of JSON, and flush";

type Judged = Result<Vec<Finding>, String>;

/// `initialize` and `start`.
pub(in crate::check) fn handshake(transcript: &Transcript) -> Judged {
    for what in &transcript.entries {
        if let What::NotStarted(why) = what {
            return Ok(vec![Finding::fault(&rule::STARTS, why)]);
        }
    }
    let Some(outcome) = transcript.greeting() else {
        let mut finding = unmet(transcript, &rule::HANDSHAKE);
        if let (Some(one), Some((_, said))) = (&mut finding, transcript.came().next()) {
            one.came = Some(said.to_string());
            if matches!(said, Said::Stray(_)) {
                one.mend = one.mend.or(Some(PRINTS));
            }
        }
        return Ok(finding.into_iter().collect());
    };
    let greeting = match greeting(outcome) {
        Ok(greeting) => greeting,
        Err(finding) => {
            let place = transcript.place_of("initialize");
            let sent = place.and_then(|at| transcript.show(at));
            return Ok(vec![finding.sent(sent).log(transcript)]);
        }
    };
    let start = transcript.asked().find(|asked| asked.method == "start");
    let sent = start.and_then(|start| transcript.show(start.at));
    let answer = start.and_then(|start| transcript.answers(start.id).next());
    match transcript.begun() {
        Some(Err(what)) => {
            let finding = Finding::fault(&rule::HANDSHAKE, what);
            return Ok(vec![finding.sent(sent).log(transcript)]);
        }
        Some(Ok(Some(reason))) => {
            let what = format!("it disables itself at `start`: {reason}");
            return Ok(vec![Finding::fault(&rule::DISABLED, what).sent(sent)]);
        }
        _ => {}
    }
    if answer.is_some() && transcript.death().is_some() {
        return Ok(unmet(transcript, &rule::STAYS).into_iter().collect());
    }
    let mut findings: Vec<_> = unmet(transcript, &rule::HANDSHAKE).into_iter().collect();
    let raw = serde_json::from_str(greeting.raw.get()).unwrap_or_default();
    findings.extend(unknown_members(&raw));
    Ok(findings)
}

/// Members that are ignored, and look like ones that are not.
fn unknown_members(manifest: &Value) -> Vec<Finding> {
    let members = manifest.as_object().into_iter().flatten();
    let unknown = members.filter(|(name, _)| !MEMBERS.contains(&name.as_str()));
    let mut findings = Vec::new();
    for (name, _) in unknown {
        let near = MEMBERS
            .iter()
            .filter(|known| strsim::damerau_levenshtein(known, name) <= 2)
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        if let Some(near) = near {
            let what =
                format!("`{name}` in the manifest is unknown and ignored; did you mean {near}?");
            findings.push(Finding::note(&rule::MANIFEST, what));
        }
    }
    findings
}

/// A version that nobody speaks.
pub(in crate::check) fn version(transcript: &Transcript) -> Judged {
    let asked = transcript.place_of("initialize");
    let sent = asked.and_then(|at| transcript.show(at));
    let Some(outcome) = transcript.greeting() else {
        let finding = match transcript.death() {
            // It ends: that is no claim either.
            Some(exit) => Finding::note(&rule::VERSION, format!("it ends instead, {exit}")),
            None => Finding::fault(
                &rule::VERSION,
                "no answer when none of its versions is offered",
            ),
        };
        return Ok(vec![finding.sent(sent).log(transcript)]);
    };
    let claimed = outcome.as_ref().ok().and_then(|text| {
        let result: Value = serde_json::from_str(text).ok()?;
        result["protocol"].as_u64()
    });
    if claimed != Some(u64::from(crate::check::run::NO_VERSION)) {
        return Ok(Vec::new());
    }
    let what = "it claims whatever version it is offered";
    let came = outcome.as_ref().ok().map(|text| shortened(text, 200));
    let finding = Finding::fault(&rule::VERSION, what);
    Ok(vec![finding.sent(sent).came(came)])
}

/// What a later daemon says.
pub(in crate::check) fn unknown(transcript: &Transcript) -> Judged {
    Ok(unmet(transcript, &rule::UNKNOWN).into_iter().collect())
}

/// A request that nobody can know.
pub(in crate::check) fn unknown_request(transcript: &Transcript) -> Judged {
    if let Some(mut finding) = unmet(transcript, &rule::NOT_FOUND) {
        // No daemon of today makes such a request: it is worth a look, whatever comes of it.
        if finding.rule == &rule::NOT_FOUND {
            finding.weight = Weight::Note;
        }
        return Ok(vec![finding]);
    }
    let mut asked = transcript.asked();
    let asked = asked.find(|asked| asked.method == UNKNOWN);
    let answer = asked.and_then(|asked| transcript.answers(asked.id).next());
    let (Some(asked), Some((at, outcome))) = (asked, answer) else {
        return Ok(Vec::new());
    };
    let what = match outcome {
        Err(error) if error.code == ErrorCode::MethodNotFound as i64 => return Ok(Vec::new()),
        Err(error) => format!(
            "a request that it cannot know is answered with the error {}",
            error.code
        ),
        Ok(_) => "a request that it cannot know is answered as if it were done".to_owned(),
    };
    let (sent, came) = (transcript.show(asked.at), transcript.show(at));
    Ok(vec![
        Finding::note(&rule::NOT_FOUND, what).sent(sent).came(came),
    ])
}

/// Ordinary events.
pub(in crate::check) fn events(transcript: &Transcript) -> Judged {
    let mut findings = judged_events(transcript, &rule::ANSWERED);
    // What is against the contract is told by itself.
    if findings.iter().all(|one| one.weight == Weight::Note) {
        findings.extend(nothing_handled(transcript));
    }
    Ok(findings)
}

/// An event that comes again.
pub(in crate::check) fn again(transcript: &Transcript) -> Judged {
    Ok(judged_events(transcript, &rule::ANSWERED))
}

/// A long line.
pub(in crate::check) fn large(transcript: &Transcript) -> Judged {
    Ok(judged_events(transcript, &rule::LARGE))
}

/// Line ends that are none.
pub(in crate::check) fn separators(transcript: &Transcript) -> Judged {
    Ok(judged_events(transcript, &rule::SEPARATORS))
}

/// An event that is withdrawn.
pub(in crate::check) fn cancel(transcript: &Transcript) -> Judged {
    Ok(judged_events(transcript, &rule::CANCEL))
}

/// Several at once.
pub(in crate::check) fn window(transcript: &Transcript) -> Judged {
    let mut findings = judged_events(transcript, &rule::WINDOW);
    let events = || transcript.asked().filter(|asked| asked.method == "event");
    let all = events().count();
    let left = events().filter(|event| transcript.answers(event.id).next().is_none());
    let left = left.count();
    for one in findings.iter_mut().filter(|one| one.rule == &rule::WINDOW) {
        one.what = match transcript.gave_up() {
            Some((_, ms)) => format!(
                "{left} of {all} events that were open at once have no answer within {}",
                seconds(ms)
            ),
            None => format!("{}; {left} of {all} events were open", one.what),
        };
    }
    Ok(findings)
}

/// Calls that are answered late.
pub(in crate::check) fn late_calls(transcript: &Transcript) -> Judged {
    needs_calls(transcript)?;
    if let Some(finding) = unmet(transcript, &rule::BLOCKS) {
        return Ok(vec![finding]);
    }
    Ok(early(transcript).into_iter().take(1).collect())
}

/// Calls that fail.
pub(in crate::check) fn site_away(transcript: &Transcript) -> Judged {
    needs_calls(transcript)?;
    Ok(unmet(transcript, &rule::AWAY).into_iter().collect())
}

fn needs_calls(transcript: &Transcript) -> Result<(), String> {
    let first = transcript.place_of("event").unwrap_or(usize::MAX);
    let has_calls = transcript.calls().any(|call| call.at > first);
    has_calls
        .then_some(())
        .ok_or_else(|| "it calls nothing while it handles these events".to_owned())
}

/// The end of its input.
pub(in crate::check) fn eof(transcript: &Transcript) -> Judged {
    Ok(unmet(transcript, &rule::STAYS).into_iter().collect())
}

/// `shutdown`, then the end of its input.
pub(in crate::check) fn shutdown(transcript: &Transcript) -> Judged {
    if let Some(finding) = unmet(transcript, &rule::SHUTDOWN) {
        return Ok(vec![finding]);
    }
    let asked = transcript.asked().find(|asked| asked.method == "shutdown");
    let answer = asked.and_then(|asked| transcript.answers(asked.id).next());
    let sent = asked.and_then(|asked| transcript.show(asked.at));
    let finding = match (answer, transcript.exit()) {
        (_, Some(exit)) if exit != Exit::Code(0) => {
            Finding::fault(&rule::SHUTDOWN, format!("it ended with {exit}")).log(transcript)
        }
        (Some((_, Err(error))), _) => {
            let what = format!("`shutdown` was answered with an error: {error}");
            Finding::note(&rule::SHUTDOWN, what)
        }
        (None, _) => Finding::note(&rule::SHUTDOWN, "it ended without an answer to `shutdown`"),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![finding.sent(sent)])
}

/// Events that were not answered, or not as the contract has it; `rule`: what a missing answer is a case of.
fn judged_events(transcript: &Transcript, rule: &'static Rule) -> Vec<Finding> {
    let mut findings = odd_answers(transcript);
    if let Some(finding) = unmet(transcript, rule) {
        let is_blocked = finding.rule == &rule::ANSWERED && has_blocked_call(transcript);
        let rule = if is_blocked {
            &rule::BLOCKS
        } else {
            finding.rule
        };
        findings.insert(0, Finding { rule, ..finding });
    }
    findings
}

/// True when the event that was waited for had a call which was answered, and nothing came of that.
fn has_blocked_call(transcript: &Transcript) -> bool {
    let Some((Waiting::Answer(id, _), _)) = transcript.gave_up() else {
        return false;
    };
    let event = transcript.asked().find(|asked| asked.id == id.to_string());
    let at = event.map_or(usize::MAX, |event| event.at);
    let mut calls = transcript.calls().filter(|call| call.at > at);
    calls.any(|call| transcript.answer_to(call).is_some())
}

/// Answers to events that say nothing, or that a handler failed.
fn odd_answers(transcript: &Transcript) -> Vec<Finding> {
    let (mut findings, mut told) = (Vec::new(), BTreeSet::new());
    let events = transcript.asked().filter(|asked| asked.method == "event");
    for event in events {
        let Some((at, outcome)) = transcript.answers(event.id).next() else {
            continue;
        };
        let finding = match outcome {
            Ok(result) => match Answer::from_result(result) {
                Answer::Failed(failed) => {
                    Finding::fault(&rule::ANSWER, shortened(&failed.message, 200))
                }
                Answer::Ok { errors } if !errors.is_empty() => {
                    let what = format!("it is done, with errors: {}", errors.join("; "));
                    Finding::note(&rule::ANSWER, shortened(&what, 200))
                }
                _ => continue,
            },
            Err(error) => {
                let what = format!(
                    "the handler failed: {}; if made-up data is to blame, name an event of yours with --event FILE",
                    shortened(&error.message, 200)
                );
                Finding::note(&rule::ANSWER, what).log(transcript)
            }
        };
        if told.insert(finding.what.clone()) {
            let (sent, came) = (transcript.show(event.at), transcript.show(at));
            findings.push(finding.sent(sent).came(came));
        }
    }
    findings
}

/// Events that were all answered, and none of them with `ok` or `skip`.
fn nothing_handled(transcript: &Transcript) -> Option<Finding> {
    let events = transcript.asked().filter(|asked| asked.method == "event");
    let answers = events.filter_map(|event| Some(transcript.answers(event.id).next()?.1));
    let mut counts = BTreeMap::new();
    for outcome in answers {
        let word = match outcome.as_ref().map(|result| Answer::from_result(result)) {
            Ok(Answer::Ok { .. } | Answer::Skip { .. }) => return None,
            Ok(Answer::Dead { .. }) => "dead",
            Ok(Answer::Retry { .. }) => "to be tried again",
            Ok(Answer::Failed(_)) | Err(_) => "failed",
        };
        *counts.entry(word).or_insert(0) += 1;
    }
    let all: u32 = counts.values().sum();
    let told: Vec<String> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let what = format!(
        "none of {all} events was handled: {}; name an event of yours with --event FILE",
        told.join(", ")
    );
    (all > 0).then(|| Finding::note(&rule::HANDLED, what))
}

/// Events that were answered while a call of theirs was under way.
fn early(transcript: &Transcript) -> Vec<Finding> {
    let events: Vec<Asked<'_>> = transcript
        .asked()
        .filter(|asked| asked.method == "event")
        .collect();
    let greeting = transcript.greeting().map(greeting).and_then(Result::ok);
    // Its nameless calls may be nobody's.
    let has_background =
        greeting.is_some_and(|it| it.manifest.permissions.background == Some(true));
    let mut findings = Vec::new();
    for event in events {
        let Some((answered, _)) = transcript.answers(event.id).next() else {
            continue;
        };
        let between = |call: &Asked<'_>| {
            let is_its_own = match parent(*call) {
                Some(parent) => parent == event.id,
                None => !has_background,
            };
            is_its_own && call.at > event.at && call.at < answered
        };
        let is_open = |call: &Asked<'_>| {
            let answer = transcript.answer_to(*call);
            answer.is_none_or(|(at, _)| at > answered)
        };
        let open = transcript
            .calls()
            .find(|call| between(call) && is_open(call));
        if let Some(call) = open {
            let what = format!(
                "an event was answered while its call {} was under way",
                call.method
            );
            let finding = Finding::fault(&rule::EARLY, what);
            let (sent, came) = (transcript.show(event.at), transcript.show(call.at));
            findings.push(finding.sent(sent).came(came));
        }
    }
    findings
}
