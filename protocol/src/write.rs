//! Messages to bytes, one line each; raw JSON that passes through is copied, never rebuilt.

use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    RpcError,
    message::{Delivery, EventMeta},
};

/// Appends a request.
pub fn request(out: &mut Vec<u8>, id: u64, method: &str, params: &impl Serialize) {
    let _infallible = write!(
        out,
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":"#
    );
    value(out, params);
    out.extend_from_slice(b"}\n");
}

/// Appends a notification.
pub fn notification(out: &mut Vec<u8>, method: &str, params: &impl Serialize) {
    let _infallible = write!(out, r#"{{"jsonrpc":"2.0","method":"{method}","params":"#);
    value(out, params);
    out.extend_from_slice(b"}\n");
}

/// Appends an event request: head, the body's own bytes (one line of JSON), tail.
pub fn event(out: &mut Vec<u8>, id: u64, delivery: &Delivery, meta: &EventMeta, body: &[u8]) {
    out.reserve(body.len() + 300);
    let _infallible = write!(
        out,
        r#"{{"jsonrpc":"2.0","id":{id},"method":"event","params":{{"delivery":"#
    );
    value(out, delivery);
    out.extend_from_slice(br#","_meta":"#);
    value(out, meta);
    out.extend_from_slice(br#","event":"#);
    out.extend_from_slice(body);
    out.extend_from_slice(b"}}\n");
}

/// Appends a result; `id` is echoed as it came, newlines between tokens of the result are left out.
pub fn result(out: &mut Vec<u8>, id: &RawValue, result: &RawValue) {
    let _infallible = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
    one_line(out, result.get());
    out.extend_from_slice(b"}\n");
}

/// Appends an error.
pub fn error(out: &mut Vec<u8>, id: &RawValue, error: &RpcError) {
    let _infallible = write!(out, r#"{{"jsonrpc":"2.0","id":{id},"error":"#);
    value(out, error);
    out.extend_from_slice(b"}\n");
}

fn value(out: &mut Vec<u8>, value: &impl Serialize) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Only a map with keys that are no text fails, and none of our types has one.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    // Raw JSON inside the value may hold newlines between tokens.
    if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
        let text = out.split_off(start);
        out.extend(
            text.into_iter()
                .filter(|byte| !matches!(byte, b'\n' | b'\r')),
        );
    }
}

fn one_line(out: &mut Vec<u8>, json: &str) {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        out.extend_from_slice(json.as_bytes());
    } else {
        out.extend(json.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_line() {
        let mut out = Vec::new();
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        result(&mut out, &raw("\"a\""), &raw("{\n\"x\": 1}"));
        error(
            &mut out,
            &raw("7"),
            &RpcError::new(crate::ErrorCode::Busy, "a\nb").with(&raw("[1,\n2]")),
        );
        let delivery = Delivery {
            attempt: 1,
            deadline_ms: 5,
            behind: 0,
            matched: vec!["m".into()],
            replay: false,
            progress: None,
        };
        let meta = EventMeta {
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        };
        event(&mut out, 1_000_001, &delivery, &meta, br#"{"id":3}"#);
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], r#"{"jsonrpc":"2.0","id":"a","result":{"x": 1}}"#);
        for line in &lines {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "{line}"
            );
        }
        assert!(lines[2].ends_with(r#""event":{"id":3}}}"#), "{}", lines[2]);
    }
}
