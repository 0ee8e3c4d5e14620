//! Whether the site is there, as the polls of ingest find it.
//!
//! In: what ingest says. Out: a `watch` that calls, dispatchers and people look at.
//! Never: an own opinion; one call that fails says nothing of the site.

use std::sync::Arc;

use crate::clock::Unix;

/// How the site is, as of the last poll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// Polls succeed, or none was made yet.
    #[default]
    Up,
    /// Polls fail.
    Down {
        /// Since when.
        since: Unix,
        /// The last error in words.
        reason: Arc<str>,
    },
    /// The site is there and refuses the credentials of the event log's script.
    AuthFailed {
        /// Since when.
        since: Unix,
        /// Whose credentials.
        script: Arc<str>,
        /// The site's words.
        reason: Arc<str>,
    },
}

impl Health {
    /// True when polls fail because the site is not there.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    /// Why a call of this script must wait; none when it may go.
    #[must_use]
    pub fn blocks(&self, script: &str) -> Option<&str> {
        match self {
            Self::Up => None,
            Self::Down { reason, .. } => Some(reason),
            // Another script's key may well be good.
            Self::AuthFailed {
                script: refused,
                reason,
                ..
            } => (&**refused == script).then_some(reason),
        }
    }
}
