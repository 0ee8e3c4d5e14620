//! The wire between sgeventd and its plugins: types, bytes to messages, open requests.
//!
//! JSON-RPC 2.0, one object per line, UTF-8, no batches. Everything here is pure: no I/O, no clock.
//!
//! * [`message`]: the messages of both sides as types.
//! * [`manifest`]: what a plugin declares, and every mistake in it.
//! * [`handshake`]: what a plugin may answer to `initialize` and `start`.
//! * [`answer`]: what a plugin may answer to an event.
//! * [`calls`]: what a plugin may ask for.
//! * [`codec`]: bytes to messages, whatever the bytes are.
//! * [`pending`]: open requests of both directions.
//! * [`write`]: messages to bytes, bodies untouched.

pub mod answer;
pub mod calls;
pub mod codec;
pub mod error;
pub mod handshake;
pub mod manifest;
pub mod message;
pub mod pending;
#[cfg(test)]
mod published;
pub mod write;

pub use answer::Answer;
pub use codec::{Codec, Item, Side};
pub use error::{ErrorCode, RpcError};
pub use manifest::Manifest;

/// The one version of the protocol.
pub const PROTOCOL: u32 = 1;
/// Our ids begin here, so that a printed answer to a plugin's own call 7 cannot look like an acknowledgement.
pub const FIRST_REQUEST_ID: u64 = 1_000_001;
