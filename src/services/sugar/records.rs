//! Records as the official client hands them out: `&lt;` is `<` again, local files have their path on this machine.
//!
//! In: raw records. Out: the same text, rebuilt only where one of the two is found.

use std::borrow::Cow;

use memchr::memmem;
use serde_json::value::RawValue;

use super::json::{self, Members, is_list, is_object, is_truthy, text};

/// What the caller gets of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Shape {
    /// As the site wrote it.
    AsIs,
    /// One record; of a list its first.
    Record,
    /// A list of records, or one.
    Records,
}

/// Gives a result the shape in which the official client returns it.
pub(in crate::services) fn shaped(result: Box<RawValue>, shape: Shape) -> Box<RawValue> {
    match shape {
        Shape::AsIs => result,
        Shape::Record if is_list(&result) => {
            let first = json::read::<Vec<&RawValue>>(&result).ok();
            let first = first.and_then(|rows| rows.first().copied());
            record(first.unwrap_or(RawValue::NULL))
        }
        Shape::Records if is_list(&result) => match needs_work(result.get()) {
            true => list(&result),
            false => result,
        },
        Shape::Record | Shape::Records => match needs_work(result.get()) {
            true => record(&result),
            false => result,
        },
    }
}

fn record(raw: &RawValue) -> Box<RawValue> {
    let text = tidy(raw).into_owned();
    RawValue::from_string(text).unwrap_or_else(|_| raw.to_owned())
}

fn list(raw: &RawValue) -> Box<RawValue> {
    let rows = json::read::<Vec<&RawValue>>(raw).unwrap_or_default();
    let rows: Vec<_> = rows.into_iter().map(tidy).collect();
    RawValue::from_string(format!("[{}]", rows.join(","))).unwrap_or_else(|_| raw.to_owned())
}

/// True when the text may hold one of the two; a look without parsing.
fn needs_work(text: &str) -> bool {
    // A site may write the ampersand as \u0026.
    ["lt;", "\"link_type\""]
        .iter()
        .any(|word| memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// One record as the official client hands it out.
pub(super) fn tidy(record: &RawValue) -> Cow<'_, str> {
    let unchanged = Cow::Borrowed(record.get());
    if !is_object(record) || !needs_work(record.get()) {
        return unchanged;
    }
    let Ok(members) = json::read::<Members<'_>>(record) else {
        return unchanged;
    };
    let mut rebuilt = String::with_capacity(record.get().len() + 64);
    for (name, value) in members.iter() {
        rebuilt.push(if rebuilt.is_empty() { '{' } else { ',' });
        rebuilt.push_str(&text(name));
        rebuilt.push(':');
        rebuilt.push_str(&member(value));
    }
    rebuilt.push('}');
    Cow::Owned(rebuilt)
}

fn member(value: &RawValue) -> Cow<'_, str> {
    let changed = match value.get().as_bytes().first() {
        Some(b'"') => unsanitized(value),
        Some(b'{') => local_file(value),
        _ => None,
    };
    changed.map_or(Cow::Borrowed(value.get()), Cow::Owned)
}

fn unsanitized(value: &RawValue) -> Option<String> {
    if !value.get().contains("lt;") {
        return None;
    }
    let plain: String = serde_json::from_str(value.get()).ok()?;
    plain
        .contains("&lt;")
        .then(|| text(&plain.replace("&lt;", "<")))
}

/// A link to a local file gets `local_path` and a `file://` url, from the path for this platform.
fn local_file(value: &RawValue) -> Option<String> {
    let members = json::read::<Members<'_>>(value).ok()?;
    if members.get("link_type")?.get() != "\"local\"" {
        return None;
    }
    let path = members.get("local_path_linux")?;
    let plain = match is_truthy(path) {
        true => serde_json::from_str::<String>(path.get()).ok()?,
        false => String::new(),
    };
    let url = json::raw(&format!("file://{plain}"));
    let mut parts: Vec<String> = Vec::new();
    for (name, value) in members
        .iter()
        .filter(|(name, _)| !matches!(*name, "local_path" | "url"))
    {
        parts.push(format!("{}:{}", text(name), value.get()));
    }
    parts.push(format!("\"local_path\":{}", path.get()));
    parts.push(format!("\"url\":{}", url.get()));
    Some(format!("{{{}}}", parts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_official_client_changes_is_changed() {
        for (record, expected) in [
            (r#"{"id": 1, "x": [1.50]}"#, r#"{"id": 1, "x": [1.50]}"#),
            (
                r#"{"id": 1, "a":"x &lt;b","m":{"a":"&lt;"}, "n": 1.50}"#,
                r#"{"id":1,"a":"x <b","m":{"a":"&lt;"},"n":1.50}"#,
            ),
            (
                r#"{"a":"\u0026lt;\u00e9","b":"\\u0026lt;"}"#,
                r#"{"a":"<é","b":"\\u0026lt;"}"#,
            ),
            (
                r#"{"f":{"link_type":"local","local_path_linux":"/a b","url":"x","id":1}}"#,
                r#"{"f":{"link_type":"local","local_path_linux":"/a b","id":1,"local_path":"/a b","url":"file:///a b"}}"#,
            ),
            (
                r#"{"f":{"link_type":"local","local_path_linux":null}}"#,
                r#"{"f":{"link_type":"local","local_path_linux":null,"local_path":null,"url":"file://"}}"#,
            ),
            (
                r#"{"f":{"link_type":"web","url":"x"}}"#,
                r#"{"f":{"link_type":"web","url":"x"}}"#,
            ),
            ("true", "true"),
        ] {
            let raw = RawValue::from_string(record.to_owned()).unwrap();
            assert_eq!(tidy(&raw), expected, "{record}");
        }
    }

    #[test]
    fn a_create_may_answer_a_list_of_one() {
        let shape = |text: &str, shape| {
            shaped(RawValue::from_string(text.into()).unwrap(), shape)
                .get()
                .to_owned()
        };
        assert_eq!(shape(r#"[{"id":1}]"#, Shape::Record), r#"{"id":1}"#);
        assert_eq!(shape("[]", Shape::Record), "null");
        assert_eq!(shape(r#"{"a":"&lt;"}"#, Shape::Record), r#"{"a":"<"}"#);
        assert_eq!(
            shape(r#"[{"a":"&lt;"}, true]"#, Shape::Records),
            r#"[{"a":"<"},true]"#
        );
        assert_eq!(shape(r#"[{"a":"&lt;"}]"#, Shape::AsIs), r#"[{"a":"&lt;"}]"#);
    }
}
