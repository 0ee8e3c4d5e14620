//! Causes: what makes two reports the same one, and what is known of it.
//!
//! Never: when anything is said, or to whom it is sent (`machine.rs`).

use std::{fmt, sync::Arc};

use crate::{
    clock::{Mono, Now, Unix},
    ident::PluginName,
    text::shorten,
};

/// Shows what plugins told people of.
pub const COMPLAINTS: &str = "sgeventd status --all";

/// What makes two reports the same cause, such as `plugin/render_submit/disabled` or `site/down`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseKey(Arc<str>);

impl CauseKey {
    /// A key as it is.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key of a kind of trouble of one plugin.
    #[must_use]
    pub fn of_plugin(plugin: &PluginName, kind: &str) -> Self {
        Self::new(format!("plugin/{plugin}/{kind}"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CauseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// We coped.
    Warning,
    /// A person must act.
    Error,
}

/// Who gets mail about a cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Recipients {
    /// Those of `[mail] to`.
    #[default]
    Default,
    /// Nobody: log and `status` only.
    Nobody,
    /// These.
    To(Vec<String>),
}

/// Something a person must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What makes it the same as another one.
    pub key: CauseKey,
    /// Whose trouble it is; none: the daemon's.
    pub plugin: Option<PluginName>,
    /// A word for programs, such as `disabled`, `site_down`.
    pub kind: &'static str,
    /// How bad it is.
    pub grade: Grade,
    /// What happened, in a line that alone is enough to decide to get up; no full stop.
    pub sentence: String,
    /// Labels and values: What, Where, Changed, Event.
    pub facts: Vec<(&'static str, String)>,
    /// A traceback or the last words.
    pub excerpt: Option<String>,
    /// Events that wait.
    pub waits: Option<u64>,
    /// What the daemon does by itself, as a sentence with a full stop; may be empty.
    pub by_itself: String,
    /// The one command that ends it or shows more.
    pub remedy: String,
    /// Who gets mail.
    pub recipients: Recipients,
}

impl Alert {
    /// An alert with nothing but what each has.
    #[must_use]
    pub fn new(
        key: CauseKey,
        kind: &'static str,
        grade: Grade,
        sentence: impl Into<String>,
    ) -> Self {
        Self {
            key,
            plugin: None,
            kind,
            grade,
            sentence: sentence.into(),
            facts: Vec::new(),
            excerpt: None,
            waits: None,
            by_itself: String::new(),
            remedy: "sgeventd status".to_owned(),
            recipients: Recipients::Default,
        }
    }
}

/// An error that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError {
    /// Whose.
    pub plugin: PluginName,
    /// The message, with its traceback below when it has one.
    pub message: String,
    /// Who gets mail.
    pub recipients: Recipients,
}

/// A cause that is known of.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) alert: Alert,
    pub(super) since: Unix,
    pub(super) since_mono: Mono,
    pub(super) last: Unix,
    pub(super) last_mono: Mono,
    pub(super) count: u64,
    /// Reported since somebody was last told.
    pub(super) news: u64,
    pub(super) lasts: bool,
}

impl Cause {
    /// Reported again.
    pub(super) fn again(&mut self, alert: Alert, now: Now) {
        self.alert = alert;
        self.last = now.unix;
        self.last_mono = now.mono;
        self.count += 1;
        self.news += 1;
    }
}

/// The alert that an error in a plugin's log is: the same text with other numbers is the same cause.
pub(super) fn of_error(error: PluginError) -> Alert {
    let gist = gist(&error.message);
    let has_more = error.message.trim().lines().count() > 1;
    let key = CauseKey::of_plugin(&error.plugin, &format!("log/{}", without_numbers(gist)));
    let sentence = format!("{} logged an error: {}", error.plugin, shorten(gist, 120));
    Alert {
        plugin: Some(error.plugin.clone()),
        remedy: COMPLAINTS.to_owned(),
        excerpt: has_more.then(|| error.message.clone()),
        recipients: error.recipients,
        ..Alert::new(key, "plugin_error", Grade::Error, sentence)
    }
}

/// The line of an error that says the most: the last one of a Python traceback, whose first only says that there is one.
#[must_use]
pub fn gist(message: &str) -> &str {
    let mut lines = message.trim().lines();
    let is_traceback = message.contains("Traceback (most recent call last)");
    let line = if is_traceback {
        lines.next_back()
    } else {
        lines.next()
    };
    line.unwrap_or_default().trim()
}

/// The text with every run of digits as `#`, bounded.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(200) {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

/// Stands for every further cause of the same plugin.
pub(super) fn overflow(alert: Alert) -> Alert {
    let whose = alert.plugin.as_ref().map_or("sgeventd", PluginName::as_str);
    let key = CauseKey::new(format!("plugin/{whose}/more"));
    Alert {
        sentence: format!(
            "{whose}: more errors of many kinds, such as: {}",
            alert.sentence
        ),
        key,
        ..alert
    }
}
