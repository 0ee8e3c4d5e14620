//! Grants: `find`, `create:Note`, `update:Task.sg_status_list`, `rpc:follow`, `*`.
//!
//! In: the words of a manifest or a config. Out: whether they cover what a call needs.
//! Never: a grant that covers what hands out a credential; that is refused before anybody looks here.

use super::needs::Needed;
use crate::site::methods::{self, Need};

/// The verbs that take an entity type and fields.
const VERBS: [&str; 5] = ["find", "create", "update", "delete", "revive"];

/// A grant that cannot be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "{found:?} is no grant; allowed: \"*\", find, create, update, delete, revive (each alone, with :Type, or, but for delete and revive, with :Type.field) and rpc:<method>"
)]
pub struct GrantError {
    /// What stands there.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Grant {
    /// `*`: every method in the table.
    Known,
    /// What a silent manifest asks for: unknown methods too.
    Everything,
    Verb {
        verb: &'static str,
        kind: Option<Box<str>>,
        field: Option<Box<str>>,
    },
    Rpc(Box<str>),
}

/// The grants of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    grants: Vec<Grant>,
    written: Vec<String>,
}

impl Grants {
    /// What a side that says nothing stands for in the manifest: even what is not in the table of methods.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            grants: vec![Grant::Everything],
            written: vec!["*".to_owned()],
        }
    }

    /// Reads a list of grants.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, GrantError> {
        let grants = texts.iter().map(|text| read(text.as_ref()));
        Ok(Self {
            grants: grants.collect::<Result<_, _>>()?,
            written: texts.iter().map(|text| text.as_ref().to_owned()).collect(),
        })
    }

    /// The grants as they were written.
    #[must_use]
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// What both sides grant, in the words of whichever is narrower.
    pub(super) fn common(&self, other: &Self) -> Vec<String> {
        let within = |one: &Self, two: &Self| {
            let pairs = one.grants.iter().zip(&one.written);
            let held = pairs.filter(|(grant, _)| two.grants.iter().any(|g| g.contains(grant)));
            held.map(|(_, text)| text.clone()).collect::<Vec<_>>()
        };
        let mut common = within(self, other);
        for text in within(other, self) {
            if !common.contains(&text) {
                common.push(text);
            }
        }
        common
    }

    /// True when a method is allowed whatever its payload says.
    pub(super) fn covers_whole(&self, method: &str) -> bool {
        let Some(method) = methods::find(method) else {
            return self.covers(&Needed::Rpc(method.to_owned()));
        };
        match method.need {
            Need::Nothing => true,
            Need::Refused => false,
            Need::Verb(verb) => self.covers_verb(verb),
            Need::FindAny => self.covers(&Needed::FindAny),
            Need::Parts => VERBS[1..].iter().all(|verb| self.covers_verb(verb)),
            Need::ByName => self.covers(&Needed::Rpc(method.name.to_owned())),
        }
    }

    fn covers_verb(&self, wanted: &str) -> bool {
        self.grants.iter().any(|grant| match grant {
            Grant::Known | Grant::Everything => true,
            Grant::Verb { verb, kind, .. } => *verb == wanted && kind.is_none(),
            Grant::Rpc(_) => false,
        })
    }

    /// True when one of the grants is enough.
    pub(super) fn covers(&self, needed: &Needed) -> bool {
        self.grants.iter().any(|grant| grant.covers(needed))
    }
}

impl Grant {
    /// True when whatever the other allows is allowed by this one.
    fn contains(&self, other: &Self) -> bool {
        let is_within =
            |wide: &Option<Box<str>>, narrow: &Option<Box<str>>| wide.is_none() || wide == narrow;
        match (self, other) {
            (Self::Everything, _) | (Self::Known, Self::Known | Self::Verb { .. }) => true,
            (Self::Known, Self::Rpc(method)) => methods::find(method).is_some(),
            (Self::Rpc(one), Self::Rpc(two)) => one == two,
            (
                Self::Verb { verb, kind, field },
                Self::Verb {
                    verb: v,
                    kind: k,
                    field: f,
                },
            ) => verb == v && is_within(kind, k) && is_within(field, f),
            _ => false,
        }
    }

    fn covers(&self, needed: &Needed) -> bool {
        match (self, needed) {
            (Self::Everything, _) | (Self::Known, Needed::FindAny | Needed::Verb { .. }) => true,
            (Self::Known, Needed::Rpc(method)) => methods::find(method).is_some(),
            (Self::Rpc(granted), Needed::Rpc(method)) => **granted == **method,
            (Self::Verb { verb, kind, .. }, Needed::FindAny) => *verb == "find" && kind.is_none(),
            (
                Self::Verb { verb, kind, field },
                Needed::Verb {
                    verb: v,
                    kind: k,
                    field: f,
                },
            ) => {
                let is_kind = kind.as_deref().is_none_or(|kind| kind == &**k);
                let is_field = match (field.as_deref(), f.as_deref()) {
                    (None, _) | (_, None | Some("id" | "type")) => true,
                    (Some(granted), Some(wanted)) => granted == wanted,
                };
                verb == v && is_kind && is_field
            }
            (Self::Verb { .. }, Needed::Rpc(_)) | (Self::Rpc(_), _) => false,
        }
    }
}

fn read(text: &str) -> Result<Grant, GrantError> {
    let bad = || GrantError {
        found: text.to_owned(),
    };
    let (word, scope) = match text.split_once(':') {
        Some((word, scope)) => (word, Some(scope)),
        None => (text, None),
    };
    match (word, scope) {
        ("*", None) => return Ok(Grant::Known),
        ("rpc", Some(method)) if !method.is_empty() => return Ok(Grant::Rpc(method.into())),
        _ => {}
    }
    let verb = *VERBS.iter().find(|verb| **verb == word).ok_or_else(bad)?;
    let (kind, field) = match scope.map(|scope| scope.split_once('.')) {
        None => (None, None),
        Some(None) => (scope, None),
        Some(Some((kind, field))) => (Some(kind), Some(field)),
    };
    let takes_fields = !matches!(verb, "delete" | "revive");
    let is_word = |text: &str| !text.is_empty() && !text.contains(['.', ':', ' ']);
    let is_good = kind.is_none_or(is_word) && field.is_none_or(|f| is_word(f) && takes_fields);
    if !is_good {
        return Err(bad());
    }
    Ok(Grant::Verb {
        verb,
        kind: kind.map(Into::into),
        field: field.map(Into::into),
    })
}
