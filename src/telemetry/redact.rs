//! The last look at any text that leaves: known secrets go by value, whatever follows a secret's name goes by name.
//!
//! Never: a text that grows without bound, a change to a text that holds nothing of the kind.

use std::{borrow::Cow, sync::LazyLock};

use aho_corasick::AhoCorasick;

use crate::secret::{MASK, redact};

/// Names whose values are never shown, in any case, also at the end of a longer name.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "script_key",
    "session_token",
    "auth_token",
    "access_token",
    "api_key",
    "secret",
    "authorization",
    "cookie",
    "token",
];

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(NAMES)
        .ok()
});

/// The text without secrets: neither a value that is known nor one that stands behind a secret's name.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    match redact(text) {
        Cow::Borrowed(text) => by_name(text).map_or(Cow::Borrowed(text), Cow::Owned),
        Cow::Owned(text) => Cow::Owned(by_name(&text).unwrap_or(text)),
    }
}

/// True for a field name whose value must not be kept.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_key_variable = name.starts_with("sgdaemon_") && name.ends_with("_key");
    is_key_variable || NAMES.iter().any(|known| name.ends_with(known))
}

/// The text with values behind secret names masked; none when there are none.
fn by_name(text: &str) -> Option<String> {
    let finder = FINDER.as_ref()?;
    let mut out = String::new();
    let mut copied = 0;
    for found in finder.find_iter(text) {
        if found.end() < copied {
            continue;
        }
        if let Some((start, end)) = value_after(text, found.end()) {
            out.push_str(&text[copied..start]);
            out.push_str(MASK);
            copied = end;
        }
    }
    (copied > 0).then(|| {
        out.push_str(&text[copied..]);
        out
    })
}

/// The span of the value in `name = value`, `name: value`, `"name":"value"`, `\"name\":\"value\"`, `'name': 'value'`.
fn value_after(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let rest = &text[name_end..];
    let after_quote = rest.trim_start_matches(['\\', '"', '\'']);
    let is_quoted_name = after_quote.len() < rest.len();
    let after_sign = after_quote
        .trim_start_matches(' ')
        .strip_prefix(['=', ':'])?;
    let value = after_sign.trim_start_matches(' ');
    let at = text.len() - value.len();
    let quote = value.trim_start_matches('\\');
    if let Some(mark @ ('"' | '\'')) = quote.chars().next() {
        let start = text.len() - quote.len() + 1;
        return Some((start, start + quoted_len(&text[start..], mark)));
    }
    let len = value
        .find(|c: char| c.is_whitespace() || ",;)}]\"'&".contains(c))
        .unwrap_or(value.len());
    // A backslash at the end belongs to the quote of the JSON text around it.
    let word = with_scheme(value, len).trim_end_matches('\\');
    // A bare value behind a quoted name is JSON: a number or a word of JSON's own, no secret of ours.
    let is_harmless = word.is_empty()
        || word.starts_with(['{', '['])
        || matches!(word, "null" | "true" | "false" | "None" | "True" | "False");
    (!is_harmless && !is_quoted_name).then_some((at, at + word.len()))
}

/// The first word, and the second one behind it when the first only names a scheme (`Authorization: Bearer …`).
fn with_scheme(value: &str, len: usize) -> &str {
    let is_scheme = ["bearer", "basic"]
        .iter()
        .any(|known| value[..len].eq_ignore_ascii_case(known));
    let Some(rest) = value[len..].strip_prefix(' ').filter(|_| is_scheme) else {
        return &value[..len];
    };
    let second = rest
        .find(|c: char| c.is_whitespace() || "\"',;".contains(c))
        .unwrap_or(rest.len());
    &value[..len + 1 + second]
}

/// The bytes up to the closing quote; an escaped quote closes too when the opening one was escaped.
fn quoted_len(text: &str, mark: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            c if c == mark => return if is_escaped { at - 1 } else { at },
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_behind_secret_names_are_masked() {
        for (text, cleaned) in [
            ("password=hunter2 next", "password=[secret] next"),
            ("script_key: abc, x", "script_key: [secret], x"),
            (
                r#"{"session_token":"abc","id":1}"#,
                r#"{"session_token":"[secret]","id":1}"#,
            ),
            (
                r#""{\"Password\": \"a b\", \"c\": 1}""#,
                r#""{\"Password\": \"[secret]\", \"c\": 1}""#,
            ),
            (
                "{'SG_API_KEY': 'x', 'a': 'b'}",
                "{'SG_API_KEY': '[secret]', 'a': 'b'}",
            ),
            ("proxy_password = None", "proxy_password = None"),
            (
                r#"{"token":null,"secret":{"a":1}}"#,
                r#"{"token":null,"secret":{"a":1}}"#,
            ),
            ("Authorization: Bearer abc.def", "Authorization: [secret]"),
            ("the password was refused", "the password was refused"),
            ("token", "token"),
        ] {
            assert_eq!(clean(text), cleaned);
        }
    }

    #[test]
    fn json_stays_json() {
        for text in [
            r#"{"token":5,"b":[1]}"#,
            r#"{"token":"a\"b","c":"d"}"#,
            r#"{"m":"token=abc\",x"}"#,
            r#"{"m":"password: a\nb"}"#,
        ] {
            let cleaned = clean(text);
            assert!(
                serde_json::from_str::<serde_json::Value>(&cleaned).is_ok(),
                "{text} became {cleaned}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives(text in ".{0,40}(token|password)[\\\\\"' =:]{0,4}.{0,20}") {
            let _ = clean(&text).len();
        }
    }
}
