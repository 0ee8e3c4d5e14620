//! Reading: rows of a type that match, in an order, by pages.
//!
//! In: the payload of `read`. Out: its answer as JSON text.
//! Never: more of the log than the ids in the filter allow; a count nobody asked for.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    fault::Fault,
    filter::{Filter, order},
    log::Link,
    schema::EVENT_LOG,
    view::{Path, Row, View},
};

/// What one page may have at most, whatever `info` says.
const PAGE_MAX: usize = 5000;

#[derive(Debug, Deserialize)]
struct Read {
    r#type: String,
    #[serde(default)]
    return_fields: Value,
    #[serde(default)]
    filters: Value,
    return_only: Option<String>,
    paging: Option<Paging>,
    sorts: Option<Vec<Sort>>,
    include_archived_projects: Option<bool>,
    #[serde(default)]
    additional_filter_presets: Option<Vec<Value>>,
    return_paging_info_without_counts: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Paging {
    #[serde(default)]
    entities_per_page: i64,
    #[serde(default)]
    current_page: i64,
}

#[derive(Debug, Deserialize)]
struct Sort {
    #[serde(alias = "column")]
    field_name: String,
    direction: Option<String>,
}

impl Sort {
    fn is_descending(&self) -> bool {
        self.direction.as_deref() == Some("desc")
    }
}

/// The answer of `read`.
pub(super) fn read(view: View<'_>, payload: &Value) -> Result<String, Fault> {
    let read = Read::deserialize(payload).map_err(|error| {
        Fault::request(format!("API read() invalid payload: {error}\n{payload}"))
    })?;
    let schema = view.store.schema;
    schema.entity(&read.r#type, "read")?;
    let filter = Filter::read(schema, "read", &read.r#type, &read.filters, view.now)?;
    let (size, page) = paging(&read, payload)?;
    let skipped = (page - 1).saturating_mul(size);
    if let Some(preset) = read.additional_filter_presets.iter().flatten().next() {
        return Err(Fault::request(format!(
            "API read() invalid 'additional_filter_presets': no preset of this site is {preset}"
        )));
    }
    let shown = Shown {
        is_retired: read.return_only.as_deref() == Some("retired"),
        has_archived: read.include_archived_projects.unwrap_or(true),
    };
    let rows = select(view, &read.r#type, &filter, shown)?;
    let sorts = read.sorts.as_deref().unwrap_or_default();
    let fields = fields(&read.return_fields);
    let counted = read.return_paging_info_without_counts.is_none();
    let (page_rows, total) = if counted {
        let all = sorted(view, &read.r#type, rows, sorts);
        let total = all.len();
        let some = all.into_iter().skip(skipped).take(size + 1).collect();
        (some, Some(total))
    } else {
        (
            in_order(view, &read.r#type, rows, sorts, skipped, size + 1),
            None,
        )
    };
    let records: Vec<String> = page_rows
        .iter()
        .take(size)
        .map(|row| view.record(*row, &fields))
        .collect();
    let mut info = json!({
        "has_next_page": page_rows.len() > size, "current_page": page, "entities_per_page": size,
    });
    if let Some(total) = total {
        info["entity_count"] = total.into();
        info["page_count"] = total.div_ceil(size).into();
    }
    let records = records.join(",");
    Ok(format!(
        r#"{{"entities":[{records}],"paging_info":{info}}}"#
    ))
}

fn paging(read: &Read, payload: &Value) -> Result<(usize, usize), Fault> {
    let paging = read.paging.unwrap_or(Paging {
        entities_per_page: 500,
        current_page: 1,
    });
    let positive = |number: i64, name: &str| {
        let number = usize::try_from(number).ok().filter(|n| *n > 0);
        number.ok_or_else(|| {
            Fault::request(format!(
                "API read() invalid/missing integer 'paging' '{name}':\n{payload}"
            ))
        })
    };
    let size = positive(paging.entities_per_page, "entities_per_page")?.min(PAGE_MAX);
    Ok((size, positive(paging.current_page, "current_page")?))
}

/// A list of names, or one bare name.
pub(super) fn fields(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(list) => list
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Rows from either end.
type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Row<'a>> + 'a>;

/// Which rows are shown at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// Those that are retired, instead of those that are live.
    pub(super) is_retired: bool,
    /// Those of archived projects as well.
    pub(super) has_archived: bool,
}

/// The rows of a type that match, by id.
pub(super) fn select<'a>(
    view: View<'a>,
    kind: &str,
    filter: &'a Filter,
    shown: Shown,
) -> Result<Rows<'a>, Fault> {
    let is_wanted = move |row: &Row<'a>| {
        filter.matches(view, *row) && (shown.has_archived || !view.is_archived(*row))
    };
    if kind == EVENT_LOG {
        if shown.is_retired {
            return Ok(Box::new(std::iter::empty()));
        }
        let spans = filter.ids().into_iter();
        let rows = spans.flat_map(move |ids| view.store.log.range(ids));
        return Ok(Box::new(rows.map(Row::Event).filter(is_wanted)));
    }
    let schema = view.store.schema;
    let kind = schema.name_of(kind).ok_or_else(|| {
        Fault::request(format!(
            "API read() invalid/missing string entity 'type': {kind}"
        ))
    })?;
    let rows = view.store.entities(kind);
    let rows = rows.filter(move |entity| entity.is_retired == shown.is_retired);
    let rows = rows.map(move |entity| Row::Entity(kind, entity));
    Ok(Box::new(rows.filter(is_wanted)))
}

/// A part of the rows in their order; no more rows are looked at than that needs.
fn in_order<'a>(
    view: View<'a>,
    kind: &str,
    rows: Rows<'a>,
    sorts: &[Sort],
    skip: usize,
    take: usize,
) -> Vec<Row<'a>> {
    match sorts {
        [] => rows.skip(skip).take(take).collect(),
        [by_id] if by_id.field_name == "id" => {
            if by_id.is_descending() {
                rows.rev().skip(skip).take(take).collect()
            } else {
                rows.skip(skip).take(take).collect()
            }
        }
        _ => {
            let all = sorted(view, kind, rows, sorts);
            all.into_iter().skip(skip).take(take).collect()
        }
    }
}

fn sorted<'a>(view: View<'a>, kind: &str, rows: Rows<'a>, sorts: &[Sort]) -> Vec<Row<'a>> {
    // A field that does not exist, or cannot be sorted, is passed over.
    let paths: Vec<(Path, bool)> = sorts
        .iter()
        .filter_map(|sort| {
            let path = Path::read(view.store.schema, kind, &sort.field_name)?;
            Some((path, sort.is_descending()))
        })
        .collect();
    let key = |row: Row<'a>| -> Vec<Value> {
        paths
            .iter()
            .map(|(path, _)| sort_key(view, row, path))
            .collect()
    };
    let mut keyed: Vec<(Vec<Value>, Row<'a>)> = rows.map(|row| (key(row), row)).collect();
    keyed.sort_by(|(a, row_a), (b, row_b)| {
        let pairs = a.iter().zip(b).zip(&paths);
        let first = pairs
            .map(|((a, b), (_, is_descending))| {
                let order = with_nulls_last(a, b);
                if *is_descending {
                    order.reverse()
                } else {
                    order
                }
            })
            .find(|order| order.is_ne());
        first.unwrap_or_else(|| row_a.id().cmp(&row_b.id()))
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

fn sort_key(view: View<'_>, row: Row<'_>, path: &Path) -> Value {
    let value = match view.values(row, path).into_iter().next() {
        Some(Value::Object(link)) => Link::read(&Value::Object(link))
            .map_or(Value::Null, |link| view.store.name(&link).into()),
        Some(value) => value,
        None => Value::Null,
    };
    match value {
        Value::String(text) => text.to_lowercase().into(),
        value => value,
    }
}

fn with_nulls_last(a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) => order(a, b).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    }
}
