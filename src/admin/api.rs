//! The methods of the admin API, one trait for both sides.

use jsonrpsee::{core::RpcResult, proc_macros::rpc};

use serde::{Deserialize, Serialize};

use super::status::Status;
pub use crate::plugin::setup::Enabled;
use crate::{
    clock::Unix,
    ident::{EventId, PluginName, Seq, Timeline},
};

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

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub plugin: PluginName,
    /// The site's id of the event; 0 when its row was gone before.
    pub event_id: EventId,
    /// Its position in the journal.
    pub seq: Seq,
    /// Its type.
    pub event_type: String,
    /// Why: `attempts`, `dead`, `crashed_plugin`, `too_large`, `skip`, `gone`, `skipped_by_operator`.
    pub reason: String,
    /// The last error, with its traceback.
    pub error: String,
    /// Attempts that were made; 0: it was never handed out.
    pub attempts: u32,
    /// When it was given up.
    pub at: Unix,
    /// The version of the plugin that gave it up, as far as its manifest said one.
    pub version: Option<String>,
    /// The event as the site wrote it; none when its body was pruned before.
    pub event: Option<serde_json::Value>,
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

    /// Enables a plugin; `skip_event`: the oldest event that waits becomes a dead letter first.
    #[method(name = "plugin_enable")]
    async fn plugin_enable(&self, plugin: PluginName, skip_event: bool) -> RpcResult<Enabled>;

    /// Disables a plugin until it is enabled, also after a restart of the daemon.
    #[method(name = "plugin_disable")]
    async fn plugin_disable(&self, plugin: PluginName) -> RpcResult<()>;

    /// Dead letters with higher numbers than `after`, at most `rows`; of one plugin, or of all.
    #[method(name = "dead")]
    async fn dead(
        &self,
        plugin: Option<PluginName>,
        after: i64,
        rows: usize,
    ) -> RpcResult<Vec<Letter>>;

    /// Hands the events of these letters out once more; the numbers for which there was no room, or whose event nobody has, stay.
    #[method(name = "dead_redrive")]
    async fn dead_redrive(&self, ids: Vec<i64>) -> RpcResult<usize>;

    /// Forgets these letters; how many there were.
    #[method(name = "dead_drop")]
    async fn dead_drop(&self, ids: Vec<i64>) -> RpcResult<u64>;
}
