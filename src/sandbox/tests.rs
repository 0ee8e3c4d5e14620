//! Filters by table; the store's promises about rows, undo and gaps.

use serde_json::{Value, json};

use super::{
    artists,
    cell::Link,
    check::Write,
    demo,
    fault::Fault,
    links::Mode,
    name::keep,
    read::read,
    rights,
    store::{Actor, Commit, Store},
    view::View,
};
use crate::clock::Unix;

/// 2026-07-15 12:00:00 UTC, a Wednesday.
const NOW: Unix = Unix(1_784_116_800_000);

fn site() -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::defaults(&mut store, NOW).unwrap();
    store
}

fn actor() -> Actor {
    Actor::human(1)
}

fn create(store: &mut Store, kind: &str, fields: Value) -> i64 {
    let Value::Object(fields) = fields else {
        panic!("fields are an object");
    };
    let mut writes: Vec<Write> = fields
        .iter()
        .map(|(f, v)| Write::set(f, v.clone()))
        .collect();
    writes.push(Write::set("project", json!({"type": "Project", "id": 1})));
    let make = |work: &mut super::transaction::Transaction<'_>| work.create(kind, &writes);
    store.transact(&actor(), NOW, Commit::Now, make).unwrap()
}

fn update(store: &mut Store, kind: &str, id: i64, write: Write) -> Result<(), Fault> {
    store.transact(&actor(), NOW, Commit::Now, |work| {
        work.update(kind, id, &[write])
    })
}

fn ask(store: &Store, kind: &str, filters: &Value, more: &Value) -> Result<Value, Fault> {
    let mut payload = json!({"type": kind, "filters": filters, "return_fields": ["id", "content"]});
    for (name, value) in more.as_object().into_iter().flatten() {
        payload[name] = value.clone();
    }
    let view = View {
        store,
        schema: &store.schema,
        rights: &rights::ALL,
        now: NOW,
        viewer: None,
    };
    Ok(serde_json::from_str(&read(view, &payload)?).unwrap())
}

fn one(path: &str, relation: &str, values: &Value) -> Value {
    json!({"path": path, "relation": relation, "values": values})
}

fn found(store: &Store, condition: Value) -> String {
    let filters = json!({"logical_operator": "and", "conditions": [condition]});
    match ask(store, "Task", &filters, &json!({})) {
        Ok(page) => {
            let rows = page["entities"].as_array().unwrap();
            rows.iter()
                .map(|row| row["content"].as_str().unwrap_or("-"))
                .collect()
        }
        Err(fault) => format!("fault: {fault}"),
    }
}

/// Tasks a, b, c: on shot 1, on shot 2 which is retired, on nothing.
fn tasks() -> Store {
    let mut store = site();
    for code in ["sh010", "sh020"] {
        create(&mut store, "Shot", json!({"code": code}));
    }
    let person = json!([{"type": "HumanUser", "id": 1}]);
    let rows = [
        json!({"content": "a", "entity": {"type": "Shot", "id": 1}, "sg_priority": 1, "due_date": "2026-07-15",
               "task_assignees": person, "milestone": true, "sg_description": "Wide Angle"}),
        json!({"content": "b", "entity": {"type": "Shot", "id": 2}, "sg_priority": 5, "due_date": "2026-07-17",
               "sg_status_list": "ip", "sg_description": "close"}),
        json!({"content": "c", "sg_status_list": "fin"}),
    ];
    for row in rows {
        create(&mut store, "Task", row);
    }
    let gone = store.transact(&actor(), NOW, Commit::Now, |work| work.delete("Shot", 2));
    assert_eq!(gone, Ok(true));
    store
}

