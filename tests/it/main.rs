//! One module per promise.

mod children_are_started_and_ended;
mod commands;
mod every_event_is_found;
mod mail;
mod python_plugins;
mod rust_plugins;
mod support;
mod the_unit;
mod tidy;
mod zoo;
