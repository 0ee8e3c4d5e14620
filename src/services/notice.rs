//! Notifications of a plugin that its owner acts on: `log`, `alert`, `pause`, `unhealthy`.
//!
//! In: a method and its params. Out: a typed value without secrets; what cannot be read says why.
//! Never: a deed. Whoever owns the plugin acts.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sgeventd_protocol::message;

use super::arguments;
use crate::secret::shown;

/// The longest pause that a plugin may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Longer texts are cut: they are for people.
const TEXT_MAX: usize = 8 * 1024;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Each message.
    Trace,
    /// Each event.
    Debug,
    /// The life of the plugin.
    #[default]
    Info,
    /// It coped.
    Warn,
    /// A person must act.
    Error,
}

/// What a plugin tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A line for its log.
    Log {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
        /// More of it, as a JSON object.
        fields: Option<String>,
    },
    /// Something a person must know.
    Alert {
        /// How much it matters.
        level: Level,
        /// What happened.
        message: String,
    },
    /// Asks for no events for a while.
    Pause {
        /// How long, at most ten minutes.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// Says that it cannot work.
    Unhealthy {
        /// Why.
        reason: String,
    },
}

/// Why a notification says nothing.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the notification `{method}` cannot be read: {what}")]
pub struct NoticeError {
    /// Which.
    pub method: String,
    /// What is wrong with it.
    pub what: String,
}

impl Notice {
    /// Reads a notification; none when it is not one of these.
    #[must_use]
    pub fn parse(method: &str, params: Option<&RawValue>) -> Option<Result<Self, NoticeError>> {
        if !matches!(method, "log" | "alert" | "pause" | "unhealthy") {
            return None;
        }
        Some(read(method, params).map_err(|what| NoticeError {
            method: method.to_owned(),
            what,
        }))
    }
}

fn read(method: &str, params: Option<&RawValue>) -> Result<Notice, String> {
    let clean = |text: &str| shown(text, TEXT_MAX);
    let reason = |reason: Option<String>| {
        reason.map_or_else(|| "no reason given".to_owned(), |reason| clean(&reason))
    };
    Ok(match method {
        "log" => {
            let log: message::Log = typed(params)?;
            Notice::Log {
                level: level_of(log.level.as_deref(), Level::Info),
                message: clean(&log.message),
                fields: log.fields.map(|fields| clean(fields.get())),
            }
        }
        "alert" => {
            let alert: message::Alert = typed(params)?;
            Notice::Alert {
                level: level_of(alert.level.as_deref(), Level::Error),
                message: clean(&alert.message),
            }
        }
        "pause" => {
            let pause: message::Pause = typed(params)?;
            Notice::Pause {
                wait: Duration::from_millis(pause.for_ms).min(PAUSE_MAX),
                reason: reason(pause.reason),
            }
        }
        _ => {
            let unhealthy: message::Unhealthy = typed(params)?;
            Notice::Unhealthy {
                reason: reason(unhealthy.reason),
            }
        }
    })
}

fn typed<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, String> {
    arguments::read(params.map_or("{}", RawValue::get))
}

/// The names that logging libraries use; an unknown one is no reason to lose the line.
fn level_of(name: Option<&str>, default: Level) -> Level {
    let Some(name) = name else {
        return default;
    };
    match &*name.to_ascii_lowercase() {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" | "notice" => Level::Info,
        "warn" | "warning" => Level::Warn,
        "error" | "critical" | "fatal" => Level::Error,
        _ => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_read_leniently() {
        let read = |method, params: &str| {
            let raw = RawValue::from_string(params.to_owned()).unwrap();
            Notice::parse(method, Some(&raw))
        };
        let log = read(
            "log",
            r#"{"level":"WARNING","message":"x\ny","fields":{"a":1}}"#,
        );
        assert_eq!(
            log,
            Some(Ok(Notice::Log {
                level: Level::Warn,
                message: "x\ny".into(),
                fields: Some(r#"{"a":1}"#.into())
            }))
        );
        let pause = read("pause", r#"{"for_ms":99999999}"#).unwrap().unwrap();
        assert!(matches!(
            pause,
            Notice::Pause {
                wait: PAUSE_MAX,
                ..
            }
        ));
        let alert = read("alert", r#"{"message":"m","level":"loud"}"#)
            .unwrap()
            .unwrap();
        assert!(matches!(
            alert,
            Notice::Alert {
                level: Level::Error,
                ..
            }
        ));
        assert!(read("log", r#"{"level":"info"}"#).unwrap().is_err());
        assert!(read("log", r#"{"message":5}"#).unwrap().is_err());
        assert_eq!(read("$/progress", "{}"), None);
    }

    #[test]
    fn no_secret_passes_through_a_plugins_log() {
        let _secret = crate::secret::Secret::new("canary-in-a-notice");
        let raw = RawValue::from_string(
            r#"{"message":"canary-in-a-notice","fields":{"k":"canary-in-a-notice"}}"#.into(),
        );
        let notice = Notice::parse("log", Some(&raw.unwrap())).unwrap().unwrap();
        assert!(!format!("{notice:?}").contains("canary"), "{notice:?}");
    }
}
