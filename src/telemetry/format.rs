//! A record as a line: for people, as JSON, as upstream's daemon wrote it. Pure.
//!
//! In: a [`Record`]. Out: a line with its newline, cleaned.
//! Never: a control character of the record's own (a log must not drive a terminal).

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use tracing::Level;

use super::{
    collect::{Record, Value},
    redact::clean,
};
use crate::clock::Unix;

/// The shape of a line.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// For people: local time, colours only on a terminal.
    Text {
        /// Whose clock on the wall.
        zone: TimeZone,
        /// The terminal takes colours.
        has_colours: bool,
    },
    /// One object a line, UTC.
    Json,
    /// Upstream's: `time - logger - LEVEL - message`.
    Upstream {
        /// Whose clock on the wall.
        zone: TimeZone,
    },
}

impl Shape {
    /// The record as it leaves.
    pub(super) fn line(&self, record: &Record) -> String {
        let mut line = match self {
            Self::Text { zone, has_colours } => text(record, zone, *has_colours),
            Self::Json => json(record),
            Self::Upstream { zone } => upstream(record, zone),
        };
        line = match clean(&line) {
            std::borrow::Cow::Owned(cleaned) => cleaned,
            std::borrow::Cow::Borrowed(_) => line,
        };
        line.push('\n');
        line
    }
}

/// RFC 3339 in UTC, with milliseconds.
pub fn utc(time: Unix) -> String {
    let at = Timestamp::from_millisecond(time.0).unwrap_or_default();
    format!("{at:.3}")
}

fn local(time: Unix, zone: &TimeZone, format: &str) -> String {
    let at = Timestamp::from_millisecond(time.0).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

fn text(record: &Record, zone: &TimeZone, has_colours: bool) -> String {
    let (word, colour) = match record.level {
        Level::ERROR => ("ERROR", "\x1b[31m"),
        Level::WARN => ("WARN ", "\x1b[33m"),
        Level::INFO => ("INFO ", "\x1b[32m"),
        Level::DEBUG => ("DEBUG", "\x1b[34m"),
        Level::TRACE => ("TRACE", "\x1b[35m"),
    };
    let paint = |text: &str, code: &str| {
        if has_colours {
            format!("{code}{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let time = local(record.time, zone, "%H:%M:%S%.3f");
    let mut line = format!(
        "{} {} {}",
        paint(&time, "\x1b[2m"),
        paint(word, colour),
        tame(&record.message)
    );
    let mut blocks = String::new();
    for (name, value) in &record.fields {
        match value {
            Value::Text(text) if text.trim_end().contains('\n') => {
                let _ = write!(blocks, "\n    {name}:");
                text.trim_end()
                    .lines()
                    .for_each(|row| blocks.push_str(&format!("\n      {}", tame(row))));
            }
            value => {
                let _ = write!(
                    line,
                    "  {}{}",
                    paint(&format!("{name}="), "\x1b[2m"),
                    bare_or_quoted(value)
                );
            }
        }
    }
    line + &blocks
}

fn bare_or_quoted(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
            format!("\"{}\"", tame(text.trim_end()).replace('"', "\\\""))
        }
        Value::Text(text) => tame(text.trim_end()),
        other => other.to_string(),
    }
}

/// The text without what would move a cursor, set a title or turn the reading direction.
#[must_use]
pub fn tame(text: &str) -> String {
    let is_odd = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_odd) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            if is_odd(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

fn json(record: &Record) -> String {
    let mut members = serde_json::Map::new();
    members.insert("time".to_owned(), utc(record.time).into());
    members.insert(
        "level".to_owned(),
        record.level.as_str().to_lowercase().into(),
    );
    members.insert("target".to_owned(), record.target.into());
    members.insert("message".to_owned(), record.message.as_str().into());
    for (name, value) in &record.fields {
        let is_taken = matches!(*name, "time" | "level" | "target" | "message");
        let name = if is_taken {
            format!("field_{name}")
        } else {
            (*name).to_owned()
        };
        members.insert(name, json_value(value));
    }
    serde_json::Value::Object(members).to_string()
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Natural(number) => (*number).into(),
        Value::Number(number) => (*number).into(),
        Value::Boolean(value) => (*value).into(),
    }
}

/// `2026-07-09 21:33:37,000 - plugin.task_status - ERROR - message`, then what upstream has no place for.
fn upstream(record: &Record, zone: &TimeZone) -> String {
    let level = match record.level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    };
    let logger = match (record.text("logger"), record.text("plugin")) {
        (Some(logger), _) => logger.to_owned(),
        (None, Some(plugin)) => format!("plugin.{plugin}"),
        (None, None) => "engine".to_owned(),
    };
    let time = local(record.time, zone, "%Y-%m-%d %H:%M:%S,%3f");
    let mut line = format!(
        "{time} - {} - {level} - {}",
        tame(&logger),
        record.message.trim_end()
    );
    for (name, value) in &record.fields {
        match value {
            Value::Text(text) if text.trim_end().contains('\n') => {
                line.push_str(&format!("\n{}", text.trim_end()));
            }
            _ if matches!(*name, "logger" | "plugin") => {}
            value => line.push_str(&format!(" {name}={}", bare_or_quoted(value))),
        }
    }
    line
}
