//! The command line: what may be typed, and what is said when it is wrong.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  sgeventd demo                                  a studio, a site and plugins on this machine
  sgeventd check-config -c /etc/sgeventd/sgeventd.toml
  sgeventd run -c /etc/sgeventd/sgeventd.toml    follow the site's event log (what systemd starts)
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
    /// Follow the site's event log and hand each event to the plugins.
    Run(ConfigArg),
    /// List every mistake of a config at once, each with its line and what is allowed.
    CheckConfig(CheckArgs),
    /// A studio, a site and plugins on this machine: no config, no network, no root.
    Demo(DemoArgs),
    /// A stand-in site that the official client accepts, for tests and tries.
    Sandbox(SandboxArgs),
    /// What works, what does not, and what to type next; exit 0 ok, 1 degraded, 2 down, 3 not running.
    Status(StatusArgs),
}

/// Which config.
#[derive(Debug, ClapArgs)]
pub struct ConfigArg {
    /// The config file.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/sgeventd/sgeventd.toml")]
    pub config: PathBuf,
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

/// `demo`
#[derive(Debug, ClapArgs)]
pub struct DemoArgs {
    /// End after this time, such as 30s or 2m; until Ctrl-C without it.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub time: Option<Duration>,
    /// No screen: one JSON object at the end.
    #[arg(long)]
    pub json: bool,
    /// The studio's seed: the same one gives the same events.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Changes a second in the studio.
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
    /// Where state, logs and plugins go; a temporary folder without it.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `sandbox`
#[derive(Debug, ClapArgs)]
pub struct SandboxArgs {
    /// What else than to serve.
    #[command(subcommand)]
    pub action: Option<SandboxAction>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The script user's name.
    #[arg(long, default_value = "sgeventd")]
    pub script: String,
    /// The script user's key on this stand-in; it guards nothing real.
    #[arg(long, default_value = "sandbox-key")]
    pub key: String,
    /// What happens on it by itself: `demo` or `empty`.
    #[arg(long, default_value = "demo")]
    pub scenario: String,
    /// The same seed gives the same events.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Changes a second.
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
    /// One JSON line {"url", "script", "key"} when it is ready.
    #[arg(long)]
    pub json: bool,
}

/// `sandbox ctl …`
#[derive(Debug, Subcommand)]
pub enum SandboxAction {
    /// Make a running sandbox misbehave, or ask it what it committed.
    Ctl {
        /// Where it listens, as it printed it.
        #[arg(long, value_name = "URL")]
        url: String,
        /// What to do; `help` lists all.
        verb: String,
        /// Its arguments as `name=value`.
        args: Vec<String>,
    },
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

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::read_duration(text).ok_or_else(|| format!("`{text}` is no duration; allowed: such as 30s, 2m, 1h"))
}

/// Prints what clap has to say and decides the exit code: help and version are answers, the rest is usage.
pub fn explain(error: &clap::Error) -> Exit {
    let _closed = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
