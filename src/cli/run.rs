//! `run`: the daemon in the foreground, until SIGTERM or Ctrl-C.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Exit,
    args::{ConfigArg, RunArgs},
    exit::Failure,
    output::{counted, talk},
};
use crate::{
    config::{Config, load},
    daemon::{Daemon, DaemonError, tell_ready},
    journal::{JournalError, OpenError, StateError},
    process, telemetry,
};

/// Runs the daemon.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    process::set_not_dumpable();
    let config = accept(&args.config)?;
    let guard = telemetry::init(&config.log).map_err(|error| Failure::new(Exit::Io, &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    let result = runtime.block_on(Box::pin(serve(config, &guard)));
    guard.flush();
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.map(|()| Exit::Done).map_err(|error| failure(&error))
}

/// The config, or all its mistakes.
pub(super) fn accept(config: &ConfigArg) -> Result<Config, Failure> {
    match load(&config.config).accept() {
        Ok((config, findings)) => {
            for finding in findings {
                talk(&finding.to_string());
            }
            Ok(config)
        }
        Err(findings) => {
            for finding in &findings {
                talk(&finding.to_string());
            }
            let count = findings.iter().filter(|one| one.is_error()).count();
            let text = format!("the config has {}", counted(count, "mistake"));
            Err(Failure::words(Exit::Config, text))
        }
    }
}

async fn serve(config: Config, guard: &telemetry::Guard) -> Result<(), DaemonError> {
    let failed = |source| DaemonError::System {
        what: "cannot listen for signals",
        source,
    };
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let _heard = meaningless().map_err(failed)?;
    let (site, dir) = (config.site.url.clone(), config.state.dir.clone());
    let mut daemon = Box::pin(Daemon::start(config, guard)).await?;
    tracing::info!(%site, dir = %dir.display(), version = env!("CARGO_PKG_VERSION"), "sgeventd runs");
    tell_ready();
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                guard.reopen();
                daemon.reload(guard).await;
            }
            () = daemon.failed() => break,
        }
    }
    tracing::info!("sgeventd stops: plugins finish what they work on");
    daemon.stop().await?;
    tracing::info!("sgeventd has stopped");
    Ok(())
}

/// Hears signals that mean nothing to us: they end a program that does not, and a plugin of our own user may send them. They are
/// handled, not ignored, for what is ignored is ignored in children, too.
fn meaningless() -> io::Result<Vec<Signal>> {
    use nix::libc;
    let plain = [
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGSTKFLT,
    ];
    let all = plain.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX());
    all.map(|number| signal(SignalKind::from_raw(number)))
        .collect()
}

/// What it ended with, as the exit codes of all commands.
pub(super) fn failure(error: &DaemonError) -> Failure {
    let exit = match error {
        DaemonError::Config(_) | DaemonError::Alerts(_) | DaemonError::Site(_) => Exit::Config,
        DaemonError::Key { .. } | DaemonError::Level(_) => Exit::Config,
        DaemonError::State(error) => match error {
            StateError::InUse { .. } => Exit::Locked,
            StateError::NotWritable { .. } | StateError::NoParent { .. } => Exit::CannotCreate,
            StateError::NotADirectory { .. } | StateError::Shared { .. } => Exit::CannotCreate,
            _ => Exit::Io,
        },
        DaemonError::Open(error) => match error {
            OpenError::Foreign { .. }
            | OpenError::Newer { .. }
            | OpenError::Corrupt { .. }
            | OpenError::Orphan { .. } => Exit::State,
            _ => Exit::Io,
        },
        DaemonError::OtherSite { .. } => {
            return Failure::new(Exit::State, error)
                .hint("each site needs a [state] dir of its own; the same site at another address: sgeventd state adopt");
        }
        DaemonError::Journal(JournalError::Corrupt(_)) => Exit::State,
        DaemonError::Socket(_) => Exit::Io,
        DaemonError::Sdk(_) => Exit::CannotCreate,
        DaemonError::Journal(_) | DaemonError::System { .. } | DaemonError::Panic(_) => Exit::Io,
    };
    Failure::new(exit, error)
}
