//! Who may call what, and when.

use serde_json::{Value, json};
use sgeventd_protocol::{ErrorCode, calls::CALLS};

use super::support::{Bench, allowing, within};
use crate::{
    ident::PluginName,
    secret::Secret,
    services::{BothSides, CallContext, Mode, Phase, sugar::published},
    site::tests::server::{Move, Server},
};

const FIND: &str = r#"{"entity_type":"Shot","filters":[],"limit":1}"#;
const UPDATE: &str = r#"{"entity_type":"Task","entity_id":1,"data":{"sg_status_list":"fin"}}"#;

async fn site() -> Server {
    Server::start([Move::results(
        r#"{"entities":[{"id":1}],"id":1,"type":"Task"}"#,
    )])
    .await
}

#[tokio::test]
async fn a_missing_grant_names_the_line_of_config() {
    let server = site().await;
    let bench = Bench::new(&server.url, |setup| setup.granted = allowing(&["find"]));
    bench.call("sg.find", FIND).await.unwrap();
    let rpc = r#"{"method":"update","payload":{"type":"Task","id":1,"fields":[{"field_name":"sg_status_list","value":1}]}}"#;
    let needed = "[plugin.notes]\npermissions = { sg = [\"find\", \"update:Task.sg_status_list\"], background = true }";
    let before = server.count();
    for (method, params) in [("sg.update", UPDATE), ("sg.rpc", rpc)] {
        assert_eq!(
            bench.refused(method, params).await,
            (-32012, json!({ "needed": needed }))
        );
    }
    assert_eq!(server.count(), before, "nothing was sent");
}

#[tokio::test]
async fn what_is_offered_is_toml_with_all_that_stands_there() {
    for (name, grants, upload, expected) in [
        (
            "notes",
            &["find"][..],
            true,
            r#"{ sg = ["find", "delete:Shot"], background = true }"#,
        ),
        (
            "notes.v2",
            &["find"],
            false,
            r#"{ sg = ["find", "delete:Shot"], upload = false, background = true }"#,
        ),
    ] {
        let bench = Bench::new("http://127.0.0.1:1", |setup| {
            setup.plugin = PluginName::new(name);
            setup.granted = allowing(grants);
            setup.upload.operator = upload;
        });
        let params = r#"{"entity_type":"Shot","entity_id":3}"#;
        let error = bench.call("sg.delete", params).await.unwrap_err();
        assert!(!error.message.contains('\n'), "{error}");
        let data: Value = serde_json::from_str(error.data.get()).unwrap();
        let offered: toml_edit::DocumentMut = data["needed"].as_str().unwrap().parse().unwrap();
        let permissions = offered["plugin"][name]["permissions"].to_string();
        assert_eq!(permissions.trim(), expected, "{error}");
    }
}

