//! sgeventd.
