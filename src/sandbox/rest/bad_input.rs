//! Bad input: whatever is sent to whatever address, the answer is one of REST, and the site goes on.

use hyper::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ARRAY, FORM, HASH, JSON, Request, route::ROUTES};
use crate::{
    clock::Unix,
    sandbox::{
        bad_input::{NOW, payload, site, text, value},
        state::State,
        trouble::Outcome,
    },
};

/// Sends a request; returns the status and the body.
fn send(
    site: &mut State,
    verb: &str,
    address: &str,
    with: (&str, &str),
    body: &[u8],
) -> (u16, String) {
    send_at(NOW, site, verb, address, with, body)
}

/// Sends a request at a time, with a token and the kind of its body.
pub(super) fn send_at(
    now: Unix,
    site: &mut State,
    verb: &str,
    address: &str,
    (token, kind): (&str, &str),
    body: &[u8],
) -> (u16, String) {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {token}");
    headers.insert(AUTHORIZATION, bearer.parse().unwrap());
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    let verb: Method = verb.parse().unwrap();
    let request = Request {
        verb: &verb,
        path,
        query,
        headers: &headers,
        body: Some(body),
    };
    match site.rest(&request, now) {
        Outcome::Answer(answer) => (answer.status, answer.body),
        other => panic!("{verb} {address}: {other:?}"),
    }
}

/// A hook, whose addresses lead somewhere.
fn hook(site: &mut State, token: &str) -> String {
    let body = br#"{"url": "http://h/", "entity_types": {"Shot": {"create": []}}}"#;
    let (_, told) = send(site, "POST", "/api/v1/webhook/hooks", (token, JSON), body);
    let told: Value = serde_json::from_str(&told).unwrap();
    told["data"]["id"].as_str().unwrap().to_owned()
}

fn token(site: &mut State) -> String {
    let form = b"grant_type=client_credentials&client_id=tests&client_secret=key";
    let (_, body) = send(site, "POST", "/api/v1/auth/access_token", ("", FORM), form);
    let granted: Value = serde_json::from_str(&body).unwrap();
    granted["access_token"].as_str().unwrap().to_owned()
}

/// An answer of REST: a document, nothing, or one error with its status.
fn check(told: &str, (status, body): (u16, String)) {
    if status == 204 {
        assert_eq!(body, "", "{told}");
        return;
    }
    let is_text = told.contains("/exports/") || body == " ";
    if is_text {
        return;
    }
    let document: Value =
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{told}: {error}: {body}"));
    if status < 400 {
        assert!(
            document.is_object() && document["errors"].is_null(),
            "{told}: {body}"
        );
        return;
    }
    let is_bare = document["error"].is_string() && document["errors"].is_null();
    let error = &document["errors"][0];
    assert!(is_bare || error["status"] == status, "{told}: {body}");
    assert!([400, 404, 406, 415].contains(&status), "{told}: {body}");
}

/// What stands in an address where a route has a name in braces.
fn filled(pattern: &str, [kind, id, field]: [&str; 3]) -> String {
    pattern
        .replace("{type}", kind)
        .replace("{id}", id)
        .replace("{field}", field)
        .replace("{file}", &format!("{id}.csv"))
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => text(), 1 => "[a-z_0-9.%$-]{1,9}"]
        .prop_map(|text| text.replace(['/', '?', '#'], ""))
        .prop_filter("a part of an address", |text| {
            !text.is_empty() && text.is_ascii() && !text.contains(' ')
        })
}

