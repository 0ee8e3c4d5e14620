//! The admin API: what the CLI asks a running daemon, JSON-RPC over a unix socket.
//!
//! [`api`] names the methods once for both sides; [`server`] and [`client`] carry them.

pub mod api;
pub mod client;
pub mod server;
pub mod status;

pub use api::{AdminClient, AdminServer, Enabled, Letter, SiteAccepted};
pub use status::Status;
