//! Filters: conditions nested at will, compiled once and asked of every row.
//!
//! In: the wire form, an entity type. Out: whether a row matches; the spans of ids outside which none can.
//! Never: an order, a page.

use std::{cmp::Ordering, collections::BTreeSet, ops::RangeInclusive};

use serde_json::Value;

use super::{
    cell::{Cell, Kept, Link},
    fault::Fault,
    path::Path,
    relation::{Need, Part, Relation, Rule, Wrong, classes, legal, rule},
    schema::{EVENT_LOG, FieldDef, NEVER_TOLD, Schema},
    store::Store,
    table::is_found_by_link,
    value::{Place, no_entity, ruby},
    view::{Row, View},
};
use crate::clock::Unix;

/// What the site refuses to look through.
pub(super) const DEEPEST: usize = 265;
/// No id is negative.
const EVERYTHING: RangeInclusive<i64> = 0..=i64::MAX;
/// More rows than this are faster looked at one by one than found by their links.
const FOUND_MAX: usize = 5000;
/// So few rows that nothing is gained by finding fewer.
const FEW: i64 = 50;

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
    schema: &'a Schema,
    kind: &'a str,
    method: &'a str,
    now: Unix,
}

impl Filter {
    /// Reads the wire form; no conditions match everything.
    pub(super) fn read(
        schema: &Schema,
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
                let met = view.any(row, path, &mut |value| is_met(view, &rule.need, value));
                met != rule.is_negative
            }
        }
    }

    /// Ids outside of these spans cannot match; ascending, apart.
    pub(super) fn ids(&self, store: &Store, kind: &str) -> Vec<RangeInclusive<i64>> {
        match self {
            Self::All(filters) => {
                let mut spans = vec![EVERYTHING];
                for filter in filters {
                    if are_few(&spans) {
                        break;
                    }
                    spans = both(&spans, &filter.ids(store, kind));
                }
                spans
            }
            Self::Any(filters) if filters.is_empty() => vec![EVERYTHING],
            Self::Any(filters) => either(
                filters
                    .iter()
                    .flat_map(|filter| filter.ids(store, kind))
                    .collect(),
            ),
            Self::Test(path, rule) if path.is_plain() && !rule.is_negative => {
                let found = found(store, kind, &path.def, &rule.need);
                found.unwrap_or_else(|| vec![EVERYTHING])
            }
            Self::Test(..) => vec![EVERYTHING],
        }
    }
}

fn are_few(spans: &[RangeInclusive<i64>]) -> bool {
    let wide = spans
        .iter()
        .map(|span| span.end().saturating_sub(*span.start()).saturating_add(1));
    wide.fold(0, i64::saturating_add) <= FEW
}

/// The rows that meet a need, if a list tells.
fn found(
    store: &Store,
    kind: &str,
    def: &FieldDef,
    need: &Need,
) -> Option<Vec<RangeInclusive<i64>>> {
    if def.field == "id" {
        return ids_of(need);
    }
    let Need::OneOf(wanted) = need else {
        return None;
    };
    if def.derived.is_some() {
        return None;
    }
    let mut ids = BTreeSet::new();
    for value in wanted {
        ids.extend(listed(store, kind, def, value)?);
        if ids.len() > FOUND_MAX {
            return None;
        }
    }
    Some(either(ids.into_iter().map(|id| id..=id).collect()))
}

fn listed(store: &Store, kind: &str, def: &FieldDef, value: &Kept) -> Option<BTreeSet<i64>> {
    let short = |ids: Option<&BTreeSet<i64>>| match ids {
        Some(ids) if ids.len() > FOUND_MAX => None,
        ids => Some(ids.cloned().unwrap_or_default()),
    };
    match value {
        Cell::Link(link) if kind == EVENT_LOG => {
            (def.field == "entity").then(|| store.log.about(*link))
        }
        Cell::Link(link) if is_found_by_link(def.field) => {
            short(store.table(kind)?.linked(def.field, *link))
        }
        Cell::Text(text) => {
            let table = store
                .table(kind)
                .filter(|table| table.is_found_by_text(def.field))?;
            short(table.named(def.field, text))
        }
        _ => None,
    }
}

