//! What was said in one run of a plugin, in order: all that a judge sees.
//!
//! Never: a decision about what it means.

use std::fmt;

use serde_json::value::RawValue;
use sgeventd_protocol::{ErrorCode, RpcError, handshake};

use crate::process::Exit;

/// Of a message so much is shown.
const SHOWN: usize = 160;
/// What an oversized text of ours is kept as: its beginning tells which one it was.
pub(super) const KEPT: usize = 2048;

/// A message, or what came instead.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// A request.
    Request {
        /// As it was written.
        id: String,
        method: String,
        params: String,
    },
    /// A notification.
    Notification { method: String, params: String },
    /// An answer.
    Answer {
        id: String,
        outcome: Result<String, RpcError>,
    },
    /// An answer to something that nobody can have asked.
    Unasked(String),
    /// Text on the protocol's pipe.
    Stray(String),
    /// A message that only the daemon sends.
    Echo,
    /// A message whose line has no end.
    Unended(String),
    /// A line beyond the cap.
    TooLong(usize),
    /// A line that is no message of JSON-RPC 2.0 as it should be, and why.
    Odd { line: String, why: &'static str },
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// To the plugin.
    Sent(Said),
    /// From the plugin.
    Came(Said),
    /// A line of its log.
    Printed(String),
    /// Its input was closed.
    Closed,
    /// It went on calling while so many bytes of answers lay unread.
    Clogged(usize),
    /// It ended.
    Ended(Exit),
    /// It could not be started.
    NotStarted(String),
    /// What was waited for did not come within so many milliseconds.
    GaveUp(Waiting, u64),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The answer to the request with this id and method.
    Answer(u64, &'static str),
    /// Its end.
    Exit,
}

/// Everything of one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Transcript {
    /// In order.
    pub(super) entries: Vec<What>,
    /// How long it took.
    pub(super) elapsed_ms: u64,
}

/// A request that was sent or came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Its place.
    pub(super) at: usize,
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    pub(super) params: &'a str,
}

