//! Serves the admin API on a unix socket, to root, the daemon's user and a group.
//!
//! A peer is judged by its credentials before a byte of it is read. Never: TCP.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use jsonrpsee::server::{Methods, Server, serve_with_graceful_shutdown, stop_channel};
use nix::unistd::{Gid, Group, Uid, User, chown};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers on it.
    #[error("the admin socket {0} is in use by another daemon; see [admin] socket")]
    InUse(PathBuf),
    /// It cannot be made.
    #[error("cannot listen on the admin socket {path}; see [admin] socket")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket that listens; removed when dropped.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    group: Option<Gid>,
}

impl AdminSocket {
    /// Makes the socket, in place of one that a dead daemon left behind.
    ///
    /// # Errors
    /// When another daemon listens on it, or it cannot be made.
    pub fn bind(path: &Path, group: &str) -> Result<Self, SocketError> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(SocketError::InUse(path.to_owned()));
        }
        // What nobody answers on was left behind by a daemon that died.
        let _missing = std::fs::remove_file(path);
        let failed = |source| SocketError::Listen {
            path: path.to_owned(),
            source,
        };
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
        let group = Group::from_name(group)
            .ok()
            .flatten()
            .map(|group| group.gid);
        if let Some(gid) = group
            && let Err(error) = chown(path, None, Some(gid))
        {
            debug!(%error, "the admin socket keeps its group");
        }
        Ok(Self {
            listener,
            path: path.to_owned(),
            group,
        })
    }

    /// Serves until `stop`.
    pub async fn serve(self, methods: Methods, stop: CancellationToken) {
        let (stopping, handle) = stop_channel();
        let builder = Server::builder().to_service_builder();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "the admin socket cannot accept");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    continue;
                }
            };
            if !self.may_ask(&stream) {
                continue;
            }
            let service = builder.clone().build(methods.clone(), stopping.clone());
            let stopped = stopping.clone().shutdown();
            tokio::spawn(async move {
                if let Err(error) = serve_with_graceful_shutdown(stream, service, stopped).await {
                    debug!(error = %error, "an admin connection ended");
                }
            });
        }
        let _stopped = handle.stop();
    }

    fn may_ask(&self, stream: &UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else {
            return false;
        };
        let uid = Uid::from_raw(peer.uid());
        let is_allowed = uid.is_root()
            || uid == Uid::effective()
            || self
                .group
                .is_some_and(|gid| is_member(uid, peer.gid(), gid));
        if !is_allowed {
            warn!(uid = peer.uid(), "the admin socket refused a user");
        }
        is_allowed
    }
}

fn is_member(uid: Uid, primary: u32, group: Gid) -> bool {
    if primary == group.as_raw() {
        return true;
    }
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let members = Group::from_gid(group).ok().flatten().map(|group| group.mem);
    matches!((name, members), (Some(name), Some(members)) if members.contains(&name))
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}
