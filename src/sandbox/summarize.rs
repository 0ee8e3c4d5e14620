//! Summaries: counts, sums and ends of a field over the rows that match, also by groups.
//!
//! In: the payload of `summarize`. Out: its answer.
//! Never: a page.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    fault::Fault,
    filter::{Filter, order},
    log::Link,
    read::{Shown, select},
    view::{Path, Row, View},
};

#[derive(Debug, Deserialize)]
struct Summarize {
    r#type: String,
    summaries: Vec<Summary>,
    #[serde(default)]
    filters: Value,
    grouping: Option<Vec<Grouping>>,
    include_archived_projects: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    field: String,
    r#type: String,
}

#[derive(Debug, Deserialize)]
struct Grouping {
    field: String,
    direction: Option<String>,
}

/// The answer of `summarize`.
pub(super) fn summarize(view: View<'_>, payload: &Value) -> Result<Value, Fault> {
    let asked = Summarize::deserialize(payload).map_err(|error| {
        Fault::request(format!(
            "API summarize() invalid payload: {error}\n{payload}"
        ))
    })?;
    let (schema, kind) = (view.store.schema, asked.r#type.as_str());
    schema.entity(kind, "summarize")?;
    let filter = Filter::read(schema, "summarize", kind, &asked.filters, view.now)?;
    let shown = Shown {
        is_retired: false,
        has_archived: asked.include_archived_projects.unwrap_or(true),
    };
    let rows = select(view, kind, &filter, shown)?;
    if let ([one], None) = (asked.summaries.as_slice(), &asked.grouping)
        && one.field == "id"
        && matches!(one.r#type.as_str(), "count" | "record_count")
    {
        return Ok(json!({"summaries": {"id": rows.count()}, "groups": []}));
    }
    let rows: Vec<Row<'_>> = rows.collect();
    let groupings = asked.grouping.unwrap_or_default();
    Ok(json!({
        "summaries": summaries(view, kind, &asked.summaries, &rows)?,
        "groups": groups(view, kind, &asked.summaries, &groupings, &rows)?,
    }))
}

fn path(view: View<'_>, kind: &str, field: &str) -> Result<Path, Fault> {
    Path::read(view.store.schema, kind, field)
        .ok_or_else(|| Fault::request(format!("API summarize() {kind}.{field} doesn't exist.")))
}

fn first(view: View<'_>, row: Row<'_>, path: &Path) -> Value {
    view.values(row, path)
        .into_iter()
        .next()
        .unwrap_or_default()
}

fn summaries(
    view: View<'_>,
    kind: &str,
    asked: &[Summary],
    rows: &[Row<'_>],
) -> Result<Value, Fault> {
    let mut done = Map::new();
    for summary in asked {
        let path = path(view, kind, &summary.field)?;
        let values = rows.iter().map(|row| first(view, *row, &path)).collect();
        let value = one(&summary.r#type, values).ok_or_else(|| {
            let wrong = &summary.r#type;
            Fault::request(format!("API summarize() unknown summary type '{wrong}'"))
        })?;
        done.insert(summary.field.clone(), value);
    }
    Ok(done.into())
}

fn one(kind: &str, values: Vec<Value>) -> Option<Value> {
    let all = values.len();
    let filled: Vec<Value> = values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect();
    let numbers = || filled.iter().filter_map(Value::as_f64);
    let ends = |a: &&Value, b: &&Value| order(a, b).unwrap_or(std::cmp::Ordering::Equal);
    let checked = |wanted| {
        filled
            .iter()
            .filter(|value| **value == Value::Bool(wanted))
            .count()
    };
    Some(match kind {
        "record_count" => all.into(),
        "count" => filled.len().into(),
        "sum" => number(numbers().sum()),
        "average" if filled.is_empty() => Value::Null,
        "average" => json!(numbers().sum::<f64>() / f64::from(u32::try_from(filled.len()).ok()?)),
        "maximum" | "latest" => filled.iter().max_by(ends).cloned().unwrap_or_default(),
        "minimum" | "earliest" => filled.iter().min_by(ends).cloned().unwrap_or_default(),
        "checked" => checked(true).into(),
        "unchecked" => checked(false).into(),
        _ => return None,
    })
}

/// A whole number where it is one.
fn number(sum: f64) -> Value {
    if sum.fract() == 0.0 && sum.abs() < 9e15 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and small, as just seen"
        )]
        return json!(sum as i64);
    }
    json!(sum)
}

fn groups(
    view: View<'_>,
    kind: &str,
    asked: &[Summary],
    groupings: &[Grouping],
    rows: &[Row<'_>],
) -> Result<Value, Fault> {
    let Some((grouping, inner)) = groupings.split_first() else {
        return Ok(json!([]));
    };
    let path = path(view, kind, &grouping.field)?;
    let mut groups: Vec<(Value, Vec<Row<'_>>)> = Vec::new();
    for row in rows {
        let value = view.shown(path.def.kind, first(view, *row, &path));
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, members)) => members.push(*row),
            None => groups.push((value, vec![*row])),
        }
    }
    groups.sort_by_key(|(value, _)| group_name(value));
    if grouping.direction.as_deref() == Some("desc") {
        groups.reverse();
    }
    let told = groups.into_iter().map(|(value, members)| {
        let mut group = json!({
            "group_name": group_name(&value), "group_value": value,
            "summaries": summaries(view, kind, asked, &members)?,
        });
        if !inner.is_empty() {
            group["groups"] = self::groups(view, kind, asked, inner, &members)?;
        }
        Ok(group)
    });
    told.collect::<Result<Value, Fault>>()
}

fn group_name(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(link) => {
            let link = Value::Object(link.clone());
            let name = link["name"].as_str().map(str::to_owned);
            name.unwrap_or_else(|| Link::read(&link).map_or(String::new(), |l| l.kind.to_string()))
        }
        other => other.to_string(),
    }
}
