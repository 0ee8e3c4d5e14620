//! Routes: every address of REST with its verb, what its body is and what it does.
//!
//! In: a verb, a path. Out: the route, and what stands in the path where it has a name in braces.
//! Never: a body that is read; only its kind is said here.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Done, Refusal, Rest};

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing that anybody looks at.
    Unread,
    /// A map.
    Json,
    /// A map with filters; its type says in which form they are.
    Filters,
}

type Handle = fn(&mut Rest<'_>, &[&str]) -> Result<Done, Refusal>;

/// One address with one verb.
#[derive(Debug)]
pub(super) struct Route {
    /// `GET`
    pub(super) verb: &'static str,
    /// `/entity/{type}/{id}`
    pub(super) pattern: &'static str,
    /// What is sent along.
    pub(super) body: Body,
    /// What it does.
    pub(super) handle: Handle,
}

const fn get(pattern: &'static str, handle: Handle) -> Route {
    Route {
        verb: "GET",
        pattern,
        body: Unread,
        handle,
    }
}

const fn post(pattern: &'static str, body: Body, handle: Handle) -> Route {
    Route {
        verb: "POST",
        pattern,
        body,
        handle,
    }
}

const fn put(pattern: &'static str, handle: Handle) -> Route {
    Route {
        verb: "PUT",
        pattern,
        body: Json,
        handle,
    }
}

const fn delete(pattern: &'static str, handle: Handle) -> Route {
    Route {
        verb: "DELETE",
        pattern,
        body: Unread,
        handle,
    }
}

use Body::{Filters, Json, Unread};

/// The first that fits is taken.
pub(super) static ROUTES: [Route; 57] = [
    get("/schema", |rest, _| rest.schema()),
    get("/schema/{type}", |rest, at| rest.schema_type(at[0])),
    get("/schema/{type}/fields", |rest, at| {
        rest.schema_fields(at[0])
    }),
    post("/schema/{type}/fields", Json, |rest, at| {
        rest.field_create(at[0])
    }),
    get("/schema/{type}/fields/{field}", |rest, at| {
        rest.schema_field(at[0], at[1])
    }),
    put("/schema/{type}/fields/{field}", |rest, at| {
        rest.field_update(at[0], at[1])
    }),
    delete("/schema/{type}/fields/{field}", |rest, at| {
        rest.field_delete(at[0], at[1])
    }),
    post("/schema/{type}/fields/{field}", Json, |rest, at| {
        rest.field_revive(at[0], at[1])
    }),
    post("/entity/_batch", Json, |rest, _| rest.batch()),
    post("/entity/_text_search", Filters, |rest, _| {
        rest.text_search()
    }),
    put("/entity/projects/{id}/_update_last_accessed", |rest, at| {
        rest.last_accessed(at[0])
    }),
    post("/entity/human_users/{id}/follow", Json, |rest, at| {
        rest.follow(at[0])
    }),
    get("/entity/human_users/{id}/following", |rest, at| {
        rest.following(at[0])
    }),
    post("/entity/{type}/_search", Filters, |rest, at| {
        rest.search(at[0])
    }),
    post("/entity/{type}/_summarize", Filters, |rest, at| {
        rest.summarize(at[0])
    }),
    get("/entity/{type}", |rest, at| rest.list(at[0])),
    post("/entity/{type}", Json, |rest, at| rest.create(at[0])),
    get("/entity/{type}/{id}", |rest, at| rest.one(at[0], at[1])),
    put("/entity/{type}/{id}", |rest, at| rest.update(at[0], at[1])),
    delete("/entity/{type}/{id}", |rest, at| rest.delete(at[0], at[1])),
    post("/entity/{type}/{id}", Unread, |rest, at| {
        rest.revive(at[0], at[1])
    }),
    get("/entity/{type}/{id}/relationships/{field}", |rest, at| {
        rest.relationship([at[0], at[1], at[2]])
    }),
    get("/entity/{type}/{id}/activity_stream", |rest, at| {
        rest.activity_stream(at[0], at[1])
    }),
    get("/entity/{type}/{id}/thread_contents", |rest, at| {
        rest.thread_contents(at[0], at[1])
    }),
    get("/entity/{type}/{id}/followers", |rest, at| {
        rest.followers(at[0], at[1])
    }),
    put("/entity/{type}/{id}/unfollow", |rest, at| {
        rest.unfollow(at[0], at[1])
    }),
    get("/entity/{type}/{id}/_upload", |rest, at| {
        rest.upload_begin([at[0], at[1], ""])
    }),
    post("/entity/{type}/{id}/_upload", Json, |rest, at| {
        rest.upload_complete([at[0], at[1], ""])
    }),
    get("/entity/{type}/{id}/_upload/multipart", |rest, at| {
        rest.upload_part([at[0], at[1], ""])
    }),
    post(
        "/entity/{type}/{id}/_upload/multipart_abort",
        Json,
        |rest, at| rest.upload_abort([at[0], at[1], ""]),
    ),
    get("/entity/{type}/{id}/{field}", |rest, at| {
        rest.file([at[0], at[1], at[2]])
    }),
    get("/entity/{type}/{id}/{field}/_upload", |rest, at| {
        rest.upload_begin([at[0], at[1], at[2]])
    }),
    post("/entity/{type}/{id}/{field}/_upload", Json, |rest, at| {
        rest.upload_complete([at[0], at[1], at[2]])
    }),
    get(
        "/entity/{type}/{id}/{field}/_upload/multipart",
        |rest, at| rest.upload_part([at[0], at[1], at[2]]),
    ),
    post(
        "/entity/{type}/{id}/{field}/_upload/multipart_abort",
        Json,
        |rest, at| rest.upload_abort([at[0], at[1], at[2]]),
    ),
    post("/hierarchy/_expand", Json, |rest, _| rest.expand()),
    post("/hierarchy/_search", Json, |rest, _| {
        rest.hierarchy_search()
    }),
    get("/preferences", |rest, _| rest.preferences()),
    put("/preferences/update", |_, _| {
        Err(Refusal::request("Updating the preferences is not available").with_code(111))
    }),
    get("/license_info", |rest, _| rest.license()),
    get("/subscription_seat/user_subscriptions", |rest, _| {
        rest.subscriptions()
    }),
    post("/subscription_seat/user_subscriptions", Json, |rest, _| {
        rest.subscribe()
    }),
    get("/schedule/work_day_rules", |rest, _| rest.work_days()),
    put("/schedule/work_day_rules", |rest, _| rest.work_day()),
    get("/exports/page/{file}", |rest, at| rest.export(at[0])),
    get("/exports/page/{id}/{file}", |rest, at| {
        rest.export_layout(at[0], at[1])
    }),
    get("/webhook/hooks", |rest, _| rest.hooks()),
    post("/webhook/hooks", Json, |rest, _| rest.hook_create()),
    get("/webhook/hooks/{id}", |rest, at| rest.hook(at[0])),
    put("/webhook/hooks/{id}", |rest, at| rest.hook_change(at[0])),
    delete("/webhook/hooks/{id}", |rest, at| rest.hook_delete(at[0])),
    post("/webhook/hooks/{id}/test_connection", Unread, |rest, at| {
        rest.hook_test(at[0])
    }),
    get("/webhook/hooks/{id}/deliveries", |rest, at| {
        rest.deliveries(at[0])
    }),
    get("/webhook/deliveries/{id}", |rest, at| {
        rest.delivery_one(at[0])
    }),
    put("/webhook/deliveries/{id}", |rest, at| {
        rest.delivery_acknowledge(at[0])
    }),
    post("/webhook/deliveries/{id}/redeliver", Unread, |rest, at| {
        rest.delivery_again(at[0])
    }),
    post("/transcode/attachment_metadata/{id}", Json, |rest, at| {
        rest.transcoded(at[0])
    }),
];

/// The route of a request, and what stands in its path.
pub(super) fn find<'p>(verb: &Method, path: &'p str) -> Option<(&'static Route, Vec<&'p str>)> {
    let verb = if *verb == Method::HEAD {
        "GET"
    } else {
        verb.as_str()
    };
    ROUTES
        .iter()
        .filter(|route| route.verb == verb)
        .find_map(|route| Some((route, fit(route.pattern, path)?)))
}