#[test]
fn every_relation_finds_what_it_should() {
    let store = tasks();
    let shot = json!({"type": "Shot", "id": 1});
    for (path, relation, values, wanted) in [
        ("content", "is", json!(["A"]), "a"),
        ("content", "is_not", json!(["a"]), "bc"),
        ("content", "in", json!(["a", "C"]), "ac"),
        ("content", "not_in", json!(["a", "C"]), "b"),
        ("sg_description", "contains", json!(["ANG"]), "a"),
        ("sg_description", "not_contains", json!(["ang"]), "bc"),
        ("sg_description", "starts_with", json!(["wide"]), "a"),
        ("sg_description", "ends_with", json!(["se"]), "b"),
        ("sg_description", "is", json!([null]), "c"),
        ("sg_description", "is_not", json!([null]), "ab"),
        ("sg_priority", "is", json!([5]), "b"),
        ("sg_priority", "greater_than", json!([1]), "b"),
        ("sg_priority", "less_than", json!([5]), "a"),
        ("sg_priority", "between", json!([1, 5]), "ab"),
        ("sg_priority", "between", json!([null, 5]), ""),
        ("sg_priority", "not_between", json!([2, 9]), "ac"),
        ("id", "in", json!([3, 1]), "ac"),
        ("id", "in", json!([]), ""),
        ("id", "greater_than", json!([1]), "bc"),
        ("milestone", "is", json!([true]), "a"),
        ("milestone", "is_not", json!([true]), "bc"),
        ("sg_status_list", "is", json!(["IP"]), "b"),
        ("sg_status_list", "in", json!(["ip", "nonsense"]), "b"),
        ("entity", "is", json!([shot]), "a"),
        ("entity", "is", json!([null]), "bc"),
        (
            "entity",
            "in",
            json!([shot, {"type": "Shot", "id": 2}]),
            "a",
        ),
        ("entity", "type_is", json!(["Shot"]), "a"),
        ("entity", "type_is_not", json!(["Shot"]), "bc"),
        ("entity", "name_contains", json!(["H01"]), "a"),
        ("entity", "name_is", json!(["sh010"]), "a"),
        (
            "task_assignees",
            "is",
            json!([{"type": "HumanUser", "id": 1}]),
            "a",
        ),
        (
            "task_assignees",
            "is_not",
            json!([{"type": "HumanUser", "id": 1}]),
            "bc",
        ),
        ("task_assignees", "is", json!([null]), "bc"),
        ("entity.Shot.code", "is", json!(["sh010"]), "a"),
        ("entity.Asset.code", "is", json!(["sh010"]), ""),
        (
            "entity.Shot.project.Project.name",
            "contains",
            json!(["sand"]),
            "a",
        ),
        ("task_assignees.HumanUser.login", "is", json!(["ada"]), "a"),
        ("due_date", "is", json!(["2026-07-15"]), "a"),
        ("due_date", "in_calendar_day", json!([2]), "b"),
        ("due_date", "in_calendar_week", json!([0]), "ab"),
        ("due_date", "in_calendar_month", json!([1]), ""),
        ("due_date", "in_calendar_year", json!([0]), "ab"),
        ("due_date", "in_next", json!([1, "DAY"]), "a"),
        ("due_date", "in_next", json!([1, "WEEK"]), "ab"),
        ("due_date", "not_in_next", json!([1, "DAY"]), "bc"),
        ("created_at", "in_last", json!([1, "HOUR"]), "abc"),
        (
            "created_at",
            "greater_than",
            json!(["2026-07-15T14:00:01+02:00"]),
            "",
        ),
        ("created_at", "less_than", json!(["2026-07-16"]), "abc"),
    ] {
        let got = found(&store, one(path, relation, &values));
        assert_eq!(got, wanted, "{path} {relation} {values}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let store = tasks();
    for (path, relation, values, words) in [
        ("nope", "is", json!([1]), "Task.nope doesn't exist"),
        (
            "entity.Shot",
            "is",
            json!([1]),
            "Task.entity.Shot doesn't exist",
        ),
        (
            "content",
            "greater_than",
            json!(["a"]),
            "Valid relations: [\"is\"",
        ),
        ("content", "is", json!([1]), "expected [String, NilClass]"),
        (
            "sg_priority",
            "is",
            json!([1.5]),
            "expected [Integer, NilClass]",
        ),
        ("entity", "is", json!([{"id": 1}]), "entity hash"),
        ("due_date", "in_last", json!([1]), "but got Array"),
        (
            "due_date",
            "in_last",
            json!([1, "FORTNIGHT"]),
            "but got Array",
        ),
    ] {
        let got = found(&store, one(path, relation, &values));
        assert!(got.contains(words), "{path} {relation} {values}: {got}");
    }
}

#[test]
fn groups_of_conditions_nest() {
    let store = tasks();
    let is = |text: &str| one("content", "is", &json!([text]));
    let any = json!({"logical_operator": "or", "conditions": [is("a"), is("b")]});
    let late = one("sg_priority", "greater_than", &json!([2]));
    let both = json!({"logical_operator": "and", "conditions": [any, late]});
    assert_eq!(found(&store, both.clone()), "b");
    let either = json!({"logical_operator": "or", "conditions": [both, is("c")]});
    assert_eq!(found(&store, either), "bc");
    let none = json!({"logical_operator": "or", "conditions": []});
    assert_eq!(found(&store, none), "abc");
}

#[test]
fn pages_follow_the_order_and_count_only_when_asked() {
    let store = tasks();
    let all = Value::Null;
    let sorts = json!([{"field_name": "sg_priority", "direction": "desc"}, {"column": "nope"}]);
    let paging = json!({"entities_per_page": 2, "current_page": 1});
    let plain = ask(
        &store,
        "Task",
        &all,
        &json!({"paging": paging, "sorts": sorts}),
    )
    .unwrap();
    let ids: Vec<_> = plain["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].clone())
        .collect();
    // Nulls first when the order is turned round.
    assert_eq!(ids, [3, 2]);
    assert_eq!(
        plain["paging_info"],
        json!({"has_next_page": true, "current_page": 1, "entities_per_page": 2, "entity_count": 3, "page_count": 2})
    );
    let more = json!({"paging": {"entities_per_page": 2, "current_page": 2}, "return_paging_info_without_counts": true});
    let last = ask(&store, "Task", &all, &more).unwrap();
    assert_eq!(last["paging_info"]["has_next_page"], false);
    assert_eq!(last["paging_info"].get("entity_count"), None);
    let wrong = ask(
        &store,
        "Task",
        &all,
        &json!({"paging": {"entities_per_page": 0}}),
    );
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("'paging' 'entities_per_page'")
    );
}

#[test]
fn work_that_fails_leaves_nothing_behind() {
    let mut store = tasks();
    let rows = store.log.order().len();
    let failed = store.transact(&actor(), NOW, Commit::Now, |work| {
        work.update(
            "Task",
            1,
            &[
                Write::set("sg_priority", 9),
                Write::set("entity", Value::Null),
            ],
        )?;
        work.delete("Task", 2)?;
        work.delete("Task", 77)
    });
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("[Task] with id=77 does not exist")
    );
    assert_eq!(store.log.order().len(), rows);
    assert_eq!(found(&store, one("sg_priority", "is", &json!([1]))), "a");
    let shot = store.entity("Shot", 1).unwrap();
    assert_eq!(shot.get("tasks").json(), json!([{"type": "Task", "id": 1}]));
}

#[test]
fn a_change_to_the_same_value_says_nothing() {
    let mut store = tasks();
    let rows = store.log.order().len();
    update(&mut store, "Task", 1, Write::set("sg_priority", 1)).unwrap();
    assert_eq!(store.log.order().len(), rows);
    let add = Write {
        mode: Mode::Add,
        ..Write::set("task_assignees", json!([{"type": "HumanUser", "id": 1}]))
    };
    update(&mut store, "Task", 1, add).unwrap();
    assert_eq!(store.log.order().len(), rows);
    let bad = update(
        &mut store,
        "Task",
        1,
        Write::set("sg_status_list", "nonsense"),
    );
    assert!(bad.unwrap_err().to_string().contains("Valid values: wtg"));
}

#[test]
fn work_that_is_rolled_back_or_late_leaves_a_gap() {
    let mut store = tasks();
    let next = store.log.next();
    let set = |priority: i64| [Write::set("sg_priority", priority)];
    for (commit, priority) in [
        (Commit::At(Unix(NOW.0 + 500)), 7),
        (Commit::Never, 8),
        (Commit::Now, 9),
    ] {
        let work = store.transact(&actor(), NOW, commit, |w| {
            w.update("Task", 1, &set(priority))
        });
        work.unwrap();
    }
    assert_eq!(store.log.order().last(), Some(&(next + 2)));
    store.log.settle(Unix(NOW.0 + 500));
    assert_eq!(store.log.order().last(), Some(&next));
    assert!(store.log.get(next + 1).is_none());
    let row: Value = serde_json::from_str(&store.log.get(next + 2).unwrap().meta).unwrap();
    assert_eq!(
        (&row["old_value"], &row["new_value"]),
        (&json!(7), &json!(9))
    );
}

#[test]
fn rows_of_what_is_retired_have_no_entity_until_it_is_back() {
    let mut store = tasks();
    let about = |store: &Store| {
        let filter =
            json!({"conditions": [one("entity", "is", &json!([{"type": "Shot", "id": 2}]))]});
        let page = ask(store, "EventLogEntry", &filter, &json!({})).unwrap();
        page["entities"].as_array().unwrap().len()
    };
    assert_eq!(about(&store), 0);
    let back = store.transact(&actor(), NOW, Commit::Now, |work| work.revive("Shot", 2));
    assert_eq!((back, about(&store) > 4), (Ok(true), true));
    assert_eq!(store.name(&Link::new(keep("Shot"), 2)), "sh020");
}

#[test]
fn the_same_seed_makes_the_same_show() {
    let run = |seed| {
        let mut store = site();
        demo::show(&mut store, NOW).unwrap();
        let mut chance = fastrand::Rng::with_seed(seed);
        for step in 0..200 {
            let now = Unix(NOW.0 + step * 100);
            store.log.settle(now);
            let commit = artists::commit(&mut chance, now);
            artists::work(&mut store, &mut chance, now, commit).unwrap();
        }
        store.log.order().to_vec()
    };
    let order = run(7);
    assert_eq!(order, run(7));
    assert_ne!(order, run(8));
    assert!(!order.is_sorted(), "some rows are late");
    let span = order.iter().max().unwrap() - order.iter().min().unwrap() + 1;
    assert!(span > i64::try_from(order.len()).unwrap(), "some gaps stay");
}

#[test]
fn bulk_rows_are_dense_and_of_ten_types() {
    let mut store = site();
    store.bulk(1000, NOW);
    let types: std::collections::BTreeSet<_> = store
        .log
        .range(0..=i64::MAX)
        .map(|row| row.event_type.clone())
        .collect();
    assert_eq!((types.len(), store.log.order().len()), (10, 1000));
    assert_eq!(store.log.next(), 2001);
}
