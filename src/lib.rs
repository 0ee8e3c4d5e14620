//! sgeventd: the event daemon for Flow Production Tracking (ShotGrid, Shotgun) sites.
//!
//! `ARCHITECTURE.md` is the map. Arrows between the folders go one way.

pub mod account;
pub mod admin;
pub mod alert;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dispatch;
pub mod event;
pub mod fail;
pub mod ident;
pub mod ingest;
pub mod journal;
pub mod peer;
pub mod plugin;
pub mod process;
pub mod sandbox;
pub mod sdk;
pub mod secret;
pub mod services;
pub mod site;
pub mod telemetry;
pub mod text;
pub mod way;