impl Transcript {
    /// Requests of the daemon.
    pub(super) fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.requests(|what| match what {
            What::Sent(said) => Some(said),
            _ => None,
        })
    }

    /// Calls of the plugin.
    pub(super) fn calls(&self) -> impl Iterator<Item = Asked<'_>> {
        self.requests(|what| match what {
            What::Came(said) => Some(said),
            _ => None,
        })
    }

    fn requests(&self, side: fn(&What) -> Option<&Said>) -> impl Iterator<Item = Asked<'_>> {
        let all = self.entries.iter().enumerate();
        all.filter_map(move |(at, what)| match side(what)? {
            Said::Request { id, method, params } => Some(Asked {
                at,
                id,
                method,
                params,
            }),
            _ => None,
        })
    }

    /// What the plugin said, with its place.
    pub(super) fn came(&self) -> impl Iterator<Item = (usize, &Said)> {
        let all = self.entries.iter().enumerate();
        all.filter_map(|(at, what)| match what {
            What::Came(said) => Some((at, said)),
            _ => None,
        })
    }

    /// Answers of the plugin to a request.
    pub(super) fn answers<'a>(
        &'a self,
        asked: &str,
    ) -> impl Iterator<Item = (usize, &'a Result<String, RpcError>)> {
        self.came().filter_map(move |(at, said)| match said {
            Said::Answer { id, outcome } if id == asked => Some((at, outcome)),
            _ => None,
        })
    }

    /// The answer to a call: the first under its id that was sent after it.
    pub(super) fn answer_to(&self, call: Asked<'_>) -> Option<(usize, &Result<String, RpcError>)> {
        let mut rest = self.entries.iter().enumerate().skip(call.at);
        rest.find_map(|(at, what)| match what {
            What::Sent(Said::Answer { id, outcome }) if id == call.id => Some((at, outcome)),
            _ => None,
        })
    }

    /// The place of the first request of ours with this method.
    pub(super) fn place_of(&self, method: &str) -> Option<usize> {
        let first = self.asked().find(|asked| asked.method == method);
        first.map(|asked| asked.at)
    }

    /// What it answered to `initialize`.
    pub(super) fn greeting(&self) -> Option<&Result<String, RpcError>> {
        self.first_answer("initialize")
    }

    /// True when `start` was answered with a result that does not disable it.
    pub(super) fn has_started(&self) -> bool {
        matches!(self.begun(), Some(Ok(None)))
    }

    /// What its answer to `start` comes to: ready, or why it does not want to run here, or what is wrong with it.
    pub(super) fn begun(&self) -> Option<Result<Option<String>, String>> {
        let answer = self.first_answer("start")?.clone();
        let answer = answer.and_then(|text| {
            RawValue::from_string(text)
                .map_err(|error| RpcError::new(ErrorCode::Parse, error.to_string()))
        });
        Some(handshake::started(answer))
    }

    fn first_answer(&self, method: &str) -> Option<&Result<String, RpcError>> {
        let id = self.asked().find(|asked| asked.method == method)?.id;
        Some(self.answers(id).next()?.1)
    }

    /// What was waited for in vain, and for how long.
    pub(super) fn gave_up(&self) -> Option<(&Waiting, u64)> {
        self.entries.iter().find_map(|what| match what {
            What::GaveUp(waiting, ms) => Some((waiting, *ms)),
            _ => None,
        })
    }

    /// How many bytes lay unread while it went on calling.
    pub(super) fn clogged(&self) -> Option<usize> {
        self.entries.iter().find_map(|what| match what {
            What::Clogged(bytes) => Some(*bytes),
            _ => None,
        })
    }

    /// How it ended, when nobody had asked it to.
    pub(super) fn death(&self) -> Option<Exit> {
        for what in &self.entries {
            match what {
                What::Ended(exit) => return Some(*exit),
                What::Closed => return None,
                What::Sent(Said::Request { method, .. }) if method == "shutdown" => return None,
                _ => {}
            }
        }
        None
    }

    /// How it ended.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.entries.iter().find_map(|what| match what {
            What::Ended(exit) => Some(*exit),
            _ => None,
        })
    }

    /// A message whose line has no end.
    pub(super) fn unended(&self) -> Option<String> {
        let mut came = self.came();
        came.find_map(|(_, said)| matches!(said, Said::Unended(_)).then(|| said.to_string()))
    }

    /// The last lines of its log.
    pub(super) fn last_words(&self, count: usize) -> Vec<&str> {
        let mut lines: Vec<&str> = self.printed().rev().take(count).collect();
        lines.reverse();
        lines
    }

    /// Its log.
    pub(super) fn printed(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.entries.iter().filter_map(|what| match what {
            What::Printed(line) => Some(line.as_str()),
            _ => None,
        })
    }

    /// The entry as a person reads it.
    pub(super) fn show(&self, at: usize) -> Option<String> {
        match self.entries.get(at)? {
            What::Sent(said) | What::Came(said) => Some(said.to_string()),
            _ => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Request { id, method, params } => {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
            }
            Self::Notification { method, params } => {
                format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
            }
            Self::Answer {
                id,
                outcome: Ok(result),
            } => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
            Self::Answer {
                id,
                outcome: Err(error),
            } => {
                let error = serde_json::to_string(error).unwrap_or_default();
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
            }
            Self::Unasked(id) => format!("an answer under the id {id}"),
            Self::Stray(text) | Self::Unended(text) => text.clone(),
            Self::Echo => "a message that only the daemon sends".to_owned(),
            Self::TooLong(bytes) => format!("a line of {bytes} bytes or more"),
            Self::Odd { line, .. } => line.clone(),
        };
        f.write_str(&shortened(&text, SHOWN))
    }
}

/// The beginning of a text, with its size when it is longer.
pub(super) fn shortened(text: &str, max: usize) -> String {
    // What a terminal would obey or break a line at is shown as what it is.
    let escape = |c: char| match c {
        '\u{2028}' | '\u{2029}' | '\u{85}' => c.escape_unicode().collect::<String>(),
        c if c.is_control() => c.escape_default().collect(),
        c => c.to_string(),
    };
    let head: String = text.chars().take(max).map(escape).collect();
    if text.chars().nth(max).is_some() {
        format!("{head}… ({} bytes)", text.len())
    } else {
        head
    }
}
