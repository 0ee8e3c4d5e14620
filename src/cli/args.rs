//! The command line: what may be typed, and what is said when it is wrong.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::{exit::Exit, sandbox_ctl::CtlArgs};

const EXAMPLES: &str = "\
Examples:
  sgeventd demo                                  see it work, without a site or a config
  sgeventd run -c /etc/sgeventd/sgeventd.toml    the daemon, in the foreground
  sgeventd check ./my_plugin.py                  is it a good plugin? what is wrong with it?
  sgeventd check-config -c /etc/sgeventd/sgeventd.toml
  sgeventd status                                what works, what does not, what to type next";

/// Where a made-up site listens unless another address is named.
pub(super) const SANDBOX: &str = "127.0.0.1:7357";

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
    /// Run a plugin through the scenarios of the contract; exit 0 good, 1 bad.
    Check(PluginCheckArgs),
    /// List every mistake of a config at once, each with its line and what is allowed.
    CheckConfig(CheckArgs),
    /// What works, what does not, and what to type next; exit 0 ok, 1 degraded, 2 down, 3 not running.
    Status(StatusArgs),
    /// Plugins: on, off, past an event.
    #[command(subcommand)]
    Plugins(PluginsCommand),
    /// Dead letters: events that plugins gave up.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Make a folder with a plugin that works, its test and a README.
    New(NewArgs),
    /// Lay down the package that plugins in a language build on, for their tests and for editors; prints its folder.
    Sdk(SdkArgs),
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
    /// Events a second that artists make.
    #[arg(long, default_value_t = 10.0, value_parser = rate, allow_hyphen_values = true)]
    pub rate: f64,
}

/// `new`
#[derive(Debug, ClapArgs)]
pub struct NewArgs {
    /// What the plugin is called.
    #[arg(value_name = "NAME", value_parser = super::new::name)]
    pub name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Lang::Python)]
    pub lang: Lang,
    /// The folder that its folder is made in.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub into: PathBuf,
}

/// What a new plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// Python 3.7 or later; the daemon brings the package.
    Python,
    /// Rust; the SDK lies in the folder.
    Rust,
    /// JavaScript for Node.js, without a package.
    Node,
    /// sh and sed.
    Shell,
    /// Python with `registerCallbacks`, as for shotgunEvents.
    Upstream,
}

/// `sdk`
#[derive(Debug, ClapArgs)]
pub struct SdkArgs {
    /// The language.
    #[arg(value_enum)]
    pub lang: SdkLang,
    /// The folder; one in the cache of this user otherwise.
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// A language with a package of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SdkLang {
    /// For `PYTHONPATH`.
    Python,
    /// The crate is in `sdk-rust` below it.
    Rust,
}

/// `run`
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Which config.
    #[command(flatten)]
    pub config: ConfigArg,
}

/// `check`
#[derive(Debug, ClapArgs)]
pub struct PluginCheckArgs {
    /// The plugin: a program, or a folder with plugin.toml.
    #[arg(value_name = "PLUGIN", required_unless_present = "list")]
    pub plugin: Option<PathBuf>,
    /// One JSON document: docs/check.schema.json.
    #[arg(long)]
    pub json: bool,
    /// Only this scenario, and those that it needs; may be given again.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// The scenarios with what each is about; with --json, as a list.
    #[arg(long)]
    pub list: bool,
    /// So long each answer is waited for.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    pub timeout: std::time::Duration,
    /// Your own events instead of made-up ones: rows of the event log, as a list or one a line; may be given again.
    #[arg(long = "event", value_name = "FILE")]
    pub events: Vec<PathBuf>,
    /// The plugin's `config`, a JSON object, or @FILE.
    #[arg(long, value_name = "JSON")]
    pub config_json: Option<String>,
    /// Takes what `[plugin.NAME]` of this config says: environment, limits, config.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
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

/// `plugins`
#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// Has a disabled plugin work again, at the event where it stopped.
    Enable(EnableArgs),
    /// Has a plugin finish its open events and rest until it is enabled, also after a restart of the daemon.
    Disable(DisableArgs),
}

