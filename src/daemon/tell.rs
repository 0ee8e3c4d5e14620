//! What is to be said about what was found: folders that cannot be read, names that clash, an order that cannot be kept.
//!
//! In: what the herd saw. Out: log lines and alerts, each once. Never: a change of anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    alert::{Alert, Alerts, CauseKey, Grade},
    ident::PluginName,
    plugin::{
        discovery::Found,
        ghosts::Ghost,
        order::{Order, in_words},
    },
};

/// Knows what was said.
pub(super) struct Teller {
    alerts: Alerts,
    /// The config file.
    config: PathBuf,
    missing: BTreeSet<PathBuf>,
    ghosts: BTreeSet<PluginName>,
    unknown: BTreeSet<(PluginName, PluginName)>,
    has_circle: bool,
}

impl Teller {
    pub(super) fn new(alerts: Alerts, config: PathBuf) -> Self {
        Self {
            alerts,
            config,
            ghosts: BTreeSet::new(),
            missing: BTreeSet::new(),
            unknown: BTreeSet::new(),
            has_circle: false,
        }
    }

    /// Folders that cannot be read now.
    pub(super) fn missing(&mut self, missing: &BTreeMap<PathBuf, String>) {
        let key = |path: &PathBuf| CauseKey::new(format!("path/{}", path.display()));
        for (path, reason) in missing {
            if self.missing.insert(path.clone()) {
                let path_shown = path.display();
                let sentence = format!("the plugin path {path_shown} cannot be read: {reason}");
                let by_itself =
                    "It is looked at again all the time; its plugins start when it is there.";
                self.alerts.begin(Alert {
                    by_itself: by_itself.to_owned(),
                    remedy: format!("ls -ld {path_shown}"),
                    ..Alert::new(key(path), "plugin_path", Grade::Error, sentence)
                });
            }
        }
        let alerts = &self.alerts;
        self.missing.retain(|path| {
            let is_missing = missing.contains_key(path);
            if !is_missing {
                alerts.end(&key(path));
            }
            is_missing
        });
    }

    /// Sections of the config for plugins that are nowhere, each once.
    pub(super) fn ghosts(&mut self, ghosts: &[Ghost]) {
        for ghost in ghosts {
            if !self.ghosts.contains(&ghost.plugin) {
                let (plugin, what) = (&ghost.plugin, ghost.to_string());
                tracing::warn!(%plugin, what, "the config has a section for no plugin");
            }
        }
        self.ghosts = ghosts.iter().map(|ghost| ghost.plugin.clone()).collect();
    }

    /// A plugin that could not be called by its stem.
    pub(super) fn named(&self, found: &Found) {
        let Some(place) = &found.place else { return };
        if found.name.as_str().contains('/') {
            let name = found.name.as_str();
            let other = name.rsplit('/').next().unwrap_or(name);
            tracing::warn!(plugin = %found.name, file = %place.display(), other, "another file has the name: this one is called by its folder, too");
        }
    }

    /// Who waits for whom.
    pub(super) fn links(&mut self, links: &Order) {
        let unknown: BTreeSet<_> = links.unknown.iter().cloned().collect();
        for (plugin, after) in unknown.difference(&self.unknown) {
            tracing::warn!(%plugin, %after, "`after` names a plugin that is not there; nobody waits for it until it comes");
        }
        self.unknown = unknown;
        let key = CauseKey::new("order/circle");
        let circles: Vec<String> = links.circles.iter().map(|one| in_words(one)).collect();
        if circles.is_empty() && self.has_circle {
            self.alerts.end(&key);
        }
        if !circles.is_empty() && !self.has_circle {
            let circles = circles.join(", ");
            let sentence = format!("plugins would wait for each other for ever: {circles}");
            self.alerts.begin(Alert {
                by_itself: "They do not wait for each other until `after` and [order] agree."
                    .to_owned(),
                remedy: format!("sgeventd check-config -c {}", self.config.display()),
                ..Alert::new(key, "order", Grade::Error, sentence)
            });
        }
        self.has_circle = !links.circles.is_empty();
    }
}
