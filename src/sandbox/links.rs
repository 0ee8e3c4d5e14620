//! Lists of links: what is in them, what came and went, and the three ways to write them.
//!
//! Never: whether a linked entity exists.

use serde_json::Value;

use super::log::Link;

/// How a list of links is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// It becomes this.
    #[default]
    Set,
    /// These are added.
    Add,
    /// These are taken out.
    Remove,
}

/// The links in a stored value: of a link, of a list of links; none of anything else.
pub(super) fn links(value: &Value) -> Vec<Link> {
    match value {
        Value::Array(list) => list.iter().filter_map(Link::read).collect(),
        Value::Object(_) => Link::read(value).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What came and what went.
pub(super) fn difference(old: &Value, new: &Value) -> (Vec<Link>, Vec<Link>) {
    let (old, new) = (links(old), links(new));
    let added = new.iter().filter(|link| !old.contains(link)).cloned();
    let removed = old.iter().filter(|link| !new.contains(link)).cloned();
    (added.collect(), removed.collect())
}

/// A list after a write.
pub(super) fn combine(old: Option<&Value>, value: &Value, mode: Mode) -> Value {
    let old = old.map(links).unwrap_or_default();
    let given = links(value);
    let mut list = match mode {
        Mode::Set => Vec::new(),
        Mode::Add => old,
        Mode::Remove => {
            let kept = old.iter().filter(|link| !given.contains(link));
            return kept.map(Link::stored).collect();
        }
    };
    for link in given {
        if !list.contains(&link) {
            list.push(link);
        }
    }
    list.iter().map(Link::stored).collect()
}
