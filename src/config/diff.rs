//! What a reload changes: plugins whose effective settings differ, and keys that need a restart, by name.
//!
//! In: the config that runs, the new one, the plugins that are known. Out: [`Diff`].
//! Never: a change that is carried out.

use super::types::Config;
use crate::ident::PluginName;

/// What differs between two configs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Plugins to be drained and started again, or made, or ended.
    pub plugins: Vec<PluginName>,
    /// Keys that need a restart of the daemon to take effect.
    pub restart: Vec<&'static str>,
    /// Sections that take effect at once.
    pub applied: Vec<&'static str>,
}

impl Diff {
    /// True when nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two configs for the known plugins, each with the entry of the old `plugins.paths` it was found in.
#[must_use]
pub fn diff(old: &Config, new: &Config, known: &[(PluginName, Option<usize>)]) -> Diff {
    let named = old
        .plugin
        .keys()
        .chain(new.plugin.keys())
        .map(|name| (PluginName::new(name.as_str()), None));
    let unknown = named.filter(|(name, _)| !known.iter().any(|(known, _)| known == name));
    let mut plugins: Vec<PluginName> = known
        .iter()
        .cloned()
        .chain(unknown)
        .filter(|(name, path_index)| plugin_differs(old, new, name, *path_index))
        .map(|(name, _)| name)
        .collect();
    plugins.sort();
    plugins.dedup();
    Diff {
        plugins,
        restart: differing(&needs_restart(old, new)),
        applied: differing(&at_once(old, new)),
    }
}

fn plugin_differs(old: &Config, new: &Config, name: &PluginName, old_index: Option<usize>) -> bool {
    // A path is the same path wherever it stands in the list.
    let path = old_index
        .and_then(|index| old.plugins.paths.get(index))
        .map(|entry| &entry.path);
    let new_index = path.and_then(|path| {
        new.plugins
            .paths
            .iter()
            .position(|entry| entry.path == *path)
    });
    if path.is_some() && new_index.is_none() {
        return true;
    }
    old.plugin(name, old_index).settings != new.plugin(name, new_index).settings
}

fn differing(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| *key)
        .collect()
}

fn needs_restart(old: &Config, new: &Config) -> Vec<(&'static str, bool)> {
    vec![
        ("site", old.site != new.site),
        ("scripts", old.scripts != new.scripts),
        ("poll", old.poll != new.poll),
        ("gap", old.gap != new.gap),
        ("retention", old.retention != new.retention),
        ("log.level", old.log.level != new.log.level),
        ("alerts.lag", old.alerts.lag != new.alerts.lag),
        ("state", old.state != new.state),
        ("log.format", old.log.format != new.log.format),
        ("log.file", old.log.file != new.log.file),
        ("log.per_plugin", old.log.per_plugin != new.log.per_plugin),
        ("log.rotate", old.log.rotate != new.log.rotate),
        ("log.traffic", old.log.traffic != new.log.traffic),
        ("mail", old.mail != new.mail),
        ("alerts.webhook", old.alerts.webhook != new.alerts.webhook),
        ("admin.socket", old.admin.socket != new.admin.socket),
        ("admin.group", old.admin.group != new.admin.group),
        ("admin.http", old.admin.http != new.admin.http),
        ("admin.token", old.admin.token != new.admin.token),
        ("admin.url", old.admin.url != new.admin.url),
        ("telemetry", old.telemetry != new.telemetry),
    ]
}

fn at_once(old: &Config, new: &Config) -> Vec<(&'static str, bool)> {
    vec![
        (
            "plugins.paths",
            !old.plugins.paths.iter().map(|p| &p.path).eq(new
                .plugins
                .paths
                .iter()
                .map(|p| &p.path)),
        ),
        ("order", old.order != new.order),
    ]
}
