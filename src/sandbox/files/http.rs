//! The addresses of files: posts to `/upload/…`, the storage, downloads, thumbnails.
//!
//! In: a method, an address, a body. Out: what is answered.
//! Never: a file in an answer whose link is not signed, but after asking by the id of an attachment.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Response,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, COOKIE, ETAG, HeaderMap, HeaderValue,
        LOCATION,
    },
    http::request::Parts,
};

use super::{
    Form,
    link::{Refused, STORAGE, TRANSIENT},
};
use crate::{
    clock::Unix,
    sandbox::{state::State, trouble::Outcome, view::Row},
};

const ATTACHMENT: &str = "/file_serve/attachment/";
const UPLOAD: &str = "/upload/";
/// One grey point.
const PENDING: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
\0\0\0\nIDAT\x78\x9c\x63\x68\0\0\0\x82\0\x81\x77\xcd\x72\xb6\0\0\0\0IEND\xae\x42\x60\x82";

/// Whether an address is one of these.
pub(in crate::sandbox) fn is_ours(path: &str) -> bool {
    [ATTACHMENT, UPLOAD, STORAGE, TRANSIENT]
        .iter()
        .any(|start| path.starts_with(start))
}

/// What is answered: text and files here, trouble as it was ordered.
pub(in crate::sandbox) enum Reply {
    /// As it should be.
    File(Response<Full<Bytes>>),
    /// Text of a post, or trouble.
    Outcome(Outcome),
}

/// Answers.
pub(in crate::sandbox) fn respond(
    state: &mut State,
    head: &Parts,
    form: Result<Form, String>,
    body: Bytes,
    now: Unix,
) -> Reply {
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    if let Some(route) = path.strip_prefix(UPLOAD) {
        if head.method == Method::POST {
            return Reply::Outcome(state.upload(route, form, now));
        }
        if is_read && route == "get_thumbnail_url" {
            return Reply::File(text(200, &thumbnail_url(state, query, now)));
        }
    }
    Reply::File(match (&head.method, path.strip_prefix(STORAGE)) {
        (&Method::PUT, Some(rest)) => put(state, rest, query, body, now),
        (_, Some(rest)) if is_read => {
            let what = first_parts(rest, 2);
            let id = what.strip_prefix("files/").and_then(|id| id.parse().ok());
            match (state.store.files.check(what, query, now), id) {
                (Err(refused), _) => refuse(refused),
                (Ok(()), id) => file(state, id.unwrap_or_default()),
            }
        }
        _ if is_read && path == TRANSIENT => answer(200, "image/png", Bytes::from_static(PENDING)),
        _ if is_read && path.starts_with(ATTACHMENT) => download(state, head, now),
        _ => text(405, "not to be called in this way"),
    })
}

fn first_parts(path: &str, count: usize) -> &str {
    let end = path.match_indices('/').nth(count - 1);
    &path[..end.map_or(path.len(), |(end, _)| end)]
}

fn put(
    state: &mut State,
    rest: &str,
    query: &str,
    body: Bytes,
    now: Unix,
) -> Response<Full<Bytes>> {
    let what = first_parts(rest, 3);
    if let Err(refused) = state.store.files.check(what, query, now) {
        return refuse(refused);
    }
    let mut parts = what.split('/').skip(1);
    let id = parts.next().unwrap_or_default();
    let number = parts.next().and_then(|part| part.parse().ok());
    match state.store.files.put(id, number.unwrap_or_default(), body) {
        Ok(tag) => {
            let mut done = answer(200, "text/plain", Bytes::new());
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                done.headers_mut().insert(ETAG, tag);
            }
            done
        }
        // 400 and not 500: the client would try again.
        Err(why) => text(400, &why),
    }
}

fn file(state: &State, id: i64) -> Response<Full<Bytes>> {
    let Some(file) = state.store.files.get(id) else {
        return text(404, "no such file");
    };
    let mut done = answer(200, &file.content_type, file.bytes.clone());
    let name: String = url::form_urlencoded::byte_serialize(file.name.as_bytes()).collect();
    let shown = format!("inline; filename*=UTF-8''{}", name.replace('+', "%20"));
    if let Ok(shown) = HeaderValue::from_str(&shown) {
        done.headers_mut().insert(CONTENT_DISPOSITION, shown);
    }
    done
}

/// An attachment by its id: the way to the storage.
fn download(state: &State, head: &Parts, now: Unix) -> Response<Full<Bytes>> {
    let token = cookie(&head.headers, "_session_id");
    let who = token.map(|token| state.session(token, now));
    if matches!(who, Some(None)) {
        return text(403, "this session is not known here");
    }
    let who = who.flatten();
    let id = head.uri.path().strip_prefix(ATTACHMENT).unwrap_or_default();
    let id = first_parts(id, 1).parse().unwrap_or_default();
    let store = &state.store;
    let row = store.entity("Attachment", id).filter(|row| !row.is_retired);
    let row = row.filter(|row| {
        let row = Row::Entity("Attachment", row);
        who.is_none_or(|who| who.rights.sees(store, row))
    });
    if row.is_none() || store.files.get(id).is_none() {
        return text(
            400,
            "there is no such attachment, or it is no file of this site",
        );
    }
    let mut done = text(302, "elsewhere");
    if let Ok(link) = HeaderValue::from_str(&store.files.get_link(id, now)) {
        done.headers_mut().insert(LOCATION, link);
    }
    done
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get(COOKIE)?.to_str().ok()?;
    let mut pairs = cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// Where a thumbnail is, for clients of old.
fn thumbnail_url(state: &State, query: &str, now: Unix) -> String {
    let form = Form::pairs(query.as_bytes());
    let store = &state.store;
    let kind = form.text("entity_type").unwrap_or_default();
    let id = form.text("entity_id").and_then(|id| id.parse().ok());
    let entity = id.and_then(|id| store.entity(kind, id));
    let image = entity.and_then(|entity| entity.get("image").as_i64());
    let link = image.and_then(|id| store.files.picture(id, now));
    let path = link
        .as_deref()
        .and_then(|link| link.get(link.find("/_")?..));
    path.map_or_else(|| "0\nno thumbnail".into(), |path| format!("1\n{path}"))
}

fn refuse(refused: Refused) -> Response<Full<Bytes>> {
    answer(403, "application/xml", refused.xml().into())
}

fn text(status: u16, text: &str) -> Response<Full<Bytes>> {
    answer(
        status,
        "text/plain; charset=utf-8",
        format!("{text}\n").into(),
    )
}

fn answer(status: u16, content_type: &str, body: Bytes) -> Response<Full<Bytes>> {
    let kind = HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store")
        .body(Full::new(body))
        .expect("a status and plain headers make a response")
}
