//! Arguments of calls: read into what a call needs, or in words which one does not fit, what it is and what is allowed.
//!
//! In: params as JSON. Out: a typed value, or such as "`limit` is -1; allowed: a whole number from 0".
//! Never: the name of a type of ours, a line or a column, a secret.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::secret::shown;

/// So much of a value is shown, in bytes.
const FOUND_MAX: usize = 60;

/// Reads params, or says what is wrong with them.
pub(super) fn read<'a, T: Deserialize<'a>>(params: &'a str) -> Result<T, String> {
    read_in("", params)
}

/// Reads the value of the argument of this name, or says what is wrong with it.
pub(super) fn read_in<'a, T: Deserialize<'a>>(name: &str, value: &'a str) -> Result<T, String> {
    serde_json::from_str(value).map_err(|error| wrong(name, value, &error))
}

fn wrong(name: &str, text: &str, error: &serde_json::Error) -> String {
    // The place in the params says nothing to who wrote keywords; here it says which argument it is.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    let said = said.strip_suffix(&*position).unwrap_or(&said);
    let Ok(whole) = serde_json::from_str::<&RawValue>(text) else {
        return said.to_owned();
    };
    let place = text.as_ptr() as usize + offset(text, error);
    let (path, value) = culprit(name, whole, place);
    let which = if path.is_empty() {
        "it".to_owned()
    } else {
        format!("`{path}`")
    };
    match said.rsplit_once(", expected ") {
        Some((_, expected)) => {
            let (found, allowed) = (found(value), allowed(expected));
            format!("{which} is {found}; allowed: {allowed}")
        }
        None if path.is_empty() => said.to_owned(),
        None => format!("{which}: {said}"),
    }
}

/// How many bytes of the text stand before the error.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n');
    let before = lines.take(error.line().saturating_sub(1));
    before.map(str::len).sum::<usize>() + error.column()
}

/// The innermost value at a place in memory, and the way to it from the argument of this name.
fn culprit<'a>(name: &str, whole: &'a RawValue, place: usize) -> (String, &'a RawValue) {
    let (mut path, mut value) = (name.to_owned(), whole);
    while let Some((step, part)) = part_at(value, place) {
        path.push_str(&step);
        value = part;
    }
    (path.trim_start_matches('.').to_owned(), value)
}

/// The member of an object, or the item of a list, at a place in memory.
fn part_at(value: &RawValue, place: usize) -> Option<(String, &RawValue)> {
    let text = value.get();
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let mut members = members.into_iter();
        let (name, part) = members.find(|(_, part)| holds(part, place))?;
        return Some((format!(".{name}"), part));
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let mut items = items.into_iter().enumerate();
    let (at, part) = items.find(|(_, part)| holds(part, place))?;
    Some((format!("[{at}]"), part))
}

/// True when the place is at a value or right behind it: serde stops before a list, and after a number.
fn holds(part: &RawValue, place: usize) -> bool {
    let start = part.get().as_ptr() as usize;
    (start..=start + part.get().len()).contains(&place)
}

fn found(value: &RawValue) -> String {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "a list".to_owned(),
        _ => shown(value.get(), FOUND_MAX),
    }
}

/// What serde expected, in the words of JSON.
fn allowed(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        named if named.starts_with("struct ") => "an object",
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether they can be read counts")]
    struct Params {
        name: String,
        #[serde(default)]
        sizes: Vec<u64>,
        #[serde(default)]
        inner: Option<Box<Params>>,
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let long = format!(r#"{{"name":"a","sizes":"{}"}}"#, "x".repeat(100));
        let cut = format!("`sizes` is \"{}…; allowed: a list", "x".repeat(59));
        for (params, expected) in [
            ("{}", "missing field `name`"),
            ("7", "it is 7; allowed: an object"),
            (r#"{"name":7}"#, "`name` is 7; allowed: a string"),
            (
                "{\"sizes\": [1],\n \"name\" :\n null }",
                "`name` is null; allowed: a string",
            ),
            (
                r#"{"name":"é, expected u64 at line 1 column 2","sizes":[0,-1]}"#,
                "`sizes[1]` is -1; allowed: a whole number from 0",
            ),
            (
                r#"{"name":"a","sizes":{"name":[]}}"#,
                "`sizes` is an object; allowed: a list",
            ),
            (
                r#"{"name":"a","inner":{"name":"b","inner":[]}}"#,
                "`inner.inner` is a list; allowed: an object",
            ),
            (
                r#"{"name":"a","inner":{"sizes":[5]}}"#,
                "`inner`: missing field `name`",
            ),
            (&*long, &*cut),
        ] {
            assert_eq!(read::<Params>(params).unwrap_err(), expected, "{params}");
        }
        let inner = read_in::<Params>("inner", r#"{"name":[]}"#);
        assert_eq!(
            inner.unwrap_err(),
            "`inner.name` is a list; allowed: a string"
        );
    }
}
