//! Relations: which a data type has, and what each of them asks of a value.
//!
//! In: a data type, a relation's name, the values behind it, the time. Out: a need that is met by a value or not, or the refusal.
//! Never: a path, a store; names of links are handed in.

use jiff::{Span, Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cell::{Kept, Link},
    schema::DataType,
    value::{date, date_time, expected},
};
use crate::clock::Unix;

/// What may stand between a path and its values; the names are the site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relation {
    Is,
    IsNot,
    LessThan,
    GreaterThan,
    Between,
    NotBetween,
    In,
    NotIn,
    Contains,
    NotContains,
    StartsWith,
    EndsWith,
    InLast,
    NotInLast,
    InNext,
    NotInNext,
    InCalendarDay,
    InCalendarWeek,
    InCalendarMonth,
    InCalendarYear,
    TypeIs,
    TypeIsNot,
    NameIs,
    NameContains,
    NameNotContains,
    NameStartsWith,
    NameEndsWith,
    NameId,
}

/// The relations of a data type; none for what cannot be filtered.
pub(super) fn legal(kind: DataType) -> &'static [Relation] {
    use DataType as D;
    use Relation as R;
    match kind {
        D::Text => &[
            R::Is,
            R::IsNot,
            R::Contains,
            R::NotContains,
            R::StartsWith,
            R::EndsWith,
            R::In,
            R::NotIn,
        ],
        D::Float | D::Percent | D::Duration | D::Timecode | D::Footage => &[
            R::Is,
            R::IsNot,
            R::GreaterThan,
            R::LessThan,
            R::Between,
            R::In,
            R::NotIn,
        ],
        D::Number | D::Currency => &[
            R::Is,
            R::IsNot,
            R::LessThan,
            R::GreaterThan,
            R::Between,
            R::NotBetween,
            R::In,
            R::NotIn,
        ],
        D::Date | D::DateTime => &[
            R::Is,
            R::IsNot,
            R::GreaterThan,
            R::LessThan,
            R::InLast,
            R::NotInLast,
            R::InNext,
            R::NotInNext,
            R::InCalendarDay,
            R::InCalendarWeek,
            R::InCalendarMonth,
            R::InCalendarYear,
            R::Between,
            R::In,
            R::NotIn,
        ],
        D::Checkbox | D::Image => &[R::Is, R::IsNot],
        D::List
        | D::StatusList
        | D::EntityType
        | D::Uuid
        | D::Color
        | D::SystemTaskType
        | D::UrlTemplate => &[R::Is, R::IsNot, R::In, R::NotIn],
        D::TagList => &[
            R::Is,
            R::IsNot,
            R::NameContains,
            R::NameNotContains,
            R::NameId,
        ],
        D::Jsonb => &[R::Is, R::IsNot, R::Contains, R::NotContains],
        D::MultiEntity => &[
            R::Is,
            R::IsNot,
            R::TypeIs,
            R::TypeIsNot,
            R::NameContains,
            R::NameNotContains,
            R::In,
            R::NotIn,
        ],
        D::Entity => &[
            R::Is,
            R::IsNot,
            R::TypeIs,
            R::TypeIsNot,
            R::NameContains,
            R::NameNotContains,
            R::NameIs,
            R::In,
            R::NotIn,
        ],
        D::Addressing => &[
            R::Is,
            R::IsNot,
            R::Contains,
            R::NotContains,
            R::In,
            R::TypeIs,
            R::TypeIsNot,
            R::NameContains,
            R::NameNotContains,
            R::NameStartsWith,
            R::NameEndsWith,
        ],
        D::Password | D::Serializable | D::Url | D::Summary | D::Calculated | D::PivotColumn => &[],
    }
}

/// How a text is looked at; always without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Inside,
    Front,
    Back,
}

