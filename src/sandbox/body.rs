//! Bodies: JSON as callers send it, nested deeper than the usual reader goes, but not without an end.
//!
//! In: bytes. Out: a value, or why it is none.
//! Never: recursion; whoever nests a million lists gets an answer.

use serde_json::{Map, Value};

/// A filter of 265 groups, the most that a site looks through, is a list and a map in each of them.
const DEEPEST: usize = 600;
/// The usual reader goes so deep.
const USUAL: usize = 120;

/// Reads a body.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let depth = depth(bytes);
    if depth > DEEPEST {
        return Err(format!(
            "nested {depth} levels deep; at most {DEEPEST} are read"
        ));
    }
    if depth <= USUAL {
        return serde_json::from_slice(bytes).map_err(|error| error.to_string());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Deep { text, at: 0 }.read()
}

/// How deep lists and maps are nested.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, String),
}

struct Deep<'a> {
    text: &'a str,
    at: usize,
}

impl Deep<'_> {
    fn read(mut self) -> Result<Value, String> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    if !self.take(b']') {
                        open.push(Open::List(Vec::new()));
                        continue;
                    }
                    Value::Array(Vec::new())
                }
                Some(b'{') => {
                    self.at += 1;
                    if !self.take(b'}') {
                        let key = self.key()?;
                        open.push(Open::Map(Map::new(), key));
                        continue;
                    }
                    Value::Object(Map::new())
                }
                _ => self.plain()?,
            };
            // What ends here may end what it is in, too.
            loop {
                let Some(inner) = open.pop() else {
                    return if self.peek().is_none() {
                        Ok(value)
                    } else {
                        Err(self.wrong("the end"))
                    };
                };
                match inner {
                    Open::List(mut list) => {
                        list.push(value);
                        if self.take(b',') {
                            open.push(Open::List(list));
                            break;
                        }
                        self.need(b']')?;
                        value = Value::Array(list);
                    }
                    Open::Map(mut map, key) => {
                        map.insert(key, value);
                        if self.take(b',') {
                            let key = self.key()?;
                            open.push(Open::Map(map, key));
                            break;
                        }
                        self.need(b'}')?;
                        value = Value::Object(map);
                    }
                }
            }
        }
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn need(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.wrong(&format!("`{}`", char::from(byte))))
        }
    }

    fn key(&mut self) -> Result<String, String> {
        let key = if self.peek() == Some(b'"') {
            self.plain()?
        } else {
            Value::Null
        };
        let Value::String(key) = key else {
            return Err(self.wrong("a key"));
        };
        self.need(b':')?;
        Ok(key)
    }

    /// Text, a number, a word: whatever ends before the next sign.
    fn plain(&mut self) -> Result<Value, String> {
        let is_text = self.peek() == Some(b'"');
        let rest = &self.text[self.at..];
        let mut is_escaped = false;
        let mut bytes = rest.bytes().enumerate().skip(usize::from(is_text));
        let end = bytes.find(|(_, byte)| {
            if !is_text {
                return matches!(
                    byte,
                    b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n'
                );
            }
            let is_end = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            is_end
        });
        let end = end.map_or(rest.len(), |(at, _)| at + usize::from(is_text));
        let value = serde_json::from_str(&rest[..end]).map_err(|_cause| self.wrong("a value"))?;
        self.at += end;
        Ok(value)
    }

    fn wrong(&self, expected: &str) -> String {
        format!("expected {expected} at byte {}", self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(levels: usize, inner: &str) -> String {
        format!(
            "{}{inner}{}",
            "[{\"a\":".repeat(levels),
            "}]".repeat(levels)
        )
    }

    #[test]
    fn deep_values_are_read_and_bottomless_ones_refused() {
        let read = |text: String| read(text.as_bytes());
        assert!(read(nested(300, "1")).is_ok());
        assert!(read(nested(301, "1")).unwrap_err().contains("602 levels"));
        assert!(read("[".repeat(1_000_000)).is_err());
        for wrong in ["NaN", "tru", "\"a", "1 2", "", "{1:2}", "[1,]", "1]["] {
            assert!(read(nested(100, wrong)).is_err(), "{wrong}");
        }
        assert!(read(nested(100, "1") + "x").is_err());
        assert!(read("NaN".into()).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_map(|n| Value::from(f64::from(n))),
            ".*".prop_map(Value::from),
        ];
        plain.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_deep_reader_reads_what_the_usual_one_reads(value in value(), is_pretty: bool) {
            let text = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let read = Deep { text: &text, at: 0 }.read();
            prop_assert_eq!(read, serde_json::from_str(&text).map_err(|error| error.to_string()));
        }
    }
}
