//! One hook: where it leads, what it wants to hear of, and how it fares.
//!
//! Never: its token in anything that is told.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use serde_json::{Value, json};

use crate::clock::Unix;

const DAY_MS: i64 = 86_400_000;

/// What signs the bodies.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Token(pub(super) String);

impl Token {
    /// As it was sent.
    pub(in crate::sandbox) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What a hook wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Subscription {
    /// By type what is done to entities; of changes, these fields or all.
    Entities(BTreeMap<String, BTreeMap<String, Vec<String>>>),
    /// One kind of event.
    Event(String),
}

impl Default for Subscription {
    fn default() -> Self {
        Self::Entities(BTreeMap::new())
    }
}

/// What is set of a hook, or changed.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox) struct Draft {
    /// Where it leads.
    pub(in crate::sandbox) url: Option<String>,
    /// What it hears of.
    pub(in crate::sandbox) subscription: Option<Subscription>,
    /// Nothing inside: those of the whole site.
    pub(in crate::sandbox) projects: Option<Option<Vec<i64>>>,
    /// What signs; nothing inside: nothing is signed.
    pub(in crate::sandbox) token: Option<Option<Token>>,
    /// For people.
    pub(in crate::sandbox) name: Option<Value>,
    /// For people.
    pub(in crate::sandbox) description: Option<Value>,
    /// Whether a certificate counts.
    pub(in crate::sandbox) validates_certificates: Option<bool>,
    /// Whether events come together.
    pub(in crate::sandbox) is_batched: Option<bool>,
    /// Whether it hears of nothing.
    pub(in crate::sandbox) is_disabled: Option<bool>,
}

/// A hook.
#[derive(Debug)]
pub(in crate::sandbox) struct Hook {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) subscription: Subscription,
    pub(super) projects: Option<Vec<i64>>,
    pub(super) token: Option<Token>,
    pub(super) validates_certificates: bool,
    pub(super) is_batched: bool,
    pub(super) is_busy: bool,
    pub(super) waiting: VecDeque<u64>,
    pub(super) num_deliveries: usize,
    name: Value,
    description: Value,
    is_disabled: bool,
    /// Too many failures; until somebody says that it is active.
    has_failed: bool,
    failures: VecDeque<Unix>,
}

impl Hook {
    /// One that is active.
    pub(super) fn new(id: String, draft: Draft) -> Self {
        let mut hook = Self {
            id,
            url: String::new(),
            subscription: Subscription::default(),
            projects: None,
            token: None,
            validates_certificates: true,
            is_batched: false,
            is_busy: false,
            waiting: VecDeque::new(),
            num_deliveries: 0,
            name: Value::Null,
            description: Value::Null,
            is_disabled: false,
            has_failed: false,
            failures: VecDeque::new(),
        };
        hook.change(draft);
        hook
    }

    /// Changes what is set, and nothing else.
    pub(super) fn change(&mut self, draft: Draft) {
        if let Some(is_disabled) = draft.is_disabled {
            self.is_disabled = is_disabled;
            self.has_failed &= is_disabled;
            if !is_disabled {
                self.failures.clear();
            }
        }
        self.url = draft.url.unwrap_or_else(|| std::mem::take(&mut self.url));
        self.subscription = draft
            .subscription
            .unwrap_or_else(|| std::mem::take(&mut self.subscription));
        self.projects = draft.projects.unwrap_or_else(|| self.projects.take());
        self.token = draft.token.unwrap_or_else(|| self.token.take());
        self.name = draft.name.unwrap_or_else(|| self.name.take());
        self.description = draft.description.unwrap_or_else(|| self.description.take());
        let validates = draft.validates_certificates;
        self.validates_certificates = validates.unwrap_or(self.validates_certificates);
        self.is_batched = draft.is_batched.unwrap_or(self.is_batched);
    }

    /// True for one that hears of nothing.
    pub(super) fn is_silent(&self) -> bool {
        self.is_disabled || self.has_failed
    }

    /// A request came to nothing; true when that was one too many.
    pub(super) fn failed(&mut self, times: usize, most: usize, now: Unix) -> bool {
        self.failures.extend(std::iter::repeat_n(now, times));
        while self
            .failures
            .front()
            .is_some_and(|at| at.0 + DAY_MS <= now.0)
        {
            self.failures.pop_front();
        }
        let had_failed = self.has_failed;
        self.has_failed |= self.failures.len() >= most;
        self.has_failed && !had_failed
    }

    /// `active`, `unstable`, `failed` or `disabled`
    pub(in crate::sandbox) fn status(&self, now: Unix) -> &'static str {
        let is_recent = |at: &Unix| at.0 + DAY_MS > now.0;
        match (self.is_disabled, self.has_failed) {
            (true, _) => "disabled",
            (false, true) => "failed",
            _ if self.failures.iter().any(is_recent) => "unstable",
            _ => "active",
        }
    }

    /// What is told of it.
    pub(in crate::sandbox) fn told(&self, now: Unix) -> Value {
        let mut told = json!({
            "id": self.id, "url": self.url, "status": self.status(now), "projects": self.projects,
            "name": self.name, "description": self.description, "num_deliveries": self.num_deliveries,
            "validate_ssl_cert": self.validates_certificates, "batch_deliveries": self.is_batched,
            "is_token_set": self.token.is_some(),
        });
        match &self.subscription {
            Subscription::Entities(types) => told["entity_types"] = json!(types),
            Subscription::Event(name) => told["event_type"] = name.as_str().into(),
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_fails_is_unstable_then_failed_until_somebody_says_otherwise() {
        let mut hook = Hook::new("x".into(), Draft::default());
        assert_eq!(hook.status(Unix(0)), "active");
        assert!(!hook.failed(2, 3, Unix(0)));
        assert_eq!(
            (hook.status(Unix(0)), hook.is_silent()),
            ("unstable", false)
        );
        assert_eq!(hook.status(Unix(DAY_MS)), "active");
        assert!(!hook.failed(1, 3, Unix(DAY_MS)));
        assert_eq!(
            hook.status(Unix(DAY_MS)),
            "unstable",
            "the first two are a day old"
        );
        assert!(hook.failed(2, 3, Unix(DAY_MS)));
        assert!(!hook.failed(1, 3, Unix(DAY_MS)), "only once");
        assert_eq!(
            (hook.status(Unix(9 * DAY_MS)), hook.is_silent()),
            ("failed", true)
        );
        let set = |is_disabled| Draft {
            is_disabled: Some(is_disabled),
            ..Draft::default()
        };
        hook.change(set(true));
        assert_eq!(hook.status(Unix(0)), "disabled");
        hook.change(set(false));
        assert_eq!(
            (hook.status(Unix(DAY_MS)), hook.is_silent()),
            ("active", false)
        );
    }
}
