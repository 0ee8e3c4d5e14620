//! Control groups of version 2: one for each process of a plugin, where the system hands us a part of the tree.
//!
//! ```text
//!   our part ─┬─ daemon                     ourselves, where we stood in the part before
//!             ├─ 1f2e3d4c.p.task_status.3   a plugin's third process, and all that it started
//!             └─ 1f2e3d4c.s.farm.1          one with kill = "process": left alone
//! ```

mod plan;
mod tree;

pub use plan::{Bounds, Controllers};
pub use tree::{Group, GroupError, Tree};
