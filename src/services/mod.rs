//! What a plugin may call: `sg.*`, `state.*`, and the notifications `log`, `alert`, `pause`, `unhealthy`.
//!
//! ```text
//!  plugin's task ── method, params, open events ─► Services::call
//!     phase and load (queue.rs) ─► parent (parent.rs) ─► sugar/ (keywords to one rpc) ─► broker.rs
//!     files/ : a path below a granted root ─► site::Session::upload, download
//!     broker: permission ─► mode (dry.rs) ─► schema cache (schema.rs) ─► site::Session::call
//! ```
//! Permission, mode, script and sudo are judged in one place, the broker, on the rpc itself: it makes no difference
//! whether it came as `sg.update` or as `sg.rpc`.
//!
//! Never: the pipe, ids of requests but those of open events, a key, a decision about an event's fate.

mod arguments;
mod broker;
mod call;
mod caller;
mod dry;
mod error;
mod files;
mod needed;
mod notice;
mod parent;
mod queue;
mod schema;
mod state;
mod sugar;
#[cfg(test)]
mod tests;

pub use broker::{Observer, Withheld};
pub use call::Services;
pub use caller::{BothSides, Caller, CallerSetup, Mode};
pub use error::RpcError;
pub use files::FileRoots;
pub use notice::{Level, Notice, NoticeError};
pub use parent::{CallContext, OpenEvent, Phase};
pub use queue::{AT_WORK, WAITING, busy};
pub use state::{StateError, StateStore};
