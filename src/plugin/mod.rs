//! What a plugin is: discovery, manifest, life, file watch.

pub mod life;
pub mod report;
mod run;
pub mod setup;
mod stats;
mod tap;
pub mod task;
