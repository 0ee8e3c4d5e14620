//! Parsers: one function per kind of value. Each says in one line what is allowed.
//!
//! Never: a look at the disk, a default.

use std::{
    collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration,
};

use url::Url;

use super::{
    duration::{read_duration, read_size},
    key::{KeySource, KeyUse},
    read::{Field, Section, Wrong},
    tree::Kind,
    types::StartFrom,
};
use crate::text::nearest;

/// What a parser gives back.
pub(super) type Parsed<T> = Result<T, Wrong>;

/// What to write in the place of a key.
pub(super) const KEY_FORMS: &str = r#"{ file = "…" }, { env = "…" } or { credential = "…" }"#;

pub(super) fn text(field: &Field<'_>) -> Parsed<String> {
    match field.as_text() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err(Wrong::allowed("a text that is not empty")),
        None => Err(Wrong::allowed("a text in quotes")),
    }
}

pub(super) fn boolean(field: &Field<'_>) -> Parsed<bool> {
    match field.node.kind {
        Kind::Boolean(value) => Ok(value),
        _ => Err(Wrong::allowed("true or false, without quotes")),
    }
}

/// A whole number in a range.
pub(super) fn whole<T: TryFrom<i64>>(
    range: RangeInclusive<i64>,
) -> impl Fn(&Field<'_>) -> Parsed<T> {
    move |field| {
        let allowed = || {
            Wrong::allowed(format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        };
        match field.node.kind {
            Kind::Integer(number) if range.contains(&number) => {
                T::try_from(number).map_err(|_| allowed())
            }
            _ => Err(allowed()),
        }
    }
}

pub(super) fn duration(field: &Field<'_>) -> Parsed<Duration> {
    let allowed = || Wrong::allowed(r#"a duration such as "500ms", "1s", "5m", "24h" or "14d""#);
    field.as_text().and_then(read_duration).ok_or_else(allowed)
}

/// A duration that is not zero.
pub(super) fn span(field: &Field<'_>) -> Parsed<Duration> {
    match duration(field)? {
        Duration::ZERO => Err(Wrong::allowed(r#"a duration above zero, such as "1s""#)),
        value => Ok(value),
    }
}

pub(super) fn size(field: &Field<'_>) -> Parsed<u64> {
    let allowed = || Wrong::allowed(r#"a size such as "64MiB" or "10GiB", above zero"#);
    let size = field.as_text().and_then(read_size);
    size.filter(|size| *size > 0).ok_or_else(allowed)
}

/// A size, or none.
pub(super) fn size_or_zero(field: &Field<'_>) -> Parsed<u64> {
    let allowed = || Wrong::allowed(r#"a size such as "64MiB" or "10GiB", "0B" for none"#);
    field.as_text().and_then(read_size).ok_or_else(allowed)
}

/// A path; a relative one starts at the file's folder.
pub(super) fn path(field: &Field<'_>) -> Parsed<PathBuf> {
    let allowed = || Wrong::allowed("a path in quotes");
    let text = field
        .as_text()
        .filter(|text| !text.is_empty() && !text.contains('\0'));
    text.map(|text| field.resolve(text)).ok_or_else(allowed)
}

/// A program: a bare name is looked up on the PATH, anything with a slash is a path.
pub(super) fn program(field: &Field<'_>) -> Parsed<PathBuf> {
    match field.as_text() {
        Some(text) if !text.is_empty() && !text.contains('/') => Ok(PathBuf::from(text)),
        _ => path(field),
    }
}

/// A command line as a list; its program is resolved like a [`program`].
pub(super) fn command(field: &Field<'_>) -> Parsed<Vec<String>> {
    let words = field.list(|item| {
        item.as_text()
            .map(str::to_owned)
            .ok_or_else(|| Wrong::allowed("a text in quotes"))
    })?;
    let Some((first, rest)) = words.split_first().filter(|(first, _)| !first.is_empty()) else {
        return Err(Wrong::allowed(
            r#"a list that begins with the program, such as ["/opt/studio/bin/tool", "--flag"]"#,
        ));
    };
    let first = if first.contains('/') {
        field.resolve(first).display().to_string()
    } else {
        first.clone()
    };
    Ok(std::iter::once(first).chain(rest.iter().cloned()).collect())
}

/// One word of a closed set.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Field<'_>) -> Parsed<T> {
    move |field| {
        let found = field.as_text().unwrap_or_default();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == found) {
            return Ok(*value);
        }
        let all: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let wrong = Wrong::allowed(all.join(", "));
        Err(match nearest(found, words.iter().map(|(word, _)| *word)) {
            Some(near) => wrong.hint(format!("did you mean \"{near}\"?")),
            None => wrong,
        })
    }
}

/// A list of what another parser reads.
pub(super) fn list<T>(
    parse: impl for<'r> Fn(&Field<'r>) -> Parsed<T>,
) -> impl for<'r> Fn(&Field<'r>) -> Parsed<Vec<T>> {
    move |field| field.list(&parse)
}

/// A value that may be absent, where it is given.
pub(super) fn some<T>(
    parse: impl for<'r> Fn(&Field<'r>) -> Parsed<T>,
) -> impl for<'r> Fn(&Field<'r>) -> Parsed<Option<T>> {
    move |field| parse(field).map(Some)
}

