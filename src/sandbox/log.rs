//! The event log: ids reserved early, rows readable late or never.
//!
//! In: rows to commit now or at a time, jumps, a restore. Out: readable rows by id, and the order in which they became readable.
//! Never: a clock; who calls says what time it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
    sync::Arc,
};

use super::cell::Link;
use crate::clock::Unix;

/// Words that are kept once: event types and fields. Scripts may make up more than that, which are kept with their rows.
const WORDS_MAX: usize = 10_000;

/// One row.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    /// Given by the log.
    pub(super) id: i64,
    /// `Shotgun_Task_Change`.
    pub(super) event_type: Arc<str>,
    /// The field that changed.
    pub(super) attribute: Option<Arc<str>>,
    /// The meta as JSON text.
    pub(super) meta: Arc<str>,
    /// What it is about; looked up when it is read.
    pub(super) entity: Option<Link>,
    /// The project of it.
    pub(super) project: Option<Link>,
    /// Who did it.
    pub(super) user: Option<Link>,
    /// Seconds since 1970.
    pub(super) created_at: i64,
    /// The browser session that caused it.
    pub(super) session_uuid: Option<Arc<str>>,
    /// An English sentence.
    pub(super) description: Option<Arc<str>>,
    /// Its place in the order of becoming readable; given by the log.
    pub(super) order: usize,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    rows: BTreeMap<i64, EventRow>,
    /// In the order of becoming readable, which is not always that of the ids.
    about: HashMap<Link, Vec<i64>>,
    words: HashMap<Box<str>, Arc<str>>,
    order: Vec<i64>,
    next: i64,
    waiting: BTreeMap<(Unix, i64), EventRow>,
    /// The rows of transactions that wait for a word.
    held: Vec<Vec<EventRow>>,
    hidden: usize,
}

impl Log {
    /// An empty log whose first row gets this id.
    pub(super) fn new(first: i64) -> Self {
        Self {
            rows: BTreeMap::new(),
            about: HashMap::new(),
            words: HashMap::new(),
            order: Vec::new(),
            next: first,
            waiting: BTreeMap::new(),
            held: Vec::new(),
            hidden: 0,
        }
    }

    /// Takes the next ids away; returns the first. What is never committed leaves a gap.
    pub(super) fn reserve(&mut self, count: usize) -> i64 {
        let first = self.next;
        self.next += i64::try_from(count).unwrap_or(i64::MAX / 2);
        first
    }

    /// Makes a row with a reserved id readable.
    pub(super) fn publish(&mut self, mut row: EventRow) {
        row.order = self.order.len();
        self.order.push(row.id);
        if let Some(link) = row.entity {
            self.about.entry(link).or_default().push(row.id);
        }
        self.rows.insert(row.id, row);
    }

    /// The ids of the rows about an entity, ascending.
    pub(super) fn about(&self, link: Link) -> BTreeSet<i64> {
        let ids = self.about.get(&link);
        ids.into_iter().flatten().copied().collect()
    }

