//! Starts that wait because the daemon has too few free descriptors: one alert for all of them.
//!
//! In: a start that has to wait. Out: the alert while one waits, its end when none does.
//! Never: a failure of a plugin; that the daemon has no room is not its fault, and counts for nothing.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    alert::{Alert, Alerts, CauseKey, Grade},
    ident::PluginName,
};

/// Whoever waits looks again this often: descriptors come back when a process ends, or with the limit.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The alert's key.
const KEY: &str = "host/descriptors";
/// Why a start waits.
pub(super) const WHY: &str = "sgeventd has too few free file descriptors";
/// What ends that.
pub(super) const REMEDY: &str = "systemctl edit sgeventd, with LimitNOFILE=65536 in [Service]";

/// The plugins whose starts wait.
#[derive(Debug, Default)]
pub struct Scarce(Mutex<BTreeSet<PluginName>>);

/// A start that waits, until it is dropped.
pub(super) struct Waiting<'a> {
    scarce: &'a Scarce,
    alerts: &'a Alerts,
    name: PluginName,
}

impl Scarce {
    /// True while a start of this plugin waits.
    pub(super) fn holds_up(&self, name: &PluginName) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.contains(name)
    }

    /// A start begins to wait.
    pub(super) fn wait<'a>(&'a self, name: &PluginName, alerts: &'a Alerts) -> Waiting<'a> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            alerts.begin(alert());
        }
        waiting.insert(name.clone());
        Waiting {
            scarce: self,
            alerts,
            name: name.clone(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.scarce.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&self.name);
        if waiting.is_empty() {
            self.alerts.end(&CauseKey::new(KEY));
        }
    }
}

fn alert() -> Alert {
    let by_itself =
        "What runs goes on; the others start as soon as there is room, and no event is lost.";
    Alert {
        by_itself: by_itself.to_owned(),
        remedy: REMEDY.to_owned(),
        ..Alert::new(
            CauseKey::new(KEY),
            "descriptors",
            Grade::Error,
            format!("no process can be started: {WHY}"),
        )
    }
}
