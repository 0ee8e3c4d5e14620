//! What `sg.*` comes to, against what the official client 3.10 sends for the same keywords.

use serde_json::{Value, value::RawValue};

use super::{
    Plan,
    find::{Find, PAGE, Pages},
    plan,
};

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn found(params: &str) -> Box<Find> {
    match plan("sg.find", &raw(params)) {
        Ok(Plan::Find(find)) => find,
        other => panic!("{other:?}"),
    }
}

/// Each line of `official.jsonl` was recorded by calling the official client: a method, its keyword arguments, and the
/// first rpc that went out.
#[test]
fn payloads_are_those_of_the_official_client() {
    #[derive(serde::Deserialize)]
    struct Case<'a> {
        method: &'a str,
        #[serde(borrow)]
        params: &'a RawValue,
        rpc: &'a str,
        payload: Value,
    }
    for line in include_str!("official.jsonl").lines() {
        let case: Case<'_> = serde_json::from_str(line).unwrap();
        let (rpc, payload) = match plan(case.method, case.params).unwrap() {
            Plan::Rpc {
                method, payload, ..
            } => (method, payload),
            Plan::Find(find) => {
                let payload = Pages::new(&find, PAGE).payload(&find);
                ("read".to_owned(), Some(payload))
            }
            Plan::Answered(answer) => panic!("{line}: answered {answer}"),
            Plan::File(plan) => panic!("{line}: a file: {plan:?}"),
        };
        let payload = payload.map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap());
        assert_eq!((&*rpc, payload), (case.rpc, case.payload), "{line}");
    }
}

#[test]
fn what_needs_no_site_is_answered() {
    for (method, params, expected) in [
        ("sg.batch", r#"{"requests":[]}"#, "[]"),
        (
            "sg.update",
            r#"{"entity_type":"Shot","entity_id":3,"data":{}}"#,
            r#"{"id":3,"type":"Shot"}"#,
        ),
    ] {
        match plan(method, &raw(params)).unwrap() {
            Plan::Answered(answer) => assert_eq!(answer.get(), expected),
            other => panic!("{method}: {other:?}"),
        }
    }
}

#[test]
fn bad_params_say_which() {
    let shown: Vec<String> = [
        ("sg.find", r#"{"filters":[]}"#),
        ("sg.find", r#"{"entity_type":"Shot"}"#),
        (
            "sg.find",
            r#"{"entity_type":"Shot","filters":[],"limit":-1}"#,
        ),
        (
            "sg.find",
            r#"{"entity_type":"Shot","filters":[],"order":[{}]}"#,
        ),
        ("sg.create", r#"{"entity_type":"Note"}"#),
        (
            "sg.create",
            r#"{"entity_type":"Note","data":{"image":"/a.png"}}"#,
        ),
        ("sg.update", r#"{"entity_type":"Note","data":{"a":1}}"#),
        ("sg.delete", r#"{"entity_type":"Note"}"#),
        (
            "sg.batch",
            r#"{"requests":[{"request_type":"revive","entity_type":"Shot"}]}"#,
        ),
        (
            "sg.summarize",
            r#"{"entity_type":"Shot","filters":[],"summary_fields":[],"grouping":{}}"#,
        ),
        (
            "sg.text_search",
            r#"{"text":"a","entity_types":{"Shot":{}}}"#,
        ),
        ("sg.rpc", "{}"),
    ]
    .into_iter()
    .map(|(method, params)| plan(method, &raw(params)).unwrap_err())
    .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
        missing field `entity_type`
        missing field `filters`
        `limit` is -1; allowed: a whole number from 0
        an `order` needs `field_name`
        `data` is missing
        `image` cannot be assigned, it is uploaded (sg.upload_thumbnail)
        `entity_id` is missing
        `entity_id` is missing
        request 0 of the batch: `request_type` is "revive"; allowed: create, update, delete
        `grouping` must be a list or null
        `entity_types`: the filters of Shot must be a list
        missing field `method`
        "#);
}

#[test]
fn pages_are_put_together_as_text() {
    let page = |rows: &str, has_next: bool| {
        raw(&format!(
            r#"{{"entities":{rows},"paging_info":{{"has_next_page":{has_next}}}}}"#
        ))
    };
    let all = found(r#"{"entity_type":"Shot","filters":[]}"#);
    let mut pages = Pages::new(&all, 2);
    assert_eq!(
        pages.take(&page(r#"[{"id": 1},{"a":"&lt;"}]"#, true)),
        Ok(false)
    );
    assert!(
        pages
            .payload(&all)
            .get()
            .contains(r#""entities_per_page":2,"current_page":2"#)
    );
    assert_eq!(pages.take(&page(r#"[{"id":3.50}]"#, false)), Ok(true));
    let list = r#"[{"id": 1},{"a":"<"},{"id":3.50}]"#;
    assert_eq!(pages.bytes(), list.len(), "what is held against the limit");
    assert_eq!(pages.finish(&all).get(), list);

    let some = found(r#"{"entity_type":"Shot","filters":[],"limit":3}"#);
    let mut pages = Pages::new(&some, 2);
    assert_eq!(pages.take(&page("[1,2]", true)), Ok(false));
    assert_eq!(pages.take(&page("[3,4]", true)), Ok(true));
    assert_eq!(pages.finish(&some).get(), "[1,2,3]");

    let mut endless = Pages::new(&all, 2);
    assert_eq!(
        endless.take(&page("[]", true)),
        Ok(true),
        "an empty page ends it"
    );
    let mut odd = Pages::new(&all, 2);
    assert!(odd.take(&raw(r#"{"entities":[]}"#)).is_err());
    let mut single = Pages::new(&some, 500);
    assert_eq!(single.take(&raw(r#"{"entities":null}"#)), Ok(true));
    assert_eq!(single.finish(&some).get(), "[]");
}

mod any_params {
    use proptest::{collection::vec, prelude::*, sample::select};

    use sgeventd_protocol::calls::CALLS;

    use super::{super::plan, raw};

    /// JSON of any shape, with the names that mean something.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let names = select(vec![
            "entity_type",
            "filters",
            "filter_operator",
            "fields",
            "order",
            "limit",
            "data",
            "requests",
            "type",
            "id",
            "request_type",
            "entity_types",
            "payload",
            "method",
            "image",
        ]);
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            select(vec![
                "all", "is", "in", "id", "create", "update", "&lt;", ""
            ])
            .prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Into::into),
                vec((names.clone(), inner), 0..5).prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn none_makes_a_plan_panic((method, _) in select(CALLS.to_vec()), params in any_json()) {
            drop(plan(method, &raw(&params.to_string())));
        }
    }
}