/// `plugins enable`
#[derive(Debug, ClapArgs)]
pub struct EnableArgs {
    /// Its name, as status shows it.
    pub name: String,
    /// The oldest event that waits becomes a dead letter first.
    #[arg(long)]
    pub skip_event: bool,
    /// What became of it, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `plugins disable`
#[derive(Debug, ClapArgs)]
pub struct DisableArgs {
    /// Its name, as status shows it.
    pub name: String,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `dead`
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// A line for each letter.
    List(DeadListArgs),
    /// Everything about one letter: the event, the error with its traceback, the attempts, the plugin's version.
    Show(DeadShowArgs),
    /// Hands the events of letters to their plugins once more.
    Redrive(DeadIdsArgs),
    /// Forgets letters for good.
    Drop(DeadDropArgs),
}

/// `dead list`
#[derive(Debug, ClapArgs)]
pub struct DeadListArgs {
    /// Of this plugin only.
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// A JSON object a line, with everything.
    #[arg(long)]
    pub json: bool,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `dead show`
#[derive(Debug, ClapArgs)]
pub struct DeadShowArgs {
    /// Its number, as `dead list` shows it.
    #[arg(value_parser = letter)]
    pub id: i64,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `dead redrive`
#[derive(Debug, ClapArgs)]
pub struct DeadIdsArgs {
    /// Their numbers, as `dead list` shows them.
    #[arg(required = true, value_parser = letter)]
    pub ids: Vec<i64>,
    /// Which daemon.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// `dead drop`
#[derive(Debug, ClapArgs)]
pub struct DeadDropArgs {
    /// Which letters.
    #[command(flatten)]
    pub letters: DeadIdsArgs,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
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

/// Events a second: what a machine can do, and no less than nothing.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| (0.0..=10_000.0).contains(rate))
        .ok_or_else(|| "allowed: a number from 0 to 10000".to_owned())
}

/// The number of a dead letter.
fn letter(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        "allowed: the number of a dead letter, the first in each line of `sgeventd dead list`"
            .to_owned()
    })
}

pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::read_duration(text)
        .ok_or_else(|| "allowed: a duration such as 30s, 5m or 500ms".to_owned())
}

/// A duration in which something can happen.
fn some_time(text: &str) -> Result<std::time::Duration, String> {
    let read = crate::config::read_duration(text).filter(|time| !time.is_zero());
    read.ok_or_else(|| "allowed: a duration above 0, such as 10s, 2m or 500ms".to_owned())
}

/// `sandbox`
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SandboxArgs {
    /// What to do with a site that runs already.
    #[command(subcommand)]
    pub order: Option<SandboxCommand>,
    /// Where to listen; port 0 takes a free one. Without it, 127.0.0.1:7357, or a free port when that is taken.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
    /// The name of the script.
    #[arg(long, value_name = "NAME", default_value = "sandbox", value_parser = super::paste::carried)]
    pub script: String,
    /// Its key; one is made up otherwise.
    #[arg(long, value_name = "KEY", value_parser = super::paste::carried)]
    pub key: Option<String>,
    /// What the site begins with.
    #[arg(long, value_enum, default_value_t = ScenarioArg::Demo)]
    pub scenario: ScenarioArg,
    /// Goes on with a site that was dumped, instead of a scenario.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "schema"])]
    pub load: Option<PathBuf>,
    /// Writes the whole site into a file when it ends; `GET /_sandbox/dump` tells it while it runs.
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,
    /// The schema of your own site: what `schema_read()` told, as JSON or as Mockgun's pickle; a second time for `schema_entity_read()`.
    #[arg(long, value_name = "FILE")]
    pub schema: Vec<PathBuf>,
    /// The same seed gives the same show.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Events a second that artists make.
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate, allow_hyphen_values = true)]
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
    /// A studio after months of work on three shows: some 50 people, 5000 entities, 50000 events.
    Studio,
    /// A studio after years: 100000 entities, a million events; takes seconds to make.
    Huge,
}

/// What can be done with a made-up site that runs.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Makes it misbehave, and well again.
    Ctl(CtlArgs),
}

/// Prints what clap has to say and decides the exit code: help and version are answers, the rest is usage.
pub(super) fn explain(error: &clap::Error) -> Exit {
    let _closed = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