fn ids_of(need: &Need) -> Option<Vec<RangeInclusive<i64>>> {
    let one = |span| Some(vec![span]);
    match need {
        Need::Above(id) => one(id.as_i64()?.saturating_add(1)..=i64::MAX),
        Need::Below(id) => one(0..=id.as_i64()?.saturating_sub(1)),
        Need::Between(low, high) => one(low.as_i64()?..=high.as_i64()?),
        Need::Number(ids) => Some(either(ids.iter().map(|id| *id..=*id).collect())),
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
                "API {method}() invalid/missing array 'filters' 'conditions':\n{}",
                ruby(group)
            )));
        };
        let filters = conditions.iter().map(|condition| {
            let is_group = condition.get("conditions").is_some()
                || condition.get("logical_operator").is_some();
            if is_group {
                self.group(condition, depth + 1)
            } else {
                self.test(condition)
            }
        });
        let filters = filters.collect::<Result<_, _>>()?;
        match &group["logical_operator"] {
            Value::Null => Ok(Filter::All(filters)),
            Value::String(word) if matches!(word.as_str(), "and" | "all") => {
                Ok(Filter::All(filters))
            }
            Value::String(word) if matches!(word.as_str(), "or" | "any") => {
                Ok(Filter::Any(filters))
            }
            other => Err(Fault::request(format!(
                "API {method}() invalid 'logical_operator' {}; valid: and, or",
                ruby(other)
            ))),
        }
    }

    fn test(&self, condition: &Value) -> Result<Filter, Fault> {
        let Self {
            kind, method, now, ..
        } = *self;
        let Some(text) = condition["path"].as_str() else {
            return Err(Fault::request(format!(
                "API {method}() invalid/missing string 'filters' 'path':\n{}",
                ruby(condition)
            )));
        };
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
            let (given, word) = (ruby(&condition["relation"]), data_type.word());
            let valid = serde_json::to_string(legal).unwrap_or_default();
            return Err(Fault::request(format!(
                "API {method}() {kind}.{text} invalid 'relation' {given} for data type '{word}'. Valid relations: {valid}"
            )));
        };
        let none = Vec::new();
        let values = match &condition["values"] {
            Value::Array(values) => values,
            Value::Null => &none,
            _ => {
                return Err(Fault::request(format!(
                    "API {method}() invalid/missing array 'filters' 'values':\n{}",
                    ruby(condition)
                )));
            }
        };
        let rule = rule(data_type, relation, values, now)
            .map_err(|wrong| self.wrong(text, &path.def, relation, &wrong))?;
        if path.def.field == NEVER_TOLD {
            return Ok(Filter::All(Vec::new()));
        }
        Ok(Filter::Test(path, rule))
    }

    fn wrong(&self, path: &str, def: &FieldDef, relation: Relation, Wrong(value): &Wrong) -> Fault {
        let place = Place {
            method: self.method,
            kind: self.kind,
            field: path,
        };
        if def.is_link() && value.is_object() {
            return no_entity(&place, value);
        }
        place.wrong(classes(def.kind, relation), value)
    }
}

/// Whether a value is what is needed; a list of links is when one of them is.
fn is_met(view: View<'_>, need: &Need, value: &Cell<'_>) -> bool {
    match value {
        Cell::Links(links) if links.is_empty() => is_met(view, need, &Cell::Null),
        Cell::Links(links) => links
            .iter()
            .any(|link| is_met(view, need, &Cell::Link(*link))),
        Cell::Json(json) if json.is_array() && !matches!(need, Need::Same(_) | Need::Inside(_)) => {
            let words = json
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            words.into_iter().any(|word| match need {
                Need::Name(part, text) => has(word, *part, text),
                need => is_met(view, need, &Cell::text(word)),
            })
        }
        value => is_one_met(view, need, value),
    }
}

fn is_one_met(view: View<'_>, need: &Need, value: &Cell<'_>) -> bool {
    match need {
        Need::OneOf(wanted) => wanted.iter().any(|wanted| is_same(wanted, value)),
        Need::Number(wanted) => {
            let number = value.as_i64();
            number.is_some_and(|number| wanted.binary_search(&number).is_ok())
        }
        Need::Text(part, text) => value.as_str().is_some_and(|value| has(value, *part, text)),
        Need::Above(low) => value.order(low) == Some(Ordering::Greater),
        Need::Below(high) => value.order(high) == Some(Ordering::Less),
        Need::Between(low, high) => {
            value.order(low).is_some_and(Ordering::is_ge)
                && value.order(high).is_some_and(Ordering::is_le)
        }
        Need::Window(low, high) => {
            value.order(low).is_some_and(Ordering::is_ge)
                && value.order(high).is_some_and(Ordering::is_lt)
        }
        Need::Kind(kind) => value
            .link()
            .is_some_and(|link| link.kind.eq_ignore_ascii_case(kind)),
        Need::Name(part, text) => {
            let link: Option<Link> = value.link();
            link.is_some_and(|link| has(&view.store.name(&link), *part, text))
        }
        Need::Same(json) => value.json() == *json,
        Need::Inside(json) => contains(&value.json(), json),
        Need::Never => false,
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part))),
        (Value::Array(whole), Value::Array(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part))),
        (Value::Array(whole), part) => whole.contains(part),
        (whole, part) => whole == part,
    }
}

fn is_same(wanted: &Kept, value: &Cell<'_>) -> bool {
    match (wanted, value) {
        (Cell::Text(wanted), Cell::Text(value)) => is_lower_of(wanted, value),
        (Cell::Int(_) | Cell::Float(_), _) => value.order(wanted) == Some(Ordering::Equal),
        _ => wanted == value,
    }
}

/// Compares without regard to case; the first is in lower case already.
fn is_lower_of(lower: &str, text: &str) -> bool {
    if text.is_ascii() {
        lower.eq_ignore_ascii_case(text)
    } else {
        lower == text.to_lowercase()
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

    #[test]
    fn json_has_another_in_it_when_every_part_is_there() {
        let whole = serde_json::json!({"a": [1, {"b": null, "c": 2}], "d": "x"});
        for (part, wanted) in [
            (serde_json::json!({}), true),
            (serde_json::json!({"d": "x"}), true),
            (serde_json::json!({"d": "y"}), false),
            (serde_json::json!({"a": [{"c": 2}]}), true),
            (serde_json::json!({"a": 1}), true),
            (serde_json::json!({"a": [3]}), false),
            (serde_json::json!({"e": null}), false),
        ] {
            assert_eq!(contains(&whole, &part), wanted, "{part}");
        }
    }
}
