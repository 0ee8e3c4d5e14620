//! What is found by lists of links, names and ids is what is found by looking at every row.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    check::Write,
    demo,
    filter::Filter,
    read::{Shown, select},
    rights,
    schema::EVENT_LOG,
    store::{Actor, Commit, Store},
    view::{Row, View},
};
use crate::clock::Unix;

const NOW: Unix = Unix(1_784_116_800_000);

/// The demo's show, with a task and a shot retired and a name that two shots have.
fn show() -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::show(&mut store, NOW).unwrap();
    let done = store.transact(&Actor::human(2), NOW, Commit::Now, |work| {
        work.delete("Task", 3)?;
        work.delete("Shot", 2)?;
        let tags = [
            json!({"type": "HumanUser", "id": 1}),
            json!({"type": "HumanUser", "id": 2}),
        ];
        work.update("Task", 5, &[Write::set("task_assignees", tags.to_vec())])?;
        work.update("Shot", 5, &[Write::set("code", "BUNNY_010_010")])
    });
    done.unwrap();
    store
}

fn link(kind: &'static str) -> impl Strategy<Value = Value> {
    prop_oneof![
        9 => (1_i64..10).prop_map(move |id| json!({"type": kind, "id": id})),
        1 => Just(Value::Null),
    ]
}

fn test() -> impl Strategy<Value = Value> {
    let relation = |words: &'static [&'static str]| prop::sample::select(words);
    let some = |value: BoxedStrategy<Value>| prop::collection::vec(value, 0..4);
    let ids = (-2_i64..40).prop_map(Value::from).boxed();
    let names = prop::sample::select(vec![
        "bunny_010_010",
        "BUNNY_010_020",
        "layout",
        "Comp",
        "x",
        "",
    ]);
    let names = names.prop_map(Value::from).boxed();
    let condition = |path: &'static str| move |(relation, values): (&str, Vec<Value>)| json!({"path": path, "relation": relation, "values": values});
    let set: &[&str] = &["is", "is_not", "in", "not_in"];
    prop_oneof![
        (
            relation(&[
                "is",
                "is_not",
                "in",
                "not_in",
                "greater_than",
                "less_than",
                "between"
            ]),
            some(ids)
        )
            .prop_filter("between has two", |(word, values)| *word != "between"
                || values.len() == 2)
            .prop_map(condition("id")),
        (relation(set), some(link("Shot").boxed())).prop_map(condition("entity")),
        (relation(set), some(link("Project").boxed())).prop_map(condition("project")),
        (relation(set), some(link("HumanUser").boxed())).prop_map(condition("created_by")),
        (relation(set), some(link("HumanUser").boxed())).prop_map(condition("updated_by")),
        (relation(set), some(link("HumanUser").boxed())).prop_map(condition("task_assignees")),
        (relation(set), some(link("Note").boxed())).prop_map(condition("open_notes")),
        (relation(set), some(names.clone())).prop_map(condition("content")),
        (relation(set), some(names)).prop_map(condition("entity.Shot.code")),
    ]
}

/// Without paths that only tasks have.
fn of_event(condition: &Value) -> bool {
    let path = condition["path"].as_str().unwrap_or_default();
    matches!(path, "id" | "entity" | "project" | "entity.Shot.code")
}

fn group() -> impl Strategy<Value = Value> {
    test().prop_recursive(3, 12, 4, |inner| {
        let conditions = prop::collection::vec(inner, 0..4);
        (prop::sample::select(vec!["and", "or"]), conditions).prop_map(
            |(word, conditions)| json!({"logical_operator": word, "conditions": conditions}),
        )
    })
}

fn all_of_event(filter: &Value) -> bool {
    match filter["conditions"].as_array() {
        Some(conditions) => conditions.iter().all(all_of_event),
        None => of_event(filter),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_is_left_out_and_nothing_added(filter in group(), is_retired: bool) {
        thread_local! {
            static SHOW: Store = show();
        }
        SHOW.with(|store| {
            let view = View { store, schema: &store.schema, rights: &rights::ALL, now: NOW, viewer: None };
            let shown = Shown { is_retired, has_archived: true };
            let filters = json!({"conditions": [filter]});
            let ids = |rows: Vec<Row<'_>>| rows.iter().map(Row::id).collect::<Vec<i64>>();

            let read = Filter::read(&store.schema, "read", "Task", &filters, NOW).unwrap();
            let rows = store.entities("Task").filter(|task| task.is_retired == is_retired);
            let rows = rows.map(|task| Row::Entity("Task", task));
            let by_hand = rows.filter(|row| read.matches(view, *row)).collect();
            prop_assert_eq!(ids(select(view, "Task", &read, shown).collect()), ids(by_hand));

            if all_of_event(&filter) && !is_retired {
                let read = Filter::read(&store.schema, "read", EVENT_LOG, &filters, NOW).unwrap();
                let rows = store.log.range(0..=i64::MAX).map(Row::Event);
                let by_hand = rows.filter(|row| read.matches(view, *row)).collect();
                prop_assert_eq!(ids(select(view, EVENT_LOG, &read, shown).collect()), ids(by_hand));
            }
            Ok(())
        })?;
    }
}
