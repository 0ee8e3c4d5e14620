//! Finds every event of the site once and appends it to the journal.
