//! One module per promise.

mod a_change_is_seen;
mod a_kill_loses_nothing;
mod bad_config;
mod bad_key;
mod bad_rows;
mod bad_site;
mod bad_state;
mod children_are_started_and_ended;
mod commands;
mod demo;
mod dispatch_rules;
mod every_event_is_found;
mod ingest_asks_while_it_commits;
mod mail;
mod mail_is_in_nobodys_way;
mod nothing_secret_is_written;
mod python_plugins;
mod reload;
mod rust_plugins;
mod support;
mod the_unit;
mod tidy;
mod zoo;
