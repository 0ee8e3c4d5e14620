//! What comes of calls at the site: results, faults, outages.

use serde_json::json;

use super::support::Bench;
use crate::{
    ident::EventId,
    site::{
        RESULT_BYTES,
        tests::server::{Move, Server},
    },
};

const FIND: &str = r#"{"entity_type":"Shot","filters":[["code","is","a"]]}"#;
const CREATE: &str = r#"{"entity_type":"Note","data":{"subject":"Hi"}}"#;

#[tokio::test]
async fn all_rows_come_as_the_site_wrote_them() {
    let page = |rows: &str, next: bool| {
        Move::results(&format!(
            r#"{{"entities":{rows},"paging_info":{{"has_next_page":{next}}}}}"#
        ))
    };
    let info = Move::json(r#"{"version":[8,89,0],"api_max_entities_per_page":2}"#);
    let first = page(r#"[{"id": 1, "x":1.50},{"id":2,"a":"\u00e9"}]"#, true);
    let server = Server::start([info, first, page(r#"[{"id":3}]"#, false)]).await;
    let bench = Bench::new(&server.url, |_| {});
    let rows = bench.call("sg.find", FIND).await.unwrap();
    assert_eq!(
        rows,
        r#"[{"id": 1, "x":1.50},{"id":2,"a":"\u00e9"},{"id":3}]"#
    );
    let pages: Vec<_> = server.asked()[1..]
        .iter()
        .map(|asked| asked.json()["params"][1]["paging"].clone())
        .collect();
    let paging = |page| json!({"entities_per_page": 2, "current_page": page});
    assert_eq!(pages, [paging(1), paging(2)]);
}

#[tokio::test]
async fn find_one_gives_a_row_or_null() {
    for (rows, expected) in [
        (r#"[{"id":1}]"#, r#"{"id":1}"#),
        ("[]", "null"),
        ("null", "null"),
    ] {
        let server = Server::start([Move::results(&format!(r#"{{"entities":{rows}}}"#))]).await;
        let bench = Bench::new(&server.url, |_| {});
        assert_eq!(bench.call("sg.find_one", FIND).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_fault_is_handed_on() {
    let fault = r#"{"exception":true,"message":"API create() missing 'project' attribute: {}","error_code":103}"#;
    let server = Server::start([Move::json(fault)]).await;
    let bench = Bench::new(&server.url, |_| {});
    let expected = json!({
        "fault": {"message": "API create() missing 'project' attribute: {}", "code": 103},
        "method": "create",
    });
    assert_eq!(bench.refused("sg.create", CREATE).await, (-32010, expected));
}

#[tokio::test]
async fn a_write_that_may_have_happened_says_so() {
    for (trouble, data) in [
        (
            Move::Cut(Vec::new()),
            json!({"sent": true, "status": null, "method": "create"}),
        ),
        (
            Move::status("502 Bad", "", b""),
            json!({"sent": true, "status": 502, "method": "create"}),
        ),
        (
            Move::status("403 No", "", b""),
            json!({"sent": false, "status": 403, "method": "create"}),
        ),
    ] {
        let server = Server::start([trouble]).await;
        let bench = Bench::new(&server.url, |_| {});
        assert_eq!(bench.refused("sg.create", CREATE).await, (-32015, data));
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn a_result_may_be_as_large_as_is_announced_and_no_larger() {
    let of = |bytes: usize| format!(r#""{}""#, "x".repeat(bytes - 2));
    let rpc = r#"{"method":"read","payload":{"type":"Shot"}}"#;
    let largest = of(RESULT_BYTES);
    let server = Server::start([Move::results(&largest)]).await;
    let bench = Bench::new(&server.url, |_| {});
    let result = bench.call("sg.rpc", rpc).await.unwrap();
    assert_eq!(result.len(), RESULT_BYTES);
    for (bytes, method, params, is_sent) in [
        (RESULT_BYTES + 1, "sg.rpc", rpc, false),
        (RESULT_BYTES + 1, "sg.create", CREATE, true),
        (RESULT_BYTES + (1 << 20), "sg.rpc", rpc, false),
    ] {
        let server = Server::start([Move::results(&of(bytes))]).await;
        let bench = Bench::new(&server.url, |_| {});
        let expected = json!({"limit_bytes": RESULT_BYTES, "sent": is_sent});
        assert_eq!(bench.refused(method, params).await, (-32014, expected));
        assert_eq!(server.count(), 1, "it would be as large the next time");
    }
}

#[tokio::test]
async fn no_answer_of_the_site_shows_a_key() {
    let echo =
        r#"{"exception":true,"message":"bad auth: canary-key-of-the-daemon","error_code":102}"#;
    let page = Move::status("403 No", "", b"you sent canary-key-of-the-daemon");
    for answer in [Move::json(echo), page] {
        let server = Server::start([answer]).await;
        let bench = Bench::new(&server.url, |_| {});
        let error = bench.call("sg.create", CREATE).await.unwrap_err();
        let shown = format!("{error} {error:?} {}", error.data);
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn the_schema_is_asked_for_once() {
    let server = Server::start([Move::results(r#"{"Shot": {}}"#)]).await;
    let bench = Bench::new(&server.url, |_| {});
    for _ in 0..3 {
        assert_eq!(
            bench.call("sg.schema_read", "{}").await.unwrap(),
            r#"{"Shot": {}}"#
        );
    }
    assert_eq!(server.count(), 1);
    bench.call("sg.schema_entity_read", "{}").await.unwrap();
    assert_eq!(server.count(), 2, "another question");
    bench.services.schema_changed();
    bench
        .call("sg.rpc", r#"{"method":"schema_read"}"#)
        .await
        .unwrap();
    assert_eq!(server.count(), 3, "the schema changed");
    let create = r#"{"method":"schema_field_create","payload":{"type":"Shot"}}"#;
    bench.call("sg.rpc", create).await.unwrap();
    bench.call("sg.schema_read", "{}").await.unwrap();
    assert_eq!(server.count(), 5, "we changed it ourselves");
}

#[tokio::test]
async fn a_script_finds_its_own_user() {
    let server =
        Server::start([Move::results(r#"{"entities":[{"type":"ApiUser","id":9}]}"#)]).await;
    let session = crate::site::tests::session(&server.url);
    assert_eq!(session.user_id().await.unwrap(), Some(9));
    assert_eq!(
        session.read_event(EventId(5), None).await.unwrap().unwrap(),
        r#"{"type":"ApiUser","id":9}"#
    );
}
