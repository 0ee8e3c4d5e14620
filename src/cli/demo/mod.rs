//! `demo`: a made-up site, the daemon and plugins in three languages, in one process, on one screen.
//!
//! One plugin crashes, is tried again, disabled, mended in its file, and comes back without a restart.

pub(super) mod plugin;
mod screen;
mod stage;
mod verdict;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    args::DemoArgs,
    exit::Failure,
    output::{data, talk},
    run::failure,
};
use crate::{
    admin::Status,
    config::load,
    daemon::Daemon,
    plugin::report::PluginReport,
    process,
    sandbox::{Options, Sandbox, Scenario},
    secret::Secret,
    telemetry,
};
use stage::{SCRIPT, Stage};

/// The screen is drawn this often.
const FRAME: Duration = Duration::from_secs(2);
/// The state is looked at this often.
const LOOK: Duration = Duration::from_millis(200);
/// A plugin that was disabled is mended after this: time to read why.
const READING: Duration = Duration::from_secs(4);
/// What is on its way at the end is waited for so long.
const SETTLE: Duration = Duration::from_secs(25);

/// Runs the demo.
pub(super) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    process::set_not_dumpable();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    let result = runtime.block_on(Box::pin(play(args)));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn play(args: &DemoArgs) -> Result<Exit, Failure> {
    let io = |error: std::io::Error| Failure::new(Exit::Io, &error);
    let key = format!("demo-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let stop = CancellationToken::new();
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        scripts: vec![(SCRIPT.to_owned(), Secret::new(key.clone()))],
        seed: args.seed,
        scenario: Scenario::Demo,
        rate: args.rate,
        page_delay: Duration::ZERO,
    };
    let sandbox = Sandbox::start(options, stop.clone()).await.map_err(io)?;
    let own = args.dir.clone();
    let dir = own.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("sgeventd-demo-{}", std::process::id()))
    });
    let first = sandbox.truth().into_iter().min().unwrap_or(1);
    let stage = Stage::build(&dir, &sandbox.url(), &key, first).map_err(io)?;
    let loaded = load(&stage.config).accept();
    let (config, _findings) = loaded.map_err(|findings| Failure::findings(&findings))?;
    let guard = telemetry::init(&config.log).map_err(|error| Failure::new(Exit::Io, &error))?;
    talk(&screen::opening(&stage, &sandbox.url()));
    let mut daemon = Box::pin(Daemon::start(config, &guard))
        .await
        .map_err(|error| failure(&error))?;
    let mut show = Show::new(args, &stage);
    show.go(&mut daemon).await;
    sandbox.quiet();
    let (status, journaled) = show.settle(&daemon, &sandbox).await;
    daemon.stop().await.map_err(|error| failure(&error))?;
    guard.flush();
    let committed = sandbox.truth();
    stop.cancel();
    let verdict = verdict::judge(&committed, &journaled, &status, &stage.traffic).map_err(io)?;
    tell(args, &verdict, &stage);
    let is_good = verdict.lost == 0 && verdict.duplicates == 0 && verdict.out_of_order == 0;
    Ok(if is_good { Exit::Done } else { Exit::No })
}

fn tell(args: &DemoArgs, verdict: &verdict::Verdict, stage: &Stage) {
    if args.json {
        let text = serde_json::to_string(verdict).expect("plain data is JSON");
        data(&text);
        return;
    }
    data(&format!(
        "{} events journaled · {} lost · {} doubled · {} out of order · {} late ids filled, {} given up",
        verdict.journaled,
        verdict.lost,
        verdict.duplicates,
        verdict.out_of_order,
        verdict.gaps.filled,
        verdict.gaps.given_up
    ));
    talk(&format!(
        "everything of this run lies in {}; write a plugin of your own: examples/ and docs/",
        stage.dir.display()
    ));
}

/// The story that is told.
struct Show<'a> {
    args: &'a DemoArgs,
    stage: &'a Stage,
    began: Instant,
    disabled_at: Option<Instant>,
    mended_at: Option<Instant>,
}

impl<'a> Show<'a> {
    fn new(args: &'a DemoArgs, stage: &'a Stage) -> Self {
        Self {
            args,
            stage,
            began: Instant::now(),
            disabled_at: None,
            mended_at: None,
        }
    }

    async fn go(&mut self, daemon: &mut Daemon) {
        let until = self.args.duration.map(|time| self.began + time);
        let mut frame = self.began;
        let interrupt = tokio::signal::ctrl_c();
        let mut interrupt = std::pin::pin!(interrupt);
        loop {
            tokio::select! {
                _ = &mut interrupt => return,
                () = daemon.failed() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = Instant::now();
            let status = daemon.status().await;
            self.mend(&status, now);
            if now >= frame {
                frame = now + FRAME;
                self.draw(&status);
            }
            if until.is_some_and(|until| now >= until) {
                return;
            }
        }
    }

    fn draw(&self, status: &Status) {
        let story = self.story(status);
        let text = screen::table(status, self.stage, self.began.elapsed(), &story);
        talk(text.trim_end());
    }

    /// The crashed plugin's file is mended once, as a person would.
    fn mend(&mut self, status: &Status, now: Instant) {
        let is_disabled = flaky(status).is_some_and(|plugin| plugin.state == "disabled");
        if is_disabled && self.disabled_at.is_none() {
            self.disabled_at = Some(now);
        }
        let is_read = self.disabled_at.is_some_and(|at| now >= at + READING);
        if is_read && self.mended_at.is_none() {
            self.mended_at = Some(now);
            if let Err(error) = self.stage.mend() {
                talk(&format!(
                    "the demo cannot write {}: {error}",
                    self.stage.flaky().display()
                ));
            }
        }
    }

    fn story(&self, status: &Status) -> String {
        let file = self.stage.flaky();
        let Some(flaky) = flaky(status) else {
            return String::new();
        };
        match (self.disabled_at, self.mended_at, flaky.state.as_str()) {
            (_, Some(_), "ok") => format!(
                "flaky was mended in its file and came back by itself, at the event that killed it: start {}",
                flaky.generation.0
            ),
            (_, Some(_), _) => format!("the demo has mended {}: it comes back", file.display()),
            (Some(_), None, _) => format!(
                "flaky is disabled at its event; the others go on. The demo mends {} in a moment",
                file.display()
            ),
            (None, _, _) if flaky.restarts > 0 => {
                "flaky has crashed: its event is tried once more, alone".to_owned()
            }
            _ => "flaky dies at the first Task that becomes final: watch it".to_owned(),
        }
    }

    /// Waits until what the site committed is journaled and handled; then the last look.
    async fn settle(&mut self, daemon: &Daemon, sandbox: &Sandbox) -> (Status, Vec<i64>) {
        let until = Instant::now() + SETTLE;
        loop {
            let status = daemon.status().await;
            self.mend(&status, Instant::now());
            let journaled = daemon.event_ids().await;
            let kept: std::collections::BTreeSet<_> = journaled.iter().collect();
            // A row that is late may otherwise come after this look and before the verdict.
            let waits = sandbox.summary()["waiting"].as_u64() != Some(0);
            let has_all = !waits && sandbox.truth().iter().all(|id| kept.contains(id));
            let is_still = status
                .plugins
                .iter()
                .all(|plugin| plugin.open == 0 && plugin.behind == 0 || plugin.state == "disabled");
            if has_all && is_still || Instant::now() >= until {
                return (daemon.status().await, journaled);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn flaky(status: &Status) -> Option<&PluginReport> {
    let mut plugins = status.plugins.iter();
    plugins.find(|plugin| plugin.name.as_str() == "flaky")
}
