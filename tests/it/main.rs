//! One module per promise.

mod a_held_disk_holds_nothing_up;
mod a_reload_does_what_it_says;
mod children_are_started_and_ended;
mod commands;
mod every_event_is_found;
mod files_are_watched;
mod mail;
mod names_stay;
mod plugins_wait_for_each_other;
mod support;
mod systemd_hears_of_it;
mod the_unit;
mod tidy;
mod traffic_is_what_was_asked_for;
mod zoo;
