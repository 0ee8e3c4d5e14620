//! Child processes: shim, spawn thread, kill ladder, recorded children. Unix only; knows no JSON.
//!
//! ```text
//!   spawn(spec) ──► spawn thread ──► sgeventd __shim … ──exec──► the plugin
//!                        ▲ lives as long as the daemon: the kernel ends a child with the thread that made it
//! ```

mod child;
mod ladder;
mod lines;
mod orphans;
mod recorded;
mod shim;
mod spawn;

pub use child::{Child, Exit};
pub use ladder::{Ladder, Step};
pub use lines::{Line, Lines};
pub use orphans::{
    RUN_MARK, become_subreaper, end_escaped, end_left_behind, kill_group, reap_orphans,
    signal_group, signal_one,
};
pub use recorded::{boot_id, end_recorded, start_time};
pub use shim::shim_main;
pub use spawn::{Limits, SpawnError, SpawnSpec, Spawner};

/// Closes `/proc/PID/environ` and `mem` of this process to its own user.
pub fn set_not_dumpable() {
    // It cannot fail for this process itself.
    let _done = nix::sys::prctl::set_dumpable(false);
}
