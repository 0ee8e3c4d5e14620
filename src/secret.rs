//! Secrets: a type that cannot be printed, and the one place that knows all their values, so that they can be cut out of any text.
//!
//! Never: `Display`, `Serialize`, a `Debug` that shows anything.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, RwLock},
};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
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
        let json = serde_json::to_string(value).unwrap_or_default();
        let url = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        let base64 = base64::engine::general_purpose::STANDARD.encode(value);
        for form in [
            value,
            json.trim_matches('"'),
            &url,
            base64.trim_end_matches('='),
        ] {
            if !self.forms.iter().any(|known| known.as_str() == form) {
                self.forms.push(Zeroizing::new(form.to_owned()));
            }
        }
        // Longest first, so that a secret that begins with another one is cut out whole.
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.finder = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            .build(self.forms.iter().map(|form| form.as_bytes()))
            .ok();
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_cut_out_in_every_form() {
        let secret = Secret::new("can\"ary key/1");
        assert_eq!(format!("{secret:?}"), MASK);
        for form in [
            "can\"ary key/1",
            r#"can\"ary key/1"#,
            "can%22ary%20key%2F1",
            "Y2FuImFyeSBrZXkvMQ==",
        ] {
            let cut = redact(form);
            assert!(cut.starts_with(MASK), "{form} became {cut}");
        }
        assert!(matches!(redact("nothing here"), Cow::Borrowed(_)));
    }
}
