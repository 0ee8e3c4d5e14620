//! Forms: fields and files of a post, in either of the two forms of the web.
//!
//! In: a content type, a body. Out: fields as text, files with their names.
//! Never: a copy of a file.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value};

/// More fields than any form has.
const FIELDS_MAX: usize = 1000;

/// A file in a form.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct FilePart {
    pub(super) name: String,
    pub(super) content_type: Option<String>,
    pub(super) bytes: Bytes,
}

/// What was sent.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Form {
    /// Text; those of a caller are read like the first parameter of a call.
    pub(in crate::sandbox) fields: Value,
    /// By the name of their field.
    pub(super) files: HashMap<String, FilePart>,
}

impl Form {
    /// Fields without a file.
    pub(in crate::sandbox) fn of(fields: Value) -> Self {
        Self {
            fields,
            files: HashMap::new(),
        }
    }

    /// Reads a body.
    pub(in crate::sandbox) fn read(content_type: &str, body: &Bytes) -> Result<Self, String> {
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Ok(Self::pairs(body)),
            "multipart/form-data" => {
                let boundary = parameter(rest, "boundary").filter(|b| !b.is_empty());
                let boundary = boundary.ok_or("a form in parts needs a boundary")?;
                Self::parts(body, &boundary)
            }
            other => Err(format!("{other:?} is no form")),
        }
    }

    /// A query or a short form.
    pub(super) fn pairs(body: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(body).take(FIELDS_MAX);
        let fields: Map<String, Value> = pairs
            .map(|(key, value)| (key.into_owned(), value.into_owned().into()))
            .collect();
        Self {
            fields: fields.into(),
            files: HashMap::new(),
        }
    }

    fn parts(body: &Bytes, boundary: &str) -> Result<Self, String> {
        let first = format!("--{boundary}");
        let next = memmem::Finder::new(b"\r\n--").into_owned();
        let mut fields = Map::new();
        let mut files = HashMap::new();
        let mut at = memmem::find(body, first.as_bytes()).ok_or("the boundary is not there")?;
        loop {
            at += first.len();
            if body[at..].starts_with(b"--") {
                break;
            }
            if fields.len() + files.len() >= FIELDS_MAX {
                return Err("too many fields".into());
            }
            let head = at;
            let end = memmem::find(&body[head..], b"\r\n\r\n");
            let start = head + end.ok_or("a part without an end of its head")? + 4;
            let head = String::from_utf8_lossy(&body[head..start]).into_owned();
            let mut end = start;
            // The boundary stands at the start of a line: look for lines that begin like one.
            loop {
                let found = next.find(&body[end..]);
                end += found.ok_or("a part without an end")?;
                if body[end + 2..].starts_with(first.as_bytes()) {
                    break;
                }
                end += 2;
            }
            let bytes = body.slice(start..end);
            let disposition = header(&head, "content-disposition").unwrap_or_default();
            let name = parameter(disposition, "name").ok_or("a part without a name")?;
            match parameter(disposition, "filename") {
                Some(file) => {
                    let content_type = header(&head, "content-type").map(str::to_owned);
                    let part = FilePart {
                        name: file,
                        content_type,
                        bytes,
                    };
                    files.insert(name, part);
                }
                None => {
                    fields.insert(name, String::from_utf8_lossy(&bytes).into());
                }
            }
            at = end + 2;
        }
        Ok(Self {
            fields: fields.into(),
            files,
        })
    }

    /// A field, if it is there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields[name].as_str()
    }

    /// A field, or a word about its absence.
    pub(super) fn need(&self, name: &str) -> Result<&str, String> {
        let text = self.text(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("missing '{name}'"))
    }

    /// Whether a box is checked; Python writes `True`.
    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.text(name), Some("True" | "true" | "1"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// `b` of `; a="b"; c=d`; a quote ends at the next one, because nobody escapes them.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(';').or_else(|| {
        let is_start = rest.len() == text.len() && rest.contains('=');
        is_start.then_some(("", rest))
    }) {
        let (key, value) = after.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let end = value.find(';').unwrap_or(value.len());
                value.split_at(end)
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        if after.len() == rest.len() {
            return None;
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_bytes_like_a_boundary_are_left_in_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"entity_type\"\r\n\r\nVersion\r\n\
            --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../a;b.mov\"\r\n\
            Content-Type: video/quicktime\r\n\r\n\r\n--x\r\n\r\n--b--\r\n\r\n";
        let form = Form::read("multipart/form-data; boundary=b", &body.into()).unwrap();
        assert_eq!(form.text("entity_type"), Some("Version"));
        let file = &form.files["file"];
        assert_eq!(file.name, "../a;b.mov");
        assert_eq!(file.content_type.as_deref(), Some("video/quicktime"));
        assert_eq!(&file.bytes[..], b"\r\n--x\r\n");
    }

    #[test]
    fn half_a_form_is_refused_in_words() {
        for (kind, body, words) in [
            ("application/json", "{}", "is no form"),
            ("multipart/form-data", "", "needs a boundary"),
            ("multipart/form-data; boundary=b", "x", "not there"),
            ("multipart/form-data; boundary=b", "--b\r\n", "of its head"),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nA: b\r\n\r\nc",
                "without an end",
            ),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nA: b\r\n\r\nc\r\n--b--",
                "without a name",
            ),
            ("multipart/form-data; boundary=b", "--b", "of its head"),
        ] {
            let refused = Form::read(kind, &body.into()).unwrap_err();
            assert!(refused.contains(words), "{kind} {body:?}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_form_ends_the_program(body in "[-b\r\n:;= \"aname]{0,200}") {
            let body = Bytes::from(format!("--b{body}"));
            let _any = Form::read("multipart/form-data; boundary=b", &body);
        }
    }
}
