//! Refusals of REST: one error in an envelope, with a status of its own.
//!
//! In: faults of API3, parameters that are wrong, addresses that lead nowhere. Out: an answer.
//! Never: an error without a number of the site.

use serde_json::{Map, Value, json};

use crate::sandbox::{fault::Fault, trouble::Answer};

/// What the site's numbers are called: a request that makes no sense.
const REQUEST: u32 = 103;
/// A request that cannot be done.
const OPERATION: u32 = 104;
/// What the site says of itself when it breaks.
const UNKNOWN: u32 = 100;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    status: u16,
    code: u32,
    title: String,
    source: Value,
    detail: Option<String>,
}

impl Refusal {
    fn new(status: u16, code: u32, title: impl Into<String>) -> Self {
        Self {
            status,
            code,
            title: title.into(),
            source: json!({}),
            detail: None,
        }
    }

    /// A request that makes no sense.
    pub(super) fn request(title: impl Into<String>) -> Self {
        Self::new(400, REQUEST, title)
    }

    /// Parameters that are wrong, each with what is wrong with it.
    pub(super) fn parameters(source: Value) -> Self {
        Self {
            source,
            ..Self::request("Request Parameters invalid.")
        }
    }

    /// One such parameter: `size` and `size must be greater than 0`.
    pub(super) fn parameter(name: &str, why: &str) -> Self {
        Self::parameters(json!({name: [format!("{name} {why}")]}))
    }

    /// A body that is not what it has to be.
    pub(super) fn body(why: &str) -> Self {
        Self {
            source: json!({"body": [why]}),
            ..Self::request(format!("Invalid JSON body. {why}"))
        }
    }

    /// A body of a kind that is not taken here.
    pub(super) fn content_type(given: &str, allowed: &[&str]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|kind| format!("'{kind}'")).collect();
        let allowed = allowed.join(", ");
        Self {
            source: json!({"content_type": format!("Content-Type must be one of: {allowed}.")}),
            ..Self::new(415, REQUEST, format!("Unsupported Content-Type '{given}'"))
        }
    }

    /// An answer is wanted in a kind that nobody makes.
    pub(super) fn accept(given: &str) -> Self {
        Self {
            source: json!({"accept": "Accept must be one of: 'application/json'."}),
            ..Self::new(406, REQUEST, format!("Unsupported Accept '{given}'"))
        }
    }

    /// An address, or a verb at it, that leads nowhere.
    pub(super) fn nowhere() -> Self {
        Self {
            source: Value::Null,
            ..Self::new(404, REQUEST, "Not Found")
        }
    }

    /// A type or a field that there is not.
    pub(super) fn unknown(what: String) -> Self {
        Self {
            detail: Some(what.clone()),
            ..Self::new(404, REQUEST, what)
        }
    }

    /// A row that there is not.
    pub(super) fn absent(what: impl Into<String>) -> Self {
        let what = what.into();
        Self {
            detail: Some(what.clone()),
            ..Self::new(404, OPERATION, what)
        }
    }

    /// Nobody who may.
    pub(super) fn unauthorized() -> Self {
        Self {
            source: Value::Null,
            detail: Some("Request rejected due to invalid credentials.".into()),
            ..Self::new(401, 102, "Unauthorized")
        }
    }

    /// More than is taken.
    pub(super) fn too_big(title: &str) -> Self {
        Self::new(413, REQUEST, title)
    }

    /// Where the site itself breaks.
    pub(super) fn broken() -> Self {
        Self {
            source: Value::Null,
            ..Self::new(500, UNKNOWN, "Shotgun Server Error")
        }
    }

    /// An answer of HTTP that was ordered, in the words of the site.
    pub(super) fn ordered(status: u16) -> Self {
        match status {
            429 => Self::new(429, REQUEST, "Too Many Requests"),
            500 => Self::broken(),
            _ => Self::new(400, OPERATION, "API trouble on demand"),
        }
    }

    /// The same about another part of the request.
    pub(super) fn with_source(self, source: Value) -> Self {
        Self { source, ..self }
    }

    /// The same with another number.
    pub(super) fn with_code(self, code: u32) -> Self {
        Self { code, ..self }
    }

    /// The same with another status.
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The answer; every error has an id of its own.
    pub(super) fn answer(&self, id: u64) -> Answer {
        let Self {
            status,
            code,
            title,
            source,
            detail,
        } = self;
        // As wide as the site's, and different for each call.
        let id = u128::from(id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let error = json!({
            "id": format!("{id:032x}"), "status": status, "code": code, "title": title,
            "source": source, "detail": detail, "meta": null,
        });
        Answer {
            status: *status,
            ..Answer::json(json!({"errors": [error]}).to_string())
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        if let Some(what) = fault.missing() {
            return Self::absent(what);
        }
        let status = if fault.is_about_credentials() {
            401
        } else {
            400
        };
        Self::new(status, fault.code(), fault.to_string())
    }
}

/// Parameters of one request, looked at together so that one answer names all that is wrong.
#[derive(Debug, Default)]
pub(super) struct Wrong(Map<String, Value>);

impl Wrong {
    /// Says what is wrong with a parameter.
    pub(super) fn add(&mut self, name: &str, why: &str) {
        self.0
            .insert(name.to_owned(), json!([format!("{name} {why}")]));
    }

    /// Says what is wrong inside a parameter.
    pub(super) fn nest(&mut self, name: &str, inner: Self) {
        if !inner.0.is_empty() {
            self.0.insert(name.to_owned(), inner.0.into());
        }
    }

    /// Refuses when anything was.
    pub(super) fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Refusal::parameters(self.0.into()))
    }
}
