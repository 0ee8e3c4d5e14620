//! Answers of HTTP, and what may come in place of one.

use super::Kind;

/// What the caller gets.
#[derive(Debug)]
pub(in crate::sandbox) enum Outcome {
    /// An answer.
    Answer(Answer),
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Closed,
    /// Nothing, until trouble is cleared.
    Hang,
    /// Bytes that no server should send.
    Raw(Kind),
}

/// An answer of HTTP.
#[derive(Debug)]
pub(in crate::sandbox) struct Answer {
    /// The status.
    pub(in crate::sandbox) status: u16,
    /// The type of the body.
    pub(in crate::sandbox) content_type: &'static str,
    /// Seconds.
    pub(in crate::sandbox) retry_after: Option<u32>,
    /// The body.
    pub(in crate::sandbox) body: String,
    /// More headers.
    pub(in crate::sandbox) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// JSON, as it should be.
    pub(in crate::sandbox) fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json; charset=utf-8",
            retry_after: None,
            body,
            headers: Vec::new(),
        }
    }

    /// A page for people.
    pub(super) fn page(status: u16, retry_after: Option<u32>, title: &str, text: &str) -> Self {
        Self {
            status,
            content_type: "text/html; charset=utf-8",
            retry_after,
            body: format!(
                "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
            ),
            headers: Vec::new(),
        }
    }
}