#[tokio::test]
async fn half_a_surrogate_in_an_argument_is_refused() {
    let bench = Bench::new("http://127.0.0.1:1", |_| {});
    let refused = bench.refused("state.get", r#"{"key":"\ud800"}"#).await;
    assert_eq!(refused.0, -32602);
}

#[tokio::test]
async fn a_credential_is_never_handed_out() {
    let bench = Bench::new("http://127.0.0.1:1", |_| {});
    for method in ["get_session_token", "authenticate_human_user"] {
        let params = json!({ "method": method }).to_string();
        let refused = bench.refused("sg.rpc", &params).await;
        assert_eq!(refused, (-32012, json!({ "needed": null })));
    }
}

#[tokio::test]
async fn what_is_served_before_start_is_what_is_published() {
    let server = site().await;
    let bench = Bench::new(&server.url, |_| {});
    for (method, _) in CALLS {
        let params = published::enough(method).to_string();
        let context = CallContext::outside(Phase::Handshake);
        let answer = bench.call_in(&context, method, &params).await;
        let is_refused = answer.is_err_and(|error| error.code == ErrorCode::NotStarted);
        let is_late = published::row(method)["when"] == "started";
        assert_eq!(is_refused, is_late, "{method}");
    }
}

#[tokio::test]
async fn before_start_only_reads_are_served() {
    let server = site().await;
    let bench = Bench::new(&server.url, |setup| {
        setup.background = BothSides::default();
    });
    let outcome = async |phase, method, params| {
        let answer = bench
            .call_in(&CallContext::outside(phase), method, params)
            .await;
        answer.map_or_else(|error| error.code as i32, |_| 0)
    };
    let set = r#"{"key":"k","value":1}"#;
    for (phase, method, params, code) in [
        (Phase::Handshake, "sg.find", FIND, 0),
        (Phase::Handshake, "sg.schema_read", "{}", 0),
        (Phase::Handshake, "sg.update", UPDATE, -32001),
        (Phase::Handshake, "sg.batch", r#"{"requests":[]}"#, -32001),
        (Phase::Handshake, "state.get", r#"{"key":"k"}"#, -32001),
        (Phase::Starting, "sg.find", FIND, 0),
        (Phase::Starting, "state.set", set, 0),
        (Phase::Starting, "sg.update", UPDATE, -32012),
        (Phase::Running, "sg.find", FIND, -32012),
        (Phase::Running, "state.set", set, 0),
        (Phase::ShuttingDown, "state.set", set, -32003),
    ] {
        assert_eq!(
            outcome(phase, method, params).await,
            code,
            "{phase:?} {method}"
        );
    }
}

#[tokio::test]
async fn background_says_which_side_is_missing() {
    let bench =
        |background| Bench::new("http://127.0.0.1:1", |setup| setup.background = background);
    let outside = CallContext::outside(Phase::Running);
    for (manifest, operator, needed) in [
        (
            true,
            false,
            "permissions = { background = true } in [plugin.notes]",
        ),
        (
            false,
            true,
            "manifest of notes: \"permissions\": {\"background\": true}",
        ),
    ] {
        let bench = bench(BothSides { manifest, operator });
        let error = bench.call_in(&outside, "sg.find", FIND).await.unwrap_err();
        assert!(error.message.ends_with(needed), "{error}");
    }
}

#[tokio::test]
async fn the_event_gives_its_session_and_the_call_its_script_and_login() {
    let server = site().await;
    let bench = Bench::new(&server.url, |setup| {
        let bot = setup.sessions[0]
            .site()
            .session("task-bot", Secret::new("canary-key-of-the-bot"));
        setup.sessions.push(bot);
        setup.sudo = vec!["artist".into()];
    });
    let named = r#"{"entity_type":"Shot","entity_id":3,"_meta":{"parent":1000002,"script":"task-bot","sudo_as_login":"artist"}}"#;
    bench.call_in(&within(2), "sg.delete", named).await.unwrap();
    let answered = r#"{"entity_type":"Shot","entity_id":3,"_meta":{"parent":1000009}}"#;
    bench
        .call_in(&within(2), "sg.delete", answered)
        .await
        .unwrap();
    let auth: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.json()["params"][0].clone())
        .collect();
    assert_eq!(
        auth,
        [
            json!({"script_name": "task-bot", "script_key": "canary-key-of-the-bot", "session_uuid": "uuid-1", "sudo_as_login": "artist"}),
            json!({"script_name": "daemon", "script_key": "canary-key-of-the-daemon"}),
        ]
    );
    let ambiguous = bench
        .call_in(&within(2), "sg.find", FIND)
        .await
        .unwrap_err();
    assert_eq!(ambiguous.code as i32, -32013);
    let other = FIND.replace('}', r#","_meta":{"script":"x"}}"#);
    let needed = "[plugin.notes]\nscripts = [\"daemon\", \"task-bot\", \"x\"]";
    assert_eq!(
        bench.refused("sg.find", &other).await,
        (-32012, json!({ "needed": needed }))
    );
    let other = FIND.replace('}', r#","_meta":{"sudo_as_login":"boss"}}"#);
    let needed = "[plugin.notes]\nsudo = [\"artist\", \"boss\"]";
    assert_eq!(
        bench.refused("sg.find", &other).await,
        (-32012, json!({ "needed": needed }))
    );
}

#[tokio::test]
async fn dry_run_reads_and_withholds_writes() {
    let server = site().await;
    let bench = Bench::new(&server.url, |setup| {
        setup.mode = Mode::Shadow;
        setup.granted = allowing(&["find", "create:Note"]);
    });
    bench.call("sg.find", FIND).await.unwrap();
    let reads = server.count();
    let note = r#"{"entity_type":"Note","data":{"subject":"Hi"}}"#;
    let answer = bench.call("sg.create", note).await.unwrap();
    assert_eq!(answer, r#"{"type":"Note","id":-1,"subject":"Hi"}"#);
    let (code, _) = bench.refused("sg.update", UPDATE).await;
    assert_eq!(code, -32012, "permissions hold all the same");
    assert_eq!(server.count(), reads, "no write was sent");
    let notes = bench.notes.0.lock().unwrap().clone();
    assert_eq!(notes, [format!("Shadow create Some(EventId(70)) {answer}")]);
}

#[tokio::test]
async fn state_is_kept_per_plugin_and_limited() {
    let bench = Bench::new("http://127.0.0.1:1", |_| {});
    let call = async |method, params: &str| bench.call(method, params).await;
    assert_eq!(
        call("state.get", r#"{"key":"k"}"#).await.unwrap(),
        r#"{"value":null}"#
    );
    assert_eq!(
        call("state.set", r#"{"key":"k","value":{"a": 1.50}}"#)
            .await
            .unwrap(),
        "{}"
    );
    assert_eq!(
        call("state.get", r#"{"key":"k"}"#).await.unwrap(),
        r#"{"value":{"a": 1.50}}"#
    );
    assert_eq!(call("state.delete", r#"{"key":"k"}"#).await.unwrap(), "{}");
    assert_eq!(
        call("state.get", r#"{"key":"k"}"#).await.unwrap(),
        r#"{"value":null}"#
    );
    let large = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(64 << 10));
    assert_eq!(
        bench.refused("state.set", &large).await,
        (-32014, json!({ "limit_bytes": 65536 }))
    );
    let half = |key| format!(r#"{{"key":"{key}","value":"{}"}}"#, "x".repeat(60 << 10));
    call("state.set", &half("a")).await.unwrap();
    assert_eq!(bench.refused("state.set", &half("b")).await.0, -32014);
    assert_eq!(bench.refused("state.get", "{}").await.0, -32602);
    assert_eq!(bench.refused("state.get", r#"{"key":""}"#).await.0, -32602);
    assert_eq!(bench.refused("state.set", r#"{"key":"a"}"#).await.0, -32602);
    assert!(
        call("state.get", r#"{"key":"a"}"#)
            .await
            .unwrap()
            .contains("xxx"),
        "nothing is forgotten by a call that forgot its value"
    );
    assert_eq!(
        call("state.set", r#"{"key":"a","value":null}"#)
            .await
            .unwrap(),
        "{}"
    );
}

#[tokio::test]
async fn what_is_no_method_or_no_keywords_is_said() {
    let bench = Bench::new("http://127.0.0.1:1", |_| {});
    let error = bench.call("sg.finds", "{}").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no method \"sg.finds\"; did you mean sg.find? (-32601)"
    );
    let error = bench.call("shot.grid", "{}").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no method \"shot.grid\"; `data.allowed` has all that there are (-32601)"
    );
    assert_eq!(bench.refused("sg.find", r#"["Shot",[]]"#).await.0, -32602);
    assert_eq!(bench.refused("sg.find", r#"{"_meta":5}"#).await.0, -32602);
}

#[tokio::test]
async fn an_argument_that_does_not_fit_is_named_with_what_is_allowed() {
    let bench = Bench::new("http://127.0.0.1:1", |_| {});
    for (method, params, expected) in [
        (
            "sg.batch",
            r#"{"requests":{}}"#,
            "`requests` is an object; allowed: a list",
        ),
        (
            "sg.batch",
            r#"{"requests":[{"entity_type":"Shot"},1]}"#,
            "`requests[1]` is 1; allowed: an object",
        ),
        (
            "sg.batch",
            r#"{"requests":[{"entity_type":"Shot","data":[]}]}"#,
            "`requests[0].data` is a list; allowed: an object",
        ),
        (
            "sg.batch",
            r#"{"requests":[{"request_type":"delete"}]}"#,
            "`requests[0]`: missing field `entity_type`",
        ),
        (
            "sg.find",
            r#"{"entity_type":"Shot","filters":[],"limit":-1}"#,
            "`limit` is -1; allowed: a whole number from 0",
        ),
        (
            "sg.find",
            r#"{"entity_type":"Shot","filters":[],"order":[{"field_name":5}]}"#,
            "`order[0].field_name` is 5; allowed: a string",
        ),
        (
            "sg.find",
            r#"{"_meta":5}"#,
            "`_meta` is 5; allowed: an object",
        ),
        (
            "sg.find",
            r#"{"_meta":{"script":5}}"#,
            "`_meta.script` is 5; allowed: a string",
        ),
        (
            "sg.find_one",
            r#"{"entity_type":"Shot","filters":[],"retired_only":"no"}"#,
            "`retired_only` is \"no\"; allowed: true or false",
        ),
        (
            "sg.summarize",
            r#"{"entity_type":"Shot","filters":[],"filter_operator":[]}"#,
            "`filter_operator` is a list; allowed: a string",
        ),
        (
            "sg.create",
            r#"{"entity_type":"Shot","data":"x"}"#,
            "`data` is \"x\"; allowed: an object",
        ),
        (
            "sg.update",
            r#"{"entity_type":"Shot","multi_entity_update_modes":"add"}"#,
            "`multi_entity_update_modes` is \"add\"; allowed: an object",
        ),
        (
            "sg.delete",
            r#"{"entity_type":7,"entity_id":1}"#,
            "`entity_type` is 7; allowed: a string",
        ),
        (
            "sg.revive",
            r#"{"entity_type":null,"entity_id":1}"#,
            "`entity_type` is null; allowed: a string",
        ),
        (
            "sg.schema_read",
            r#"{"field_name":true}"#,
            "`field_name` is true; allowed: a string",
        ),
        (
            "sg.schema_entity_read",
            r#"{"entity_type":{}}"#,
            "`entity_type` is an object; allowed: a string",
        ),
        (
            "sg.schema_field_read",
            r#"{"entity_type":"Shot","field_name":1.50}"#,
            "`field_name` is 1.50; allowed: a string",
        ),
        (
            "sg.text_search",
            r#"{"text":"a","entity_types":[]}"#,
            "`entity_types` is a list; allowed: an object",
        ),
        (
            "sg.upload",
            r#"{"entity_type":"Shot","entity_id":"5","path":"a"}"#,
            "`entity_id` is \"5\"; allowed: a whole number",
        ),
        (
            "sg.upload_thumbnail",
            r#"{"entity_type":"Shot","entity_id":5,"path":5}"#,
            "`path` is 5; allowed: a string",
        ),
        (
            "sg.upload_filmstrip_thumbnail",
            r#"{"entity_type":"Shot","entity_id":5,"path":"a","tag_list":[]}"#,
            "`tag_list` is a list; allowed: a string",
        ),
        (
            "sg.share_thumbnail",
            r#"{"entities":[{"type":"Shot","id":5},{"type":"Shot","id":"x"}]}"#,
            "`entities[1].id` is \"x\"; allowed: a whole number",
        ),
        (
            "sg.download",
            r#"{"attachment":{"url":5},"file_path":"a"}"#,
            "`attachment.url` is 5; allowed: a string",
        ),
        (
            "sg.download",
            r#"{"attachment":7,"file_path":[]}"#,
            "`file_path` is a list; allowed: a string",
        ),
        (
            "sg.rpc",
            r#"{"method":["read"]}"#,
            "`method` is a list; allowed: a string",
        ),
        ("state.get", r#"{"key":7}"#, "`key` is 7; allowed: a string"),
        (
            "state.set",
            r#"{"key":{},"value":1}"#,
            "`key` is an object; allowed: a string",
        ),
        (
            "state.delete",
            r#"{"key":null}"#,
            "`key` is null; allowed: a string",
        ),
        ("state.get", "{}", "missing field `key`"),
    ] {
        let error = bench.call(method, params).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{method}: {expected} (-32602)"));
    }
}
