//! What this machine says to a config: folders that are missing, keys that cannot be had, certificates that cannot be read.
//!
//! In: a config that was read. Out: notes by the name of a key.
//! Never: a key kept, a change of anything; a folder on a dead file server hangs the one who asks.

use std::{collections::BTreeSet, path::Path};

use super::{
    check::{Noted, layers},
    finding::Severity,
    key::KeySource,
    plugin::EnvValue,
    read::join,
    source::Place,
    types::Config,
};
use crate::{account::Account, ident::PluginName};

/// What this machine says: folders, key files, certificates.
pub(super) fn look(config: &Config) -> Vec<Noted> {
    let mut noted = Vec::new();
    for (index, entry) in config.plugins.paths.iter().enumerate() {
        let plain = format!("plugins.paths[{index}]");
        let inner = format!("{plain}.path");
        let key = if config.places.contains_key(&inner) {
            inner
        } else {
            plain
        };
        noted.extend(unusable_folder(&key, &entry.path));
    }
    for (key, source) in config.keys() {
        // Where the file could not be read so far, only its default stands for it.
        if key == "site.key" && !config.places.contains_key(&key) {
            continue;
        }
        if let Err(error) = source.load() {
            noted.push(Noted::error(key.clone(), format!("`{key}`: {error}")));
        }
    }
    for (key, file) in config.ca_files() {
        if let Err(error) = std::fs::File::open(file) {
            noted.push(Noted::error(
                key,
                format!("`{key}`: cannot read {}: {}", file.display(), error.kind()),
            ));
        }
    }
    if config.users().is_empty() {
        let message = "plugins run as the daemon's own user, so a plugin could read the script key";
        let hint = "set `plugins.user` to a second user";
        noted.push(
            Noted::error("plugins", message.to_owned())
                .severity(Severity::Warning)
                .hint(hint),
        );
    }
    let user =
        |prefix: String, name: Option<&String>| unusable_user(&format!("{prefix}.user"), name?);
    noted.extend(user("plugins".to_owned(), config.plugins.user.as_ref()));
    for (prefix, layer) in layers(config) {
        noted.extend(user(prefix, layer.user.as_ref().and_then(Option::as_ref)));
    }
    noted
}

impl Config {
    /// The users that plugins may run as, by name; empty: as the daemon's.
    #[must_use]
    pub fn users(&self) -> BTreeSet<&str> {
        let layers = layers(self).into_iter();
        let layers = layers.filter_map(|(_, layer)| layer.user.as_ref()?.as_deref());
        layers.chain(self.plugins.user.as_deref()).collect()
    }

    /// The section that the file has for a plugin, as it is written, and where.
    #[must_use]
    pub fn section_of(&self, plugin: &PluginName) -> (String, Option<&Place>) {
        let key = join("plugin", plugin.as_str());
        let place = self.places.get(&key);
        (key, place)
    }

    /// Every key that the file names, with the name of the config key.
    #[must_use]
    pub fn keys(&self) -> Vec<(String, &KeySource)> {
        let mut keys = vec![("site.key".to_owned(), &self.site.key)];
        let optional = [
            ("site.proxy_password", self.site.proxy_password.as_ref()),
            (
                "poll.nudge.token",
                self.poll.nudge.as_ref().map(|nudge| &nudge.token),
            ),
            (
                "mail.password",
                self.mail.as_ref().and_then(|mail| mail.password.as_ref()),
            ),
            ("alerts.webhook.url", self.alerts.webhook.as_ref()),
            ("admin.token", self.admin.token.as_ref()),
        ];
        keys.extend(
            optional
                .into_iter()
                .filter_map(|(key, source)| Some((key.to_owned(), source?))),
        );
        keys.extend(
            self.scripts
                .iter()
                .map(|(name, script)| (format!("{}.key", join("scripts", name)), &script.key)),
        );
        for (prefix, layer) in layers(self) {
            for (name, value) in layer.env.iter().flatten() {
                if let EnvValue::Key(source) = value {
                    keys.push((join(&format!("{prefix}.env"), name), source));
                }
            }
        }
        keys
    }

    fn ca_files(&self) -> Vec<(&'static str, &Path)> {
        let mail = self.mail.as_ref().and_then(|mail| mail.ca_file.as_deref());
        let all = [
            ("site.ca_file", self.site.ca_file.as_deref()),
            ("mail.ca_file", mail),
        ];
        all.into_iter()
            .filter_map(|(key, file)| Some((key, file?)))
            .collect()
    }
}

/// Nobody of that name: its plugins cannot be started until there is; the list of users may be in the network.
fn unusable_user(key: &str, name: &str) -> Option<Noted> {
    let error = Account::find(name).err()?;
    let message = format!("`{key}`: {error}; allowed: a name or number of `getent passwd`");
    let noted = Noted::error(key, message).severity(Severity::Unready);
    Some(noted.hint(format!(
        "useradd --system {name}, and the daemon's user into its group"
    )))
}

fn unusable_folder(key: &str, path: &Path) -> Option<Noted> {
    let error = std::fs::read_dir(path).err()?;
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        std::io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        kind => kind.to_string(),
    };
    let message = format!(
        "`{key}` is {}: {why}; its plugins count as missing until it can be read",
        path.display()
    );
    let noted = Noted::error(key, message).severity(Severity::Unready);
    Some(noted.hint("is the file server mounted? A running daemon looks again by itself"))
}
