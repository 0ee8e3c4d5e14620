//! The wire between sgeventd and its plugins.
