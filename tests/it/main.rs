//! One module per promise.

mod bad_config;
mod bad_key;
mod bad_rows;
mod bad_site;
mod bad_state;
mod children_are_started_and_ended;
mod commands;
mod every_event_is_found;
mod ingest_asks_while_it_commits;
mod mail;
mod support;
mod the_unit;
mod tidy;
mod zoo;
