//! Reading: rows of a type that match, in an order, by pages.
//!
//! In: the payload of `read`. Out: its answer as JSON text.
//! Never: more of the log than the ids in the filter allow; a count nobody asked for.

use std::{cmp::Ordering, fmt::Write as _};

use serde_json::Value;

use super::{
    cell::Cell,
    fault::Fault,
    filter::Filter,
    path::Path,
    presets::Presets,
    schema::EVENT_LOG,
    value::ruby,
    view::{Row, View},
};

/// What one page may have at most, whatever `info` says.
const PAGE_MAX: usize = 5000;
/// A page when nothing is said.
const PAGE: i64 = 500;

struct Sort {
    path: Path,
    is_descending: bool,
}

/// A page that is asked for.
#[derive(Debug, Clone, Copy)]
struct Paging {
    size: usize,
    page: usize,
    is_counted: bool,
}

/// The answer of `read`.
pub(super) fn read(view: View<'_>, payload: &Value) -> Result<String, Fault> {
    let schema = view.schema;
    let kind = schema
        .entity(payload["type"].as_str().unwrap_or_default(), "read")?
        .kind;
    let filter = Filter::read(schema, "read", kind, &payload["filters"], view.now)?;
    let paging = paging(payload)?;
    let shown = Shown {
        is_retired: is_retired(payload)?,
        has_archived: has_archived("read", payload)?,
    };
    let presets = Presets::read(view, kind, &payload["additional_filter_presets"])?;
    let sorts = sorts(view, kind, &payload["sorts"])?;
    let fields = view.wanted(kind, &fields(&payload["return_fields"]));
    let rows = select(view, kind, &filter, shown);
    let rows = presets.through(rows);
    let skipped = (paging.page - 1).saturating_mul(paging.size);
    let (rows, total) = if paging.is_counted {
        let all: Vec<Row<'_>> = rows.collect();
        let total = all.len();
        let all = Box::new(all.into_iter());
        (
            in_order(view, all, &sorts, skipped, paging.size),
            Some(total),
        )
    } else {
        (in_order(view, rows, &sorts, skipped, paging.size + 1), None)
    };
    let has_next = total.map_or(rows.len() > paging.size, |total| {
        total > skipped.saturating_add(paging.size)
    });
    let mut out = String::with_capacity(256 * rows.len().min(paging.size) + 128);
    out.push_str("{\"entities\":[");
    for (index, row) in rows.iter().take(paging.size).enumerate() {
        if index > 0 {
            out.push(',');
        }
        view.record(*row, &fields, &mut out);
    }
    out.push_str("],\"paging_info\":");
    paging.tell(has_next, total, &mut out);
    out.push('}');
    Ok(out)
}

impl Paging {
    fn tell(self, has_next: bool, total: Option<usize>, out: &mut String) {
        // Pages of nothing are numbered 0 where rows are counted.
        let page = if total == Some(0) { 0 } else { self.page };
        let size = self.size;
        let mut done = write!(
            out,
            r#"{{"has_next_page":{has_next},"current_page":{page},"entities_per_page":{size}"#
        );
        if let Some(total) = total {
            let pages = total.div_ceil(size);
            done = done.and(write!(
                out,
                r#","entity_count":{total},"page_count":{pages}"#
            ));
        }
        debug_assert!(done.is_ok(), "a string takes everything");
        out.push('}');
    }
}

