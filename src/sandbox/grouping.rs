//! Groups of rows: by a value, by a range of numbers, by a span of the calendar, by the type of a link.
//!
//! In: `grouping` of a summary. Out: rows with the name and the value that they share.
//! Never: a summary.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    cell::{Cell, Link},
    fault::Fault,
    path::Path,
    schema::DataType,
    value::ruby,
    view::{Row, View},
};
use crate::clock::Unix;

/// How rows are put together.
#[derive(Debug)]
pub(super) struct Grouping {
    path: Path,
    by: By,
    is_descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Exact,
    /// So many numbers in a group.
    Range(i64),
    /// Days from the start of one group to the next, from 1970 on.
    Days(i64),
    Week,
    Month,
    Quarter,
    Year,
    /// How far from today.
    Cluster,
    Kind,
    FirstLetter,
}

/// Rows that belong together.
pub(super) struct Group<'a> {
    /// What they share, for people.
    pub(super) name: String,
    /// What they share.
    pub(super) value: Value,
    /// The rows.
    pub(super) rows: Vec<Row<'a>>,
}

/// Reads the groupings of a summary.
pub(super) fn groupings(view: View<'_>, kind: &str, value: &Value) -> Result<Vec<Grouping>, Fault> {
    let wrong = || {
        let dump = ruby(value);
        Fault::request(format!("API summarize() invalid array 'grouping':\n{dump}"))
    };
    let none = Vec::new();
    let list = match value {
        Value::Null => &none,
        Value::Array(list) => list,
        _ => return Err(wrong()),
    };
    let each = list.iter().map(|one| {
        let field = one["field"].as_str().ok_or_else(wrong)?;
        let word = match &one["type"] {
            Value::Null => "exact",
            word => word.as_str().ok_or_else(wrong)?,
        };
        let path = Path::read(view.schema, kind, field).ok_or_else(|| {
            Fault::request(format!("API summarize() {kind}.{field} doesn't exist."))
        })?;
        let data_type = path.def.kind;
        let by = by(word, data_type).ok_or_else(|| {
            let data_type = data_type.word();
            Fault::request(format!(
                "API summarize() {kind}.{field} invalid grouping type '{word}' for data type '{data_type}'"
            ))
        })?;
        Ok(Grouping {
            path,
            by,
            is_descending: one["direction"].as_str() == Some("desc"),
        })
    });
    each.collect()
}

fn by(word: &str, kind: DataType) -> Option<By> {
    let (by, fits) = match word {
        "exact" => (By::Exact, kind.is_sortable()),
        "tens" => (By::Range(10), kind.is_number()),
        "hundreds" => (By::Range(100), kind.is_number()),
        "thousands" => (By::Range(1000), kind.is_number()),
        "tensofthousands" => (By::Range(10_000), kind.is_number()),
        "hundredsofthousands" => (By::Range(100_000), kind.is_number()),
        "millions" => (By::Range(1_000_000), kind.is_number()),
        "day" | "oneday" => (By::Days(1), kind.is_time()),
        "fivedays" => (By::Days(5), kind.is_time()),
        "week" => (By::Week, kind.is_time()),
        "month" => (By::Month, kind.is_time()),
        "quarter" => (By::Quarter, kind.is_time()),
        "year" => (By::Year, kind.is_time()),
        "clustered_date" => (By::Cluster, kind.is_time()),
        "entitytype" => (By::Kind, kind == DataType::Entity || kind.is_multi()),
        "firstletter" => (By::FirstLetter, true),
        _ => return None,
    };
    fits.then_some(by)
}

/// What rows of a group share, in the order of the groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
    Links(Vec<(String, Link)>),
    /// Last, as in every order.
    Nothing,
}

