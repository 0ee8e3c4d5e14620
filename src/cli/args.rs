//! The command line: what may be typed, and what is said when it is wrong.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  sgeventd demo                                  see it work, without a site or a config
  sgeventd run -c /etc/sgeventd/sgeventd.toml    the daemon, in the foreground
  sgeventd check-config -c /etc/sgeventd/sgeventd.toml
  sgeventd status                                what works, what does not, what to type next";

/// The event daemon for Flow Production Tracking (ShotGrid, Shotgun) sites.
#[derive(Debug, Parser)]
#[command(name = "sgeventd", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work, without a site or a config: a made-up site, and plugins in three languages.
    Demo(DemoArgs),
    /// Run the daemon in the foreground; SIGHUP reads the config again, SIGTERM and Ctrl-C drain and stop.
    Run(RunArgs),
    /// List every mistake of a config at once, each with its line and what is allowed.
    CheckConfig(CheckArgs),
    /// What works, what does not, and what to type next; exit 0 ok, 1 degraded, 2 down, 3 not running.
    Status(StatusArgs),
}

/// Which config.
#[derive(Debug, ClapArgs)]
pub struct ConfigArg {
    /// The config file.
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "/etc/sgeventd/sgeventd.toml"
    )]
    pub config: PathBuf,
}

/// `demo`
#[derive(Debug, ClapArgs)]
pub struct DemoArgs {
    /// Ends after this, such as 30s; without it, at Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub duration: Option<std::time::Duration>,
    /// One JSON object at the end: what was journaled, lost, doubled, out of order, and what each plugin did.
    #[arg(long)]
    pub json: bool,
    /// Everything lies in this folder; a new one below the system's folder for temporary files otherwise.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The artists' luck.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// What artists do, a second.
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
}

/// `run`
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArg,
}

/// `check-config`
#[derive(Debug, ClapArgs)]
pub struct CheckArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArg,
    /// The findings as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How a running daemon is found.
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// The daemon's admin socket.
    #[arg(long, value_name = "PATH", env = "SGEVENTD_SOCKET")]
    pub socket: Option<PathBuf>,
    /// The daemon's config file, which names the socket.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// All plugins, also those that are ok.
    #[arg(long)]
    pub all: bool,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::read_duration(text)
        .ok_or_else(|| "allowed: a duration such as 30s, 5m or 500ms".to_owned())
}

/// Prints what clap has to say and decides the exit code: help and version are answers, the rest is usage.
pub(super) fn explain(error: &clap::Error) -> Exit {
    let _closed = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
