//! REST v1: addresses of entities, records in attributes and relationships, errors in an envelope.
//!
//! In: a request with its body, the site. Out: an answer.
//! Never: a second way to read, to write, to filter or to sum up; all of it is done by the methods of API3.

mod attention;
#[cfg(test)]
mod bad_input;
mod batch;
mod cors;
mod entity;
mod filters;
mod hierarchy;
mod listing;
mod query;
mod record;
mod refusal;
mod route;
mod schema;
mod search;
mod session;
mod site;
mod slug;
mod tokens;
mod upload;
mod values;
mod webhooks;

use hyper::{
    Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName},
};
use serde_json::{Map, Value, json};

use self::{
    filters::{ARRAY, HASH, Syntax},
    query::Query,
    record::Shape,
    refusal::Refusal,
    route::{Body, Route},
};
use super::{
    auth::Auth,
    body,
    cell::Link,
    method::{Call, run},
    name::Name,
    schema::{EVENT_LOG, Schema},
    store::{Actor, Store},
    table::Entity,
    trouble::{Answer, Outcome, Troubles},
    view::Row,
    webhook::Hooks,
};
use crate::clock::Unix;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// Both are the same; addresses in answers begin like the one that was asked.
const BASES: [(&str, &str); 2] = [("/api/v1.1", "1.1"), ("/api/v1", "1.0")];
const API: &str = "/api";
const INTERNAL: &str = "/internal_api/";
const API3: &str = "/api3/json";

/// Whether an address is one of these.
pub(super) fn is_ours(path: &str) -> bool {
    let is_api = path == API || (path.starts_with("/api/") && !path.ends_with(API3));
    is_api || path.starts_with(INTERNAL) || path.starts_with(session::PAGE)
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// `GET`
    pub(super) verb: &'a Method,
    /// Without the query.
    pub(super) path: &'a str,
    /// Behind the question mark.
    pub(super) query: &'a str,
    /// All of them.
    pub(super) headers: &'a HeaderMap,
    /// Whole; nothing when it was too big.
    pub(super) body: Option<&'a [u8]>,
}

impl Request<'_> {
    /// What a call is called in lists and orders.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.verb, self.path)
    }

    fn header(&self, name: HeaderName) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The kind of the body, without its parameters.
    fn content_type(&self) -> &str {
        let whole = self.header(CONTENT_TYPE);
        whole.split_once(';').map_or(whole, |(kind, _)| kind).trim()
    }
}

/// The site that is asked.
#[derive(Debug)]
pub(super) struct Site<'a> {
    /// What it knows.
    pub(super) store: &'a mut Store,
    /// Its scripts.
    pub(super) auth: &'a Auth,
    /// Who hears of what happens.
    pub(super) hooks: &'a mut Hooks,
    /// What goes wrong.
    pub(super) troubles: &'a mut Troubles,
    /// When.
    pub(super) now: Unix,
    /// Another one for each call.
    pub(super) serial: u64,
}