/// A URL with one of the schemes; a password in it is refused and not shown.
pub(super) fn url(schemes: &'static [&'static str]) -> impl Fn(&Field<'_>) -> Parsed<Url> {
    move |field| {
        let allowed = || {
            Wrong::allowed(format!(
                "a URL that begins with {}://",
                schemes.join(":// or ")
            ))
        };
        let url = Url::parse(field.as_text().ok_or_else(allowed)?).map_err(|_| allowed())?;
        if url.password().is_some() {
            let hint =
                "put it where others cannot read it: proxy_password or password = { file = \"…\" }";
            return Err(Wrong::allowed("a URL without a password")
                .secret("a URL with a password in it")
                .hint(hint));
        }
        let is_known =
            schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty());
        if is_known { Ok(url) } else { Err(allowed()) }
    }
}

/// The address of a site: nothing behind the host.
pub(super) fn site_url(field: &Field<'_>) -> Parsed<Url> {
    let url = url(&["https", "http"])(field)?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    if is_bare {
        return Ok(url);
    }
    let bare = url
        .host_str()
        .map(|host| format!("url = \"{}://{host}\"", url.scheme()));
    Err(Wrong::allowed("the site's address without a path").hint(bare.unwrap_or_default()))
}

pub(super) fn socket_address(field: &Field<'_>) -> Parsed<SocketAddr> {
    let allowed =
        || Wrong::allowed(r#"an address of this machine and a port, such as "127.0.0.1:4141""#);
    let address: SocketAddr = field
        .as_text()
        .and_then(|text| text.parse().ok())
        .ok_or_else(allowed)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(allowed()
        .hint("put a proxy with TLS and a login in front of it to reach it from elsewhere"))
}

pub(super) fn mail_address(field: &Field<'_>) -> Parsed<String> {
    let text = field.as_text().unwrap_or_default();
    match text.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Wrong::allowed(
            r#"a mail address such as "pipeline@studio.example" or "Pipeline <pipeline@studio.example>""#,
        )),
    }
}