    /// A word that many rows have, kept once.
    pub(super) fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let kept: Arc<str> = word.into();
        if self.words.len() < WORDS_MAX {
            self.words.insert(word.into(), kept.clone());
        }
        kept
    }

    /// Makes a row with a reserved id readable at a later time.
    pub(super) fn publish_at(&mut self, at: Unix, row: EventRow) {
        self.waiting.insert((at, row.id), row);
    }

    /// Keeps the rows of a transaction until they are taken and published.
    pub(super) fn hold(&mut self, rows: Vec<EventRow>) {
        self.held.push(rows);
    }

    /// The rows of the transactions that are held, in the order of their ids; none is held any more.
    pub(super) fn take_held(&mut self) -> Vec<Vec<EventRow>> {
        std::mem::take(&mut self.held)
    }

    /// Moves what is to become readable later, with the clock that was moved so far.
    pub(super) fn clock_moved(&mut self, ms: i64) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let moved = waiting.map(|((at, id), row)| ((at.moved(ms), id), row));
        self.waiting = moved.collect();
    }

    /// Makes readable what is due.
    pub(super) fn settle(&mut self, now: Unix) {
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            let row = first.remove();
            self.publish(row);
        }
    }

    /// Readable rows in a span of ids, lowest first.
    pub(super) fn range(
        &self,
        ids: RangeInclusive<i64>,
    ) -> impl DoubleEndedIterator<Item = &EventRow> {
        let visible = self.order.len().saturating_sub(self.hidden);
        // A reversed span makes `range` panic, and means nothing.
        let ids = if ids.is_empty() {
            i64::MAX..=i64::MAX
        } else {
            ids
        };
        self.rows
            .range(ids)
            .map(|(_, row)| row)
            .filter(move |row| row.order < visible)
    }

    /// A readable row.
    pub(super) fn get(&self, id: i64) -> Option<&EventRow> {
        self.range(id..=id).next()
    }

    /// The ids that are readable, in the order in which they became so.
    pub(super) fn order(&self) -> &[i64] {
        &self.order
    }

    /// The rows that are readable, in the order in which they became so.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &EventRow> {
        self.order.iter().filter_map(|id| self.rows.get(id))
    }

    /// The rows that become readable later, with the time; those that are held wait for no time.
    pub(super) fn later(&self) -> impl Iterator<Item = (Unix, &EventRow)> {
        let held = self.held.iter().flatten().map(|row| (Unix(0), row));
        let waiting = self.waiting.iter().map(|((at, _), row)| (*at, row));
        waiting.chain(held)
    }

    /// The next row gets this id.
    pub(super) fn go_on_at(&mut self, id: i64) {
        self.next = id;
    }

    /// The id that the next row gets.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// When the next row becomes readable, if one waits.
    pub(super) fn due(&self) -> Option<Unix> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many rows are reserved and not readable yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() + self.held.iter().map(Vec::len).sum::<usize>()
    }

    /// Leaves a hole of this many ids.
    pub(super) fn jump(&mut self, ids: i64) {
        self.next = self.next.saturating_add(ids.max(0));
    }

    /// Hides the newest rows, as a replica that lags does; 0 shows all.
    pub(super) fn hide(&mut self, newest: usize) {
        self.hidden = newest;
    }

    /// Forgets everything above an id and continues there, as a site does that was restored from a backup.
    pub(super) fn restore(&mut self, to: i64) {
        self.keep(|id| id <= to);
        self.waiting.retain(|(_, id), _| *id <= to);
        for rows in &mut self.held {
            rows.retain(|row| row.id <= to);
        }
        self.next = to + 1;
    }

    /// Forgets everything below an id, as a site does that keeps its log for a while only.
    pub(super) fn purge(&mut self, before: i64) {
        self.keep(|id| id >= before);
    }

    fn keep(&mut self, is_kept: impl Fn(i64) -> bool) {
        self.rows.retain(|id, _| is_kept(*id));
        self.order.retain(|id| is_kept(*id));
        self.about.retain(|_, ids| {
            ids.retain(|id| is_kept(*id));
            !ids.is_empty()
        });
        for (order, id) in self.order.iter().enumerate() {
            if let Some(row) = self.rows.get_mut(id) {
                row.order = order;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64) -> EventRow {
        EventRow {
            id,
            event_type: "Shotgun_Shot_Change".into(),
            attribute: None,
            meta: "null".into(),
            entity: None,
            project: None,
            user: None,
            created_at: 0,
            session_uuid: None,
            description: None,
            order: 0,
        }
    }

    fn ids(log: &Log) -> Vec<i64> {
        log.range(0..=i64::MAX).map(|row| row.id).collect()
    }

    #[test]
    fn a_reserved_id_is_readable_late_or_never() {
        let mut log = Log::new(10);
        let late = log.reserve(1);
        let _never = log.reserve(2);
        let now = log.reserve(1);
        log.publish_at(Unix(500), row(late));
        log.publish(row(now));
        log.settle(Unix(499));
        assert_eq!(ids(&log), [13]);
        log.settle(Unix(500));
        assert_eq!((ids(&log), log.order()), (vec![10, 13], &[13, 10][..]));
    }

    #[test]
    fn a_restore_forgets_what_is_above_and_a_lag_hides_the_newest() {
        let mut log = Log::new(1);
        for _ in 0..5 {
            let id = log.reserve(1);
            log.publish(row(id));
        }
        log.hide(2);
        assert_eq!(ids(&log), [1, 2, 3]);
        log.hide(0);
        log.restore(2);
        assert_eq!((ids(&log), log.next()), (vec![1, 2], 3));
        log.jump(10);
        assert_eq!(log.reserve(1), 13);
    }

    #[test]
    fn a_purge_forgets_what_is_below_and_what_is_late_keeps_its_wait() {
        let mut log = Log::new(1);
        let late = log.reserve(1);
        log.publish_at(Unix(500), row(late));
        for _ in 0..4 {
            let id = log.reserve(1);
            log.publish(row(id));
        }
        log.purge(4);
        assert_eq!((ids(&log), log.order()), (vec![4, 5], &[4, 5][..]));
        log.clock_moved(1000);
        log.settle(Unix(1499));
        assert_eq!(ids(&log), [4, 5]);
        log.settle(Unix(1500));
        assert_eq!((ids(&log), log.next()), (vec![1, 4, 5], 6));
    }

    #[test]
    fn what_is_held_is_not_readable_and_a_restore_forgets_it() {
        let mut log = Log::new(1);
        for _ in 0..3 {
            let first = log.reserve(2);
            log.hold(vec![row(first), row(first + 1)]);
        }
        assert_eq!((ids(&log), log.waiting()), (vec![], 6));
        log.restore(3);
        let held = log.take_held().into_iter().flatten();
        let held: Vec<i64> = held.map(|row| row.id).collect();
        assert_eq!((held, log.waiting()), (vec![1, 2, 3], 0));
    }
}
