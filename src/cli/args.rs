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

const CTL_VERBS: &str = "\
Verbs:
  fail kind=KIND [calls=N] [retry_after=S] [method=NAME] [id=ROW]
      http500 http502 http503 http429 html truncated fault reset hang
      drip endless_head short_length long_length bomb huge_page huge_length
      empty_page no_id null_row null_entity huge_row odd_row twice shuffled edited
  poison id=ROW [field=NAME] pages with this row fail when the field is asked for; without one,
                             unless only ids are
  latency ms=N               every answer takes longer
  lag rows=N polls=N         polls do not see the newest rows
  jump by=N                  a hole in the ids
  restore to=ROW             the log forgets what is above a row and continues there
  work [times=N] [late_ms=N] artists do things, readable at once or later
  abandon [times=N]          artists do things that are rolled back: gaps for ever
  bulk count=N               many rows at once
  revoke_key [script=NAME]   the key is refused
  restore_key [script=NAME]  the key works again
  clear                      everything works again";

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
    /// What only a person can say about the site.
    #[command(subcommand)]
    Site(SiteCommand),
    /// The state directory, while no daemon runs.
    #[command(subcommand)]
    State(StateCommand),
    /// A made-up site on this machine, for trying things out; `ctl` makes it misbehave.
    Sandbox(Box<SandboxArgs>),
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
pub struct ReachArgs {
    /// The daemon's admin socket.
    #[arg(long, value_name = "PATH", env = "SGEVENTD_SOCKET")]
    pub socket: Option<PathBuf>,
    /// The daemon's config file, which names the socket.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `status`
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// All plugins, also those that are ok.
    #[arg(long)]
    pub all: bool,
}

/// `site`
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Takes a site that was restored from a backup as it is: its ids begin again at an id.
    Accept(AcceptArgs),
}

/// `site accept`
#[derive(Debug, ClapArgs)]
pub struct AcceptArgs {
    /// The first id that is new; status names the one above the rows that are as they were.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    pub from: i64,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// What became of it, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `state`
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Keeps the state of a site that has another address now.
    Adopt(AdoptArgs),
}

/// `state adopt`
#[derive(Debug, ClapArgs)]
pub struct AdoptArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::read_duration(text)
        .ok_or_else(|| "allowed: a duration such as 30s, 5m or 500ms".to_owned())
}

/// `sandbox`
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SandboxArgs {
    /// What to do with a site that runs already.
    #[command(subcommand)]
    pub order: Option<SandboxCommand>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// The name of the script.
    #[arg(long, value_name = "NAME", default_value = "sandbox")]
    pub script: String,
    /// Its key; one is made up otherwise.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// What the site begins with.
    #[arg(long, value_enum, default_value_t = ScenarioArg::Demo)]
    pub scenario: ScenarioArg,
    /// The same seed gives the same show.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Events a second that artists make.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    pub rate: f64,
    /// What every answer takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub page_delay_ms: u64,
    /// One line of JSON when it is ready: url, script, key.
    #[arg(long)]
    pub json: bool,
}

/// What a made-up site begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScenarioArg {
    /// One person and one project; no event.
    Empty,
    /// A small show with people, shots and tasks.
    Demo,
}

/// What can be done with a made-up site that runs.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Gives it an order.
    Ctl(CtlArgs),
}

/// `sandbox ctl`
#[derive(Debug, ClapArgs)]
#[command(after_help = CTL_VERBS)]
pub struct CtlArgs {
    /// The address that it printed.
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// What to do.
    #[arg(value_name = "VERB")]
    pub verb: String,
    /// What the order needs: `calls=3`.
    #[arg(value_name = "NAME=VALUE")]
    pub values: Vec<String>,
}

/// Prints what clap has to say and decides the exit code: help and version are answers, the rest is usage.
pub(super) fn explain(error: &clap::Error) -> Exit {
    let _closed = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
