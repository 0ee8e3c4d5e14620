//! The methods of the admin API, one trait for both sides.

use jsonrpsee::{core::RpcResult, proc_macros::rpc};

use super::status::Status;

/// What a person asks a running daemon.
#[rpc(server, client, namespace = "admin")]
pub trait Admin {
    /// What works, what does not, and what to type next.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<Status>;
}
