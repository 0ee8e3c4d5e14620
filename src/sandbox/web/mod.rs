//! The page for browsers: its three files, what it shows beside the site's own answers, and its calls.
//!
//! In: a path, or a call in the name of a person. Out: files with headers that let nothing else in; answers without ordered trouble.
//! Never: a key; the page calls as a person of the made-up site, and a page of another origin cannot.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use serde_json::{Value, json};

use super::{
    body,
    cell::Link,
    fault::Fault,
    method::{Call, answer_to},
    name::keep,
    schema::EVENT_LOG,
    state::State,
    store::{Actor, Store},
};
use crate::clock::Unix;

/// Path, type, text.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("page.html")),
    (
        "/_sandbox/page.css",
        "text/css; charset=utf-8",
        include_str!("page.css"),
    ),
    (
        "/_sandbox/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page.js"),
    ),
];
/// Nothing but our own files runs or is loaded, and nobody frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A page of another origin cannot send this without asking first, which is answered with 404.
const OWN: &str = "x-sandbox-page";
/// In the list of people; more would make it useless.
const PEOPLE_MAX: usize = 500;

/// A file of the page.
pub(super) fn file(path: &str) -> Option<Response<Full<Bytes>>> {
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == path)?;
    let response = Response::builder()
        .header(CONTENT_TYPE, *kind)
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(REFERRER_POLICY, "no-referrer")
        .header(CACHE_CONTROL, "no-cache")
        .body(Full::new(Bytes::from_static(text.as_bytes())));
    response.ok()
}

/// Who there is, and how many rows of each type.
pub(super) fn about(store: &Store) -> Value {
    let people = store
        .entities("HumanUser")
        .filter(|user| works(store, user.id));
    let people = people.take(PEOPLE_MAX).map(|user| {
        let name = store.name(&Link::new(keep("HumanUser"), user.id));
        json!({"id": user.id, "name": name})
    });
    let types = store.schema.types().map(|def| {
        let count = match def.kind {
            EVENT_LOG => store.log.order().len(),
            kind => store.entities(kind).filter(|row| !row.is_retired).count(),
        };
        json!({"type": def.kind, "count": count})
    });
    json!({"people": people.collect::<Value>(), "types": types.collect::<Value>()})
}

fn works(store: &Store, person: i64) -> bool {
    let user = store.live(&Link::new(keep("HumanUser"), person));
    user.is_some_and(|user| user.get("sg_status_list").as_str() != Some("dis"))
}

/// Whether a call comes from our own page.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(OWN)
}

/// The answer to a call of the page: as a caller of the API gets it, but for trouble that was ordered for them.
pub(super) fn call(state: &mut State, bytes: &[u8], now: Unix) -> String {
    state.store.log.settle(now);
    let done = person_call(state, bytes, now);
    done.unwrap_or_else(|fault| fault.body().to_string())
}

fn person_call(state: &mut State, bytes: &[u8], now: Unix) -> Result<String, Fault> {
    let request = body::read(bytes);
    let request = request.map_err(|why| Fault::request(format!("API invalid JSON: {why}")))?;
    let method = request["method_name"].as_str().unwrap_or_default();
    let person = request["params"][0]["person"].as_i64();
    let person = person.filter(|id| works(&state.store, *id));
    let person =
        person.ok_or_else(|| Fault::auth("the page calls for nobody who works here".to_owned()))?;
    let (store, auth) = state.parts();
    let mut call = Call {
        store,
        auth,
        credentials: &request["params"][0],
        payload: &request["params"][1],
        now,
    };
    answer_to(&mut call, &Actor::human(person), method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sandbox::Scenario, secret::Secret};

    const NOW: Unix = Unix(1_784_116_800_000);

    fn state() -> State {
        let scripts = vec![("tests".to_owned(), Secret::new("key".to_owned()))];
        State::new(scripts, Scenario::Demo, 1, NOW).unwrap()
    }

    fn say(state: &mut State, method: &str, person: &Value, payload: Value) -> Value {
        let body = json!({"method_name": method, "params": [{"person": person}, payload]});
        serde_json::from_str(&call(state, body.to_string().as_bytes(), NOW)).unwrap()
    }

    #[test]
    fn a_change_is_in_the_log_under_the_name_of_the_person() {
        let mut state = state();
        let fields = json!([{"field_name": "sg_status_list", "value": "hld"}]);
        let change = json!({"type": "Task", "id": 5, "fields": fields});
        let told = say(&mut state, "update", &json!(2), change);
        assert_eq!(told["results"]["sg_status_list"], "hld");
        let last = state.store.log.range(0..=i64::MAX).next_back().unwrap();
        assert_eq!(last.user.map(|user| user.id), Some(2));
    }

    #[test]
    fn who_is_nobody_is_refused_and_bad_bytes_are_answered() {
        let mut state = state();
        for person in [json!(null), json!(99), json!("1"), json!(-1)] {
            let told = say(&mut state, "read", &person, json!({"type": "Task"}));
            assert_eq!(told["exception"], true, "{person}");
        }
        for bytes in [&b""[..], b"[]", b"{", b"\xff", br#"{"params": 7}"#] {
            assert!(call(&mut state, bytes, NOW).contains("exception"));
        }
    }

    #[test]
    fn trouble_that_was_ordered_is_not_for_the_page() {
        let mut state = state();
        let order = json!({"verb": "fail", "kind": "http503", "calls": 1});
        let order = crate::sandbox::ctl::Verb::read(&order).unwrap();
        state.order(&order, NOW).unwrap();
        let told = say(&mut state, "schema_entity_read", &json!(1), json!({}));
        assert!(told["results"]["Shot"].is_object());
        let left = state.summary();
        assert_eq!(
            (left["troubles"].as_u64(), left["calls"].as_u64()),
            (Some(1), Some(0))
        );
    }

    #[test]
    fn the_page_lets_nothing_in_and_says_who_there_is() {
        let page = file("/").unwrap();
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert!(file("/_sandbox/page.js").is_some() && file("/_sandbox/other").is_none());
        let about = about(&state().store);
        assert_eq!(about["people"][0]["name"], "Ada Lind");
        let shots = about["types"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["type"] == "Shot");
        assert_eq!(shots.unwrap()["count"], 8);
    }
}
