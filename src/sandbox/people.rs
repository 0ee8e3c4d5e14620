//! People's names: one in a piece and its two parts, kept alike.
//!
//! Never: a row of the log.

use super::{
    cell::{Cell, Kept},
    name::{Name, keep},
    table::Entity,
};

/// What has to be written so that a name and its parts are alike.
///
/// The parts win unless only the whole was given.
pub(super) fn missing_parts(kind: &str, entity: &Entity) -> Vec<(Name, Kept)> {
    if !matches!(kind, "HumanUser" | "ClientUser") {
        return Vec::new();
    }
    let text = |field: &str| entity.get(field).as_str().unwrap_or_default();
    let (first, last, name) = (text("firstname"), text("lastname"), text("name"));
    if first.is_empty() && last.is_empty() {
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        let parts = [("firstname", first), ("lastname", last.trim())];
        let parts = parts.into_iter().filter(|(_, part)| !part.is_empty());
        return parts
            .map(|(field, part)| (keep(field), Cell::text(part.to_owned())))
            .collect();
    }
    let whole = format!("{first} {last}");
    let whole = whole.trim();
    if whole == name {
        return Vec::new();
    }
    vec![(keep("name"), Cell::text(whole.to_owned()))]
}
