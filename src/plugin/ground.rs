//! What is made ready for one process of a plugin before it starts: its user, its folders, its control group, its number.
//!
//! In: how it is to be started. Out: the same, with all that it takes on this machine; or why it cannot be.
//! Never: a process. Blocks on disk, and on the list of users, which may be in the network.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use super::folders;
use crate::{
    account::Account,
    config::Limits,
    process::{Bounds, Marks, SpawnSpec, Tree},
};

/// What a process is started on.
pub(crate) struct Ground {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Its plugin.
    pub(crate) name: String,
    /// Which process of it.
    pub(crate) generation: u64,
    /// Its own folders: data, tmp.
    pub(crate) paths: (PathBuf, PathBuf),
    /// Empties its tmp; not while another process of it works there.
    pub(crate) is_fresh: bool,
    /// The user's name; none: ours.
    pub(crate) user: Option<String>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// What it starts lives on.
    pub(crate) spares: bool,
    /// Its number.
    pub(crate) number: u64,
    /// Our control groups; none: there are none here.
    pub(crate) groups: Option<Tree>,
    /// Who has which number.
    pub(crate) marks: Marks,
}

impl Ground {
    /// Makes everything ready.
    ///
    /// # Errors
    /// In words, with what a person can do.
    pub(crate) fn prepare(&self, spec: &mut SpawnSpec) -> Result<(), String> {
        let user = self.user.as_deref().map(Account::find).transpose();
        spec.user = user.map_err(|error| {
            let words = in_words(&error);
            format!("{words}; allowed for `user`: a name or number of `getent passwd`")
        })?;
        let (data, tmp) = &self.paths;
        folders::make(&self.state, [data, tmp], spec.user.as_ref())?;
        spec.empties = self.is_fresh.then(|| tmp.clone());
        if let Some(user) = &spec.user {
            complete(&mut spec.env, user);
        }
        if let Some(tree) = &self.groups {
            let bounds = Bounds {
                memory: self.limits.memory,
                processes: self.limits.processes,
                cpu_weight: u64::from(self.limits.cpu_weight),
                cpu_percent: u64::from(self.limits.cpu_percent),
            };
            let group = tree.make(&self.name, self.generation, self.spares, &bounds);
            let group = group.map_err(|error| in_words(&error))?;
            spec.group = Some(Arc::new(group));
            // What the group bounds, it bounds for all processes together: a bound for each of them only breaks things.
            spec.limits.memory = spec.limits.memory.filter(|_| !tree.controllers.memory);
            spec.limits.processes = spec.limits.processes.filter(|_| !tree.controllers.pids);
        }
        spec.number = Some(self.number);
        self.marks.give(self.number);
        Ok(())
    }
}

/// Who the user is, for programs that ask their environment; what the operator set stays.
fn complete(env: &mut Vec<(OsString, OsString)>, user: &Account) {
    let name = OsString::from(&user.name);
    for (variable, value) in [
        ("HOME", user.home.clone().into_os_string()),
        ("USER", name.clone()),
        ("LOGNAME", name),
        ("SHELL", user.shell.clone().into_os_string()),
    ] {
        if !env.iter().any(|(known, _)| known == variable) {
            env.push((variable.into(), value));
        }
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}
