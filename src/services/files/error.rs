//! Why a file cannot be had or written, and what the plugin is told.
//!
//! In: a path as the plugin wrote it, a reason. Out: an error of the protocol.
//! Never: what lies outside of the granted roots: of that it is only said that it is outside.

use std::{fmt, io, path::PathBuf};

use serde_json::json;
use sgeventd_protocol::ErrorCode;

use crate::{
    ident::PluginName,
    services::{RpcError, needed::Needed},
};

/// A path and what is wrong with it.
#[derive(Debug)]
pub(super) struct FileError {
    path: String,
    kind: Kind,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Kind {
    /// Empty, or with a zero byte.
    NoPath,
    /// It goes up.
    Parent,
    /// It lies below no root.
    Outside {
        roots: Vec<PathBuf>,
        granted: Vec<PathBuf>,
        folder: PathBuf,
    },
    /// It goes through a symbolic link.
    Link,
    /// State, config or a key.
    KeptBack,
    /// No regular file.
    Irregular(&'static str),
    /// The root itself is not there.
    NoRoot(PathBuf),
    Missing,
    NoFolder,
    Denied,
    Empty,
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    /// The file system does not answer.
    Silent {
        seconds: u64,
    },
    Io(io::Error),
}

impl From<io::Error> for Kind {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Io(error),
        }
    }
}

impl FileError {
    pub(super) fn new(path: &str, kind: Kind) -> Self {
        Self {
            path: path.chars().take(500).collect(),
            kind,
        }
    }

    /// As it goes to the plugin.
    pub(super) fn rpc(&self, method: &str, plugin: &PluginName) -> RpcError {
        let message = format!("{method}: {self}");
        let data = json!({ "method": method, "path": self.path });
        match &self.kind {
            Kind::Outside {
                granted, folder, ..
            } => {
                let mut files = granted.clone();
                files.push(folder.clone());
                let needed = Needed::setting(plugin, format!("files = {files:?}"));
                RpcError::permission(message, Some(&needed))
            }
            Kind::KeptBack => RpcError::permission(message, None),
            Kind::TooLarge { limit, .. } => {
                let data = json!({ "method": method, "path": self.path, "limit_bytes": limit });
                RpcError::new(ErrorCode::TooLarge, message, &data)
            }
            Kind::Io(_) | Kind::Silent { .. } => RpcError::new(ErrorCode::Internal, message, &data),
            _ => RpcError::new(ErrorCode::InvalidParams, message, &data),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            Kind::NoPath => write!(f, "{path:?} is no path of a file"),
            Kind::Parent => write!(f, "{path:?} goes up by `..`, which no path may"),
            Kind::Outside { roots, .. } => {
                write!(f, "{path:?} is in none of the granted folders {roots:?}")
            }
            Kind::Link => write!(
                f,
                "{path:?} goes through a symbolic link; name the file itself"
            ),
            Kind::KeptBack => write!(f, "{path:?} is the daemon's own and is never handed out"),
            Kind::Irregular(what) => {
                write!(f, "{path:?} is {what}; allowed: regular files")
            }
            Kind::NoRoot(root) => write!(f, "the granted folder {} is not there", root.display()),
            Kind::Missing => write!(f, "{path:?} is not there"),
            Kind::NoFolder => write!(f, "the folder of {path:?} is not there"),
            Kind::Denied => write!(f, "{path:?} may not be opened by the plugin's user"),
            Kind::Empty => write!(f, "{path:?} is empty; the site takes no empty file"),
            Kind::TooLarge { bytes, limit } => {
                write!(f, "{path:?} has {bytes} bytes; allowed: {limit}")
            }
            Kind::Silent { seconds } => write!(
                f,
                "the file system of {path:?} has not answered within {seconds} s"
            ),
            Kind::Io(error) => write!(f, "{path:?}: {error}"),
        }
    }
}
