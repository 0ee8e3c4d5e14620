//! Sign-in by browser: a program asks, a person says yes on a page, the program gets the person's session once.
//!
//! In: the name of a program; a person's password on the page. Out: an id to ask by, a page, a session.
//! Never: the envelope of REST where the program is right about the address; these are the web pages' own.

use hyper::{Method, header::HOST};
use serde_json::{Value, json};

use super::{Done, JSON, Query, Refusal, Request, Site};
use crate::sandbox::{body, launcher::SignedIn};

/// Where a person says yes.
pub(super) const PAGE: &str = "/app_session_request/";
const ASK: &str = "/internal_api/app_session_request";
const HTML: &str = "text/html; charset=utf-8";

/// Answers what is not below `/api`.
pub(super) fn respond(
    site: Site<'_>,
    request: &Request<'_>,
    bytes: &[u8],
) -> Result<Done, Refusal> {
    if let Some(id) = request.path.strip_prefix(PAGE) {
        return Ok(page(site, request, id, bytes));
    }
    let rest = request.path.strip_prefix(ASK);
    match (request.verb, rest.ok_or_else(Refusal::nowhere)?) {
        (&Method::POST, "") => Ok(ask(site, request, bytes)),
        (&Method::PUT, id) if id.len() > 1 && id.starts_with('/') => Ok(collect(site, &id[1..])),
        _ => Err(Refusal::nowhere()),
    }
}

fn message(status: u16, text: &str) -> Done {
    Done::Json(status, json!({"message": text}))
}

fn ask(site: Site<'_>, request: &Request<'_>, bytes: &[u8]) -> Done {
    let fields = if request.content_type().eq_ignore_ascii_case(JSON) {
        match body::read(bytes) {
            Ok(fields) => fields,
            Err(why) => return message(400, &why),
        }
    } else {
        Query::read(&String::from_utf8_lossy(bytes)).tree
    };
    let filled = |name: &str| fields[name].as_str().filter(|text| !text.is_empty());
    let missing: Vec<&str> = ["appName", "machineId"]
        .into_iter()
        .filter(|name| filled(name).is_none())
        .collect();
    let Some(app) = filled("appName").filter(|_| missing.is_empty()) else {
        return message(400, &format!("Missing params: {}", missing.join(", ")));
    };
    let number = site.store.launcher.next();
    let id = site.store.keys.sign(&format!("app session {number}"));
    let id: String = id
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    site.store.launcher.begin(id.clone(), app, site.now);
    let host = request.header(HOST);
    let url = format!("http://{host}{PAGE}{id}?sticky_id={id}");
    Done::Json(200, json!({"sessionRequestId": id, "url": url}))
}

fn collect(site: Site<'_>, id: &str) -> Done {
    match site.store.launcher.collect(id, site.now) {
        None => message(404, "Not Found"),
        Some(None) => Done::Json(200, json!({"approved": false})),
        Some(Some(SignedIn { token, login })) => Done::Json(
            200,
            json!({"approved": true, "sessionToken": token, "userLogin": login}),
        ),
    }
}

/// The page, and what was filled in on it.
fn page(site: Site<'_>, request: &Request<'_>, id: &str, bytes: &[u8]) -> Done {
    let Some(app) = site.store.launcher.app(id, site.now).map(escaped) else {
        return html(404, "Nobody waits here any more.", "");
    };
    let form = format!(
        "<form method=post><p>{app} wants to sign in as you.</p>\
         <p><input name=login placeholder=login> <input name=password type=password placeholder=password></p>\
         <p><button>Approve</button> <button name=deny value=1>Deny</button></p></form>"
    );
    if *request.verb != Method::POST {
        return html(200, "Sign in", &form);
    }
    let fields = Query::read(&String::from_utf8_lossy(bytes));
    if fields.text("deny").is_some() {
        site.store.launcher.deny(id);
        return html(200, "Denied", "");
    }
    let login = fields.text("login").unwrap_or_default().to_owned();
    let credentials: Value = json!({
        "user_login": login, "user_password": fields.text("password").unwrap_or_default(),
    });
    match site.auth.token(site.store, &credentials, site.now) {
        Ok(token) => {
            let signed_in = SignedIn { token, login };
            site.store.launcher.approve(id, signed_in);
            html(200, "Approved. You may close this page.", "")
        }
        Err(fault) => html(403, &escaped(&fault.to_string()), &form),
    }
}

fn html(status: u16, title: &str, rest: &str) -> Done {
    let text = format!("<!doctype html><title>Sandbox</title><h1>{title}</h1>{rest}");
    Done::Text(status, HTML, text)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('"', "&quot;")
}
