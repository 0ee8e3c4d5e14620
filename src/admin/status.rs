//! What `status` answers: the site, the journal, the plugins, the alerts that are open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{clock::Unix, ident::PluginName, ingest::SiteReport, plugin::report::PluginReport};

/// How the daemon is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Nothing needs a person.
    Ok,
    /// Something needs a look; events flow.
    Degraded,
    /// No events flow.
    Down,
}

/// The answer of `status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Unix,
    /// How it is as a whole.
    pub state: Overall,
    /// The site.
    pub site: SiteReport,
    /// The journal.
    pub journal: JournalReport,
    /// The plugins, by name.
    pub plugins: Vec<PluginReport>,
    /// Files in the plugin paths that are no plugins, each with the reason.
    pub not_plugins: Vec<NotPlugin>,
    /// Dead letters that are kept, by plugin, those of plugins that are gone too; plugins without any are left out.
    #[serde(default)]
    pub dead_letters: BTreeMap<PluginName, u64>,
    /// Alerts that are open.
    pub alerts: Vec<AlertReport>,
    /// The config file.
    pub config: ConfigReport,
    /// The traffic log, when it is on.
    pub traffic_log: Option<String>,
    /// What holds plugins here.
    #[serde(default)]
    pub containment: ContainmentReport,
}

/// What holds plugins on this machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ContainmentReport {
    /// What bounds `memory`, `processes`, `cpu`, and ends what is `left_behind`.
    pub held: BTreeMap<String, String>,
    /// What cannot be had here, in sentences.
    pub lacks: Vec<String>,
}

/// The journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JournalReport {
    /// `ok`, or why nothing can be written.
    pub state: String,
    /// The state directory.
    pub dir: String,
    /// The newest position.
    pub seq: u64,
    /// Events that are kept.
    pub rows: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// When the oldest kept event was journaled.
    pub oldest: Option<Unix>,
}

/// A file that is no plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotPlugin {
    /// Its path.
    pub path: String,
    /// Why not.
    pub reason: String,
}

/// An alert that is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertReport {
    /// What it is about, the same for the same cause.
    pub cause: String,
    /// The plugin, when it is about one.
    pub plugin: Option<String>,
    /// What happened.
    pub sentence: String,
    /// What ends it.
    pub remedy: Option<String>,
    /// Since when.
    pub since: Unix,
    /// How often it was seen.
    pub count: u64,
}

/// The config that runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConfigReport {
    /// Its file.
    pub file: String,
    /// True when the file is newer than what runs.
    pub is_newer: bool,
    /// Keys that differ in the file and need a restart of the daemon.
    #[serde(default)]
    pub needs_restart: Vec<String>,
    /// Why the last reload changed nothing.
    pub error: Option<String>,
    /// What is worth a look and stops nothing, each with file, line and key.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Status {
    /// How the whole is: down when no events flow, degraded when a person should look.
    #[must_use]
    pub fn judge(
        site: &SiteReport,
        journal: &JournalReport,
        plugins: &[PluginReport],
        alerts: usize,
    ) -> Overall {
        let is_site_ok = matches!(site.state.as_str(), "ok" | "starting");
        if !is_site_ok || journal.state != "ok" {
            return Overall::Down;
        }
        if alerts > 0 || plugins.iter().any(|plugin| !plugin.ok) {
            return Overall::Degraded;
        }
        Overall::Ok
    }
}
