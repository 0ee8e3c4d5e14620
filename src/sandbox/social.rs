//! What is kept beside the entities: who follows what, who has read or seen what, who opened which project when, days off.
//!
//! Never: a row of the log.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::Link;

/// A day that is not like its weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayRule {
    /// Whether it is worked.
    pub(super) working: bool,
    /// Why.
    pub(super) description: Option<String>,
}

/// Whose calendar a day is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Calendar {
    /// Everybody's.
    Studio,
    /// A project's.
    Project(i64),
    /// A person's.
    User(i64),
}

/// What there is beside the entities.
#[derive(Debug, Default)]
pub(super) struct Social {
    /// Person, entity.
    pub(super) follows: BTreeSet<(i64, Link)>,
    /// Person, note or version.
    pub(super) seen: BTreeSet<(Link, Link)>,
    /// Person, project: seconds since 1970.
    pub(super) accessed: BTreeMap<(Link, i64), i64>,
    /// Exceptions by day.
    pub(super) days: BTreeMap<(Calendar, String), DayRule>,
    /// Plans by person, where they were changed.
    pub(super) plans: BTreeMap<i64, String>,
}
