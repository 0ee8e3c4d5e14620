//! What ingest asks and hears: questions, answers, failures, and what people may want to know of them.
//!
//! Never: behaviour. The machine decides, the task carries out.

use std::time::Duration;

use bytes::Bytes;

use crate::{clock::Unix, event::Facts, ident::EventId, journal::Gap};

/// What the config says about ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Between polls while events flow.
    pub interval: Duration,
    /// Between polls while the site is idle.
    pub max_interval: Duration,
    /// Rows in one answer, at most what the site announces.
    pub page: usize,
    /// Where an empty journal begins.
    pub start_from: StartFrom,
    /// Until a gap is late.
    pub gap_timeout: Duration,
    /// Until a gap is given up.
    pub gap_give_up: Duration,
    /// How long what lies behind a young gap is held back; zero: not at all.
    pub gap_hold: Duration,
    /// Longest wait while the site is away.
    pub max_retry_wait: Duration,
}

/// Where an empty journal begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At the newest row of the first answer.
    Latest,
    /// At the oldest row the site still has.
    Oldest,
    /// At this id.
    Id(EventId),
    /// At the first row written at or after this time.
    Time(Unix),
}

/// Which fields are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields {
    /// All that an event has.
    Whole,
    /// Without `meta`.
    NoMeta,
    /// Only `id`, `event_type` and `created_at`.
    Least,
    /// Only `id`: what no content of a row can spoil. It proves no row.
    Id,
}

impl Fields {
    /// The next smaller set.
    #[must_use]
    pub fn fewer(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::NoMeta),
            Self::NoMeta => Some(Self::Least),
            Self::Least | Self::Id => None,
        }
    }
}

/// Ids from `first` to `last`, both inside; without `last` all from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The lowest id.
    pub first: EventId,
    /// The highest id, none: no end.
    pub last: Option<EventId>,
}

/// One request to the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub kind: Kind,
    /// Which fields are wanted.
    pub fields: Fields,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The rows of these ranges, ascending, the first `limit` of them.
    Page {
        /// Ascending and disjoint.
        ranges: Vec<Range>,
        /// At most so many rows.
        limit: usize,
    },
    /// The newest rows, descending.
    Newest {
        /// At most so many rows.
        limit: usize,
    },
    /// The first row written at or after a time.
    Since(Unix),
    /// How many rows lie in a span.
    Count(EventId, EventId),
    /// How many rows the site puts into one answer at most.
    Limits,
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What filters need.
    pub facts: Facts,
    /// The site's own text.
    pub body: Bytes,
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// In the order they came.
    pub rows: Vec<Row>,
    /// Rows that were no events (without an id).
    pub bad_rows: usize,
    /// The site says that it has more rows than it put into this answer.
    pub has_more: bool,
    /// How many rows, for [`Kind::Count`].
    pub count: Option<u64>,
    /// The largest page, for [`Kind::Limits`].
    pub page_max: Option<usize>,
    /// The site's clock, from the `Date` header; ours when it sent none.
    pub site_time: Unix,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The site refuses our key.
    Refused(String),
    /// Anything else.
    Failed(Trouble),
}

/// A question that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In words, for people.
    pub message: String,
    /// The site asked for this pause.
    pub retry_after: Option<Duration>,
    /// True when the site as such is away or broken; false when it answers, and refuses just this.
    pub is_outage: bool,
}

/// Why a site does not seem to be the one that was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Its newest row is below the one we stood at.
    Below,
    /// Another row stands under the id of the one we stood at.
    Another,
    /// It shows newer rows, and none of those that are known.
    All,
}

/// What people or other parts may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A question failed; the site counts as down until the next answer.
    Down(String),
    /// The site answers, and refuses to show the event log.
    Fault(String),
    /// The outage, or the fault, lasts; told once.
    Outage {
        /// Since when.
        since: Unix,
        /// The last failure in words.
        message: String,
        /// True when the site answers all the same.
        is_fault: bool,
    },
    /// The key is refused.
    Refused(String),
    /// The site answers again; true when an outage or a refusal had been told.
    Up(bool),
    /// Missing ids.
    GapOpened(Gap),
    /// Ids that appeared late.
    GapFilled(Vec<EventId>),
    /// Ids that never appeared in time.
    GivenUp(Vec<Gap>),
    /// The site was restored, or the key sees less: ingest halts.
    Rewound {
        /// What is not as it was.
        lost: Lost,
        /// The row we stood at.
        head: EventId,
        /// The newest the site shows.
        newest: Option<EventId>,
    },
    /// The row we stood at is back.
    Resumed,
    /// An operator accepted the site as it is: the next timeline begins at this id.
    Accepted(EventId),
    /// The head row is gone from sight; another row is the anchor now.
    AnchorMoved {
        /// The row that is gone.
        from: EventId,
        /// The row that proves answers now; none when no known row is visible.
        to: Option<EventId>,
    },
    /// This row was journaled with fewer fields.
    Partial(EventId),
    /// This row spoils every answer that holds it; it stays a late gap.
    Unreadable(EventId),
    /// Finding the row that spoils its answers takes long: it is looked for beside the polls, in these ids.
    SetAside(Range),
    /// Rows without an id, or with nothing to read.
    BadRows(usize),
}
