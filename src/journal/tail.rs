//! The newest events in memory, shared: a plugin that keeps up never touches the disk.
//!
//! In: events after their commit, in order. Out: the ones after a position, or that it lies too far back.
//! Never: an event that is not on disk, more than its bounds.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    event::{Body, Event},
    ident::Seq,
};

/// How much the tail holds; the first bound that is reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailBounds {
    /// Bytes, about.
    pub bytes: usize,
    /// Events.
    pub events: usize,
}

impl Default for TailBounds {
    /// Small, so that an idle daemon stays below 30 MiB; at 1.2 KB an event this is some 4,000 of them.
    fn default() -> Self {
        Self {
            bytes: 8 * 1024 * 1024,
            events: 10_000,
        }
    }
}

/// What the tail has after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailRead {
    /// These come next; none when there is nothing newer.
    Events(Vec<Arc<Event>>),
    /// What comes next is only on disk.
    Behind,
}

/// The newest events.
#[derive(Debug)]
pub struct Tail {
    bounds: TailBounds,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    last: Seq,
}

impl Tail {
    /// An empty tail of a journal that ends with `last`.
    #[must_use]
    pub fn new(bounds: TailBounds, last: Seq) -> Self {
        Self {
            bounds,
            held: RwLock::new(Held {
                events: VecDeque::new(),
                bytes: 0,
                last,
            }),
        }
    }

    /// Takes events that were committed; they follow what is here without a hole.
    pub fn push(&self, events: impl IntoIterator<Item = Arc<Event>>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            assert_eq!(event.seq, held.last.next(), "the tail has a hole");
            held.last = event.seq;
            held.bytes += weight(&event);
            held.events.push_back(event);
        }
        // Freed after the lock: it takes longer than all the rest.
        let mut gone = Vec::new();
        while held.bytes > self.bounds.bytes || held.events.len() > self.bounds.events {
            let Some(oldest) = held.events.pop_front() else {
                break;
            };
            held.bytes -= weight(&oldest);
            gone.push(oldest);
        }
        drop(held);
    }

    /// Forgets what is not on disk any more.
    pub fn forget(&self, up_to: Seq) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = held.events.pop_front_if(|oldest| oldest.seq <= up_to) {
            held.bytes -= weight(&oldest);
        }
    }

    /// Reads at most `rows` events after a position.
    #[must_use]
    pub fn read(&self, after: Seq, rows: usize) -> TailRead {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if after >= held.last {
            return TailRead::Events(Vec::new());
        }
        let oldest = held.last.0 + 1 - held.events.len() as u64;
        let Some(skip) = after.next().0.checked_sub(oldest) else {
            return TailRead::Behind;
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        TailRead::Events(held.events.iter().skip(skip).take(rows).cloned().collect())
    }

    /// One event, if it is here.
    #[must_use]
    pub fn get(&self, seq: Seq) -> Option<Arc<Event>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let oldest = held.last.0 + 1 - held.events.len() as u64;
        let at = usize::try_from(seq.0.checked_sub(oldest)?).ok()?;
        held.events.get(at).cloned()
    }
}

/// About what an event takes in memory: the struct, its short texts with the allocator's share, the row.
pub(super) fn weight(event: &Event) -> usize {
    const TEXTS: usize = 400;
    let body = match &event.body {
        Body::Here(body) => body.len(),
        Body::Unread | Body::Dropped => 0,
    };
    size_of::<Event>() + TEXTS + body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::new_event;

    fn event(seq: u64) -> Arc<Event> {
        let new = new_event(0, seq as i64);
        Arc::new(Event {
            seq: Seq(seq),
            facts: new.facts.into(),
            body: Body::Here(new.body),
        })
    }

    fn seqs(read: TailRead) -> Option<Vec<u64>> {
        match read {
            TailRead::Events(events) => Some(events.iter().map(|event| event.seq.0).collect()),
            TailRead::Behind => None,
        }
    }

    #[test]
    fn it_gives_what_it_has_and_says_when_it_has_not() {
        let bounds = TailBounds {
            bytes: usize::MAX,
            events: 3,
        };
        let tail = Tail::new(bounds, Seq(10));
        for (after, rows, expected) in [(10, 9, Some(vec![])), (12, 9, Some(vec![])), (9, 9, None)]
        {
            assert_eq!(seqs(tail.read(Seq(after), rows)), expected, "after {after}");
        }
        tail.push((11..=15).map(event));
        for (after, rows, expected) in [
            (11, 9, None),
            (12, 9, Some(vec![13, 14, 15])),
            (12, 2, Some(vec![13, 14])),
            (14, 9, Some(vec![15])),
            (15, 9, Some(vec![])),
            (99, 9, Some(vec![])),
        ] {
            assert_eq!(seqs(tail.read(Seq(after), rows)), expected, "after {after}");
        }
        assert_eq!(tail.get(Seq(12)), None);
        assert_eq!(tail.get(Seq(16)), None);
        assert_eq!(tail.get(Seq(13)).map(|event| event.seq), Some(Seq(13)));
    }

    #[test]
    fn what_is_not_on_disk_any_more_is_forgotten() {
        let tail = Tail::new(TailBounds::default(), Seq(0));
        tail.push((1..=4).map(event));
        tail.forget(Seq(2));
        assert_eq!(tail.get(Seq(2)), None);
        assert_eq!(seqs(tail.read(Seq(0), 9)), None);
        assert_eq!(seqs(tail.read(Seq(2), 9)), Some(vec![3, 4]));
        tail.push([event(5)]);
        assert_eq!(seqs(tail.read(Seq(3), 9)), Some(vec![4, 5]));
    }

    #[test]
    fn its_bytes_are_bounded() {
        let one = weight(&event(1));
        let bounds = TailBounds {
            bytes: one * 2,
            events: 100,
        };
        let tail = Tail::new(bounds, Seq(0));
        tail.push((1..=9).map(event));
        assert_eq!(seqs(tail.read(Seq(7), 9)), Some(vec![8, 9]));
        assert_eq!(seqs(tail.read(Seq(6), 9)), None);
    }
}
