//! Child processes: shim, spawn thread, kill ladder, recorded children. Unix only; knows no JSON.
//!
//! ```text
//!   spawn(spec) ──► spawn thread ──► sgeventd __shim … ──exec──► the plugin
//!                        ▲ lives as long as the daemon: the kernel ends a child with the thread that made it
//! ```

mod child;
mod confine;
mod group;
mod ladder;
mod lines;
mod mark;
mod orphans;
mod recorded;
mod shim;
mod spawn;

pub use child::{Child, Exit};
pub use group::{Bounds, Controllers, Group, GroupError, Tree};
pub use ladder::{Ladder, Step};
pub use lines::{Line, Lines};
pub use mark::{Marks, number};
pub use orphans::{
    become_subreaper, end_escaped, end_left_behind, kill_group, reap_orphans, signal_group,
    signal_one,
};
pub use recorded::{boot_id, end_recorded, start_time};
pub use shim::shim_main;
pub use spawn::{Limits, SpawnError, SpawnSpec, Spawner};

/// Closes `/proc/PID/environ` and `mem` of this process to its own user.
pub fn set_not_dumpable() {
    // It cannot fail for this process itself.
    let _done = nix::sys::prctl::set_dumpable(false);
}

/// Out-of-memory score of the daemon: what eats the memory goes before it.
const OOM_SCORE: i32 = -200;

/// Asks the kernel to take others first when memory runs out.
///
/// # Errors
/// When it may not be asked: without CAP_SYS_RESOURCE only the service manager can.
pub fn be_spared_by_oom() -> std::io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let now = std::fs::read_to_string(FILE)?;
    match now.trim().parse::<i32>() {
        Ok(score) if score <= OOM_SCORE => Ok(()),
        _ => std::fs::write(FILE, OOM_SCORE.to_string()),
    }
}
