//! Filters: conditions nested at will, compiled once and asked of every row.
//!
//! In: the wire form, an entity type. Out: whether a row matches; the spans of ids outside which none can.
//! Never: an order, a page.

use std::{cmp::Ordering, ops::RangeInclusive};

use serde_json::Value;

use super::{
    fault::Fault,
    log::Link,
    relation::{Need, Part, Relation, Rule, Wrong, legal, rule},
    schema::{DataType, Schema},
    value::expected,
    view::{Path, Row, View},
};
use crate::clock::Unix;

/// What the site refuses to look through.
const DEEPEST: usize = 265;

/// No id is negative.
const EVERYTHING: RangeInclusive<i64> = 0..=i64::MAX;

/// A compiled filter.
#[derive(Debug)]
pub(super) enum Filter {
    /// Every one of these.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
    /// A path with its rule.
    Test(Path, Rule),
}

/// Where a filter is read.
struct Reader<'a> {
    schema: &'static Schema,
    kind: &'a str,
    method: &'a str,
    now: Unix,
}

impl Filter {
    /// Reads the wire form; no conditions match everything.
    pub(super) fn read(
        schema: &'static Schema,
        method: &str,
        kind: &str,
        filters: &Value,
        now: Unix,
    ) -> Result<Self, Fault> {
        if filters.is_null() {
            return Ok(Self::All(Vec::new()));
        }
        let reader = Reader {
            schema,
            kind,
            method,
            now,
        };
        reader.group(filters, 0)
    }

    /// Whether a row matches.
    pub(super) fn matches<'a>(&self, view: View<'a>, row: Row<'a>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(view, row)),
            Self::Any(filters) => {
                filters.is_empty() || filters.iter().any(|filter| filter.matches(view, row))
            }
            Self::Test(path, rule) => {
                let met = if path.is_plain() && path.last == "id" {
                    is_met(view, &rule.need, &row.id().into())
                } else {
                    let mut values = view.values(row, path).into_iter();
                    values.any(|value| is_met(view, &rule.need, &value))
                };
                met != rule.is_negative
            }
        }
    }

    /// Ids outside of these spans cannot match; ascending, apart.
    pub(super) fn ids(&self) -> Vec<RangeInclusive<i64>> {
        match self {
            Self::All(filters) => filters.iter().fold(vec![EVERYTHING], |spans, filter| {
                both(&spans, &filter.ids())
            }),
            Self::Any(filters) if filters.is_empty() => vec![EVERYTHING],
            Self::Any(filters) => either(filters.iter().flat_map(Self::ids).collect()),
            Self::Test(path, rule) if path.is_plain() && path.last == "id" && !rule.is_negative => {
                ids_of(&rule.need).unwrap_or_else(|| vec![EVERYTHING])
            }
            Self::Test(..) => vec![EVERYTHING],
        }
    }
}

fn ids_of(need: &Need) -> Option<Vec<RangeInclusive<i64>>> {
    let one = |span| Some(vec![span]);
    match need {
        Need::Above(id) => one(id.as_i64()?.saturating_add(1)..=i64::MAX),
        Need::Below(id) => one(0..=id.as_i64()?.saturating_sub(1)),
        Need::Between(low, high) => one(low.as_i64()?..=high.as_i64()?),
        Need::OneOf(ids) => {
            let ids = ids.iter().filter_map(Value::as_i64);
            Some(either(ids.map(|id| id..=id).collect()))
        }
        _ => None,
    }
}

/// What lies in one of the spans or more.
fn either(mut spans: Vec<RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| *span.start());
    let mut merged: Vec<RangeInclusive<i64>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if *span.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(span.end());
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// What lies in a span of each; both lists are ascending and apart.
fn both(one: &[RangeInclusive<i64>], other: &[RangeInclusive<i64>]) -> Vec<RangeInclusive<i64>> {
    let mut shared = Vec::new();
    let (mut ones, mut others) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(a), Some(b)) = (ones.peek(), others.peek()) {
        let span = *a.start().max(b.start())..=*a.end().min(b.end());
        if a.end() <= b.end() {
            ones.next();
        } else {
            others.next();
        }
        if !span.is_empty() {
            shared.push(span);
        }
    }
    shared
}