fn paging(payload: &Value) -> Result<Paging, Fault> {
    let positive = |name: &str, default: i64| {
        let wrong = || {
            let dump = ruby(payload);
            Fault::request(format!(
                "API read() invalid/missing integer 'paging' '{name}':\n{dump}"
            ))
        };
        let given = match &payload["paging"] {
            Value::Null => &Value::Null,
            Value::Object(paging) => paging.get(name).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        };
        let number = if given.is_null() {
            Some(default)
        } else {
            given.as_i64()
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or_else(wrong)
    };
    let without_counts = &payload["return_paging_info_without_counts"];
    let with_counts = payload["return_paging_info"] == Value::Bool(true);
    Ok(Paging {
        size: positive("entities_per_page", PAGE)?.min(PAGE_MAX),
        page: positive("current_page", 1)?,
        is_counted: with_counts || without_counts.is_null(),
    })
}

fn is_retired(payload: &Value) -> Result<bool, Fault> {
    match &payload["return_only"] {
        Value::Null => Ok(false),
        Value::String(word) if word == "active" => Ok(false),
        Value::String(word) if word == "retired" => Ok(true),
        other => Err(Fault::request(format!(
            "API read() invalid 'return_only' {}; valid: active, retired",
            ruby(other)
        ))),
    }
}

/// Whether rows of archived projects are shown.
pub(super) fn has_archived(method: &str, payload: &Value) -> Result<bool, Fault> {
    match &payload["include_archived_projects"] {
        Value::Null => Ok(true),
        Value::Bool(yes) => Ok(*yes),
        other => Err(Fault::request(format!(
            "API {method}() invalid boolean 'include_archived_projects':\n{}",
            ruby(other)
        ))),
    }
}

/// A list of names, or one bare name.
pub(super) fn fields(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(list) => {
            let mut names: Vec<String> = Vec::with_capacity(list.len());
            for name in list.iter().filter_map(Value::as_str) {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

/// Reads the orders; a field that does not exist, or cannot be sorted by, is passed over.
fn sorts(view: View<'_>, kind: &str, value: &Value) -> Result<Vec<Sort>, Fault> {
    let wrong = || {
        Fault::request(format!(
            "API read() invalid/missing array 'sorts':\n{}",
            ruby(value)
        ))
    };
    let none = Vec::new();
    let list = match value {
        Value::Null => &none,
        Value::Array(list) => list,
        _ => return Err(wrong()),
    };
    let mut sorts = Vec::new();
    for sort in list {
        let name = sort["field_name"]
            .as_str()
            .or_else(|| sort["column"].as_str());
        let path = Path::read(view.schema, kind, name.ok_or_else(wrong)?);
        let is_descending = sort["direction"]
            .as_str()
            .is_some_and(|word| word.eq_ignore_ascii_case("desc"));
        let path = path.filter(|path| path.def.kind.is_sortable());
        sorts.extend(path.map(|path| Sort {
            path,
            is_descending,
        }));
    }
    Ok(sorts)
}

/// Rows from either end.
pub(super) type Rows<'a> = Box<dyn DoubleEndedIterator<Item = Row<'a>> + 'a>;

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
    kind: &'static str,
    filter: &'a Filter,
    shown: Shown,
) -> Rows<'a> {
    let is_wanted = move |row: &Row<'a>| {
        view.sees(*row)
            && filter.matches(view, *row)
            && (shown.has_archived || !view.is_archived(*row))
    };
    let spans = filter.ids(view.store, kind).into_iter();
    if kind == EVENT_LOG {
        if shown.is_retired {
            return Box::new(std::iter::empty());
        }
        let rows = spans.flat_map(move |ids| view.store.log.range(ids));
        return Box::new(rows.map(Row::Event).filter(is_wanted));
    }
    let Some(table) = view.store.table(kind) else {
        return Box::new(std::iter::empty());
    };
    let rows = spans.flat_map(move |ids| table.range(ids));
    let rows = rows.filter(move |entity| entity.is_retired == shown.is_retired);
    let rows = rows.map(move |entity| Row::Entity(kind, entity));
    Box::new(rows.filter(is_wanted))
}

/// A part of the rows in their order; no more rows are looked at than that needs.
fn in_order<'a>(
    view: View<'a>,
    rows: Rows<'a>,
    sorts: &[Sort],
    skip: usize,
    take: usize,
) -> Vec<Row<'a>> {
    match sorts {
        [] => rows.skip(skip).take(take).collect(),
        [by_id, ..] if by_id.path.is_plain() && by_id.path.def.field == "id" => {
            if by_id.is_descending {
                rows.rev().skip(skip).take(take).collect()
            } else {
                rows.skip(skip).take(take).collect()
            }
        }
        _ => sorted(view, rows, sorts, skip, take),
    }
}

fn sorted<'a>(
    view: View<'a>,
    rows: Rows<'a>,
    sorts: &[Sort],
    skip: usize,
    take: usize,
) -> Vec<Row<'a>> {
    type Keyed<'a> = (Vec<Cell<'a>>, Row<'a>);
    let key = |row: Row<'a>| {
        sorts
            .iter()
            .map(|sort| sort_key(view, row, &sort.path))
            .collect()
    };
    let mut keyed: Vec<Keyed<'a>> = rows.map(|row| (key(row), row)).collect();
    let by = |(a, row_a): &Keyed<'a>, (b, row_b): &Keyed<'a>| {
        let pairs = a.iter().zip(b).zip(sorts);
        let mut each = pairs.map(|((a, b), sort)| {
            let order = with_nulls_last(a, b);
            if sort.is_descending {
                order.reverse()
            } else {
                order
            }
        });
        let first = each.find(|order| order.is_ne());
        first.unwrap_or_else(|| row_a.id().cmp(&row_b.id()))
    };
    let needed = skip.saturating_add(take);
    if needed < keyed.len() {
        // Only what is shown has to be in order.
        keyed.select_nth_unstable_by(needed, by);
        keyed.truncate(needed);
    }
    keyed.sort_by(by);
    keyed.into_iter().skip(skip).map(|(_, row)| row).collect()
}

fn sort_key<'a>(view: View<'a>, row: Row<'a>, path: &Path) -> Cell<'a> {
    match view.first(row, path) {
        Cell::Text(text) => Cell::text(text.to_lowercase()),
        value @ (Cell::Link(_) | Cell::Links(_)) => {
            let first = value.links().first();
            first.map_or(Cell::Null, |link| {
                Cell::text(view.store.name(link).to_lowercase())
            })
        }
        value => value,
    }
}

fn with_nulls_last(a: &Cell<'_>, b: &Cell<'_>) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (false, false) => a.order(b).unwrap_or(Ordering::Equal),
        (a, b) => a.cmp(&b),
    }
}
