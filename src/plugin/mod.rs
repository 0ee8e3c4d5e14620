//! What a plugin is: discovery, manifest, life, file watch.

pub mod report;
