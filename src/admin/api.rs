//! The methods of the admin API, one trait for both sides.

use jsonrpsee::{core::RpcResult, proc_macros::rpc};

use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::ident::{EventId, Timeline};

/// A change was refused; the message says why, and nothing was changed.
pub const REFUSED: i32 = 1;

/// What accepting a restored site came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SiteAccepted {
    /// The timeline that began.
    pub timeline: Timeline,
    /// Its first id.
    pub from: EventId,
    /// Missing ids of the old timeline, which are given up.
    pub given_up: u64,
}

/// What a person asks a running daemon.
#[rpc(server, client, namespace = "admin")]
pub trait Admin {
    /// What works, what does not, and what to type next.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<Status>;

    /// Accepts a restored site: the next timeline begins at `from`. Answered when it is on disk.
    #[method(name = "site_accept")]
    async fn site_accept(&self, from: EventId) -> RpcResult<SiteAccepted>;
}
