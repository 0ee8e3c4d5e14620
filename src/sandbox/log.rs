//! The event log: ids reserved early, rows readable late or never.
//!
//! In: rows to commit now or at a time, jumps, a restore. Out: readable rows by id, and the order in which they became readable.
//! Never: a clock; who calls says what time it is.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use serde_json::{Value, json};

use crate::clock::Unix;

/// What a link points at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    /// The entity type.
    pub(super) kind: Arc<str>,
    /// The id.
    pub(super) id: i64,
}

impl Link {
    /// A link to an entity.
    pub(super) fn new(kind: &str, id: i64) -> Self {
        Self {
            kind: kind.into(),
            id,
        }
    }

    /// Reads `{"type", "id"}`.
    pub(super) fn read(value: &Value) -> Option<Self> {
        Some(Self::new(value["type"].as_str()?, value["id"].as_i64()?))
    }

    /// As it is stored in a field.
    pub(super) fn stored(&self) -> Value {
        json!({"type": *self.kind, "id": self.id})
    }
}

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
    order: Vec<i64>,
    next: i64,
    waiting: BTreeMap<(Unix, i64), EventRow>,
    hidden: usize,
}

impl Log {
    /// An empty log whose first row gets this id.
    pub(super) fn new(first: i64) -> Self {
        Self {
            rows: BTreeMap::new(),
            order: Vec::new(),
            next: first,
            waiting: BTreeMap::new(),
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
        self.rows.insert(row.id, row);
    }

    /// Makes a row with a reserved id readable at a later time.
    pub(super) fn publish_at(&mut self, at: Unix, row: EventRow) {
        self.waiting.insert((at, row.id), row);
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

    /// The id that the next row gets.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// How many rows are reserved and not readable yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Leaves a hole of this many ids.
    pub(super) fn jump(&mut self, ids: i64) {
        self.next += ids.max(0);
    }

    /// Hides the newest rows, as a replica that lags does; 0 shows all.
    pub(super) fn hide(&mut self, newest: usize) {
        self.hidden = newest;
    }

    /// Forgets everything above an id and continues there, as a site does that was restored from a backup.
    pub(super) fn restore(&mut self, to: i64) {
        let _above = self.rows.split_off(&(to + 1));
        self.waiting.retain(|(_, id), _| *id <= to);
        self.order.retain(|id| *id <= to);
        for (order, id) in self.order.iter().enumerate() {
            if let Some(row) = self.rows.get_mut(id) {
                row.order = order;
            }
        }
        self.next = to + 1;
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
}
