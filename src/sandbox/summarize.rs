//! Summaries: counts, sums and ends of a field over the rows that match, also by groups.
//!
//! In: the payload of `summarize`. Out: its answer.
//! Never: a page.

use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, Kept},
    fault::Fault,
    filter::Filter,
    grouping::{Grouping, groupings},
    path::Path,
    read::{Shown, has_archived, select},
    schema::DataType,
    value::ruby,
    view::{Row, View},
};

/// One field and what is told about it.
struct Summary {
    field: String,
    word: String,
    /// Of percentages: which value counts.
    counted: Vec<String>,
    path: Path,
}

/// The answer of `summarize`.
pub(super) fn summarize(view: View<'_>, payload: &Value) -> Result<Value, Fault> {
    let schema = view.schema;
    let kind = schema
        .entity(payload["type"].as_str().unwrap_or_default(), "summarize")?
        .kind;
    let filter = Filter::read(schema, "summarize", kind, &payload["filters"], view.now)?;
    let shown = Shown {
        is_retired: false,
        has_archived: has_archived("summarize", payload)?,
    };
    let asked = asked(view, kind, &payload["summaries"])?;
    let groupings = groupings(view, kind, &payload["grouping"])?;
    let rows = select(view, kind, &filter, shown);
    if let ([one], []) = (asked.as_slice(), groupings.as_slice())
        && one.field == "id"
        && matches!(one.word.as_str(), "count" | "record_count")
    {
        return Ok(json!({"summaries": {"id": rows.count()}, "groups": []}));
    }
    let rows: Vec<Row<'_>> = rows.collect();
    Ok(json!({
        "summaries": summaries(view, &asked, &rows),
        "groups": groups(view, &asked, &groupings, &rows),
    }))
}

/// Which summaries a data type has besides its counts.
fn is_legal(word: &str, kind: DataType) -> bool {
    match word {
        "record_count" | "count" => true,
        "sum" | "average" => kind.is_number(),
        "maximum" | "minimum" => kind.is_number() || kind.is_time(),
        "earliest" | "latest" => kind.is_time(),
        "percentage" => kind.is_list() || kind.is_number() || kind == DataType::Checkbox,
        "status_percentage" | "status_percentage_as_float" | "status_list" => kind.is_list(),
        "checked" | "unchecked" => kind == DataType::Checkbox,
        _ => false,
    }
}

fn asked(view: View<'_>, kind: &str, value: &Value) -> Result<Vec<Summary>, Fault> {
    let wrong = || {
        let dump = ruby(value);
        Fault::request(format!(
            "API summarize() invalid/missing array 'summaries':\n{dump}"
        ))
    };
    let each = value.as_array().ok_or_else(wrong)?.iter().map(|one| {
        let field = one["field"].as_str().ok_or_else(wrong)?;
        let word = one["type"].as_str().ok_or_else(wrong)?;
        let path = Path::read(view.schema, kind, field).ok_or_else(|| {
            Fault::request(format!("API summarize() {kind}.{field} doesn't exist."))
        })?;
        let data_type = path.def.kind;
        if !is_legal(word, data_type) {
            let data_type = data_type.word();
            return Err(Fault::request(format!(
                "API summarize() {kind}.{field} invalid summary type '{word}' for data type '{data_type}'"
            )));
        }
        let counted = match &one["value"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(some) => some.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        Ok(Summary {
            field: field.to_owned(),
            word: word.to_owned(),
            counted,
            path,
        })
    });
    each.collect()
}

fn summaries(view: View<'_>, asked: &[Summary], rows: &[Row<'_>]) -> Value {
    // A field that is asked for twice: the last one wins.
    let told: Map<String, Value> = asked
        .iter()
        .map(|summary| {
            let values = rows.iter().map(|row| view.first(*row, &summary.path));
            let values: Vec<Cell<'_>> = values.filter(|value| !value.is_empty()).collect();
            let value = summary.one(rows.len(), &values);
            (summary.field.clone(), view.shown(&value))
        })
        .collect();
    told.into()
}

impl Summary {
    fn one(&self, all: usize, filled: &[Cell<'_>]) -> Kept {
        let count = |number: usize| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let sum = || filled.iter().filter_map(Cell::as_f64).sum::<f64>();
        let ends = |a: &&Cell<'_>, b: &&Cell<'_>| a.order(b).unwrap_or(std::cmp::Ordering::Equal);
        let end = |end: Option<&Cell<'_>>| end.map_or(Cell::Null, |end| end.clone().kept());
        let checked = |wanted| {
            filled
                .iter()
                .filter(|value| **value == Cell::Bool(wanted))
                .count()
        };
        match self.word.as_str() {
            "record_count" => count(all),
            "count" => count(filled.len()),
            "sum" if self.path.def.kind == DataType::Currency => Cell::Float(sum()),
            "sum" => number(sum()),
            "average" if filled.is_empty() => Cell::Null,
            "average" => Cell::Float(sum() / as_f64(filled.len())),
            "maximum" | "latest" => end(filled.iter().max_by(ends)),
            "minimum" | "earliest" => end(filled.iter().min_by(ends)),
            "checked" => count(checked(true)),
            "unchecked" => count(all - checked(true)),
            "status_list" => state_of_all(filled),
            "percentage" | "status_percentage" => {
                let share = (self.share(all, filled) * 100.0).round();
                number(share)
            }
            _ => Cell::Float(self.share(all, filled)),
        }
    }

    /// The part of the rows that counts: a state that was named or `fin`, a box that is checked, anything at all.
    fn share(&self, all: usize, filled: &[Cell<'_>]) -> f64 {
        if all == 0 {
            return 0.0;
        }
        let is_counted = |value: &&Cell<'_>| match value {
            Cell::Bool(yes) => *yes,
            Cell::Text(text)
                if self.counted.is_empty() && self.path.def.kind == DataType::StatusList =>
            {
                matches!(&**text, "fin" | "cmpt" | "apr")
            }
            Cell::Text(text) => {
                self.counted.is_empty() || self.counted.iter().any(|one| one == text)
            }
            _ => true,
        };
        as_f64(filled.iter().filter(is_counted).count()) / as_f64(all)
    }
}

/// The one state of all, `ip` when they differ.
fn state_of_all(filled: &[Cell<'_>]) -> Kept {
    let Some(first) = filled.first() else {
        return Cell::Null;
    };
    if filled.iter().all(|value| value == first) {
        return first.clone().kept();
    }
    Cell::text("ip")
}

fn as_f64(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// A whole number where it is one.
fn number(sum: f64) -> Kept {
    if sum.fract() == 0.0 && sum.abs() < 9e15 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and small, as just seen"
        )]
        return Cell::Int(sum as i64);
    }
    Cell::Float(sum)
}

fn groups(view: View<'_>, asked: &[Summary], groupings: &[Grouping], rows: &[Row<'_>]) -> Value {
    let Some((grouping, inner)) = groupings.split_first() else {
        return json!([]);
    };
    let told = grouping.groups(view, rows).into_iter().map(|group| {
        let mut told = json!({
            "group_name": group.name, "group_value": group.value,
            "summaries": summaries(view, asked, &group.rows),
        });
        if !inner.is_empty() {
            told["groups"] = groups(view, asked, inner, &group.rows);
        }
        told
    });
    told.collect()
}
