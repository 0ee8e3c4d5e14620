//! How a running daemon is found: by its socket, by its config, or where the packaged one listens.

use std::path::PathBuf;

use super::{Exit, args::ReachArgs, exit::Failure};
use crate::{admin::client::ConnectError, config::load};

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
