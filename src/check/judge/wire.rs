//! What holds in every run, whatever it was about.

use serde_json::Value;
use sgeventd_protocol::{
    ErrorCode, RpcError,
    message::{CallParams, Cancel, Progress},
};

use super::Finding;
use crate::{
    check::{
        rule::{self, Rule},
        transcript::{Asked, Said, Transcript, shortened},
    },
    services::Notice,
};

/// What is done about an answer that nobody can have asked for.
const UNASKED: &str = "a message without an id is a notification: do not answer it, not even with an error; answer the others under their ids";

/// Lines that are no messages.
pub(in crate::check) fn stdout(transcript: &Transcript) -> Vec<Finding> {
    let odd = transcript.came().filter_map(|(_, said)| match said {
        Said::Stray(text) => {
            let what = "a line on descriptor 1 is no message";
            let finding = Finding::fault(&rule::STDOUT, what);
            Some(Finding {
                mend: answers_nothing(text).then_some(UNASKED),
                ..finding.came(Some(shortened(text, 160)))
            })
        }
        Said::Echo => {
            let what = "it wrote a message that only the daemon sends";
            Some(Finding::fault(&rule::ECHO, what))
        }
        _ => None,
    });
    odd.collect()
}

/// True for an answer without an id: what libraries write when a notification fails.
fn answers_nothing(text: &str) -> bool {
    let Ok(Value::Object(message)) = serde_json::from_str(text) else {
        return false;
    };
    let is_answer = message.contains_key("result") || message.contains_key("error");
    is_answer && message.get("id").is_none_or(Value::is_null)
}

/// Messages that JSON-RPC does not know, and lines that are too long.
pub(in crate::check) fn messages(transcript: &Transcript) -> Vec<Finding> {
    let odd = transcript.came().filter_map(|(_, said)| match said {
        Said::Odd { line, why } => {
            let what = format!("a message is not of JSON-RPC 2.0: {why}");
            Some(Finding::fault(&rule::JSONRPC, what).came(Some(shortened(line, 160))))
        }
        Said::Unended(line) => {
            let what = "a message has no newline at its end";
            Some(Finding::fault(&rule::NEWLINE, what).came(Some(shortened(line, 160))))
        }
        Said::TooLong(_) => Some(
            Finding::fault(&rule::LONG_LINE, "a line is too long").came(Some(said.to_string())),
        ),
        _ => None,
    });
    odd.collect()
}

/// Answers that nobody waits for.
pub(in crate::check) fn answers(transcript: &Transcript) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, said) in transcript.came() {
        let came = Some(said.to_string());
        match said {
            Said::Unasked(id) => {
                let what = format!("an answer under the id {id}, which no request had");
                findings.push(Finding::fault(&rule::ASKED, shortened(&what, 120)).came(came));
            }
            Said::Answer { id, .. } => {
                let asked = transcript.asked().find(|asked| asked.id == id);
                let before = transcript.answers(id).take_while(|(other, _)| *other < at);
                let finding = match asked {
                    Some(asked) if asked.at < at => {
                        // One that came too early is told as that.
                        if before.filter(|(before, _)| *before > asked.at).count() == 0 {
                            continue;
                        }
                        let what = format!("`{}` was answered twice", asked.method);
                        Finding::fault(&rule::ONCE, what).sent(transcript.show(asked.at))
                    }
                    Some(asked) => {
                        let what = format!("`{}` was answered before it was sent", asked.method);
                        Finding::fault(&rule::ASKED, what).sent(transcript.show(asked.at))
                    }
                    None => {
                        let what = "an answer under an id that no request had";
                        Finding::fault(&rule::ASKED, what)
                    }
                };
                findings.push(finding.came(came));
            }
            _ => {}
        }
    }
    findings
}

/// What is done before `start`.
pub(in crate::check) fn before_start(transcript: &Transcript) -> Vec<Finding> {
    let start = transcript.place_of("start").unwrap_or(usize::MAX);
    let mut findings = Vec::new();
    for call in transcript.calls() {
        let Some((_, Err(error))) = transcript.answer_to(call) else {
            continue;
        };
        if error.code == ErrorCode::NotStarted as i64 {
            let what = format!("{} was called before `start`", call.method);
            let finding = Finding::fault(&rule::BEFORE_START, what);
            findings.push(finding.came(transcript.show(call.at)));
        }
    }
    for (at, said) in transcript.came().take_while(|(at, _)| *at < start) {
        if let Said::Notification { method, .. } = said
            && matches!(method.as_str(), "alert" | "pause" | "unhealthy")
        {
            let what = format!("`{method}` was sent before `start`");
            let finding = Finding::fault(&rule::BEFORE_START, what);
            findings.push(finding.came(transcript.show(at)));
        }
    }
    findings
}

