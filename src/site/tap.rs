//! Who is told of every try at the site, for the traffic log and the metrics.
//!
//! In: one try as it ended. Out: a borrowed record for whoever listens.
//! Never: credentials. A record shows payload and result, never the auth member.

use std::time::Duration;

use super::error::SiteError;
use crate::ident::{EventId, PluginName};

/// One try of one call, as it ended.
#[derive(Debug, Clone, Copy)]
pub struct CallRecord<'a> {
    /// The rpc.
    pub method: &'a str,
    /// The script user; none for `info`, which carries no credentials.
    pub script: Option<&'a str>,
    /// On whose behalf; none for the daemon itself.
    pub plugin: Option<&'a PluginName>,
    /// The event being handled.
    pub event_id: Option<EventId>,
    /// 1 for the first try.
    pub attempt: u32,
    /// Size of the request's body.
    pub sent_bytes: u64,
    /// Size of the answer's body after decompression, 0 without one.
    pub received_bytes: u64,
    /// From connecting to the last byte.
    pub elapsed: Duration,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The site's own id of the request, for its support.
    pub request_id: Option<&'a str>,
    /// How it failed.
    pub error: Option<&'a SiteError>,
    /// What was asked, as JSON, for logs that show bodies.
    pub payload: Option<&'a str>,
    /// What came back, unwrapped.
    pub result: Option<&'a [u8]>,
}

/// Is told of every try. Called inside the calling task: it must not block.
pub trait CallTap: Send + Sync {
    /// Takes note of one try.
    fn tried(&self, record: &CallRecord<'_>);
}
