//! The client of the site: the API3 JSON protocol as the official client speaks it.
//!
//! ```text
//!  ingest ──── Session::call_once ───────────────────────┐
//!                                                        ├─► http ──► the site
//!  services ── Session::call ─► health ─► gate ─► judge ─┘
//!                               (waits)  (turns)  (again?)
//! ```
//! A [`Site`] is one address with its connections, a [`Session`] one script user of it. What a method is (a read, a
//! write, who may call it) stands in one table, [`methods`]. Ingest says by [`Health`] whether polls succeed; calls of
//! plugins wait for that.
//!
//! Never: a plugin's process, the journal, a key in any text, a redirect followed, a write repeated that may have happened.

mod address;
mod attempts;
mod client;
mod envelope;
mod error;
mod events;
mod files;
mod gate;
mod health;
mod http;
mod identity;
mod info;
pub mod methods;
pub mod permissions;
mod retry;
mod session;
mod setup;
mod tap;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod turns;

pub use address::{Address, AddressError};
pub use client::Site;
pub use error::{ConnectKind, SiteError};
pub use events::{EventCount, EventPage, EventQuery, Order, Span, Tries};
pub use files::{Cloud, Download, Share, Source, UPLOAD_BYTES, Upload, Wanted};
pub use health::Health;
pub use info::Capabilities;
pub use methods::Kind;
pub use session::{Call, Reply, Session};
pub use setup::{RESULT_BYTES, SetupError, SiteOptions};
pub use tap::{CallRecord, CallTap};