/// What a request comes to when nothing is wrong.
#[derive(Debug)]
enum Done {
    Json(u16, Value),
    Empty,
    Text(u16, &'static str, String),
    /// To a file.
    Redirect(String),
}

/// Answers a request.
pub(super) fn respond(site: Site<'_>, request: &Request<'_>) -> Answer {
    let serial = site.serial;
    let mut answer = match done(site, request) {
        Ok(Done::Json(status, value)) => Answer {
            status,
            ..Answer::json(value.to_string())
        },
        Ok(Done::Empty) => Answer {
            status: 204,
            ..Answer::json(String::new())
        },
        Ok(Done::Text(status, content_type, text)) => Answer {
            status,
            content_type,
            ..Answer::json(text)
        },
        Ok(Done::Redirect(address)) => Answer {
            status: 302,
            headers: vec![("location", address)],
            ..Answer::json(String::new())
        },
        Err(refusal) => refusal.answer(serial),
    };
    answer
        .headers
        .push(("x-request-id", format!("sandbox-{serial}")));
    if request.path.starts_with(API) {
        answer.headers.extend(cors::headers(request));
    }
    answer
}

/// What was ordered instead of an answer, in the words of REST where the site itself would speak.
pub(super) fn instead(outcome: Outcome, serial: u64) -> Outcome {
    match outcome {
        Outcome::Answer(ordered) if is_told(&ordered) => {
            let told = Refusal::ordered(ordered.status).answer(serial);
            Outcome::Answer(Answer {
                retry_after: ordered.retry_after,
                ..told
            })
        }
        outcome => outcome,
    }
}

/// Gateways in front of a site answer in their own words.
fn is_told(answer: &Answer) -> bool {
    let is_fault =
        answer.status == 200 && answer.content_type.starts_with(JSON) && !answer.body.is_empty();
    is_fault || matches!(answer.status, 429 | 500)
}

fn done(site: Site<'_>, request: &Request<'_>) -> Result<Done, Refusal> {
    let Some(bytes) = request.body else {
        return Err(Refusal::too_big("The body is bigger than this site takes."));
    };
    if !request.path.starts_with(API) {
        return session::respond(site, request, bytes);
    }
    let found = BASES.iter().find_map(|(base, version)| {
        let path = request.path.strip_prefix(base)?;
        (path.is_empty() || path.starts_with('/')).then_some((*base, *version, path))
    });
    let (base, version, path) = found.ok_or_else(Refusal::nowhere)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if cors::is_preflight(request) {
        return Ok(Done::Text(200, "text/plain", String::new()));
    }
    acceptable(request)?;
    let is_read = matches!(*request.verb, Method::GET | Method::HEAD);
    match path {
        "" if is_read => return Ok(site::root(version)),
        "/auth/access_token" if *request.verb == Method::POST => {
            return tokens::grant(site, request, bytes);
        }
        "/spec.json" if is_read => return Ok(Done::Json(200, route::spec())),
        _ => {}
    }
    let (route, at) = route::find(request.verb, path).ok_or_else(Refusal::nowhere)?;
    let who = tokens::bearer(&site, request.header(AUTHORIZATION))?;
    let (body, syntax) = read_body(request, route, bytes)?;
    let mut rest = Rest {
        site,
        base,
        path,
        query: Query::read(request.query),
        body,
        syntax,
        who,
    };
    (route.handle)(&mut rest, &at)
}

fn acceptable(request: &Request<'_>) -> Result<(), Refusal> {
    let wanted = request.header(ACCEPT);
    let mut kinds = wanted.split(',').map(|kind| {
        let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind);
        kind.trim()
    });
    let known = ["", "*/*", "application/*", JSON, "application/vnd.api+json"];
    // Whoever downloads a file says so.
    let is_file = |kind: &str| {
        ["image/", "video/", "text/"]
            .iter()
            .any(|k| kind.starts_with(k))
    };
    if kinds.any(|kind| known.contains(&kind) || is_file(kind)) {
        return Ok(());
    }
    Err(Refusal::accept(wanted))
}

fn read_body(
    request: &Request<'_>,
    route: &Route,
    bytes: &[u8],
) -> Result<(Value, Syntax), Refusal> {
    let given = request.content_type();
    let lower = given.to_ascii_lowercase();
    let syntax = match (route.body, lower.as_str()) {
        // Nothing is looked at.
        (Body::Unread, _) => return Ok((Value::Null, Syntax::Array)),
        (Body::Json, JSON | "") => Syntax::Array,
        (Body::Json, _) => return Err(Refusal::content_type(given, &[JSON])),
        (Body::Filters, ARRAY) => Syntax::Array,
        (Body::Filters, HASH) => Syntax::Hash,
        (Body::Filters, _) => return Err(Refusal::content_type(given, &[ARRAY, HASH])),
    };
    if bytes.is_empty() {
        return Ok((json!({}), syntax));
    }
    let value = body::read(bytes).map_err(|why| Refusal::body(&why))?;
    if !value.is_object() {
        let class = super::value::class(&value);
        let why = format!("Expected Hash but received {class}.");
        return Err(Refusal::body(&why));
    }
    Ok((value, syntax))
}

