//! `sgeventd check`: a plugin is run through named scenarios and held against the contract, `protocol/v1/PROTOCOL.md`.
//!
//! ```text
//!   manifest ─► made.rs (events that it asked for) ─► scenario.rs (plans) ─► run.rs (a fresh process each)
//!                                                                              │ transcript.rs
//!   report.rs ◄── findings, each with its rule (rule.rs) ◄── judge/ ◄──────────┘
//! ```
//! Plans and judges are pure; the process is started as the daemon starts it, its calls are answered by the daemon's services over
//! a made-up site. Never: a terminal, another site, a second way to start a process.

mod bend;
mod judge;
mod live;
mod made;
mod oddity;
mod plan;
mod report;
mod rule;
mod run;
mod scenario;
mod stage;
mod store;
mod transcript;

use std::{path::PathBuf, time::Duration};

use futures::{StreamExt as _, stream};

pub use report::{FindingReport, Outcome, Report, ScenarioReport};
pub use rule::{RULES, Rule};
pub use scenario::{SCENARIOS, Scenario};
pub use stage::CheckError;

use self::{
    judge::greeting, made::Events, run::Runner, scenario::Kind, stage::Stage,
    transcript::Transcript,
};
use crate::{config::PluginSettings, plugin::discovery::Found};

/// At least so many processes run at once: a check mostly waits.
const AT_ONCE_MIN: usize = 8;

/// What is done about a folder that does not say what to execute.
const WITHOUT_MANIFEST: &str = "put a plugin.toml into the folder, with command = [\"./PROGRAM\"], or name the program itself: sgeventd check FOLDER/PROGRAM";

/// What is checked, and how.
pub struct Options {
    /// The plugin, or why it is none.
    pub found: Result<Found, String>,
    /// Its file or folder, for people.
    pub file: PathBuf,
    /// Its settings, as the operator's config has them.
    pub settings: PluginSettings,
    /// The folder of the Python SDK.
    pub sdk: PathBuf,
    /// Everything that a process may write lies below.
    pub dir: PathBuf,
    /// So long an answer is waited for.
    pub timeout: Duration,
    /// Only these scenarios, and those that they need; all when empty.
    pub only: Vec<String>,
    /// Events to use instead of made-up ones, rows as the site gives them.
    pub events: Vec<serde_json::Value>,
}

/// Checks a plugin.
///
/// # Errors
/// When it is this machine that cannot: no process, no port.
pub async fn check(options: Options) -> Result<Report, CheckError> {
    let begun = tokio::time::Instant::now();
    let chosen = scenario::chosen(&options.only);
    let mut report = Report::new(&options.file, options.found.as_ref().ok());
    let stage = match &options.found {
        Ok(found) => Stage::build(found, &options).await?,
        Err(why) => {
            let is_bare = options.file.is_dir() && !options.file.join("plugin.toml").exists();
            report.cannot_start(&chosen, why, is_bare.then_some(WITHOUT_MANIFEST));
            return Ok(report.done(begun.elapsed()));
        }
    };
    let runner = Runner::new(&stage, options.timeout);
    // The first run alone: without a manifest there is nothing to plan the others by.
    let first = runner.run(0, &scenario::handshake_plan()).await;
    let greeting = first.greeting().map(greeting);
    let Some(Ok(greeting)) = greeting else {
        report.take(&chosen, &[(scenario::HANDSHAKE, Ok(first))]);
        stage.end().await;
        return Ok(report.done(begun.elapsed()));
    };
    let ground = stage.survey(&greeting.manifest).await;
    let events = Events::of(&greeting.manifest, &ground, &options.events);
    report.greeted(&greeting.manifest, &events);
    let plans = chosen.iter().zip(1..).filter_map(|(scenario, number)| {
        let Kind::Run { plan, .. } = scenario.kind else {
            return None;
        };
        (scenario.name != scenario::HANDSHAKE).then(|| (scenario.name, number, plan(&events)))
    });
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let at_once = cores.max(AT_ONCE_MIN);
    let runner = runner.beside(first.elapsed_ms, at_once);
    let is_up = first.has_started() && first.death().is_none();
    let runs = stream::iter(plans.filter(|_| is_up).collect::<Vec<_>>())
        .map(|(name, number, plan)| {
            let runner = &runner;
            async move {
                match plan {
                    Ok(plan) => (name, Ok(runner.run(number, &plan).await)),
                    Err(why) => (name, Err(why)),
                }
            }
        })
        .buffered(at_once)
        .collect::<Vec<(&str, Result<Transcript, String>)>>()
        .await;
    let mut all = vec![(scenario::HANDSHAKE, Ok(first))];
    all.extend(runs);
    report.take(&chosen, &all);
    stage.end().await;
    Ok(report.done(begun.elapsed()))
}