impl Reader<'_> {
    fn group(&self, group: &Value, depth: usize) -> Result<Filter, Fault> {
        let method = self.method;
        if depth > DEEPEST {
            return Err(Fault::request(format!(
                "API {method}() filters are nested too deep"
            )));
        }
        let Some(conditions) = group["conditions"].as_array() else {
            return Err(Fault::request(format!(
                "API {method}() invalid/missing array 'filters' 'conditions':\n{group}"
            )));
        };
        let filters = conditions.iter().map(|condition| {
            if condition["conditions"].is_array() {
                self.group(condition, depth + 1)
            } else {
                self.test(condition)
            }
        });
        let filters = filters.collect::<Result<_, _>>()?;
        match group["logical_operator"].as_str() {
            Some("and" | "all") | None => Ok(Filter::All(filters)),
            Some("or" | "any") => Ok(Filter::Any(filters)),
            Some(other) => Err(Fault::request(format!(
                "API {method}() invalid 'logical_operator' '{other}'; valid: and, or"
            ))),
        }
    }

    fn test(&self, condition: &Value) -> Result<Filter, Fault> {
        let Self {
            kind, method, now, ..
        } = *self;
        let text = condition["path"].as_str().unwrap_or_default();
        let Some(path) = Path::read(self.schema, kind, text) else {
            return Err(Fault::request(format!(
                "API {method}() {kind}.{text} doesn't exist."
            )));
        };
        let data_type = path.def.kind;
        let legal = legal(data_type);
        if legal.is_empty() {
            let word = data_type.word();
            return Err(Fault::request(format!(
                "API {method}() {kind}.{text}'s '{word}' data type cannot be used in a filter."
            )));
        }
        let relation: Option<Relation> = serde_json::from_value(condition["relation"].clone()).ok();
        let Some(relation) = relation.filter(|relation| legal.contains(relation)) else {
            let (given, word) = (&condition["relation"], data_type.word());
            let valid = serde_json::to_string(legal).unwrap_or_default();
            return Err(Fault::request(format!(
                "API {method}() {kind}.{text} invalid 'relation' {given} for data type '{word}'. Valid relations: {valid}"
            )));
        };
        let none = Vec::new();
        let values = condition["values"].as_array().unwrap_or(&none);
        let rule = rule(data_type, relation, values, now)
            .map_err(|wrong| self.wrong(text, data_type, &wrong))?;
        Ok(Filter::Test(path, rule))
    }

    fn wrong(&self, path: &str, kind: DataType, Wrong(value): &Wrong) -> Fault {
        let Self {
            method, kind: of, ..
        } = self;
        if kind == DataType::Entity || kind.is_multi() {
            return Fault::request(format!(
                "API {method}() invalid/missing entity hash 'type' or 'id' for {of}.{path}: {value}"
            ));
        }
        let expected = expected(kind);
        let class = super::value::class(value);
        Fault::request(format!(
            "API {method}() {of}.{path} expected [{expected}] data type(s) but got {class}: {value}"
        ))
    }
}

/// Whether a value is what is needed; a list of links is when one of them is.
fn is_met(view: View<'_>, need: &Need, value: &Value) -> bool {
    if let Value::Array(list) = value {
        let is_empty = list.is_empty() && is_met(view, need, &Value::Null);
        return is_empty || list.iter().any(|value| is_met(view, need, value));
    }
    match need {
        Need::OneOf(wanted) => wanted.iter().any(|wanted| is_same(wanted, value)),
        Need::Text(part, text) => value.as_str().is_some_and(|value| has(value, *part, text)),
        Need::Above(low) => order(value, low) == Some(Ordering::Greater),
        Need::Below(high) => order(value, high) == Some(Ordering::Less),
        Need::Between(low, high) => {
            order(value, low).is_some_and(Ordering::is_ge)
                && order(value, high).is_some_and(Ordering::is_le)
        }
        Need::Window(low, high) => {
            order(value, low).is_some_and(Ordering::is_ge)
                && order(value, high).is_some_and(Ordering::is_lt)
        }
        Need::Kind(kind) => value["type"]
            .as_str()
            .is_some_and(|value| value.eq_ignore_ascii_case(kind)),
        Need::Name(part, text) => {
            Link::read(value).is_some_and(|link| has(&view.store.name(&link), *part, text))
        }
        Need::Never => false,
    }
}

fn is_same(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::String(wanted), Value::String(value)) => {
            wanted == value || *wanted == value.to_lowercase()
        }
        (Value::Number(_), Value::Number(_)) => order(value, wanted) == Some(Ordering::Equal),
        _ => wanted == value,
    }
}

fn has(value: &str, part: Part, text: &str) -> bool {
    let value = value.to_lowercase();
    match part {
        Part::Whole => value == text,
        Part::Inside => value.contains(text),
        Part::Front => value.starts_with(text),
        Part::Back => value.ends_with(text),
    }
}

/// Numbers by size, text (times included: they have one form) by letters; null and mixtures have no order.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_ids_are_joined_and_crossed() {
        assert_eq!(
            either(vec![
                5..=6,
                1..=2,
                3..=3,
                RangeInclusive::new(9, 8),
                6..=i64::MAX
            ]),
            [1..=3, 5..=i64::MAX]
        );
        assert_eq!(
            both(&[1..=3, 5..=9, 12..=20], &[2..=6, 9..=12]),
            [2..=3, 5..=6, 9..=9, 12..=12]
        );
        assert_eq!(both(&[1..=3], &[]), []);
    }
}
