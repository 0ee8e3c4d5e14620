//! How a running daemon is found: by its socket, by its config, or where the packaged one listens.

use std::{path::PathBuf, time::Duration};

use jsonrpsee::core::client::{Client, Error};

use super::{Exit, args::ReachArgs, exit::Failure};
use crate::{
    admin::client::{ConnectError, connect_for},
    config::load,
};

/// What changes something is answered after its commit, which a busy disk may hold up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the packaged daemon listens.
const PACKAGED: &str = "/run/sgeventd/admin.sock";

/// Why nobody answers, as every command says it.
pub(super) fn refused(error: &ConnectError) -> Failure {
    let exit = match error {
        ConnectError::NotRunning(_) => Exit::NotRunning,
        ConnectError::Permission(_) => Exit::Permission,
        ConnectError::Hangs(_) | ConnectError::Other { .. } => Exit::Down,
    };
    Failure::new(exit, error)
        .hint("name the daemon with --config FILE or --socket PATH; systemctl status sgeventd shows whether it runs")
}

/// A daemon that may be asked for a change.
pub(super) async fn daemon(args: &ReachArgs) -> Result<Client, Failure> {
    let client = connect_for(&socket(args)?, PATIENCE).await;
    client.map_err(|error| refused(&error))
}

/// Waits for a conversation with a daemon.
pub(super) fn wait<T>(talk: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, &error))?;
    runtime.block_on(talk)
}

/// Why the daemon did not do it.
pub(super) fn failed(error: &Error) -> Failure {
    match error {
        Error::Call(refusal) => Failure::words(Exit::No, refusal.message()),
        Error::RequestTimeout => Failure::words(
            Exit::Down,
            "the daemon has not answered in time; sgeventd status shows what became of it",
        ),
        other => Failure::new(Exit::Down, other),
    }
}

/// The socket that the command line names.
pub(super) fn socket(args: &ReachArgs) -> Result<PathBuf, Failure> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let Some(file) = &args.config else {
        return Ok(PACKAGED.into());
    };
    match load(file).accept() {
        Ok((config, _)) => Ok(config.admin.socket),
        Err(findings) => {
            let first = findings.iter().find(|finding| finding.is_error());
            Err(Failure::words(
                Exit::Config,
                first.map(ToString::to_string).unwrap_or_default(),
            ))
        }
    }
}