/// What a value has to be.
#[derive(Debug, PartialEq)]
pub(super) enum Need {
    /// One of these; text in lower case.
    OneOf(Vec<Kept>),
    /// One of these numbers, ascending.
    Number(Vec<i64>),
    /// A text with this in it.
    Text(Part, String),
    /// More than this.
    Above(Kept),
    /// Less than this.
    Below(Kept),
    /// Both ends included.
    Between(Kept, Kept),
    /// The end excluded.
    Window(Kept, Kept),
    /// A link to this type.
    Kind(String),
    /// A link, or a tag, with this in its name.
    Name(Part, String),
    /// JSON that is this.
    Same(Value),
    /// JSON with this in it.
    Inside(Value),
    /// Nothing is.
    Never,
}

/// A need, or the opposite of it: whatever is not met, null included.
#[derive(Debug)]
pub(super) struct Rule {
    /// The need.
    pub(super) need: Need,
    /// True for `is_not` and its kin.
    pub(super) is_negative: bool,
}

/// Reads a relation with its values.
pub(super) fn rule(
    kind: DataType,
    relation: Relation,
    values: &[Value],
    now: Unix,
) -> Result<Rule, Wrong> {
    use Relation as R;
    let first = values.first().unwrap_or(&Value::Null);
    let text = |part: fn(String) -> Need| {
        let text = first.as_str().ok_or_else(|| Wrong(first.clone()))?;
        Ok::<_, Wrong>(part(text.to_lowercase()))
    };
    let need = match relation {
        R::Is | R::IsNot if kind == DataType::Jsonb => Need::Same(first.clone()),
        R::Contains | R::NotContains if kind == DataType::Jsonb => Need::Inside(first.clone()),
        R::Is | R::IsNot | R::Contains | R::NotContains
            if kind != DataType::Text || matches!(relation, R::Is | R::IsNot) =>
        {
            one_of(kind, values)?
        }
        // Both spellings: values one by one, or one list of them.
        R::In | R::NotIn => one_of(kind, first.as_array().map_or(values, Vec::as_slice))?,
        R::Contains | R::NotContains => text(|text| Need::Text(Part::Inside, text))?,
        R::StartsWith => text(|text| Need::Text(Part::Front, text))?,
        R::EndsWith => text(|text| Need::Text(Part::Back, text))?,
        R::NameIs | R::NameId => text(|text| Need::Name(Part::Whole, text))?,
        R::NameContains | R::NameNotContains => text(|text| Need::Name(Part::Inside, text))?,
        R::NameStartsWith => text(|text| Need::Name(Part::Front, text))?,
        R::NameEndsWith => text(|text| Need::Name(Part::Back, text))?,
        R::TypeIs | R::TypeIsNot if first.is_null() => Need::OneOf(vec![Kept::Null]),
        R::TypeIs | R::TypeIsNot => text(Need::Kind)?,
        R::GreaterThan => bound(operand(kind, first)?, Need::Above),
        R::LessThan => bound(operand(kind, first)?, Need::Below),
        R::Between | R::NotBetween => between(kind, values)?,
        R::InLast | R::NotInLast => near(kind, values, now, -1)?,
        R::InNext | R::NotInNext => near(kind, values, now, 1)?,
        R::Is
        | R::IsNot
        | R::InCalendarDay
        | R::InCalendarWeek
        | R::InCalendarMonth
        | R::InCalendarYear => calendar(kind, relation, first, now)?,
    };
    Ok(Rule {
        need,
        is_negative: is_negative(relation),
    })
}

fn is_negative(relation: Relation) -> bool {
    use Relation as R;
    matches!(
        relation,
        R::IsNot
            | R::NotIn
            | R::NotContains
            | R::NotBetween
            | R::NotInLast
            | R::NotInNext
            | R::TypeIsNot
            | R::NameNotContains
    )
}

/// The classes that a relation takes, in the site's words.
pub(super) fn classes(kind: DataType, relation: Relation) -> &'static str {
    use Relation as R;
    match relation {
        R::Contains | R::NotContains if kind != DataType::Text => element(kind),
        R::Contains | R::NotContains | R::StartsWith | R::EndsWith => "String",
        R::NameIs
        | R::NameContains
        | R::NameNotContains
        | R::NameStartsWith
        | R::NameEndsWith
        | R::NameId => "String",
        R::TypeIs | R::TypeIsNot => "String, NilClass",
        R::InLast | R::NotInLast | R::InNext | R::NotInNext => {
            "Integer and one of HOUR, DAY, WEEK, MONTH, YEAR"
        }
        R::InCalendarDay | R::InCalendarWeek | R::InCalendarMonth | R::InCalendarYear => "Integer",
        _ => element(kind),
    }
}

