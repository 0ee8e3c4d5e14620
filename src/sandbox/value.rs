//! Values: what a field of a type takes, and the one form in which it is kept.
//!
//! In: a written value. Out: it as it is stored (UTC times, bare links, trimmed text), or the refusal.
//! Never: whether a linked entity exists.

use std::{borrow::Cow, sync::Arc};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use super::{
    cell::{Kept, Link},
    fault::Fault,
    schema::{DataType, FieldDef},
};

/// What a password reads as.
pub(super) const MASKED: &str = "*******";
/// A refusal repeats no more than this of what was sent.
const DUMP_MAX: usize = 2000;

/// Where a value is written, for the refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The method.
    pub(super) method: &'a str,
    /// The entity type.
    pub(super) kind: &'a str,
    /// The field.
    pub(super) field: &'a str,
}

impl Place<'_> {
    /// A value of a class that the field does not take.
    pub(super) fn wrong(&self, expected: &str, got: &Value) -> Fault {
        let Self {
            method,
            kind,
            field,
        } = self;
        let (class, dump) = (class(got), ruby(got));
        Fault::request(format!(
            "API {method}() {kind}.{field} expected [{expected}] data type(s) but got {class}:\n{dump}"
        ))
    }

    /// A value of the right class that cannot be.
    pub(super) fn failed(&self, why: &str) -> Fault {
        let Self {
            method,
            kind,
            field,
        } = self;
        let (number, what) = if *method == "create" {
            (6, "Create")
        } else {
            (5, "Update")
        };
        Fault::operation(format!(
            "API {method}() CRUD ERROR #{number}: {what} failed for [{kind}.{field}]: {why}"
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

/// A value as the site's own language writes it: `{"type"=>"Shot", "id"=>nil}`.
pub(super) fn ruby(value: &Value) -> String {
    let mut out = String::new();
    dump(value, &mut out);
    if out.len() > DUMP_MAX {
        out.truncate(out.floor_char_boundary(DUMP_MAX));
        out.push_str("...");
    }
    out
}

fn dump(value: &Value, out: &mut String) {
    // What is cut off in the end needs no more looking at.
    if out.len() > DUMP_MAX {
        return;
    }
    match value {
        Value::Null => out.push_str("nil"),
        Value::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                dump(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                super::cell::quote(out, key);
                out.push_str("=>");
                dump(item, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The value as it is stored.
pub(super) fn stored(def: &FieldDef, place: &Place<'_>, value: &Value) -> Result<Kept, Fault> {
    use DataType as D;
    let kind = def.kind;
    if value.is_null() && !kind.is_multi() && kind != D::Checkbox {
        return Ok(Kept::Null);
    }
    let kept = match kind {
        D::Text | D::Uuid | D::EntityType | D::Color | D::SystemTaskType => {
            value.as_str().map(text)
        }
        D::Password => value.as_str().map(|_| Kept::text(MASKED)),
        D::List | D::StatusList => return listed(def, place, value),
        kind if kind.is_whole() => return whole(place, value),
        D::Float | D::Currency | D::Footage => value.as_f64().map(Kept::Float),
        D::Checkbox => value.as_bool().map(Kept::Bool),
        D::Date => value.as_str().and_then(date).map(Kept::text),
        D::DateTime => value.as_str().and_then(date_time).map(Kept::Moment),
        D::Entity => return linked(place, value).map(Kept::Link),
        D::MultiEntity | D::Addressing => {
            let list = value
                .as_array()
                .ok_or_else(|| place.wrong(expected(kind), value))?;
            let links: Result<Vec<Link>, Fault> =
                list.iter().map(|link| linked(place, link)).collect();
            Some(Kept::Links(Cow::Owned(links?)))
        }
        D::TagList => {
            let list = value
                .as_array()
                .filter(|list| list.iter().all(Value::is_string));
            list.map(|_| Kept::Json(Arc::new(value.clone())))
        }
        D::Url => value
            .is_object()
            .then(|| Kept::Json(Arc::new(value.clone()))),
        D::Serializable | D::Jsonb => Some(Kept::Json(Arc::new(value.clone()))),
        _ => None,
    };
    kept.ok_or_else(|| place.wrong(expected(kind), value))
}

/// The classes that a field takes, in the site's words.
pub(super) fn expected(kind: DataType) -> &'static str {
    use DataType as D;
    match kind {
        kind if kind.is_whole() => "Integer, NilClass",
        D::Float | D::Currency | D::Footage => "Float, Integer, NilClass",
        D::Checkbox => "TrueClass, FalseClass",
        D::Entity | D::Url => "Hash, NilClass",
        D::Serializable | D::Jsonb => "Hash, Array, NilClass",
        D::MultiEntity | D::Addressing | D::TagList => "Array",
        D::Image => "NilClass",
        D::Date => "Date, NilClass",
        D::DateTime => "Time, NilClass",
        _ => "String, NilClass",
    }
}

fn text(text: &str) -> Kept {
    match text.trim() {
        "" => Kept::Null,
        text => Kept::text(text.to_owned()),
    }
}

/// Signed 32-bit, as the site's.
fn whole(place: &Place<'_>, value: &Value) -> Result<Kept, Fault> {
    let out_of_range = || {
        place.failed(&format!(
            "PG::NumericValueOutOfRange: ERROR:  value \"{value}\" is out of range for type integer"
        ))
    };
    match value.as_i64() {
        Some(number) if i32::try_from(number).is_ok() => Ok(Kept::Int(number)),
        Some(_) => Err(out_of_range()),
        // More than 64 bits arrive as a float.
        None if value.is_u64()
            || value
                .as_f64()
                .is_some_and(|n| n.fract() == 0.0 && n.abs() > 9e18) =>
        {
            Err(out_of_range())
        }
        None => Err(place.wrong("Integer, NilClass", value)),
    }
}

fn listed(def: &FieldDef, place: &Place<'_>, value: &Value) -> Result<Kept, Fault> {
    let Some(word) = value.as_str() else {
        return Err(place.wrong("String, NilClass", value));
    };
    if word.is_empty() {
        return Ok(Kept::Null);
    }
    if def.valid_values.is_empty() || def.valid_values.iter().any(|valid| valid == word) {
        return Ok(Kept::text(word.to_owned()));
    }
    let valid = def.valid_values.join(", ");
    Err(place.failed(&format!(
        "'{word}' is not a valid value. Valid values: {valid}"
    )))
}

fn linked(place: &Place<'_>, value: &Value) -> Result<Link, Fault> {
    let Value::Object(_) = value else {
        return Err(place.wrong("Hash, NilClass", value));
    };
    Link::read(value).ok_or_else(|| no_entity(place, value))
}

/// A link without a type that there is, or without an id.
pub(super) fn no_entity(place: &Place<'_>, value: &Value) -> Fault {
    let Place {
        method,
        kind,
        field,
    } = place;
    let dump = ruby(value);
    Fault::request(format!(
        "API {method}() invalid/missing entity hash 'type' or 'id' for {kind}.{field}:\n{dump}"
    ))
}

/// A day, if it is one.
pub(super) fn date(text: &str) -> Option<String> {
    let plain = text.len() == 10;
    let day: civil::Date = text.parse().ok().filter(|_| plain)?;
    Some(day.to_string())
}

/// A moment in UTC; without a zone it is UTC, a day alone is its midnight.
pub(super) fn date_time(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond().div_euclid(1000));
    }
    let local = text
        .parse::<civil::DateTime>()
        .or_else(|_| text.parse::<civil::Date>().map(civil::DateTime::from))
        .ok()?;
    let at = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(at.as_second())
}

/// Seconds since 1970 as the site writes them.
pub(super) fn seconds(at: i64) -> String {
    let at = Timestamp::from_second(at).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
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
            assert_eq!(
                date_time(written).map(seconds).as_deref(),
                kept,
                "{written}"
            );
        }
        assert_eq!(date("2026-07-02").as_deref(), Some("2026-07-02"));
        assert_eq!(date("2026-07-02T00:00:00Z"), None);
    }
}
