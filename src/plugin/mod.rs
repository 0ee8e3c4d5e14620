//! What a plugin is: discovery, manifest, life, file watch.

pub mod life;
pub mod report;
