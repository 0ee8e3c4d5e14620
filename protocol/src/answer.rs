//! What a plugin may answer to an event, read leniently: whatever came, something is decided.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::error::RpcError;

/// The longest `after_ms`: one hour.
pub const AFTER_MAX_MS: u64 = 3_600_000;
/// The longest `progress`, bytes of JSON.
pub const PROGRESS_MAX: usize = 4096;
/// An odd answer is shown up to this many characters.
const SHOWN_MAX: usize = 200;

/// An answer to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done; `errors` are alerted all the same.
    Ok {
        /// What went wrong on the way, in words.
        errors: Vec<String>,
    },
    /// Not for this plugin.
    Skip {
        /// Why.
        reason: Option<String>,
    },
    /// Again later; costs an attempt.
    Retry {
        /// After this long; none: the schedule applies.
        after_ms: Option<u64>,
        /// Why.
        reason: Option<String>,
        /// To be seen again with the next attempt: JSON up to 4 KiB.
        progress: Option<String>,
    },
    /// Never again.
    Dead {
        /// Why.
        reason: Option<String>,
    },
    /// The handler failed, or the answer is none of the above.
    Failed(Box<Failed>),
}

/// A failure of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failed {
    /// In a line.
    pub message: String,
    /// The exception's type.
    pub kind: Option<String>,
    /// Where it happened.
    pub traceback: Option<String>,
    /// Local variables of the handler, as text.
    pub locals: Option<String>,
    /// To be seen again with the next attempt: JSON up to 4 KiB.
    pub progress: Option<String>,
    /// The site was at fault, as the plugin's own call told it.
    pub code: i64,
}

/// No member is refused for its type: what cannot be used is left out.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    status: Option<&'a RawValue>,
    #[serde(default)]
    reason: Option<Value>,
    #[serde(default)]
    after_ms: Option<Value>,
    #[serde(default)]
    errors: Option<Value>,
    #[serde(default, borrow)]
    progress: Option<&'a RawValue>,
}

/// As [`Wire`].
#[derive(Deserialize, Default)]
struct WireData {
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    #[serde(default)]
    traceback: Option<Value>,
    #[serde(default)]
    locals: Option<Value>,
    #[serde(default)]
    progress: Option<Box<RawValue>>,
}

impl Answer {
    /// Reads the result of an event request.
    #[must_use]
    pub fn from_result(result: &str) -> Self {
        let result = result.trim();
        if result == r#"{"status":"ok"}"# || result == "null" || result == "{}" {
            return Self::Ok { errors: Vec::new() };
        }
        if !result.starts_with('{') {
            return odd(result);
        }
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(result) else {
            return odd(result);
        };
        let reason = wire.reason.as_ref().map(words);
        match wire.status.map(RawValue::get) {
            None | Some("null" | r#""ok""#) => Self::Ok {
                errors: match wire.errors {
                    Some(Value::Array(all)) => all.iter().map(words).collect(),
                    Some(Value::String(one)) => vec![one],
                    _ => Vec::new(),
                },
            },
            Some(r#""skip""#) => Self::Skip { reason },
            Some(r#""retry""#) => {
                let (progress, dropped) = bounded(wire.progress);
                Self::Retry {
                    after_ms: wire.after_ms.and_then(|ms| ms.as_f64()).map(clamp),
                    reason: match (reason, dropped) {
                        (Some(reason), Some(dropped)) => Some(format!("{reason} ({dropped})")),
                        (reason, dropped) => reason.or(dropped),
                    },
                    progress,
                }
            }
            Some(r#""dead""#) => Self::Dead { reason },
            Some(_) => odd(result),
        }
    }

    /// Reads the error of an event request.
    #[must_use]
    pub fn from_error(error: &RpcError) -> Self {
        let data = error.data.as_ref().map(|raw| raw.get()).unwrap_or_default();
        let data: WireData = serde_json::from_str(data).unwrap_or_default();
        let (progress, dropped) = bounded(data.progress.as_deref());
        Self::Failed(Box::new(Failed {
            message: match dropped {
                Some(dropped) => format!("{} ({dropped})", error.message),
                None => error.message.clone(),
            },
            kind: data.kind.as_ref().map(words),
            traceback: data.traceback.as_ref().map(lines),
            locals: data.locals.as_ref().map(words),
            progress,
            code: error.code,
        }))
    }
}

/// What is kept, and what is to be said when it is too long.
fn bounded(progress: Option<&RawValue>) -> (Option<String>, Option<String>) {
    match progress.map(RawValue::get).filter(|json| *json != "null") {
        Some(json) if json.len() > PROGRESS_MAX => {
            let bytes = json.len();
            let dropped = format!(
                "its progress of {bytes} bytes is dropped; allowed: {PROGRESS_MAX} bytes of JSON"
            );
            (None, Some(dropped))
        }
        kept => (kept.map(str::to_owned), None),
    }
}

fn clamp(ms: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cut to the allowed range first"
    )]
    let ms = ms.clamp(0.0, AFTER_MAX_MS as f64) as u64;
    ms
}

fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Some give a traceback as a list of lines.
fn lines(value: &Value) -> String {
    match value {
        Value::Array(all) => {
            let lines: Vec<String> = all.iter().map(words).collect();
            lines.join("\n")
        }
        other => words(other),
    }
}

fn odd(result: &str) -> Answer {
    let shown: String = result.chars().take(SHOWN_MAX).collect();
    let message = format!(
        "answered {shown}; allowed: null, or an object whose status is \"ok\", \"skip\", \"retry\" or \"dead\""
    );
    Answer::Failed(Box::new(Failed {
        message,
        ..Failed::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_answer_means() {
        let ok = || Answer::Ok { errors: Vec::new() };
        for (result, answer) in [
            ("null", ok()),
            ("{}", ok()),
            (r#"{"status":"ok"}"#, ok()),
            (r#"{"handled":3}"#, ok()),
            (r#"{"status": null}"#, ok()),
            (r#"{"status":"ok","errors":null}"#, ok()),
            (r#"{"errors":7,"after_ms":"soon"}"#, ok()),
            (
                r#"{"errors":"no such shot"}"#,
                Answer::Ok {
                    errors: vec!["no such shot".into()],
                },
            ),
            (
                r#"{"status":"dead","errors":null,"after_ms":"x"}"#,
                Answer::Dead { reason: None },
            ),
            (
                r#"{"status":"retry","after_ms":"soon"}"#,
                Answer::Retry {
                    after_ms: None,
                    reason: None,
                    progress: None,
                },
            ),
            (
                r#"{"status":"ok","errors":["a",{"b":1}]}"#,
                Answer::Ok {
                    errors: vec!["a".into(), r#"{"b":1}"#.into()],
                },
            ),
            (
                r#"{"status":"skip","reason":"no"}"#,
                Answer::Skip {
                    reason: Some("no".into()),
                },
            ),
            (
                r#"{"status":"retry","after_ms":5e9}"#,
                Answer::Retry {
                    after_ms: Some(AFTER_MAX_MS),
                    reason: None,
                    progress: None,
                },
            ),
            (
                r#"{"status":"retry","progress":{"done":["a"]}}"#,
                Answer::Retry {
                    after_ms: None,
                    reason: None,
                    progress: Some(r#"{"done":["a"]}"#.into()),
                },
            ),
            (
                r#"{"status":"retry","after_ms":-1}"#,
                Answer::Retry {
                    after_ms: Some(0),
                    reason: None,
                    progress: None,
                },
            ),
            (
                r#"{"status":"retry"}"#,
                Answer::Retry {
                    after_ms: None,
                    reason: None,
                    progress: None,
                },
            ),
            (r#"{"status":"dead"}"#, Answer::Dead { reason: None }),
        ] {
            assert_eq!(Answer::from_result(result), answer, "{result}");
        }
        for result in [
            "true",
            "7",
            "\"ok\"",
            "[]",
            r#"{"status":"fine"}"#,
            r#"{"status":7}"#,
        ] {
            let Answer::Failed(failed) = Answer::from_result(result) else {
                panic!("{result}")
            };
            assert!(failed.message.contains(result), "{}", failed.message);
        }
    }

    #[test]
    fn what_a_failure_tells_is_kept_whatever_its_types() {
        let data = r#"{"type":7,"traceback":["l1","l2"],"locals":{"a":1},"progress":{"done":2}}"#;
        let error = RpcError {
            code: -32000,
            message: "x".into(),
            data: RawValue::from_string(data.to_owned()).ok(),
        };
        let Answer::Failed(failed) = Answer::from_error(&error) else {
            panic!("a failure")
        };
        assert_eq!(failed.kind.as_deref(), Some("7"));
        assert_eq!(failed.traceback.as_deref(), Some("l1\nl2"));
        assert_eq!(failed.locals.as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(failed.progress.as_deref(), Some(r#"{"done":2}"#));
    }

    #[test]
    fn progress_beyond_its_size_is_dropped_and_that_is_told() {
        let error = |size: usize| RpcError {
            code: -32000,
            message: "x".into(),
            data: serde_json::value::to_raw_value(
                &serde_json::json!({"progress": "p".repeat(size)}),
            )
            .ok(),
        };
        let failed = |error: &RpcError| match Answer::from_error(error) {
            Answer::Failed(failed) => failed,
            other => panic!("{other:?}"),
        };
        let kept = failed(&error(PROGRESS_MAX - 2));
        assert_eq!((kept.progress.is_some(), &*kept.message), (true, "x"));
        let dropped = failed(&error(PROGRESS_MAX));
        assert_eq!(dropped.progress, None);
        let told = "x (its progress of 4098 bytes is dropped; allowed: 4096 bytes of JSON)";
        assert_eq!(dropped.message, told);
    }
}
