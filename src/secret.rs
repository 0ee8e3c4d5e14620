//! Secrets: a type that cannot be printed, and the one place that knows all their values, so that they can be cut out of any text.
//!
//! Never: `Display`, `Serialize`, a `Debug` that shows anything.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, RwLock},
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// What stands in the place of a secret in any output.
pub const MASK: &str = "[secret]";

/// Shorter values are not searched for: they would cut holes into ordinary text.
const SHORTEST: usize = 6;

/// A key, password or token.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes a value and makes it known to [`redact`], in its plain, JSON-escaped, URL-encoded and base64 forms.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        KNOWN
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .add(&value);
        Self(Arc::new(Zeroizing::new(value)))
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Secret {}

struct Known {
    forms: Vec<Zeroizing<String>>,
    finder: Option<AhoCorasick>,
}

static KNOWN: RwLock<Known> = RwLock::new(Known {
    forms: Vec::new(),
    finder: None,
});

impl Known {
    fn add(&mut self, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        for form in forms(value) {
            if !self.forms.iter().any(|known| **known == form) {
                self.forms.push(Zeroizing::new(form));
            }
        }
        // Longest first, so that a secret that begins with another one is cut out whole.
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.finder = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            // For `%2f` and `\\u00E9`, which are written both ways.
            .ascii_case_insensitive(true)
            .build(self.forms.iter().map(|form| form.as_bytes()))
            .ok();
    }
}

/// All that others write in the place of a value: see the tests for who does.
fn forms(value: &str) -> Vec<String> {
    let json = json_text(value);
    let mut forms = vec![json_text(&json), ascii(&json), json, value.to_owned()];
    forms.extend(URL_SETS.map(|set| utf8_percent_encode(value, set).to_string()));
    forms.push(
        utf8_percent_encode(value, FORM_SET)
            .to_string()
            .replace("%20", "+"),
    );
    // Base64 depends on how many bytes stand before it, as a user's name does in a header; the letters at both ends
    // hold bits of the neighbours.
    for (before, first) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[b'x'; 2][..before], value.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(&bytes);
        // At the end of a text the last letter is the value's own; in the middle it holds bits of what follows.
        let last = text.len() - usize::from(bytes.len() % 3 != 0);
        let text = &text[first..last];
        forms.push(text.replace('+', "-").replace('/', "_"));
        forms.push(text.to_owned());
    }
    forms
}

/// As inside the quotes of JSON.
fn json_text(value: &str) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// With all but ASCII escaped, as Python's `json` does.
fn ascii(json: &str) -> String {
    let mut units = [0; 2];
    let escaped = json.chars().map(|c| match c {
        c if c.is_ascii() => c.to_string(),
        c => {
            let units = c.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    });
    escaped.collect()
}

/// No form of a secret is longer: a key has some 70 characters, and escaped twice less than ten times as many bytes.
const FORM_MAX: usize = 4096;

/// All but letters and digits; what RFC 3986 reserves; the same without the slash, as in a path.
const URL_SETS: [&AsciiSet; 3] = [NON_ALPHANUMERIC, UNRESERVED, IN_A_PATH];
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const IN_A_PATH: &AsciiSet = &UNRESERVED.remove(b'/');
/// `application/x-www-form-urlencoded`.
const FORM_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*');

/// The text with every known secret replaced by [`MASK`]; borrowed when it holds none.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(finder) = known.finder.as_ref() else {
        return Cow::Borrowed(text);
    };
    if !finder.is_match(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(finder.replace_all(text, &vec![MASK; known.forms.len()]))
}

/// The beginning of a text of somebody else for people, at most `max` bytes and a mark, without secrets.
///
/// A secret that the cut would halve is not shown by half: of a long text more is read than is shown.
#[must_use]
pub fn shown(text: &str, max: usize) -> String {
    let end = text.floor_char_boundary(max + FORM_MAX);
    let whole = redact(&text[..end]);
    let keeps = if end < text.len() {
        max.min(whole.len().saturating_sub(FORM_MAX))
    } else {
        max
    };
    if whole.len() <= keeps {
        return whole.into_owned();
    }
    let keeps = whole.floor_char_boundary(keeps);
    format!("{}…", &whole[..keeps])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_shows_no_half_of_a_secret() {
        let _secret = Secret::new("canary-at-the-cut");
        assert_eq!(shown("short", 8), "short");
        assert_eq!(shown("läng", 2), "l…");
        let text = |before: usize| {
            format!(
                "{}canary-at-the-cut{}",
                "x".repeat(before),
                "y".repeat(9000)
            )
        };
        for before in (0..40).chain(FORM_MAX..FORM_MAX + 40) {
            let shown = shown(&text(before), 16);
            assert!(
                shown.len() <= 16 + "…".len() && !shown.contains("can"),
                "{shown}"
            );
        }
        assert!(shown(&"z".repeat(1 << 20), 4096).len() < 5000);
    }

    #[test]
    fn a_secret_is_cut_out_in_every_form() {
        let secret = Secret::new("can-\"ary é key/1");
        assert_eq!(format!("{secret:?}"), MASK);
        for (form, who) in [
            ("can-\"ary é key/1", "a print"),
            (r#"can-\"ary é key/1"#, "JSON"),
            (r#"can-\\\"ary é key/1"#, "JSON inside of JSON"),
            (r#"can-\"ary \u00e9 key/1"#, "Python's json"),
            (
                "can-%22ary%20%C3%A9%20key%2F1",
                "urllib.parse.quote with safe=\"\"",
            ),
            ("can-%22ary%20%C3%A9%20key/1", "urllib.parse.quote"),
            ("can-%22ary+%C3%A9+key%2F1", "urllib.parse.quote_plus"),
            ("can-%22ary%20%c3%a9%20key%2f1", "other libraries"),
            ("can%2D%22ary%20%C3%A9%20key%2F1", "who escapes all"),
            ("Y2FuLSJhcnkgw6kga2V5LzE=", "base64"),
        ] {
            let cut = redact(form);
            assert!(cut.starts_with(MASK), "{who}: {form} became {cut}");
        }
        for before in ["u", "us", "use", "user"] {
            let header = STANDARD_NO_PAD.encode(format!("{before}:can-\"ary é key/1"));
            let cut = redact(&header);
            assert!(cut.contains(MASK) && cut.len() < header.len(), "{cut}");
        }
        assert!(matches!(redact("nothing here"), Cow::Borrowed(_)));
    }
}