/// One of the values of a field that may have many.
fn element(kind: DataType) -> &'static str {
    match kind {
        DataType::MultiEntity | DataType::Addressing => "Hash, NilClass",
        DataType::TagList => "String, NilClass",
        kind => expected(kind),
    }
}

/// A value of a class that the field does not take.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong(pub(super) Value);

fn one_of(kind: DataType, values: &[Value]) -> Result<Need, Wrong> {
    let all = values.iter().map(|value| operand(kind, value));
    let all: Vec<Kept> = all.collect::<Result<_, Wrong>>()?;
    // Thousands of ids are asked for at once.
    let numbers: Option<Vec<i64>> = all.iter().map(Kept::as_i64).collect();
    match numbers.filter(|_| kind.is_whole()) {
        Some(mut numbers) => {
            numbers.sort_unstable();
            Ok(Need::Number(numbers))
        }
        None => Ok(Need::OneOf(all)),
    }
}

/// A value in the form in which it is compared.
fn operand(kind: DataType, value: &Value) -> Result<Kept, Wrong> {
    use DataType as D;
    let read = match (kind, value) {
        (_, Value::Null) => Some(Kept::Null),
        (D::Entity | D::MultiEntity | D::Addressing, _) => Link::read(value).map(Kept::Link),
        (D::Date, Value::String(text)) => date(text).map(Kept::text),
        (D::DateTime, Value::String(text)) => date_time(text).map(Kept::Moment),
        (kind, _) if kind.is_whole() => value.as_i64().map(Kept::Int),
        (D::Float | D::Currency | D::Footage, Value::Number(_)) => Some(Kept::from(value)),
        (D::Checkbox, _) => value.as_bool().map(Kept::Bool),
        (D::Date | D::DateTime | D::Image | D::Float | D::Currency, _) => None,
        (_, Value::String(text)) => Some(Kept::text(text.to_lowercase())),
        _ => None,
    };
    read.ok_or_else(|| Wrong(value.clone()))
}

fn bound(value: Kept, need: fn(Kept) -> Need) -> Need {
    if value == Kept::Null {
        Need::Never
    } else {
        need(value)
    }
}

fn between(kind: DataType, values: &[Value]) -> Result<Need, Wrong> {
    // Both spellings: two values, or one list of two.
    let pair = values.first().and_then(Value::as_array);
    let [low, high] = pair.map_or(values, Vec::as_slice) else {
        return Err(Wrong(values.to_vec().into()));
    };
    let (low, high) = (operand(kind, low)?, operand(kind, high)?);
    if low == Kept::Null || high == Kept::Null {
        return Ok(Need::Never);
    }
    Ok(Need::Between(low, high))
}

fn utc(now: Unix) -> Zoned {
    let at = Timestamp::from_millisecond(now.0).unwrap_or_default();
    at.to_zoned(TimeZone::UTC)
}

/// `[3, "DAY"]` before or after now.
fn near(kind: DataType, values: &[Value], now: Unix, sign: i64) -> Result<Need, Wrong> {
    let wrong = || Wrong(values.to_vec().into());
    let pair = values.first().and_then(Value::as_array);
    let [count, unit] = pair.map_or(values, Vec::as_slice) else {
        return Err(wrong());
    };
    let count = count.as_i64().and_then(|count| count.checked_mul(sign));
    let count = count.ok_or_else(wrong)?;
    let span: Span = match unit.as_str().ok_or_else(wrong)? {
        "HOUR" => Span::new().try_hours(count),
        "DAY" => Span::new().try_days(count),
        "WEEK" => Span::new().try_weeks(count),
        "MONTH" => Span::new().try_months(count),
        "YEAR" => Span::new().try_years(count),
        _ => return Err(wrong()),
    }
    .map_err(|_too_much| wrong())?;
    let now = utc(now);
    let other = now.checked_add(span).map_err(|_too_far| wrong())?;
    let (low, high) = if sign < 0 { (other, now) } else { (now, other) };
    Ok(Need::Between(written(kind, &low), written(kind, &high)))
}

