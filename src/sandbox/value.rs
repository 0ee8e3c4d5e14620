//! Values: what a field of a type takes, and the one form in which it is kept.
//!
//! In: a written value. Out: it as it is stored (UTC times, bare links, trimmed text), or the refusal.
//! Never: whether a linked entity exists.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use super::{
    fault::Fault,
    log::Link,
    schema::{DataType, FieldDef},
};

/// What a password reads as.
const MASKED: &str = "*******";

/// Where a value is written, for the refusal.
pub(super) struct Place<'a> {
    /// The method.
    pub(super) method: &'a str,
    /// The entity type.
    pub(super) kind: &'a str,
    /// The field.
    pub(super) field: &'a str,
}

impl Place<'_> {
    fn wrong(&self, expected: &str, got: &Value) -> Fault {
        let Self {
            method,
            kind,
            field,
        } = self;
        let class = class(got);
        Fault::request(format!(
            "API {method}() {kind}.{field} expected [{expected}] data type(s) but got {class}: {got}"
        ))
    }
}

/// The site's name for the class of a value.
pub(super) fn class(value: &Value) -> &'static str {
    match value {
        Value::Null => "NilClass",
        Value::Bool(true) => "TrueClass",
        Value::Bool(false) => "FalseClass",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Hash",
    }
}

/// The value as it is stored.
pub(super) fn stored(def: &FieldDef, place: &Place<'_>, value: &Value) -> Result<Value, Fault> {
    use DataType as D;
    if value.is_null() && !def.kind.is_multi() && def.kind != D::Checkbox {
        return Ok(Value::Null);
    }
    let kept = match def.kind {
        D::Text | D::Uuid | D::EntityType => value.as_str().map(text),
        D::Password => value.as_str().map(|_| MASKED.into()),
        D::List | D::StatusList => return listed(def, place, value),
        D::Number | D::Percent | D::Duration => whole(value),
        D::Float => value.is_number().then(|| value.clone()),
        D::Checkbox => value.is_boolean().then(|| value.clone()),
        D::Date => value.as_str().and_then(date).map(Value::from),
        D::DateTime => value.as_str().and_then(date_time).map(Value::from),
        D::Entity => Link::read(value).map(|link| link.stored()),
        D::MultiEntity | D::Addressing => value.as_array().and_then(|links| links_of(links)),
        D::Url | D::Serializable => Some(value.clone()),
        D::Image => None,
    };
    kept.ok_or_else(|| place.wrong(expected(def.kind), value))
}

/// The classes that a field takes, in the site's words.
pub(super) fn expected(kind: DataType) -> &'static str {
    use DataType as D;
    match kind {
        D::Number | D::Percent | D::Duration => "Integer, NilClass",
        D::Float => "Float, NilClass",
        D::Checkbox => "TrueClass, FalseClass",
        D::Entity | D::Url | D::Serializable => "Hash, NilClass",
        D::MultiEntity | D::Addressing => "Array",
        D::Image => "NilClass",
        _ => "String, NilClass",
    }
}

fn text(text: &str) -> Value {
    match text.trim() {
        "" => Value::Null,
        text => text.into(),
    }
}

/// Signed 32-bit, as the site's.
fn whole(value: &Value) -> Option<Value> {
    i32::try_from(value.as_i64()?).ok().map(Value::from)
}

fn listed(def: &FieldDef, place: &Place<'_>, value: &Value) -> Result<Value, Fault> {
    let Some(word) = value.as_str() else {
        return Err(place.wrong("String, NilClass", value));
    };
    if def.valid_values.is_empty() || def.valid_values.iter().any(|valid| valid == word) {
        return Ok(word.into());
    }
    let Place {
        method,
        kind,
        field,
    } = place;
    let valid = def.valid_values.join(", ");
    Err(Fault::operation(format!(
        "API {method}() CRUD ERROR #5: Update failed for [{kind}.{field}]: '{word}' is not a valid value. Valid values: {valid}"
    )))
}

fn links_of(links: &[Value]) -> Option<Value> {
    let links: Option<Vec<Value>> = links
        .iter()
        .map(|link| Link::read(link).map(|link| link.stored()))
        .collect();
    links.map(Value::Array)
}

/// A day, if it is one.
pub(super) fn date(text: &str) -> Option<String> {
    let plain = text.len() == 10;
    let day: civil::Date = text.parse().ok().filter(|_| plain)?;
    Some(day.to_string())
}

/// A moment in UTC; without a zone it is UTC, a day alone is its midnight.
pub(super) fn date_time(text: &str) -> Option<String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(moment(at));
    }
    let local = text
        .parse::<civil::DateTime>()
        .or_else(|_| text.parse::<civil::Date>().map(civil::DateTime::from))
        .ok()?;
    let at = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(moment(at))
}

/// A moment as the site writes it.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Seconds since 1970 as the site writes them.
pub(super) fn seconds(at: i64) -> String {
    moment(Timestamp::from_second(at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_utc_and_in_one_form() {
        for (written, kept) in [
            ("2026-07-02T07:04:05Z", Some("2026-07-02T07:04:05Z")),
            ("2026-07-02T07:04:05+02:00", Some("2026-07-02T05:04:05Z")),
            ("2026-07-02T07:04:05", Some("2026-07-02T07:04:05Z")),
            ("2026-07-02", Some("2026-07-02T00:00:00Z")),
            ("soon", None),
        ] {
            assert_eq!(date_time(written).as_deref(), kept, "{written}");
        }
        assert_eq!(date("2026-07-02").as_deref(), Some("2026-07-02"));
        assert_eq!(date("2026-07-02T00:00:00Z"), None);
    }
}