fn fit<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut at = Vec::new();
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        let part = parts.next()?;
        if wanted.starts_with('{') {
            if part.is_empty() {
                return None;
            }
            at.push(part);
        } else if wanted != part {
            return None;
        }
    }
    parts.next().is_none().then_some(at)
}

/// The routes as a document of OpenAPI.
pub(super) fn spec() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in &ROUTES {
        let names = route.pattern.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(
                json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
            )
        });
        let mut operation = json!({
            "parameters": names.collect::<Value>(),
            "responses": {"default": {"description": "A document with data, or with errors."}},
        });
        let kinds: &[&str] = match route.body {
            Unread => &[],
            Json => &[super::JSON],
            Filters => &[super::ARRAY, super::HASH],
        };
        for kind in kinds {
            operation["requestBody"]["content"][kind] = json!({"schema": {"type": "object"}});
        }
        let path = paths.entry(route.pattern).or_insert_with(|| json!({}));
        path[route.verb.to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Shotgun REST API", "version": "1.x"},
        "servers": [{"url": "/api/v1.1"}], "paths": paths,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_parts() {
        for (verb, path, pattern, at) in [
            ("GET", "/entity/shots", "/entity/{type}", vec!["shots"]),
            ("POST", "/entity/_batch", "/entity/_batch", vec![]),
            (
                "POST",
                "/entity/shots/_search",
                "/entity/{type}/_search",
                vec!["shots"],
            ),
            (
                "GET",
                "/entity/shots/1/followers",
                "/entity/{type}/{id}/followers",
                vec!["shots", "1"],
            ),
            (
                "GET",
                "/entity/shots/1/image",
                "/entity/{type}/{id}/{field}",
                vec!["shots", "1", "image"],
            ),
        ] {
            let method: Method = verb.parse().unwrap();
            let (route, found) = find(&method, path).unwrap();
            assert_eq!((route.pattern, found), (pattern, at));
        }
        for (verb, path) in [
            ("PATCH", "/entity/shots/1"),
            ("GET", "/entity"),
            ("GET", "/entity//1"),
            ("GET", "/nowhere"),
            ("DELETE", "/entity/shots"),
            ("GET", "/entity/shots/1/image/x/y"),
        ] {
            assert!(
                find(&verb.parse().unwrap(), path).is_none(),
                "{verb} {path}"
            );
        }
    }

    #[test]
    fn no_route_stands_behind_one_that_takes_its_paths() {
        for (index, route) in ROUTES.iter().enumerate() {
            let path = route.pattern.replace(['{', '}'], "x");
            let (found, _) = find(&route.verb.parse().unwrap(), &path).unwrap();
            assert_eq!(found.pattern, ROUTES[index].pattern);
        }
    }
}
