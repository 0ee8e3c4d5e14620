//! One module per promise.

mod mail;
