//! Calls the admin API of a running daemon.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jsonrpsee::{
    client_transport::ws::WsTransportClientBuilder,
    core::client::{Client, ClientBuilder},
};
use tokio::net::UnixStream;

/// A daemon that does not answer within this hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no daemon.
    #[error("no daemon answers on {0}")]
    NotRunning(PathBuf),
    /// We may not ask.
    #[error(
        "no permission to use {0}: only root, the daemon's user and the group of [admin] group may"
    )]
    Permission(PathBuf),
    /// It is there and says nothing.
    #[error("the daemon on {0} does not answer within 2 s: it hangs")]
    Hangs(PathBuf),
    /// Anything else.
    #[error("cannot talk to the daemon on {path}")]
    Other {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Connects to the socket.
///
/// # Errors
/// When nobody listens, we may not ask, or the daemon hangs.
pub async fn connect(socket: &Path) -> Result<Client, ConnectError> {
    connect_for(socket, PATIENCE).await
}

/// Connects for something that may take a while, such as a commit.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for(socket: &Path, answers_within: Duration) -> Result<Client, ConnectError> {
    let path = || socket.to_owned();
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectError::NotRunning(path())
            }
            io::ErrorKind::PermissionDenied => ConnectError::Permission(path()),
            _ => ConnectError::Other {
                path: path(),
                source: error.into(),
            },
        })?;
    let url = "ws://localhost".parse().expect("a constant that parses");
    let handshake = WsTransportClientBuilder::default().build_with_stream(url, stream);
    let (sender, receiver) = tokio::time::timeout(PATIENCE, handshake)
        .await
        .map_err(|_| ConnectError::Hangs(path()))?
        .map_err(|error| ConnectError::Other {
            path: path(),
            source: error.into(),
        })?;
    Ok(ClientBuilder::default()
        .request_timeout(answers_within)
        .build_with_tokio(sender, receiver))
}
