//! Deliveries: a request with its signature, and the record of what came of it.
//!
//! Never: more of an answer than its first hundred letters.

use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha1::Sha1;

use super::{Hook, Token, Unix};

/// So much of an answer is kept.
const ANSWER_MAX: usize = 100;

/// A request that is to be sent.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Sending {
    pub(super) hook: String,
    pub(super) numbers: Vec<u64>,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) timeout_ms: i64,
    pub(super) validates_certificates: bool,
}

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Outcome {
    /// 0 when nothing came.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) took_ms: i64,
}

impl Outcome {
    /// What is below 400; a redirect is not followed, and is as good.
    pub(super) fn is_success(&self) -> bool {
        (1..400).contains(&self.status)
    }
}

impl Sending {
    /// A request with its signature.
    pub(super) fn new(
        hook: &Hook,
        delivery: &str,
        numbers: Vec<u64>,
        body: &Value,
        timeout_ms: i64,
    ) -> Self {
        let body = body.to_string();
        let count = numbers.len();
        let mut headers = vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json; charset=utf-8".into()),
            ("x-sg-webhook-id", hook.id.clone()),
            ("x-sg-delivery-id", delivery.to_owned()),
            ("x-sg-event-batch-size", count.to_string()),
            ("x-sg-event-batch-index", "0".into()),
        ];
        if let Some(token) = &hook.token {
            headers.push(("x-sg-signature", signature(token, &body)));
        }
        // A second for each event when that is more.
        let per_event = i64::try_from(count)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        let timeout_ms = if count > 1 {
            timeout_ms.max(per_event)
        } else {
            timeout_ms
        };
        Self {
            hook: hook.id.clone(),
            numbers,
            url: hook.url.clone(),
            headers,
            body,
            timeout_ms,
            validates_certificates: hook.validates_certificates,
        }
    }
}

fn signature(token: &Token, body: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(token.0.as_bytes())
        .expect("a key of any length makes a signature");
    mac.update(body.as_bytes());
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha1={hex}")
}

/// What is remembered of a delivery.
#[derive(Debug)]
pub(in crate::sandbox) struct Delivery {
    pub(super) id: String,
    pub(super) hook: String,
    pub(super) item: Value,
    pub(super) at: Unix,
    /// Not answered yet.
    pub(super) is_waiting: bool,
    pub(super) acknowledgement: Option<String>,
    request_headers: Value,
    request_body: Value,
    outcome: Option<Outcome>,
}

impl Delivery {
    /// One that waits.
    pub(super) fn new(id: String, hook: String, item: Value, at: Unix) -> Self {
        Self {
            id,
            hook,
            item,
            at,
            is_waiting: true,
            acknowledgement: None,
            request_headers: Value::Null,
            request_body: Value::Null,
            outcome: None,
        }
    }

    /// It is on its way.
    pub(super) fn begin(&mut self, sending: &Sending, now: Unix) {
        self.at = now;
        let headers = sending.headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        self.request_headers = Value::Object(headers.collect::<Map<String, Value>>());
        self.request_body = serde_json::from_str(&sending.body).unwrap_or_default();
    }

    /// It was answered, or not.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        self.is_waiting = false;
        self.outcome = Some(outcome.clone());
    }

    /// `pending`, `delivered` or `failed`
    pub(in crate::sandbox) fn status(&self) -> &'static str {
        match &self.outcome {
            _ if self.is_waiting => "pending",
            Some(outcome) if outcome.is_success() => "delivered",
            _ => "failed",
        }
    }

    /// Whether it is about an entity.
    pub(in crate::sandbox) fn is_about(&self, kind: Option<&str>, id: Option<i64>) -> bool {
        let entity = &self.item["entity"];
        kind.is_none_or(|kind| entity["type"] == kind) && id.is_none_or(|id| entity["id"] == id)
    }

    /// Whether it was sent at that second or later.
    pub(in crate::sandbox) fn is_since(&self, seconds: i64) -> bool {
        self.at.0.div_euclid(1000) >= seconds
    }

    /// Whether the receiver said this of it.
    pub(in crate::sandbox) fn has_word(&self, word: &str) -> bool {
        self.acknowledgement
            .as_ref()
            .is_some_and(|text| text.contains(word))
    }

    /// How long the receiver took.
    pub(in crate::sandbox) fn took_ms(&self) -> i64 {
        self.outcome.as_ref().map_or(0, |outcome| outcome.took_ms)
    }

    /// When it was sent, in seconds.
    pub(in crate::sandbox) fn seconds(&self) -> i64 {
        self.at.0.div_euclid(1000)
    }

    /// What is told of it.
    pub(in crate::sandbox) fn told(&self) -> Value {
        let none = Outcome::default();
        let outcome = self.outcome.as_ref().unwrap_or(&none);
        let headers = outcome.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.as_str().into()));
        let headers: Map<String, Value> = headers.collect();
        let headers = (outcome.status > 0).then_some(headers);
        let body: String = outcome.body.chars().take(ANSWER_MAX).collect();
        json!({
            "id": self.id, "event_time": self.seconds(), "status": self.status(),
            "process_time": as_seconds(outcome.took_ms), "body": body,
            "response_code": outcome.status, "acknowledgement": self.acknowledgement,
            "request_headers": self.request_headers, "response_headers": headers,
            "request_body": self.request_body,
        })
    }
}

/// Thousandths as seconds with a fraction.
pub(in crate::sandbox) fn as_seconds(ms: i64) -> f64 {
    f64::from(i32::try_from(ms).unwrap_or(i32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_the_site_signs_it() {
        let body =
            r#"{"data":{"id":"1.2.0","event_log_entry_id":7},"timestamp":"2026-01-01T00:00:00Z"}"#;
        let signed = signature(&Token::new("mytoken"), body);
        assert_eq!(signed, "sha1=158d399c62e542a46722fb464a7b81031aeafeb3");
    }

    #[test]
    fn three_hundred_is_as_good_as_two_hundred_and_nothing_is_not() {
        for (status, is_success) in [
            (200, true),
            (302, true),
            (399, true),
            (400, false),
            (500, false),
            (0, false),
        ] {
            let outcome = Outcome {
                status,
                ..Outcome::default()
            };
            assert_eq!(outcome.is_success(), is_success, "{status}");
        }
    }
}
