//! Identities that must not be swapped: positions, site ids, timelines, plugin names.
//!
//! Never: anything but the newtypes and how they are read and printed.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A position in our journal: 1 for the first event journaled, without holes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The position right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The site's id of an `EventLogEntry` row. Unique within one [`Timeline`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventId(pub i64);

/// How often the site's ids began again (a restored site); 0 until an operator accepts a restore.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timeline(pub u32);

/// Counts the starts of one plugin's process; 1 for the first since the daemon started.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u32);

/// The identity of a plugin in this daemon: the config key, the file's stem, or `folder/stem` on a clash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PluginName(Arc<str>);

impl PluginName {
    /// Takes a name as it is.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its section of the config, as it is written there.
    #[must_use]
    pub fn section(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        match &*self.0 {
            name if name.chars().all(is_plain) => format!("[plugin.{name}]"),
            name => format!("[plugin.{name:?}]"),
        }
    }

    /// The name of a folder of its own: one part of a path, another one for each name.
    #[must_use]
    pub fn folder(&self) -> String {
        let folder = self.0.replace('%', "%25").replace('/', "%2F");
        match folder.strip_prefix('.') {
            Some(rest) => format!("%2E{rest}"),
            None => folder,
        }
    }
}

impl fmt::Debug for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

macro_rules! display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}
display!(Seq, EventId, Timeline, Generation, PluginName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_has_a_folder_of_its_own() {
        for (name, folder) in [
            ("notes", "notes"),
            ("with space.v2", "with space.v2"),
            // Else it would lie in the folder of the plugin `a`.
            ("a/tmp", "a%2Ftmp"),
            ("a%2Ftmp", "a%252Ftmp"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
        ] {
            assert_eq!(PluginName::new(name).folder(), folder);
        }
    }
}
