//! Data types: what the values of a field are, under the site's names.

use serde::{Deserialize, Serialize};

/// What the values of a field are; the names are the site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sandbox) enum DataType {
    Text,
    Number,
    Float,
    Currency,
    Percent,
    Duration,
    Timecode,
    Checkbox,
    Date,
    DateTime,
    List,
    StatusList,
    Entity,
    MultiEntity,
    Addressing,
    TagList,
    Color,
    Image,
    Url,
    Serializable,
    Jsonb,
    Uuid,
    Password,
    EntityType,
    Footage,
    Summary,
    Calculated,
    PivotColumn,
    SystemTaskType,
    UrlTemplate,
}

impl DataType {
    /// Every one of them.
    pub(in crate::sandbox) const ALL: [Self; 30] = [
        Self::Text,
        Self::Number,
        Self::Float,
        Self::Currency,
        Self::Percent,
        Self::Duration,
        Self::Timecode,
        Self::Checkbox,
        Self::Date,
        Self::DateTime,
        Self::List,
        Self::StatusList,
        Self::Entity,
        Self::MultiEntity,
        Self::Addressing,
        Self::TagList,
        Self::Color,
        Self::Image,
        Self::Url,
        Self::Serializable,
        Self::Jsonb,
        Self::Uuid,
        Self::Password,
        Self::EntityType,
        Self::Footage,
        Self::Summary,
        Self::Calculated,
        Self::PivotColumn,
        Self::SystemTaskType,
        Self::UrlTemplate,
    ];

    /// What the site's word means.
    pub(in crate::sandbox) fn named(word: &str) -> Option<Self> {
        serde_json::from_value(word.into()).ok()
    }

    /// True for lists of links.
    pub(in crate::sandbox) fn is_multi(self) -> bool {
        matches!(self, Self::MultiEntity | Self::Addressing)
    }

    /// True for links, one or many.
    pub(in crate::sandbox) fn is_link(self) -> bool {
        self == Self::Entity || self.is_multi()
    }

    /// True for whole numbers.
    pub(in crate::sandbox) fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Number | Self::Percent | Self::Duration | Self::Timecode
        )
    }

    /// True for numbers of any kind.
    pub(in crate::sandbox) fn is_number(self) -> bool {
        self.is_whole() || matches!(self, Self::Float | Self::Currency | Self::Footage)
    }

    /// True for days and moments.
    pub(in crate::sandbox) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }

    /// True for lists of words.
    pub(in crate::sandbox) fn is_list(self) -> bool {
        matches!(self, Self::List | Self::StatusList)
    }

    /// True for what rows can be sorted by.
    pub(in crate::sandbox) fn is_sortable(self) -> bool {
        !matches!(
            self,
            Self::Serializable
                | Self::Jsonb
                | Self::Url
                | Self::Image
                | Self::Password
                | Self::Summary
                | Self::Calculated
                | Self::PivotColumn
        )
    }

    /// True for what `schema_field_create` makes.
    pub(in crate::sandbox) fn can_be_made(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Number
                | Self::Float
                | Self::Currency
                | Self::Percent
                | Self::Duration
                | Self::Timecode
                | Self::Checkbox
                | Self::Date
                | Self::DateTime
                | Self::List
                | Self::StatusList
                | Self::Entity
                | Self::MultiEntity
                | Self::TagList
                | Self::Footage
                | Self::Url
        )
    }

    /// The site's word for it.
    pub(in crate::sandbox) fn word(self) -> String {
        let word = serde_json::to_value(self).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }
}