/// File permissions in octal, such as `"022"`.
pub(super) fn umask(field: &Field<'_>) -> Parsed<u32> {
    let digits = field.as_text().filter(|text| (1..=4).contains(&text.len()));
    let value = digits.and_then(|text| u32::from_str_radix(text, 8).ok());
    value
        .filter(|mask| *mask <= 0o777)
        .ok_or_else(|| Wrong::allowed(r#"an octal mask in quotes, such as "022""#))
}

/// Where events begin: `latest`, `oldest`, an id, a time.
pub(super) fn start_from(field: &Field<'_>) -> Parsed<StartFrom> {
    let allowed = || {
        Wrong::allowed(
            r#""latest", "oldest", an event id such as 123456, or a time such as "2026-07-09T19:33:37Z""#,
        )
    };
    match &field.node.kind {
        Kind::Integer(id) if *id > 0 => Ok(StartFrom::EventId(crate::ident::EventId(*id))),
        Kind::Text(text) if text == "latest" => Ok(StartFrom::Latest),
        Kind::Text(text) if text == "oldest" => Ok(StartFrom::Oldest),
        Kind::Text(text) | Kind::Time(text) => crate::event::read_time(text)
            .map(StartFrom::Time)
            .ok_or_else(allowed),
        _ => Err(allowed()),
    }
}

/// Where a key is. The key itself is refused, and not shown.
pub(super) fn key_source(field: &Field<'_>) -> Parsed<KeySource> {
    if !matches!(field.node.kind, Kind::Table(_)) {
        let hint = "write the key into a file of its own, chmod 600 it, and name the file here";
        return Err(Wrong::allowed(KEY_FORMS)
            .secret("a value (not shown)")
            .hint(hint));
    }
    let forms = field.table(|s| {
        [
            s.opt("file", path).map(KeyUse::File),
            s.opt("env", variable).map(KeyUse::Env),
            s.opt("credential", credential).map(KeyUse::Credential),
        ]
    })?;
    let mut given = forms.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(kind), None) => Ok(KeySource::new(kind)),
        (None, _) => Err(Wrong::allowed(KEY_FORMS).found("a table that names no place")),
        _ => Err(Wrong::allowed(format!("one of {KEY_FORMS}"))
            .found("a table that names several places")),
    }
}

/// The name of an environment variable.
pub(super) fn variable(field: &Field<'_>) -> Parsed<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = field
        .as_text()
        .filter(|text| !text.is_empty() && text.chars().all(is_name));
    name.map(str::to_owned)
        .ok_or_else(|| Wrong::allowed("the name of an environment variable"))
}

fn credential(field: &Field<'_>) -> Parsed<String> {
    let name = field
        .as_text()
        .filter(|text| !text.is_empty() && !text.contains('/') && !text.starts_with('.'));
    name.map(str::to_owned).ok_or_else(|| {
        Wrong::allowed("the name of a credential of the unit (LoadCredential=NAME:…)")
    })
}

/// A table of free keys, handed on as JSON.
pub(super) fn json_table(field: &Field<'_>) -> Parsed<serde_json::Map<String, serde_json::Value>> {
    match field.node.to_json() {
        serde_json::Value::Object(map) => Ok(map),
        _ => Err(Wrong::allowed("a table { … }")),
    }
}

/// A table of names and values.
pub(super) fn map<T>(
    check: impl Fn(&str) -> Result<(), String>,
    parse: impl for<'r> Fn(&Field<'r>) -> Parsed<T>,
) -> impl for<'r> Fn(&Field<'r>) -> Parsed<BTreeMap<String, T>> {
    move |field| {
        field.table(|section: &mut Section<'_>| {
            section.all(&|name: &str, field: &Field<'_>| match check(name) {
                Ok(()) => parse(field),
                Err(allowed) => Err(Wrong::allowed(allowed).found(format!("named \"{name}\""))),
            })
        })
    }
}

/// A log filter: a level, or levels by target.
pub(super) fn log_level(field: &Field<'_>) -> Parsed<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text(field)?;
    for part in text.split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if !LEVELS.contains(&level) {
            let wrong = Wrong::allowed(format!(
                "{}, or levels by part: \"info,sgeventd::ingest=debug\"",
                LEVELS.join(", ")
            ));
            let near = nearest(level, LEVELS);
            return Err(near
                .map(|near| format!("did you mean \"{near}\"?"))
                .into_iter()
                .fold(wrong, Wrong::hint));
        }
    }
    Ok(text)
}