fn calendar(kind: DataType, relation: Relation, first: &Value, now: Unix) -> Result<Need, Wrong> {
    let wrong = || Wrong(first.clone());
    let offset = first
        .as_i64()
        .filter(|n| n.abs() < 5000)
        .ok_or_else(wrong)?;
    let today = utc(now).date();
    let (start, span) = match relation {
        Relation::InCalendarDay => (today, 1.day()),
        Relation::InCalendarWeek => {
            let back = today.weekday().to_monday_zero_offset();
            (today.saturating_sub(i64::from(back).days()), 1.week())
        }
        Relation::InCalendarMonth => (today.first_of_month(), 1.month()),
        _ => (today.first_of_year(), 1.year()),
    };
    let shifted = |times: i64| {
        let span = span.checked_mul(times).ok()?;
        let at = start.checked_add(span).ok()?;
        at.to_zoned(TimeZone::UTC).ok()
    };
    let low = shifted(offset).ok_or_else(wrong)?;
    let high = shifted(offset + 1).ok_or_else(wrong)?;
    Ok(Need::Window(written(kind, &low), written(kind, &high)))
}

fn written(kind: DataType, at: &Zoned) -> Kept {
    match kind {
        DataType::Date => Kept::text(at.date().to_string()),
        _ => Kept::Moment(at.timestamp().as_second()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::*;

    /// The relations that the manual of plugins names, each with the number of values it names.
    fn manual() -> BTreeMap<String, &'static str> {
        let manual = include_str!("../../protocol/v1/PROTOCOL.md");
        let (_, rest) = manual.split_once("### Filters\n").expect("filters");
        let rows = rest
            .split("\n###")
            .next()
            .unwrap_or_default()
            .lines()
            .filter(|line| line.starts_with("| `"));
        let told = rows.flat_map(|row| {
            let cells: Vec<&str> = row.split(" | ").collect();
            let count = cells[1].split([':', ',', ';']).next().unwrap_or_default();
            let words = cells[0].split('`').skip(1).step_by(2);
            words.map(move |word| (word.to_owned(), count.trim()))
        });
        told.collect()
    }

    #[test]
    fn the_manual_has_each_relation_with_as_many_values_as_it_takes() {
        let manual = manual();
        let mut seen = BTreeSet::new();
        for kind in DataType::ALL {
            for relation in legal(kind) {
                use Relation as R;
                let word = serde_json::to_value(relation).expect("a word");
                let word = word.as_str().expect("a text").to_owned();
                let values = match relation {
                    R::InLast | R::NotInLast | R::InNext | R::NotInNext => [json!(3), json!("DAY")],
                    R::InCalendarDay
                    | R::InCalendarWeek
                    | R::InCalendarMonth
                    | R::InCalendarYear => [json!(0), json!(0)],
                    R::Contains | R::NotContains if kind == DataType::Addressing => {
                        [Value::Null, Value::Null]
                    }
                    R::Contains | R::NotContains | R::StartsWith | R::EndsWith => {
                        [json!("a"), json!("a")]
                    }
                    _ if word.starts_with("name_") || word.starts_with("type_") => {
                        [json!("a"), json!("a")]
                    }
                    _ => [Value::Null, Value::Null],
                };
                let takes = |count: usize| rule(kind, *relation, &values[..count], Unix(0)).is_ok();
                let expected = match (takes(0), takes(1), takes(2)) {
                    (_, false, true) => "two",
                    (true, true, true) if matches!(relation, R::In | R::NotIn) => "any number",
                    (_, true, _) => "one",
                    other => panic!("{word} of {kind:?}: {other:?}"),
                };
                assert_eq!(manual.get(&word), Some(&expected), "{word} of {kind:?}");
                seen.insert(word);
            }
        }
        let told: BTreeSet<String> = manual.into_keys().collect();
        assert_eq!(told, seen, "the manual, the site");
    }
}
