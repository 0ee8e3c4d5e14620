//! Relations: which a data type has, and what each of them asks of a value.
//!
//! In: a data type, a relation's name, the values behind it, the time. Out: a need that is met by a value or not, or the refusal.
//! Never: a path, a store; names of links are handed in.

use jiff::{Span, Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    log::Link,
    schema::DataType,
    value::{date, date_time, moment},
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
        D::Float | D::Percent | D::Duration => &[
            R::Is,
            R::IsNot,
            R::GreaterThan,
            R::LessThan,
            R::Between,
            R::In,
            R::NotIn,
        ],
        D::Number => &[
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
        D::List | D::StatusList | D::EntityType | D::Uuid => &[R::Is, R::IsNot, R::In, R::NotIn],
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
        D::Password | D::Serializable | D::Url => &[],
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
    /// One of these; text in lower case, links bare.
    OneOf(Vec<Value>),
    /// A text with this in it.
    Text(Part, String),
    /// More than this.
    Above(Value),
    /// Less than this.
    Below(Value),
    /// Both ends included.
    Between(Value, Value),
    /// The end excluded.
    Window(Value, Value),
    /// A link to this type.
    Kind(String),
    /// A link with this in its name.
    Name(Part, String),
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
        R::Is | R::IsNot | R::In | R::NotIn | R::Contains | R::NotContains
            if kind != DataType::Text || !matches!(relation, R::Contains | R::NotContains) =>
        {
            let all: Result<_, Wrong> = values.iter().map(|value| operand(kind, value)).collect();
            Need::OneOf(all?)
        }
        R::Contains | R::NotContains => text(|text| Need::Text(Part::Inside, text))?,
        R::StartsWith => text(|text| Need::Text(Part::Front, text))?,
        R::EndsWith => text(|text| Need::Text(Part::Back, text))?,
        R::NameIs => text(|text| Need::Name(Part::Whole, text))?,
        R::NameContains | R::NameNotContains => text(|text| Need::Name(Part::Inside, text))?,
        R::NameStartsWith => text(|text| Need::Name(Part::Front, text))?,
        R::NameEndsWith => text(|text| Need::Name(Part::Back, text))?,
        R::TypeIs | R::TypeIsNot => text(Need::Kind)?,
        R::GreaterThan => bound(operand(kind, first)?, Need::Above),
        R::LessThan => bound(operand(kind, first)?, Need::Below),
        R::Between | R::NotBetween => between(kind, values)?,
        R::InLast | R::NotInLast => near(kind, values, now, -1)?,
        R::InNext | R::NotInNext => near(kind, values, now, 1)?,
        _ => calendar(kind, relation, first, now)?,
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

/// A value of a class that the field does not take.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong(pub(super) Value);

/// A value in the form in which it is compared.
fn operand(kind: DataType, value: &Value) -> Result<Value, Wrong> {
    use DataType as D;
    let read = match (kind, value) {
        (_, Value::Null) => Some(Value::Null),
        (D::Entity | D::MultiEntity | D::Addressing, _) => {
            Link::read(value).map(|link| link.stored())
        }
        (D::Date, Value::String(text)) => date(text).map(Value::from),
        (D::DateTime, Value::String(text)) => date_time(text).map(Value::from),
        (D::Number | D::Percent | D::Duration, _) => value.is_i64().then(|| value.clone()),
        (D::Float, _) => value.is_number().then(|| value.clone()),
        (D::Checkbox, _) => value.is_boolean().then(|| value.clone()),
        (D::Image, _) => None,
        (_, Value::String(text)) => Some(text.to_lowercase().into()),
        _ => None,
    };
    read.ok_or_else(|| Wrong(value.clone()))
}

fn bound(value: Value, need: fn(Value) -> Need) -> Need {
    if value.is_null() {
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
    if low.is_null() || high.is_null() {
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
    let [count, unit] = values else {
        return Err(wrong());
    };
    let count = count.as_i64().ok_or_else(wrong)? * sign;
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

fn written(kind: DataType, at: &Zoned) -> Value {
    match kind {
        DataType::Date => at.date().to_string().into(),
        _ => moment(at.timestamp()).into(),
    }
}
