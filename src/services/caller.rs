//! Who calls: one plugin with its scripts, its grants and its mode.
//!
//! In: config and manifest of one plugin. Out: whether it may use a script, a login, the background.
//! Never: its process.

use std::sync::Arc;

use super::{
    error::RpcError,
    files::FileRoots,
    needed::{Missing, Needed},
    queue::Queue,
};
use crate::{
    ident::PluginName,
    site::{
        Session,
        permissions::{Granted, Side},
    },
};

/// What happens with a plugin's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They are sent.
    #[default]
    Live,
    /// They are checked and noted, not sent.
    DryRun,
    /// As `DryRun`, and kept for the report.
    Shadow,
}

/// Whether something is allowed that both sides must agree to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BothSides {
    /// The manifest asks for it.
    pub manifest: bool,
    /// The operator allows it.
    pub operator: bool,
}

/// What a plugin is to the services.
pub struct CallerSetup {
    /// Its name.
    pub plugin: PluginName,
    /// Sessions of its scripts; the first is the default.
    pub sessions: Vec<Session>,
    /// What it may ask of the site.
    pub granted: Granted,
    /// Whether it may call outside of events.
    pub background: BothSides,
    /// Whether it may upload and download.
    pub upload: BothSides,
    /// Where its files may lie.
    pub files: Arc<FileRoots>,
    /// Logins it may act for.
    pub sudo: Vec<Box<str>>,
    /// What happens with its writes.
    pub mode: Mode,
    /// Whether writes carry the `session_uuid` of their event.
    pub uses_session_uuid: bool,
}

/// One plugin, for as long as its config and manifest stay.
pub struct Caller {
    pub(super) setup: CallerSetup,
    pub(super) queue: Queue,
}

impl Caller {
    /// A caller without open calls.
    #[must_use]
    pub fn new(setup: CallerSetup) -> Self {
        Self {
            setup,
            queue: Queue::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn plugin(&self) -> &PluginName {
        &self.setup.plugin
    }

    /// Its calls that are open: under way or waiting.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.queue.open()
    }

    /// The session of the script that a call names, or of the first.
    pub(super) fn session(&self, named: Option<&str>) -> Result<&Session, RpcError> {
        let sessions = &self.setup.sessions;
        let found = match named {
            Some(name) => sessions.iter().find(|session| session.script() == name),
            None => sessions.first(),
        };
        found.ok_or_else(|| {
            let mut scripts: Vec<&str> = sessions.iter().map(Session::script).collect();
            scripts.extend(named);
            let line = format!("scripts = {scripts:?}");
            let needed = Needed::setting(self.plugin(), line);
            let named = named.unwrap_or("any");
            RpcError::permission(
                format!("this plugin may not use script {named:?}"),
                Some(&needed),
            )
        })
    }

    /// Whether the plugin may act for this login.
    pub(super) fn check_sudo(&self, login: &str) -> Result<(), RpcError> {
        let sudo = &self.setup.sudo;
        if sudo.iter().any(|allowed| **allowed == *login) {
            return Ok(());
        }
        let mut logins: Vec<&str> = sudo.iter().map(AsRef::as_ref).collect();
        logins.push(login);
        let needed = Needed::setting(self.plugin(), format!("sudo = {logins:?}"));
        Err(RpcError::permission(
            format!("this plugin may not act for {login:?}"),
            Some(&needed),
        ))
    }

    /// Whether the plugin may upload and download.
    pub(super) fn check_files(&self) -> Result<(), RpcError> {
        let side = match self.setup.upload {
            BothSides {
                manifest: true,
                operator: true,
            } => return Ok(()),
            BothSides {
                operator: false, ..
            } => Side::Operator,
            BothSides { .. } => Side::Manifest,
        };
        let needed = Needed::permissions(&self.setup, side, Missing::Upload);
        Err(RpcError::permission(
            "this plugin may not upload or download",
            Some(&needed),
        ))
    }

    /// Whether the plugin may call outside of events.
    pub(super) fn check_background(&self) -> Result<(), RpcError> {
        let side = match self.setup.background {
            BothSides {
                manifest: true,
                operator: true,
            } => return Ok(()),
            BothSides { manifest: true, .. } => Side::Operator,
            BothSides { .. } => Side::Manifest,
        };
        let needed = Needed::permissions(&self.setup, side, Missing::Background);
        Err(RpcError::permission(
            "this call belongs to no open event, and the plugin may not call in the background",
            Some(&needed),
        ))
    }
}
