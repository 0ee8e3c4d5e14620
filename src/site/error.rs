//! What can go wrong with a call to the site, one variant per thing a caller may do differently.
//!
//! Never: a key, a request's body, an address with user-info.

use std::time::Duration;

/// Why a call to the site has no result.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SiteError {
    /// The site understood and refused: HTTP 200 with `exception`.
    #[error("the site refused {method}: {message}")]
    Fault {
        /// Which rpc.
        method: String,
        /// 103 malformed, 104 failed; none when the site gave no number.
        code: Option<i64>,
        /// The site's own words.
        message: String,
    },
    /// The credentials were refused: fault 102, 106, 108 or 110.
    #[error("the site does not accept the credentials of script `{script}`: {message}")]
    Auth {
        /// The script user.
        script: String,
        /// The site's number.
        code: i64,
        /// The site's own words.
        message: String,
    },
    /// An HTTP status that is no success.
    #[error("the site answered HTTP {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Http {
        /// The status.
        status: u16,
        /// How long the site asks us to stay away.
        retry_after: Option<Duration>,
        /// What can be read of the body, short.
        detail: String,
    },
    /// A redirect, which is never followed.
    #[error(
        "the site answered HTTP {status}, a redirect to {to}; redirects are not followed: is [site] url right?"
    )]
    Redirect {
        /// The status.
        status: u16,
        /// Scheme, host and path of the target.
        to: String,
    },
    /// A page for people in the place of an answer.
    #[error("the site answered HTML, not JSON (proxy? SSO?){}{title}", if title.is_empty() { "" } else { ": " })]
    Html {
        /// The title of the page.
        title: String,
    },
    /// A complete body that is no JSON.
    #[error("the site's answer is not JSON: {what}")]
    BadJson {
        /// What stands where, without the content.
        what: String,
    },
    /// The connection ended in the middle of the answer.
    #[error("the site's answer ended after {received} bytes: {reason}")]
    Truncated {
        /// How much had come, after decompression.
        received: usize,
        /// What was seen.
        reason: String,
    },
    /// No connection: nothing was sent.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// Which step failed.
        kind: ConnectKind,
        /// In words, with what to do.
        reason: String,
    },
    /// The connection was lost between the request and the answer.
    #[error("the connection to {host} was lost before an answer: {reason}")]
    Lost {
        /// Host and port.
        host: String,
        /// What was seen.
        reason: String,
        /// False when it is certain that no byte of the request was sent.
        is_sent: bool,
    },
    /// No complete answer within the deadline of one call.
    #[error("no complete answer within {} s ([site] timeout)", after.as_secs_f64())]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The answer is larger than we take.
    #[error("the answer is larger than {} MiB; ask for fewer rows or fields", limit >> 20)]
    TooLarge {
        /// In bytes, after decompression.
        limit: usize,
    },
    /// A file on this machine cannot be read to its end.
    #[error("{reason}")]
    Source {
        /// Which, and why.
        reason: String,
    },
    /// A write that was sent and whose end is not known.
    #[error("the write may have happened: {0}")]
    MaybeDone(Box<Self>),
    /// The site was away as long as a call waits for it.
    #[error("the site is away; gave up after {} s: {last}", waited.as_secs())]
    Away {
        /// How long this call waited.
        waited: Duration,
        /// The last error, or why the site counts as down.
        last: String,
    },
}

/// Which step of connecting failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// The name was not found.
    Dns,
    /// Nobody listens.
    Refused,
    /// The certificate or the TLS handshake.
    Tls,
    /// The proxy between.
    Proxy,
    /// No connection in time.
    Timeout,
    /// Anything else: no route, reset.
    Other,
}

impl SiteError {
    /// How long the site asked us to stay away.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            Self::MaybeDone(inner) => inner.retry_after(),
            _ => None,
        }
    }

    /// The HTTP status, when there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } | Self::Redirect { status, .. } => Some(*status),
            Self::Fault { .. } | Self::Auth { .. } | Self::Html { .. } | Self::BadJson { .. } => {
                Some(200)
            }
            Self::MaybeDone(inner) => inner.status(),
            _ => None,
        }
    }

    /// True when the site as such is in trouble: polls that fail like this mean that it is down.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Fault { .. }
            | Self::Auth { .. }
            | Self::TooLarge { .. }
            | Self::Source { .. } => false,
            Self::MaybeDone(inner) => inner.is_outage(),
            _ => true,
        }
    }

    /// True when the site may have acted on the request although there is no result.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Html { .. }
            | Self::BadJson { .. }
            | Self::Truncated { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::MaybeDone(_) => true,
            Self::Lost { is_sent, .. } => *is_sent,
            // A gateway that answers 5xx may have passed the request on; 429 and 503 say that nobody took it.
            Self::Http { status, .. } => *status >= 500 && *status != 503 || *status == 408,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_found_and_what_to_do() {
        let http = |detail: &str| SiteError::Http {
            status: 403,
            retry_after: None,
            detail: detail.into(),
        };
        let shown = [
            http("").to_string(),
            http("API access is blocked").to_string(),
            SiteError::Html {
                title: "Sign in".into(),
            }
            .to_string(),
            SiteError::TooLarge { limit: 64 << 20 }.to_string(),
            SiteError::MaybeDone(Box::new(SiteError::Timeout {
                after: Duration::from_millis(2500),
            }))
            .to_string(),
        ]
        .join("\n");
        insta::assert_snapshot!(shown, @r"
        the site answered HTTP 403
        the site answered HTTP 403: API access is blocked
        the site answered HTML, not JSON (proxy? SSO?): Sign in
        the answer is larger than 64 MiB; ask for fewer rows or fields
        the write may have happened: no complete answer within 2.5 s ([site] timeout)
        ");
    }
}
