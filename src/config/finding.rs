//! A finding: one thing in the config that a person should mend, with its place, its line and the way out.

use std::fmt;

use super::source::{Place, Source, without_secrets};

/// What a finding stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is refused.
    Warning,
    /// Not ready on this machine: `check-config` refuses it, `run` warns and goes on.
    Unready,
    /// Wrong: refused everywhere.
    Error,
}

/// One mistake, or one thing worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it stops.
    pub severity: Severity,
    /// Where; none when the file itself cannot be read.
    pub place: Option<Place>,
    /// The whole name of the key, such as `poll.interval`; empty when it is about no key.
    pub key: String,
    /// What was found and what is allowed, as a sentence without a full stop.
    pub message: String,
    /// What to type or change.
    pub hint: Option<String>,
    /// The line and where in it.
    pub excerpt: Option<Excerpt>,
}

/// A line of the file, secrets starred out, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub line: String,
    /// First character meant, from 0.
    pub start: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
}

impl Finding {
    /// A finding about the file as a whole.
    pub(super) fn of_file(severity: Severity, message: String, hint: Option<String>) -> Self {
        Self {
            severity,
            place: None,
            key: String::new(),
            message,
            hint,
            excerpt: None,
        }
    }

    /// True when `run` must not start, or a reload must change nothing.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Excerpt {
    /// The line at a span; `is_secret` stars out the span itself.
    pub(super) fn at(source: &Source<'_>, span: &std::ops::Range<usize>, is_secret: bool) -> Self {
        let raw = source.line(span.start);
        let start = source.place(span.start).column - 1;
        let meant = source.text.get(span.clone()).unwrap_or_default();
        let width = meant
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            .max(1);
        let mut line: Vec<char> = without_secrets(raw).replace('\t', " ").chars().collect();
        if is_secret {
            line.iter_mut()
                .skip(start)
                .take(width)
                .for_each(|c| *c = '*');
        }
        Self {
            line: line.into_iter().collect::<String>().trim_end().to_owned(),
            start,
            width,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Unready => "not ready",
            Self::Error => "error",
        })
    }
}

/// Several lines: severity and place with the sentence, the line with a caret, the hint.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let (Some(place), Some(excerpt)) = (&self.place, &self.excerpt) {
            let number = place.line.to_string();
            let (margin, indent) = (" ".repeat(number.len()), " ".repeat(excerpt.start));
            write!(f, "\n  {number} | {}", excerpt.line)?;
            write!(f, "\n  {margin} | {indent}{}", "^".repeat(excerpt.width))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", hint.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}
