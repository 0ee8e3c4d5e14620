//! The fuzz targets' bodies, and of the daemon the two files that they need.
//!
//! The whole daemon with counters in every branch takes a quarter of an hour to build; its peer takes seconds. The bodies name
//! it as `sgeventd::peer`, as they do in the daemon's own tests, which replay the corpus with the stable compiler.

extern crate self as sgeventd;

pub mod bodies;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/peer/mod.rs"]
pub mod peer;
