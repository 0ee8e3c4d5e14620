//! What ingest tells of itself: a snapshot that `status` shows.

use serde::{Deserialize, Serialize};

use crate::{clock::Unix, ident::EventId};

/// The site as ingest sees it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SiteReport {
    /// Its address.
    pub url: String,
    /// `ok`, `starting`, `down`, `faulty` (it refuses to show the log), `refused` (the key) or `rewound`.
    pub state: String,
    /// Why it is not ok.
    pub reason: Option<String>,
    /// Since when it is in that state.
    pub since: Unix,
    /// The last good answer.
    pub polled_at: Option<Unix>,
    /// How long that answer took, milliseconds.
    pub latency_ms: f64,
    /// The highest id seen.
    pub head: Option<EventId>,
    /// Gaps that are open.
    pub gaps: usize,
    /// Age of the oldest one by the site's clock, milliseconds.
    pub oldest_gap_ms: u64,
    /// Ids of gaps that appeared after all.
    pub filled: u64,
    /// Ids that were given up.
    pub given_up: u64,
    /// Events journaled since the daemon started.
    pub journaled: u64,
}
