//! Hands the journal's events to one plugin: filter, lanes, window, retries.
