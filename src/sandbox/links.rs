//! Lists of links: what came and went, and the three ways to write them.
//!
//! Never: whether a linked entity exists.

use std::collections::HashSet;

use super::cell::Link;

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

/// Lists longer than this are compared by looking links up.
const SHORT: usize = 16;

/// What came and what went.
pub(super) fn difference(old: &[Link], new: &[Link]) -> (Vec<Link>, Vec<Link>) {
    (without(new, old), without(old, new))
}

/// The links of a list that another has not.
fn without(list: &[Link], other: &[Link]) -> Vec<Link> {
    if list.len() <= SHORT || other.len() <= SHORT {
        let left = list.iter().filter(|link| !other.contains(link));
        return left.copied().collect();
    }
    let other: HashSet<&Link> = other.iter().collect();
    let left = list.iter().filter(|link| !other.contains(link));
    left.copied().collect()
}

/// A list after a write; nothing is in it twice.
pub(super) fn combine(old: &[Link], given: &[Link], mode: Mode) -> Vec<Link> {
    let mut list = match mode {
        Mode::Set => Vec::new(),
        Mode::Add => old.to_vec(),
        Mode::Remove => {
            let kept = old.iter().filter(|link| !given.contains(link));
            return kept.copied().collect();
        }
    };
    for link in given {
        if !list.contains(link) {
            list.push(*link);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::name::keep;

    #[test]
    fn long_lists_are_told_apart_as_short_ones_are() {
        let links = |ids: std::ops::Range<i64>| -> Vec<Link> {
            ids.map(|id| Link::new(keep("Task"), id)).collect()
        };
        for (old, new, came, went) in [
            (0..3, 1..5, 3..5, 0..1),
            (0..100, 50..120, 100..120, 0..50),
            (0..100, 99..100, 0..0, 0..99),
            (0..0, 0..40, 0..40, 0..0),
        ] {
            assert_eq!(
                difference(&links(old), &links(new)),
                (links(came), links(went))
            );
        }
    }
}