/// Bodies whose outermost parts are right for some route.
fn body() -> impl Strategy<Value = Value> {
    let likely = (text(), value(), -1_i64..40, value(), payload()).prop_map(
        |(kind, any, id, more, payload)| {
            json!({
                "filters": [["id", "is", any], more], "fields": more, "sort": any, "page": more, "options": any,
                "project": {"type": "Project", "id": 1}, "code": any, "content": any, "subject": any,
                "summary_fields": [{"field": "id", "type": "count"}, more], "grouping": [more],
                "text": kind, "entity_types": {"Shot": any, &kind: []},
                "requests": [
                    {"request_type": "create", "entity": "Shot", "data": {"project": {"type": "Project", "id": 1}, "code": any}},
                    {"request_type": "update", "entity": kind, "record_id": id, "data": payload},
                ],
                "data_type": "text", "properties": [{"property_name": "name", "value": "Made Up"}, more],
                "entities": [{"entity": kind, "record_id": id}], "user_id": id, "path": any, "root_path": any,
                "search_criteria": {"entity": more}, "date": "2026-07-15", "working": any, "revive": any,
                "upload_info": any, "upload_data": more, "url": "http://h/", "status": any, "token": any,
                "event_type": any, "acknowledgement": any,
            })
        },
    );
    prop_oneof![value(), likely, payload()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_address_answers_whatever_it_is_sent(
        bodies in prop::collection::vec(body(), 2),
        parts in (part(), -2_i64..40, part()),
        query in "([a-z_]{1,9}(\\[[a-z_.A-Z]{0,9}\\]){0,2}=[a-zA-Z0-9,.-]{0,9}&){0,4}",
    ) {
        let mut site = site();
        let token = token(&mut site);
        let (kind, id, field) = parts;
        let id = id.to_string();
        let hook = hook(&mut site, &token);
        for route in &ROUTES {
            for kind in ["shots", "EventLogEntry", &kind] {
                let id = if route.pattern.starts_with("/webhook") { &hook } else { &id };
                let address = filled(route.pattern, [kind, id, &field]);
                let address = format!("/api/v1{address}?{query}");
                for body in &bodies {
                    for content in [JSON, ARRAY, HASH] {
                        let told = format!("{} {address} {content} {body}", route.verb);
                        let done = send(&mut site, route.verb, &address, (&token, content), body.to_string().as_bytes());
                        check(&told, done);
                    }
                }
            }
        }
        // What was there is there.
        let (status, body) = send(&mut site, "GET", "/api/v1/entity/projects/1?options[return_only]=active", (&token, JSON), b"");
        prop_assert!(status == 200 || status == 404, "{body}");
    }

    #[test]
    fn bytes_that_are_no_request_are_answered(bytes: Vec<u8>, path in "/api(/v1)?[ -~]{0,40}", form in "[a-z_=&%\\[\\]]{0,60}") {
        let mut site = site();
        let token = token(&mut site);
        let path = path.replace(['#', '?'], "");
        for verb in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"] {
            for kind in [JSON, ARRAY, "", "nonsense"] {
                check(&path, send(&mut site, verb, &path, (&token, kind), &bytes));
                let address = "/api/v1/entity/shots/_search";
                check(address, send(&mut site, verb, address, (&token, kind), &bytes));
            }
        }
        check("token", send(&mut site, "POST", "/api/v1/auth/access_token", ("", FORM), form.as_bytes()));
    }
}

#[test]
fn an_error_has_the_status_that_belongs_to_it() {
    let mut site = site();
    let token = token(&mut site);
    for (verb, address, kind, body, status, code) in [
        ("GET", "/entity/shots/999", "", "", 404, 104),
        ("GET", "/entity/nope", "", "", 404, 103),
        ("GET", "/nope", "", "", 404, 103),
        ("PATCH", "/entity/shots/1", JSON, "{}", 404, 103),
        ("POST", "/entity/shots", JSON, "{", 400, 103),
        ("POST", "/entity/shots", "text/plain", "{}", 415, 103),
        ("POST", "/entity/shots/_search", JSON, "{}", 415, 103),
        ("POST", "/entity/shots", JSON, "{}", 400, 103),
        ("PUT", "/entity/shots/999", JSON, "{}", 404, 104),
        (
            "PUT",
            "/entity/event_log_entries/1001",
            JSON,
            "{}",
            400,
            104,
        ),
        ("DELETE", "/entity/shots/999", "", "", 404, 104),
    ] {
        let address = format!("/api/v1{address}");
        let (found, told) = send(&mut site, verb, &address, (&token, kind), body.as_bytes());
        let told: Value = serde_json::from_str(&told).unwrap();
        let error = &told["errors"][0];
        assert_eq!(
            (found, &error["code"]),
            (status, &json!(code)),
            "{verb} {address}: {told}"
        );
        assert_eq!(error["status"], status);
    }
    let (status, told) = send(
        &mut site,
        "GET",
        "/api/v1/entity/shots",
        ("nonsense", ""),
        b"",
    );
    assert_eq!(status, 401, "{told}");
}
