//! What a reload changes: plugins whose effective settings differ, and keys that need a restart, by name.
//!
//! In: the config that runs, the new one, the plugins that are known. Out: [`Diff`].
//! Never: a change that is carried out.

use super::types::{Alerts, Config, Log, Mail, Plugins, Poll};
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

/// Pairs of a key's name and whether it differs.
macro_rules! keys {
    ($old:expr, $new:expr; $($section:ident: $($key:ident)+;)+) => {
        vec![$($((
            concat!(stringify!($section), ".", stringify!($key)),
            $old.$section.$key != $new.$section.$key,
        ),)+)+]
    };
}

fn needs_restart(old: &Config, new: &Config) -> Vec<(&'static str, bool)> {
    let mut keys = keys![old, new;
        site: url script key proxy proxy_password ca_file timeout max_retry_wait max_calls session_uuid;
        poll: nudge;
        state: dir settle;
        plugins: control_groups;
        log: format file per_plugin rotate traffic;
        alerts: webhook;
        admin: socket group http token url;
        telemetry: otlp;
    ];
    match (&old.mail, &new.mail) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            let (old, new) = (Mails { mail: old }, Mails { mail: new });
            keys.extend(keys![old, new; mail: server tls ca_file from username password;]);
        }
        _ => keys.push(("mail", true)),
    }
    keys
}

/// Names `[mail]` as the other sections are named.
struct Mails<'a> {
    mail: &'a Mail,
}

fn at_once(old: &Config, new: &Config) -> Vec<(&'static str, bool)> {
    let mut keys = keys![old, new;
        poll: interval max_interval page start_from;
        gap: timeout give_up hold;
        retention: age size orphan;
        log: level;
        alerts: lag;
    ];
    let paths = |config: &Config| -> Vec<_> {
        let paths = config.plugins.paths.iter();
        paths.map(|entry| entry.path.clone()).collect()
    };
    keys.extend([
        ("scripts", old.scripts != new.scripts),
        ("plugins.paths", paths(old) != paths(new)),
        ("order", old.order != new.order),
    ]);
    if let (Some(old), Some(new)) = (&old.mail, &new.mail) {
        let (old, new) = (Mails { mail: old }, Mails { mail: new });
        keys.extend(keys![old, new; mail: to digest max_per_day;]);
    }
    keys
}

/// The new config as far as it takes effect without a restart: what needs one keeps its old value.
#[must_use]
pub fn applied(old: &Config, new: Config) -> Config {
    let mail = match (&old.mail, new.mail) {
        (Some(old), Some(new)) => Some(Mail {
            to: new.to,
            digest: new.digest,
            max_per_day: new.max_per_day,
            ..old.clone()
        }),
        (old, _) => old.clone(),
    };
    Config {
        site: old.site.clone(),
        state: old.state.clone(),
        poll: Poll {
            nudge: old.poll.nudge.clone(),
            ..new.poll
        },
        log: Log {
            level: new.log.level,
            ..old.log.clone()
        },
        alerts: Alerts {
            lag: new.alerts.lag,
            ..old.alerts.clone()
        },
        plugins: Plugins {
            control_groups: old.plugins.control_groups.clone(),
            ..new.plugins
        },
        admin: old.admin.clone(),
        telemetry: old.telemetry.clone(),
        mail,
        ..new
    }
}
