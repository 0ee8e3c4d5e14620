//! Pages of other origins: what a browser is told so that a script on a page may call REST.
//!
//! In: the headers of a request. Out: headers of the answer.
//! Never: an origin that is refused; the site takes every one.

use hyper::{
    Method,
    header::{
        ACCESS_CONTROL_REQUEST_HEADERS as ASKED_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD as ASKED_METHOD, ORIGIN,
    },
};

use super::Request;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// One other name, and the browser is told nothing.
const HEADERS: [&str; 7] = [
    "authorization",
    "content-type",
    "accept",
    "accept-language",
    "content-language",
    "range",
    "origin",
];

/// Whether a browser only asks what it may do.
pub(super) fn is_preflight(request: &Request<'_>) -> bool {
    *request.verb == Method::OPTIONS
}

/// What the answer says to a browser.
pub(super) fn headers(request: &Request<'_>) -> Vec<(&'static str, String)> {
    let vary = "Origin, Access-Control-Request-Method";
    let mut told = vec![("vary", vary.to_owned())];
    let origin = request.header(ORIGIN);
    let asked = request.header(ASKED_HEADERS);
    let mut names = asked
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase());
    let is_known = names.all(|name| name.is_empty() || HEADERS.contains(&&*name));
    let is_refused =
        is_preflight(request) && !(is_known && METHODS.contains(&request.header(ASKED_METHOD)));
    if origin.is_empty() || is_refused {
        return told;
    }
    told.push(("access-control-allow-origin", origin.to_owned()));
    told.push(("access-control-allow-credentials", "true".into()));
    if is_preflight(request) {
        told.push(("access-control-allow-methods", METHODS.join(", ")));
        told.push(("access-control-max-age", "3600".into()));
        if !asked.is_empty() {
            told.push(("access-control-allow-headers", asked.to_owned()));
        }
    }
    told
}
