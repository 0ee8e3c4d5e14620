//! Names: of entity types and fields, kept once for all rows.
//!
//! Never: a name that a caller makes up; only those that a schema knows are kept, and they stay as long as the program.

use std::{
    collections::HashSet,
    sync::{LazyLock, PoisonError, RwLock},
};

/// The name of an entity type or a field.
pub(super) type Name = &'static str;

static KNOWN: LazyLock<RwLock<HashSet<Name>>> = LazyLock::new(RwLock::default);

/// Keeps a name that a schema brings.
pub(super) fn keep(name: &str) -> Name {
    if let Some(known) = known(name) {
        return known;
    }
    let kept: Name = Box::leak(name.into());
    let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    // Somebody else may have been faster.
    all.get(kept).copied().unwrap_or_else(|| {
        all.insert(kept);
        kept
    })
}

/// A name, if any schema has it.
pub(super) fn known(name: &str) -> Option<Name> {
    let all = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    all.get(name).copied()
}