/// One request that was let in.
struct Rest<'a> {
    site: Site<'a>,
    /// `/api/v1`
    base: &'static str,
    /// What follows it.
    path: &'a str,
    query: Query,
    body: Value,
    syntax: Syntax,
    who: Actor,
}

impl Rest<'_> {
    /// Calls a method of API3.
    fn call(&mut self, method: &str, payload: &Value) -> Result<Value, Refusal> {
        let text = self.call_text(method, payload)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn call_text(&mut self, method: &str, payload: &Value) -> Result<String, Refusal> {
        let mut call = Call {
            store: &mut *self.site.store,
            auth: self.site.auth,
            credentials: &Value::Null,
            payload,
            now: self.site.now,
        };
        Ok(run(&mut call, &self.who, method)?)
    }

    /// The rows that `read` finds, with the trouble that is ordered for the log.
    fn rows(&mut self, payload: &Value) -> Result<Vec<Value>, Refusal> {
        let is_log = payload["type"] == EVENT_LOG;
        if is_log {
            let hidden = self.site.troubles.hidden_rows();
            self.site.store.log.hide(hidden);
        }
        let text = self.call_text("read", payload);
        self.site.store.log.hide(0);
        let mut text = format!(r#"{{"results":{}}}"#, text?);
        if is_log {
            let spoilt = self.site.troubles.spoil_log(payload, text);
            text = spoilt.ok_or_else(Refusal::broken)?;
        }
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match answer["results"]["entities"].take() {
            Value::Array(rows) => Ok(rows),
            _ => Ok(Vec::new()),
        }
    }

    fn shape(&self) -> Shape<'_> {
        Shape {
            base: self.base,
            schema: self.seen_schema(),
        }
    }

    /// The types and fields that the caller sees.
    fn seen_schema(&self) -> &Schema {
        self.who.rights.schema(&self.site.store.schema)
    }

    /// A live entity, if the caller sees it.
    fn live(&self, link: &Link) -> Option<&Entity> {
        let store = &*self.site.store;
        let entity = store.live(link)?;
        let row = Row::Entity(link.kind, entity);
        self.who.rights.sees(store, row).then_some(entity)
    }

    /// The address that was asked, without the query.
    fn own(&self) -> String {
        format!("{}{}", self.base, self.path)
    }

    /// The address that was asked, as an answer names it.
    fn own_links(&self) -> Value {
        json!({"self": self.query.address(&self.own())})
    }

    /// The type that an address names.
    fn kind(&self, name: &str) -> Result<Name, Refusal> {
        let found = slug::kind(self.seen_schema(), name);
        found.ok_or_else(|| Refusal::unknown(format!("Entity type '{name}' does not exist.")))
    }

    /// The entity that an address names, live or not, there or not.
    fn link(&self, kind: &str, id: &str) -> Result<Link, Refusal> {
        let kind = self.kind(kind)?;
        let id = id.parse().ok();
        id.map(|id| Link::new(kind, id))
            .ok_or_else(Refusal::nowhere)
    }

    /// A parameter of the body, or of the query.
    fn given(&self, name: &str) -> &Value {
        match &self.body[name] {
            Value::Null => &self.query.tree[name],
            value => value,
        }
    }

    /// A map in the body.
    fn map(&self, name: &str) -> Result<&Map<String, Value>, Refusal> {
        match &self.body[name] {
            Value::Null => Err(Refusal::parameter(name, "is missing")),
            Value::Object(map) => Ok(map),
            _ => Err(Refusal::parameter(name, "must be a hash")),
        }
    }

    /// A number in the body, also where it is written as text.
    fn number(&self, name: &str) -> Result<i64, Refusal> {
        let value = &self.body[name];
        if value.is_null() {
            return Err(Refusal::parameter(name, "is missing"));
        }
        whole(value).ok_or_else(|| Refusal::parameter(name, "must be an integer"))
    }
}

/// A whole number, also where it is written as text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
