//! Narrowing: finds the one row that spoils its page.
//!
//! In: whether a part of the span could be read. Out: the next part, or the id that is left.
//! A part counts as bad only when the newest row could be read right after it failed, so that an outage never narrows.

use crate::ident::EventId;

use super::question::{Fields, Range};

/// A single id is read whole so often before fewer fields are asked for.
const WHOLE_TRIES: u32 = 3;

/// A search between `low` (readable up to here) and `high` (a bad row at or below).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrow {
    span: Vec<Range>,
    low: EventId,
    high: EventId,
    /// The part that is asked next ends here.
    middle: EventId,
    fields: Fields,
    tries: u32,
    /// The anchor, which stands in every answer, is tried alone first.
    is_anchor_tried: bool,
}

/// What a failed part means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask the next part.
    Go,
    /// This row cannot be read at all.
    Unreadable(EventId),
    /// It is the anchor's own row.
    AnchorSpoils,
}

impl Narrow {
    /// Starts with the anchor alone, then the whole span once more: a site that just came back ends the search at once.
    pub(super) fn new(span: Vec<Range>, newest: EventId, has_anchor: bool) -> Option<Self> {
        let low = EventId(span.first()?.first.0 - 1);
        let newest = span.last()?.last.map_or(newest, |last| last.min(newest));
        let (fields, is_anchor_tried) = (Fields::Whole, !has_anchor);
        (low < newest).then_some(Self {
            span,
            low,
            high: newest,
            middle: newest,
            fields,
            tries: 0,
            is_anchor_tried,
        })
    }

    /// The ranges of the next part; none for the anchor alone.
    pub(super) fn ranges(&self) -> Vec<Range> {
        if !self.is_anchor_tried {
            return Vec::new();
        }
        let (from, to) = (EventId(self.low.0 + 1), self.middle);
        let part = |range: &Range| {
            let first = range.first.max(from);
            let last = range.last.map_or(to, |last| last.min(to));
            (first <= last).then_some(Range {
                first,
                last: Some(last),
            })
        };
        self.span.iter().filter_map(part).collect()
    }

    /// The ids of the next part, whatever the span holds of them.
    pub(super) fn part(&self) -> Range {
        Range {
            first: EventId(self.low.0 + 1),
            last: Some(self.middle),
        }
    }

    /// The next ids of what is still to be searched, at most so many, without the anchor's own; none while only the anchor was tried.
    pub(super) fn rest(&self, anchor: Option<EventId>, ids_max: i64) -> Option<(EventId, EventId)> {
        if !self.is_anchor_tried {
            return None;
        }
        let mut left = ids_max;
        let mut found: Option<(EventId, EventId)> = None;
        for range in &self.span {
            let first = range.first.max(EventId(self.low.0 + 1));
            let last = range.last.map_or(self.high, |last| last.min(self.high));
            let last = last.min(EventId(first.0.saturating_add(left - 1)));
            if first > last || (first == last && Some(first) == anchor) {
                continue;
            }
            left -= last.0 - first.0 + 1;
            found = Some((found.map_or(first, |(first, _)| first), last));
            if left <= 0 {
                break;
            }
        }
        found
    }

    /// The fields of the next part.
    pub(super) fn fields(&self) -> Fields {
        self.fields
    }

    /// Ids from `low` on were read up to `covered_to`; true when the search is over.
    pub(super) fn read(&mut self, covered_to: EventId) -> bool {
        if !std::mem::replace(&mut self.is_anchor_tried, true) {
            self.tries = 0;
            return false;
        }
        self.low = self.low.max(covered_to.min(self.middle));
        self.fields = Fields::Whole;
        self.tries = 0;
        self.aim();
        self.low >= self.high
    }

    /// The part could not be read though the site lives.
    pub(super) fn failed(&mut self) -> Verdict {
        if !self.is_anchor_tried {
            self.tries += 1;
            return if self.tries < WHOLE_TRIES {
                Verdict::Go
            } else {
                Verdict::AnchorSpoils
            };
        }
        self.high = self.middle;
        if self.high.0 - self.low.0 > 1 {
            self.aim();
            return Verdict::Go;
        }
        self.tries += 1;
        if self.tries < WHOLE_TRIES {
            return Verdict::Go;
        }
        match self.fields.fewer() {
            Some(fewer) => {
                self.fields = fewer;
                Verdict::Go
            }
            None => Verdict::Unreadable(self.high),
        }
    }

    fn aim(&mut self) {
        self.middle = EventId(self.low.0 + (self.high.0 - self.low.0 + 1) / 2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_readable_id_is_read_and_the_bad_one_is_found(low in 0i64..1000, size in 1i64..2000, bad in 0i64..2000) {
            let (first, newest) = (EventId(low + 1), EventId(low + size));
            let bad = EventId(low + 1 + bad % size);
            let mut narrow = Narrow::new(vec![Range { first, last: None }], newest, false).expect("a span");
            let mut read = low;
            for _ in 0..100 {
                let part = narrow.ranges();
                prop_assert_eq!(part[0].first.0, read + 1);
                let last = part[0].last.expect("a closed range");
                if part[0].first <= bad && bad <= last {
                    if narrow.failed() == Verdict::Unreadable(bad) {
                        prop_assert_eq!(read + 1, bad.0);
                        return Ok(());
                    }
                } else {
                    read = last.0;
                    prop_assert!(!narrow.read(last));
                }
            }
            prop_assert!(false, "not found");
        }
    }

    #[test]
    fn a_site_that_came_back_ends_the_search() {
        let mut narrow = Narrow::new(
            vec![Range {
                first: EventId(5),
                last: None,
            }],
            EventId(900),
            true,
        )
        .expect("a span");
        assert!(narrow.ranges().is_empty());
        assert!(!narrow.read(EventId(i64::MAX)));
        assert!(narrow.read(EventId(i64::MAX)));
    }
}
