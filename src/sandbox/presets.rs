//! Filters with a name: `LATEST`, `CUT_SHOT_VERSIONS` and `NAV_ENTRIES`.
//!
//! In: `additional_filter_presets`, rows that match the filters. Out: those that all of them let through.
//! Never: a row that the filters leave out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    cell::{Cell, Link},
    fault::Fault,
    navigate::below,
    read::Rows,
    table::Entity,
    value::ruby,
    view::{Row, View},
};

/// One of the presets of a read.
enum Preset<'a> {
    /// The newest of each family among the rows that match.
    Latest(&'static str, Aged<'a>),
    /// Only these.
    Of(BTreeSet<i64>),
}

/// The presets of a read.
pub(super) struct Presets<'a>(Vec<Preset<'a>>);

impl<'a> Presets<'a> {
    /// Reads them.
    pub(super) fn read(view: View<'a>, kind: &'static str, value: &Value) -> Result<Self, Fault> {
        let wrong = |value: &Value| {
            Fault::request(format!(
                "API read() invalid 'additional_filter_presets' for {kind}:\n{}",
                ruby(value)
            ))
        };
        let none = Vec::new();
        let list = match value {
            Value::Null => &none,
            Value::Array(list) => list,
            other => return Err(wrong(other)),
        };
        let presets = list.iter().map(|preset| {
            let read = match preset["preset_name"].as_str()? {
                "LATEST" => {
                    let age = aged(view, kind, preset["latest_by"].as_str()?)?;
                    Preset::Latest(kind, age)
                }
                "NAV_ENTRIES" => Preset::Of(entries(view, kind, preset)?),
                "CUT_SHOT_VERSIONS" if kind == "Version" => {
                    Preset::Of(versions_of_cut(view, preset["cut_id"].as_i64()?))
                }
                _ => return None,
            };
            Some(read)
        });
        let read = presets.zip(list);
        let all = read.map(|(preset, value)| preset.ok_or_else(|| wrong(value)));
        all.collect::<Result<_, _>>().map(Self)
    }

    /// What comes through all of them, one after the other, of rows that match the filters.
    pub(super) fn through(&self, mut rows: Rows<'a>) -> Rows<'a> {
        for preset in &self.0 {
            rows = match preset {
                Preset::Of(ids) => {
                    let kept: Vec<_> = rows.filter(|row| ids.contains(&row.id())).collect();
                    Box::new(kept.into_iter())
                }
                Preset::Latest(kind, age) => {
                    let all: Vec<Row<'a>> = rows.collect();
                    let newest = newest(kind, age, &all);
                    let kept = all
                        .into_iter()
                        .filter(move |row| newest.contains(&row.id()));
                    Box::new(kept.collect::<Vec<_>>().into_iter())
                }
            };
        }
        rows
    }
}

/// How new something is, the newest greatest.
type Age = (i64, i64, i64);
type Aged<'a> = Box<dyn Fn(&Entity) -> Age + 'a>;

/// What rows of a type are compared by; nothing for words that mean nothing for it.
fn aged<'a>(view: View<'a>, kind: &str, by: &str) -> Option<Aged<'a>> {
    let whole = |row: &Entity, field: &str| row.get(field).as_i64().unwrap_or(i64::MIN);
    let made = |row: &Entity| match row.get("created_at") {
        Cell::Moment(at) => *at,
        _ => i64::MIN,
    };
    let step = move |row: &Entity| {
        let follow = |row: &Entity, field: &str| view.store.live(&row.get(field).link()?);
        let step = follow(row, "sg_task").and_then(|task| follow(task, "step"));
        step.map_or(i64::MIN, |step| whole(step, "list_order"))
    };
    Some(match (kind, by) {
        ("Version" | "PublishedFile", "ENTITIES_CREATED_AT") => {
            Box::new(move |row| (0, made(row), row.id))
        }
        ("Version", "BY_PIPELINE_STEP_NUMBER_AND_ENTITIES_CREATED_AT") => {
            Box::new(move |row| (step(row), made(row), row.id))
        }
        ("PublishedFile", "VERSION_NUMBER") => {
            Box::new(move |row| (whole(row, "version_number"), made(row), row.id))
        }
        ("Cut", "REVISION_NUMBER") => {
            Box::new(move |row| (whole(row, "revision_number"), made(row), row.id))
        }
        _ => return None,
    })
}

/// The newest of each family.
fn newest(kind: &str, age: &Aged<'_>, rows: &[Row<'_>]) -> BTreeSet<i64> {
    // Of published files, those of one name and type are versions of one another.
    let family = |row: &Entity| {
        let link = |field: &str| row.get(field).link();
        let (name, of): (_, [Option<Link>; 2]) = match kind {
            "PublishedFile" => (
                row.get("name").as_str(),
                [link("entity"), link("published_file_type")],
            ),
            _ => (None, [link("entity"), None]),
        };
        (of, name.map(str::to_owned))
    };
    let mut newest: BTreeMap<_, Age> = BTreeMap::new();
    for row in rows {
        let Row::Entity(_, row) = row else { continue };
        let age = age(row);
        let best = newest.entry(family(row)).or_insert(age);
        *best = (*best).max(age);
    }
    newest.into_values().map(|(.., id)| id).collect()
}

/// The rows that link to something at a node of the tree or below it, as `nav_expand` names them.
fn entries(view: View<'_>, kind: &str, preset: &Value) -> Option<BTreeSet<i64>> {
    let there = below(view, preset["path"].as_str()?)?;
    let seed = &preset["seed"];
    let field = seed["field"].as_str().filter(|_| seed["type"] == kind)?;
    view.store.schema.field(kind, field)?;
    let is_there = |row: &&Entity| {
        row.get(field)
            .links()
            .iter()
            .any(|link| there.contains(link))
    };
    let rows = view.store.entities(kind).filter(is_there);
    Some(rows.map(|row| row.id).collect())
}

/// The versions of the shots of a cut.
fn versions_of_cut(view: View<'_>, cut: i64) -> BTreeSet<i64> {
    let items = view
        .store
        .entities("CutItem")
        .filter(|item| !item.is_retired);
    let of_cut = items.filter(|item| {
        item.get("cut")
            .link()
            .is_some_and(|link| link.kind == "Cut" && link.id == cut)
    });
    let shots: BTreeSet<Link> = of_cut.filter_map(|item| item.get("shot").link()).collect();
    let versions = view.store.entities("Version");
    let of_shot = versions.filter(|version| {
        version
            .get("entity")
            .link()
            .is_some_and(|link| shots.contains(&link))
    });
    of_shot.map(|version| version.id).collect()
}
