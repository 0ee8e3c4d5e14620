//! What `protocol/v1` publishes, made from the types of this crate: schema, method table, OpenRPC.
//!
//! In: the types, the table of methods. Out: the files; `SGEVENTD_PUBLISH=1 cargo test -p sgeventd-protocol published` writes them.
//! Never: in a build of the daemon.

#[expect(dead_code, reason = "only their schemas are used")]
mod calls;
#[expect(dead_code, reason = "only their schemas are used")]
mod declare;
#[expect(dead_code, reason = "only their schemas are used")]
mod event;
#[expect(dead_code, reason = "only their schemas are used")]
mod failures;
mod files;
mod methods;
mod prose;
#[expect(dead_code, reason = "only their schemas are used")]
mod queries;
mod tests;

pub(crate) use declare::Manifest as Declared;
