//! Kinds: every way in which one answer can be wrong.

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// What may go wrong with a call. The lines say what the caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Status 500.
    #[value(alias = "500")]
    Http500,
    /// Status 502.
    #[value(alias = "502")]
    Http502,
    /// Status 503.
    #[value(alias = "503")]
    Http503,
    /// Status 504.
    #[value(alias = "504")]
    Http504,
    /// Status 429.
    #[value(alias = "429")]
    Http429,
    /// A page for people, with status 200.
    Html,
    /// Nothing, with status 200.
    Empty,
    /// The first half of the right answer.
    Truncated,
    /// A fault, with status 200.
    Fault,
    /// A connection that is reset.
    Reset,
    /// A connection that is closed before anything is done.
    Closed,
    /// A connection that is closed after all is done.
    Lost,
    /// No answer, until cleared.
    Hang,
    /// The head of an answer, then a byte a second.
    Drip,
    /// An answer whose headers never end.
    EndlessHead,
    /// An answer with more bytes than it announces.
    ShortLength,
    /// An answer that ends before what it announces.
    LongLength,
    /// A few MB that unpack to 2 GiB.
    Bomb,
    /// A page of 2 GiB, of an unknown length.
    HugePage,
    /// A page of 2 GiB that says so.
    HugeLength,
    /// A page of the log without rows.
    EmptyPage,
    /// A row of the log without its id.
    NoId,
    /// A row of the log that is null.
    NullRow,
    /// A row of the log whose entity is null.
    NullEntity,
    /// A row of the log of 5 MB.
    HugeRow,
    /// A row of the log that stands in its page twice.
    Twice,
    /// The rows of a page in no order.
    Shuffled,
    /// A row of the log whose text is another one than when it was read before.
    Edited,
    /// A row of the log over several lines, with a line separator (U+2028) in a text.
    OddRow,
}

impl Kind {
    /// The name of it in orders.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// True of those that change rows in an answer of the log.
    pub(in crate::sandbox) fn is_about_rows(self) -> bool {
        matches!(
            self,
            Self::EmptyPage
                | Self::NoId
                | Self::NullRow
                | Self::NullEntity
                | Self::HugeRow
                | Self::Twice
                | Self::Shuffled
                | Self::Edited
                | Self::OddRow
        )
    }

    /// True of errors of HTTP, which may say when to come again.
    pub(in crate::sandbox) fn is_status(self) -> bool {
        self.status() != 200
    }

    /// The status of an answer of this kind.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Http500 => 500,
            Self::Http502 => 502,
            Self::Http503 => 503,
            Self::Http504 => 504,
            Self::Http429 => 429,
            _ => 200,
        }
    }

    /// True of those for which the call is carried out first.
    pub(super) fn is_after_the_call(self) -> bool {
        self.is_about_rows() || matches!(self, Self::Truncated | Self::Lost)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}