impl Grouping {
    /// Puts rows together.
    pub(super) fn groups<'a>(&self, view: View<'a>, rows: &[Row<'a>]) -> Vec<Group<'a>> {
        let mut found: BTreeMap<Key, Group<'a>> = BTreeMap::new();
        for row in rows {
            let value = view.first(*row, &self.path);
            let (key, name, value) = self.share(view, &value);
            let new = || Group {
                name,
                value,
                rows: Vec::new(),
            };
            found.entry(key).or_insert_with(new).rows.push(*row);
        }
        let mut groups: Vec<Group<'a>> = found.into_values().collect();
        if self.is_descending {
            groups.reverse();
        }
        groups
    }

    fn share(&self, view: View<'_>, value: &Cell<'_>) -> (Key, String, Value) {
        if value.is_empty() {
            return (Key::Nothing, String::new(), Value::Null);
        }
        match self.by {
            By::Exact => exact(view, value),
            By::Kind => {
                let mut kinds: Vec<&str> = value.links().iter().map(|link| link.kind).collect();
                kinds.dedup();
                plain(kinds.join(", "))
            }
            By::FirstLetter => {
                let name = exact(view, value).1;
                plain(name.chars().take(1).flat_map(char::to_uppercase).collect())
            }
            By::Range(width) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "numbers of fields have 32 bits"
                )]
                let number = value.as_f64().unwrap_or_default().floor() as i64;
                let low = number.div_euclid(width) * width;
                (
                    Key::Number(low),
                    format!("{low} - {}", low + width - 1),
                    low.into(),
                )
            }
            by => day(value).map_or_else(|| exact(view, value), |day| calendar(by, day, view.now)),
        }
    }
}

fn plain(text: String) -> (Key, String, Value) {
    (Key::Text(text.to_lowercase()), text.clone(), text.into())
}

fn exact(view: View<'_>, value: &Cell<'_>) -> (Key, String, Value) {
    let shown = view.shown(value);
    match value {
        Cell::Text(text) => (Key::Text(text.to_lowercase()), text.to_string(), shown),
        Cell::Int(number) | Cell::Moment(number) => {
            let name = shown
                .as_str()
                .map_or_else(|| shown.to_string(), str::to_owned);
            (Key::Number(*number), name, shown)
        }
        Cell::Bool(yes) => (Key::Number((*yes).into()), shown.to_string(), shown),
        Cell::Link(_) | Cell::Links(_) => {
            let named = value
                .links()
                .iter()
                .map(|link| (view.store.name(link).into_owned(), *link));
            let named: Vec<(String, Link)> = named.collect();
            let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
            (Key::Links(named.clone()), names.join(", "), shown)
        }
        _ => {
            let text = shown.to_string();
            (Key::Text(text.clone()), text, shown)
        }
    }
}

fn day(value: &Cell<'_>) -> Option<Date> {
    match value {
        Cell::Text(text) => text.parse().ok(),
        Cell::Moment(at) => Some(utc(Timestamp::from_second(*at).ok()?)),
        _ => None,
    }
}

fn utc(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn calendar(by: By, day: Date, now: Unix) -> (Key, String, Value) {
    let since = |day: Date| i64::from((day - Date::constant(1970, 1, 1)).get_days());
    let starting =
        |start: Date, name: String| (Key::Number(since(start)), name, start.to_string().into());
    match by {
        By::Days(width) => {
            let over = since(day).rem_euclid(width);
            let start = day.saturating_sub(over.days());
            starting(start, start.to_string())
        }
        By::Week => {
            let back = i64::from(day.weekday().to_monday_zero_offset());
            let start = day.saturating_sub(back.days());
            starting(start, format!("Week of {start}"))
        }
        By::Month => starting(day.first_of_month(), day.strftime("%B %Y").to_string()),
        By::Quarter => {
            let quarter = (day.month() - 1) / 3;
            let start = Date::constant(day.year(), quarter * 3 + 1, 1);
            starting(start, format!("Q{} {}", quarter + 1, day.year()))
        }
        By::Year => starting(day.first_of_year(), day.year().to_string()),
        _ => {
            let today = utc(Timestamp::from_millisecond(now.0).unwrap_or_default());
            let (rank, name) = cluster(since(day) - since(today));
            (Key::Number(rank), name.to_owned(), name.into())
        }
    }
}

/// How far a day is from today, in words.
fn cluster(days: i64) -> (i64, &'static str) {
    match days {
        ..=-31 => (0, "More than a month ago"),
        -30..=-8 => (1, "Last month"),
        -7..=-2 => (2, "Last week"),
        -1 => (3, "Yesterday"),
        0 => (4, "Today"),
        1 => (5, "Tomorrow"),
        2..=7 => (6, "Next week"),
        8..=30 => (7, "Next month"),
        31.. => (8, "More than a month away"),
    }
}
