//! A few pages of old events, so that plugins that catch up side by side read each page from disk once.
//!
//! Never: a page that is not full (the newest may still grow), more than [`KEPT`] pages.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{event::Event, ident::Seq};

/// Events of a page.
pub(super) const ROWS: usize = 256;
/// Bytes of facts of a page; beyond, it is read in pieces and not kept.
pub(super) const BYTES: usize = 1024 * 1024;
/// Pages that are kept: about 2 MB.
const KEPT: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Full pages of facts, the last used in front.
    pages: VecDeque<(u64, Page)>,
    /// How often rows were deleted: what was read before may hold some of them.
    cleared: u64,
}

/// Shared events, shared as a whole.
type Page = Arc<[Arc<Event>]>;

/// The page that the event after a position stands on.
pub(super) fn number(after: Seq) -> u64 {
    after.0 / ROWS as u64
}

/// The position before a page.
pub(super) fn start(number: u64) -> Seq {
    Seq(number * ROWS as u64)
}

impl Pages {
    pub(super) fn get(&self, number: u64) -> Option<Page> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = &mut kept.pages;
        let at = pages.iter().position(|(kept, _)| *kept == number)?;
        let page = pages.remove(at)?;
        pages.push_front(page.clone());
        Some(page.1)
    }

    /// Forgets all pages: rows have been deleted.
    pub(super) fn clear(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pages.clear();
        kept.cleared += 1;
    }

    /// How often rows were deleted, to be asked before a page is read.
    pub(super) fn cleared(&self) -> u64 {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.cleared
    }

    /// Keeps a page if it is full, from its first event to its last, and no rows were deleted since before it was read.
    pub(super) fn keep(&self, number: u64, page: &[Arc<Event>], cleared: u64) {
        let ends = (page.first(), page.last());
        let (Some(first), Some(last)) = ends else {
            return;
        };
        let is_full = page.len() == ROWS
            && first.seq == start(number).next()
            && last.seq == start(number + 1);
        if is_full {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.cleared == cleared {
                kept.pages.push_front((number, page.into()));
                kept.pages.truncate(KEPT);
            }
        }
    }
}
