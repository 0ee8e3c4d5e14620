//! Write sgeventd plugins in Rust.
