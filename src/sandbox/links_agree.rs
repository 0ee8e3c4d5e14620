//! Whatever is written on whichever side, both sides of a link agree, rows are found by what they link to, and what was undone is as it was.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    cell::{Cell, Link},
    check::Write,
    demo,
    fault::Fault,
    links::Mode,
    name::keep,
    store::{Actor, Commit, Store},
    transaction::Transaction,
};
use crate::clock::Unix;

const NOW: Unix = Unix(1_784_116_800_000);
const EACH: i64 = 3;
const KINDS: [&str; 6] = ["Shot", "Asset", "Task", "Version", "Playlist", "Note"];
/// Fields on both sides, and what may be linked there.
const FIELDS: [(&str, &str, &str); 18] = [
    ("Task", "entity", "Shot"),
    ("Task", "entity", "Asset"),
    ("Shot", "tasks", "Task"),
    ("Asset", "tasks", "Task"),
    ("Shot", "assets", "Asset"),
    ("Asset", "shots", "Shot"),
    ("Asset", "parents", "Asset"),
    ("Asset", "assets", "Asset"),
    ("Task", "upstream_tasks", "Task"),
    ("Task", "downstream_tasks", "Task"),
    ("Version", "playlists", "Playlist"),
    ("Playlist", "versions", "Version"),
    ("Version", "entity", "Shot"),
    ("Shot", "sg_versions", "Version"),
    ("Note", "note_links", "Task"),
    ("Note", "note_links", "Shot"),
    ("Note", "tasks", "Task"),
    ("Task", "notes", "Note"),
];

#[derive(Debug, Clone)]
enum Step {
    Write(usize, i64, Vec<i64>, Mode),
    Retire(usize, i64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop::sample::select(vec![Mode::Set, Mode::Add, Mode::Remove]);
    let links = prop::collection::vec(1..=EACH, 0..3);
    prop_oneof![
        9 => (0..FIELDS.len(), 1..=EACH, links, mode).prop_map(|(f, id, l, m)| Step::Write(f, id, l, m)),
        1 => (0..KINDS.len(), 1..=EACH, any::<bool>()).prop_map(|(k, id, gone)| Step::Retire(k, id, gone)),
    ]
}

fn site() -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    let project = json!({"type": "Project", "id": 1});
    let made = store.transact(&Actor::human(1), NOW, Commit::Now, |work| {
        for kind in KINDS {
            for _ in 0..EACH {
                work.create(kind, &[Write::set("project", project.clone())])?;
            }
        }
        Ok(())
    });
    made.unwrap();
    store
}

fn take(work: &mut Transaction<'_>, step: &Step) -> Result<(), Fault> {
    match step {
        Step::Write(field, id, targets, mode) => {
            let (kind, field, target) = FIELDS[*field];
            let links: Vec<Value> = targets
                .iter()
                .map(|id| json!({"type": target, "id": id}))
                .collect();
            let is_multi = work
                .store()
                .schema
                .field(kind, field)
                .unwrap()
                .kind
                .is_multi();
            let value = if is_multi {
                links.into()
            } else {
                links.first().cloned().unwrap_or_default()
            };
            let write = Write {
                mode: *mode,
                ..Write::set(field, value)
            };
            // What is retired cannot be written, which is a part of the game.
            let is_live = work.store().live(&Link::new(keep(kind), *id)).is_some();
            if is_live {
                work.update(kind, *id, &[write])
            } else {
                Ok(())
            }
        }
        Step::Retire(kind, id, true) => work.delete(KINDS[*kind], *id).map(|_| ()),
        Step::Retire(kind, id, false) => work.revive(KINDS[*kind], *id).map(|_| ()),
    }
}

/// All links of the site: who, in which field, to whom.
fn all(store: &Store) -> Vec<(Link, &'static str, Link)> {
    let mut all = Vec::new();
    for def in store.schema.types() {
        for row in store.entities(def.kind) {
            for field in def.fields.keys() {
                let links = row.get(field).links().iter();
                all.extend(links.map(|link| (Link::new(def.kind, row.id), *field, *link)));
            }
        }
    }
    all
}

fn agree(store: &Store) -> Result<(), TestCaseError> {
    for (from, field, to) in all(store) {
        let def = store.schema.field(from.kind, field).unwrap();
        let lists = |owner: Link, field: &str, link: Link| {
            store
                .entity(owner.kind, owner.id)
                .unwrap()
                .get(field)
                .links()
                .contains(&link)
        };
        if let Some(back) = def
            .back
            .filter(|back| store.schema.field(to.kind, back).is_some())
        {
            // A note lists tasks in two fields, whose other side is one.
            let is_there =
                lists(to, back, from) || (from.kind == "Task" && lists(to, "note_links", from));
            prop_assert!(
                is_there,
                "{from:?}.{field} has {to:?}, whose {back} has it not"
            );
        }
        if let Some(via) = def.via {
            let rows = store.linked(via.kind, via.here, from);
            let rows = rows
                .filter(|row| row.get(via.there).link() == Some(to))
                .count();
            prop_assert_eq!(rows, 1, "{:?}.{} has {:?}", from, field, to);
        }
        if field != "updated_by" {
            let found = store.table(from.kind).unwrap().linked(keep(field), to);
            prop_assert!(
                found.is_some_and(|ids| ids.contains(&from.id)),
                "{from:?} by {field}"
            );
        }
    }
    for via in store
        .schema
        .types()
        .filter_map(|def| store.schema.connection(def.kind))
    {
        for row in store.entities(via.kind).filter(|row| !row.is_retired) {
            let (here, there) = (
                row.get(via.here).link().unwrap(),
                row.get(via.there).link().unwrap(),
            );
            let owner = store.entity(here.kind, here.id).unwrap();
            prop_assert!(
                owner.get(via.list).links().contains(&there),
                "{} {}",
                via.kind,
                row.id
            );
        }
    }
    Ok(())
}

/// Everything but when and by whom it was changed.
fn whole(store: &Store) -> String {
    let mut whole = String::new();
    for def in store.schema.types() {
        for row in store.entities(def.kind) {
            let fields = def.fields.keys().map(|field| (field, row.get(field)));
            let filled: Vec<_> = fields.filter(|(_, value)| **value != Cell::Null).collect();
            whole += &format!("{} {} {} {filled:?}\n", def.kind, row.id, row.is_retired);
        }
    }
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_sides_agree_and_what_is_undone_is_as_it_was(steps in prop::collection::vec((step(), any::<bool>()), 1..25)) {
        let mut store = site();
        for (step, is_undone) in &steps {
            let before = whole(&store);
            let commit = if *is_undone { Commit::Never } else { Commit::Now };
            let done = store.transact(&Actor::human(1), NOW, commit, |work| take(work, step));
            prop_assert_eq!(done, Ok(()), "{:?}", step);
            agree(&store)?;
            if *is_undone {
                prop_assert_eq!(whole(&store), before, "{:?}", step);
            }
        }
    }
}
