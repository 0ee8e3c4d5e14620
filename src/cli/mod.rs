//! The commands, one file each: arguments in, exit code out.
//!
//! Data goes to stdout, talk to stderr. Never: a decision that the daemon should make.

mod args;
mod ask;
mod check;
mod check_config;
mod dead;
mod demo;
mod exit;
mod new;
mod output;
mod paste;
mod plugins;
mod reach;
mod run;
mod sandbox;
mod sandbox_ctl;
mod site;
mod state;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

pub use args::{Args, Command};
pub use exit::Exit;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(hidden) = hidden(&words) {
        return hidden;
    }
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return args::explain(&error).into(),
    };
    // The one provider of the tree; a second call (in tests) finds it installed.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let result = match args.command {
        Command::Check(args) => check::run(&args),
        Command::CheckConfig(check) => check_config::run(&check),
        Command::Demo(args) => demo::run(&args),
        Command::New(args) => new::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Sdk(args) => new::lay_down(&args),
        Command::Status(status) => status::run(&status),
        Command::Plugins(command) => plugins::run(&command),
        Command::Dead(command) => dead::run(&command),
        Command::Site(command) => site::run(&command),
        Command::State(command) => state::run(&command),
        Command::Sandbox(sandbox) => sandbox::run(&sandbox),
    };
    result.unwrap_or_else(|failure| failure.tell()).into()
}

/// Words that only the daemon says to its own binary.
fn hidden(words: &[std::ffi::OsString]) -> Option<ExitCode> {
    match words.get(1)?.to_str()? {
        "__shim" => crate::process::shim_main(words.get(2..).unwrap_or_default()),
        "__demo-plugin" => Some(demo::plugin::main()),
        _ => None,
    }
}
