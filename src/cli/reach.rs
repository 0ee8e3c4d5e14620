//! How a running daemon is found: by its socket, by its config, or where the packaged one listens.

use std::{path::PathBuf, time::Duration};

use jsonrpsee::core::client::{Client, Error};

use super::{
    Exit,
    args::ReachArgs,
    exit::Failure,
    output::{counted, talk},
};
use crate::{
    admin::client::{ConnectError, connect_for},
    config,
    way::{PACKAGED, Way},
};

/// What changes something is answered after its commit, which a busy disk may hold up.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// The socket that the command line names. A config that has mistakes elsewhere names it, too: the daemon runs on.
pub(super) fn socket(args: &ReachArgs) -> Result<PathBuf, Failure> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let Some(file) = &args.config else {
        return Ok(PACKAGED.into());
    };
    let loaded = config::read(file);
    let mistakes = loaded.findings().iter().filter(|one| one.is_error());
    let mistakes = mistakes.count();
    let socket = loaded.socket().map_err(|findings| {
        let first = findings.iter().find(|finding| finding.is_error());
        Failure::findings(first).hint("--socket PATH reaches a daemon without its config file")
    })?;
    if mistakes > 0 {
        let file = file.display();
        talk(&format!(
            "warning: {file} has {}: sgeventd check-config -c {file}",
            counted(mistakes, "mistake")
        ));
    }
    Ok(socket)
}

/// A command of ours that reaches the same daemon.
pub(super) fn command(args: &ReachArgs, words: &str) -> String {
    let from_environment = std::env::var_os("SGEVENTD_SOCKET").map(PathBuf::from);
    let way = match (&args.config, &args.socket) {
        (_, Some(socket)) if from_environment.as_ref() == Some(socket) => Way::Packaged,
        (_, Some(socket)) => Way::Socket(socket.clone()),
        (Some(file), None) => Way::Config(file.clone()),
        (None, None) => Way::Packaged,
    };
    way.command(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reaches_the_daemon_that_was_asked() {
        let args = |socket: Option<&str>, config: Option<&str>| ReachArgs {
            socket: socket.map(Into::into),
            config: config.map(Into::into),
        };
        let disable = "sgeventd plugins disable a";
        for (args, words, expected) in [
            (args(None, None), disable, disable),
            (
                args(None, Some("/etc/x.toml")),
                disable,
                "sgeventd plugins disable a -c /etc/x.toml",
            ),
            (
                args(Some("/run/a b.sock"), Some("/etc/x.toml")),
                disable,
                "sgeventd plugins disable a --socket '/run/a b.sock'",
            ),
            (args(None, Some("x.toml")), "edit /p/a.py", "edit /p/a.py"),
            (
                args(None, Some("x.toml")),
                "sgeventd check-config -c y.toml",
                "sgeventd check-config -c y.toml",
            ),
        ] {
            assert_eq!(command(&args, words), expected);
        }
    }
}
