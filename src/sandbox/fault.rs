//! Faults: what the site says when it will not do what it was asked.
//!
//! Never: an HTTP status; API3 answers faults with 200, REST finds its own.

use std::fmt;

use serde_json::{Value, json};

/// A refusal, with the site's code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: u32,
    message: String,
    /// `Entity of type [Shot] with id=9 does not exist.`
    absent: Option<String>,
}

impl Fault {
    /// Who are you? (102)
    pub(super) fn auth(message: impl Into<String>) -> Self {
        Self::new(102, message)
    }

    /// The request makes no sense. (103)
    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::new(103, message)
    }

    /// The request makes sense and cannot be done. (104)
    pub(super) fn operation(message: impl Into<String>) -> Self {
        Self::new(104, message)
    }

    /// There is no such entity. (104)
    pub(super) fn absent(method: &str, what: String) -> Self {
        Self {
            absent: Some(what.clone()),
            ..Self::operation(format!("API {method}() CRUD ERROR #3: {what}"))
        }
    }

    /// And the code of your telephone? (106)
    pub(super) fn second_factor(message: impl Into<String>) -> Self {
        Self::new(106, message)
    }

    /// The site's number for it.
    pub(super) fn code(&self) -> u32 {
        self.code
    }

    /// What does not exist, if that is why.
    pub(super) fn missing(&self) -> Option<&str> {
        self.absent.as_deref()
    }

    /// True when the site does not know who calls.
    pub(super) fn is_about_credentials(&self) -> bool {
        self.code == 102
    }

    fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            absent: None,
        }
    }

    /// The same refusal with the place in a batch in front.
    pub(super) fn in_batch(self, index: usize) -> Self {
        let inner = self.message;
        Self {
            code: self.code,
            absent: self.absent,
            message: format!(
                "API batch() request with index {index} failed.  All requests rolled back.\n{inner}"
            ),
        }
    }

    /// As it stands in the body.
    pub(super) fn body(&self) -> Value {
        json!({"exception": true, "message": self.message, "error_code": self.code})
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
