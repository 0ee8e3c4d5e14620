//! The client of the site.
