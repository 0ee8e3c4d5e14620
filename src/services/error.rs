//! What a plugin's call is answered with when it fails: a code of the protocol, words, and data for programs.
//!
//! In: what went wrong at the site, in the config, in the params. Out: an error as the protocol has it.
//! Never: a secret, an error without data.

use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use sgeventd_protocol::ErrorCode;

use super::{
    caller::CallerSetup,
    needed::{Missing, Needed},
};
use crate::{
    secret::redact,
    site::{SiteError, permissions::Refusal},
};

/// An error as it goes to the plugin.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} ({})", *code as i64)]
pub struct RpcError {
    /// What kind.
    pub code: ErrorCode,
    /// For people, without secrets.
    pub message: String,
    /// For programs; always an object.
    pub data: Box<RawValue>,
}

impl RpcError {
    /// Any error.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl AsRef<str>, data: &Value) -> Self {
        Self {
            code,
            message: redact(message.as_ref()).into_owned(),
            data: to_raw_value(data).expect("a tree of JSON always encodes"),
        }
    }

    /// The params of a method do not fit.
    #[must_use]
    pub fn params(method: &str, what: impl AsRef<str>) -> Self {
        let message = format!("{method}: {}", what.as_ref());
        Self::new(
            ErrorCode::InvalidParams,
            message,
            &json!({ "method": method }),
        )
    }

    /// A line is missing in the config, or in the manifest; none: nothing would help.
    pub(super) fn permission(message: impl AsRef<str>, needed: Option<&Needed>) -> Self {
        let message = match needed {
            Some(needed) => format!("{}; needed: {needed}", message.as_ref()),
            None => message.as_ref().to_owned(),
        };
        let data = json!({ "needed": needed.map(Needed::pasted) });
        Self::new(ErrorCode::Permission, message, &data)
    }

    pub(super) fn refused(refusal: &Refusal, setup: &CallerSetup) -> Self {
        match refusal {
            Refusal::Payload { method, what } => Self::params(method, what),
            Refusal::Credential { .. } => Self::permission(refusal.to_string(), None),
            Refusal::Missing {
                side,
                needed,
                present,
            } => {
                let mut grants = present.clone();
                grants.push(needed.to_string());
                let needed = Needed::permissions(setup, *side, Missing::Grants(grants));
                Self::permission(refusal.to_string(), Some(&needed))
            }
        }
    }

    pub(super) fn too_large(limit: usize, is_sent: bool) -> Self {
        let message = format!(
            "the result is larger than {} MiB; ask for fewer rows or fields",
            limit >> 20
        );
        let data = json!({ "limit_bytes": limit, "sent": is_sent });
        Self::new(ErrorCode::TooLarge, message, &data)
    }

    /// What went wrong at the site, as the protocol says it.
    pub(super) fn site(error: &SiteError, method: &str) -> Self {
        match error {
            SiteError::Fault { code, message, .. } => fault(message, *code, method),
            SiteError::Auth { code, message, .. } => fault(message, Some(*code), method),
            SiteError::TooLarge { limit } => Self::too_large(*limit, false),
            SiteError::MaybeDone(inner) => match **inner {
                SiteError::TooLarge { limit } => Self::too_large(limit, true),
                _ => unavailable(error, method, true),
            },
            _ => unavailable(error, method, false),
        }
    }
}

fn fault(message: &str, code: Option<i64>, method: &str) -> RpcError {
    let data = json!({ "fault": { "message": redact(message), "code": code }, "method": method });
    RpcError::new(ErrorCode::Fault, message, &data)
}

fn unavailable(error: &SiteError, method: &str, is_sent: bool) -> RpcError {
    let data = json!({ "sent": is_sent, "status": error.status(), "method": method });
    RpcError::new(ErrorCode::SiteUnavailable, error.to_string(), &data)
}
