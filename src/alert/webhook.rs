//! The same alerts as JSON to one address, which is a secret.
//!
//! In: what was shown. Out: one POST each.
//! Never: the address in an error or a log line.

use std::time::Duration;

use serde::Serialize;

use super::{
    cause::{Alert, Grade},
    machine::Shown,
};
use crate::{clock::Unix, secret::Secret, telemetry::clean};

const TIMEOUT: Duration = Duration::from_secs(15);

/// What is posted.
#[derive(Debug, Serialize)]
struct Post<'a> {
    event: &'static str,
    time: String,
    site: &'a str,
    host: &'a str,
    cause: &'a str,
    kind: &'a str,
    level: &'static str,
    plugin: Option<&'a str>,
    /// The sentence, under the name that chat services show.
    text: &'a str,
    waiting: Option<u64>,
    remedy: &'a str,
    lasted_seconds: Option<u64>,
}

/// The body of a post, cleaned.
pub(super) fn body(shown: &Shown, site: &str, host: &str, now: Unix) -> String {
    let (event, alert, lasted): (_, &Alert, _) = match shown {
        Shown::Begun(alert) => ("begin", alert, None),
        Shown::Happened(alert) => ("once", alert, None),
        Shown::Ended { alert, lasted } => ("end", alert, Some(lasted.as_secs())),
    };
    let post = Post {
        event,
        time: jiff::Timestamp::from_millisecond(now.0)
            .unwrap_or_default()
            .to_string(),
        site,
        host,
        cause: alert.key.as_str(),
        kind: alert.kind,
        level: if alert.grade == Grade::Error {
            "error"
        } else {
            "warning"
        },
        plugin: alert.plugin.as_ref().map(crate::ident::PluginName::as_str),
        text: &alert.sentence,
        waiting: alert.waits,
        remedy: &alert.remedy,
        lasted_seconds: lasted,
    };
    clean(&serde_json::to_string(&post).unwrap_or_default()).into_owned()
}

/// Posts to one address.
#[derive(Debug)]
pub struct Webhook {
    client: reqwest::Client,
    address: Secret,
}

impl Webhook {
    /// A webhook for an address; no connection is made yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(address: Secret) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { client, address })
    }

    /// Posts a body; in the error, whether it is worth another try, and why.
    pub(super) async fn post(&self, body: &str) -> Result<(), (bool, String)> {
        let request = self
            .client
            .post(self.address.expose())
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = request
            .send()
            .await
            .map_err(|error| (!error.is_builder(), why(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let is_temporary = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        Err((is_temporary, format!("the webhook answered {status}")))
    }
}

fn why(error: reqwest::Error) -> String {
    super::mail::chain(&error.without_url())
}