/// Calls that are refused, and notifications that cannot be read.
pub(in crate::check) fn calls(transcript: &Transcript) -> Vec<Finding> {
    let mut findings: Vec<Finding> = transcript
        .calls()
        .filter_map(|call| refused(transcript, call))
        .collect();
    for (at, said) in transcript.came() {
        if let Said::Notification { method, params } = said
            && let Some((rule, what)) = notification(method, params)
        {
            findings.push(Finding::fault(rule, what).came(transcript.show(at)));
        }
    }
    findings
}

fn refused(transcript: &Transcript, call: Asked<'_>) -> Option<Finding> {
    let came = transcript.show(call.at);
    if let Some(event) = answered_parent(transcript, call) {
        let what = format!("{} names an event that is answered already", call.method);
        let sent = transcript.show(event.at);
        return Some(Finding::fault(&rule::EARLY, what).sent(sent).came(came));
    }
    let (_, Err(error)) = transcript.answer_to(call)? else {
        return None;
    };
    let is = |code: ErrorCode| error.code == code as i64;
    let what = shortened(&error.message, 300);
    let finding = if is(ErrorCode::MethodNotFound) {
        Finding::fault(&rule::METHOD, what)
    } else if is(ErrorCode::InvalidParams) {
        Finding::fault(&rule::PARAMS, what)
    } else if is(ErrorCode::Parent) {
        Finding::fault(&rule::PARENT, what)
    } else if is(ErrorCode::InvalidRequest) {
        Finding::fault(&rule::JSONRPC, what)
    } else if is(ErrorCode::Permission) && is_operators(error) {
        Finding::note(
            &rule::DECLARED,
            format!("the operator must allow it: {what}"),
        )
    } else if is(ErrorCode::Permission) {
        Finding::fault(&rule::DECLARED, what)
    } else {
        return None;
    };
    Some(finding.came(came))
}

/// The request that a call names as its own.
pub(super) fn parent(call: Asked<'_>) -> Option<String> {
    let params: CallParams = serde_json::from_str(call.params).ok()?;
    params.meta.parent.map(|parent| parent.to_string())
}

/// The event that a call names as its own although it was answered before.
fn answered_parent<'a>(transcript: &'a Transcript, call: Asked<'_>) -> Option<Asked<'a>> {
    let parent = parent(call)?;
    let event = transcript.asked().find(|asked| asked.id == parent)?;
    let (answered, _) = transcript.answers(event.id).next()?;
    (answered < call.at).then_some(event)
}

/// True when what is missing is only the operator's to give: scripts, logins, folders.
fn is_operators(error: &RpcError) -> bool {
    let data = error.data.as_ref().map(|raw| raw.get()).unwrap_or("null");
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let needed = data["needed"].as_str().unwrap_or_default();
    needed.starts_with("[plugin.")
}

/// What is wrong with a notification.
fn notification(method: &str, params: &str) -> Option<(&'static Rule, String)> {
    let raw = serde_json::value::RawValue::from_string(params.to_owned()).ok();
    match (method, Notice::parse(method, raw.as_deref())) {
        (_, Some(Ok(_))) => None,
        (_, Some(Err(error))) => Some((&rule::PARAMS, error.to_string())),
        ("$/progress", None) => serde_json::from_str::<Progress>(params)
            .err()
            .map(|error| (&rule::PARAMS, format!("`$/progress`: {error}"))),
        ("$/cancel", None) => serde_json::from_str::<Cancel>(params)
            .err()
            .map(|error| (&rule::PARAMS, format!("`$/cancel`: {error}"))),
        (other, None) if other.starts_with("$/") => None,
        (other, None) => {
            let shown = shortened(other, 80);
            let what = format!("there is no notification {shown:?}; a call needs an id");
            Some((&rule::METHOD, what))
        }
    }
}
