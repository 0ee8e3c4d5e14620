//! Who waits for whom: `after` of every layer, and `[order] upstream`. Pure.
//!
//! In: the config, the plugins that were found. Out: for each the plugins that must have settled an event first.
//! Never: a circle, in which nobody would get an event.

use std::collections::{BTreeMap, BTreeSet};

use super::discovery::Found;
use crate::{
    config::{Config, way_back},
    ident::PluginName,
};

type Links = BTreeMap<PluginName, BTreeSet<PluginName>>;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Whom each plugin waits for; names that are not there among them, for they may come.
    pub after: Links,
    /// Who names a plugin that is not there.
    pub unknown: Vec<(PluginName, PluginName)>,
    /// Plugins that would wait for each other; those links do not count.
    pub circles: Vec<Vec<PluginName>>,
}

impl Order {
    /// The order of these plugins.
    #[must_use]
    pub fn of(config: &Config, found: &BTreeMap<PluginName, Found>) -> Self {
        let mut order = Self::default();
        for (name, one) in found {
            let settings = config.plugin(name, one.path_index).settings;
            let mut after: BTreeSet<PluginName> = settings.after.into_iter().collect();
            let unknown = after.iter().filter(|other| !found.contains_key(*other));
            let unknown = unknown.map(|other| (name.clone(), other.clone()));
            order.unknown.extend(unknown);
            after.extend(before(config, found, one));
            after.remove(name);
            order.after.insert(name.clone(), after);
        }
        while let Some(circle) = order
            .after
            .keys()
            .find_map(|name| way_back(name, &order.after))
        {
            let next = circle.iter().cycle().skip(1);
            for (name, next) in circle.iter().zip(next) {
                if let Some(after) = order.after.get_mut(name) {
                    after.remove(next);
                }
            }
            order.circles.push(circle);
        }
        order
    }
}

/// `[order] upstream`: the files before this one in its folder, by name. All of them: the one right before may be off.
fn before<'a>(
    config: &Config,
    found: &'a BTreeMap<PluginName, Found>,
    one: &'a Found,
) -> impl Iterator<Item = PluginName> + 'a {
    let path = one
        .path_index
        .and_then(|index| config.plugins.paths.get(index));
    let is_upstream = path.is_some_and(|path| config.order.upstream.contains(&path.path));
    let beside = found.iter().filter(move |(_, other)| {
        is_upstream && other.path_index == one.path_index && other.place < one.place
    });
    beside.map(|(name, _)| name.clone())
}

/// A circle in words: `a → b → a`.
#[must_use]
pub fn in_words(circle: &[PluginName]) -> String {
    let names = circle.iter().chain(circle.first()).map(PluginName::as_str);
    names.collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn found(name: &str, folder: Option<&str>) -> (PluginName, Found) {
        let found = Found {
            name: PluginName::new(name),
            path_index: folder.map(|_| 0),
            place: folder.map(|folder| Path::new(folder).join(name)),
            command: Vec::new(),
            file: None,
            watch: Vec::new(),
            base: PathBuf::new(),
            language: "",
        };
        (found.name.clone(), found)
    }

    fn order(text: &str, names: &[&str]) -> Order {
        let site = "[site]\nurl = 'https://x.example'\nscript = 's'\nkey = { file = '/k' }\n";
        let loaded = crate::config::parse(&format!("{site}{text}"), Path::new("/etc/x.toml"));
        let (config, _) = loaded.accept().expect("a config");
        let all = names.iter().map(|name| found(name, Some("/p")));
        Order::of(&config, &all.collect())
    }

    fn after(order: &Order, name: &str) -> Vec<String> {
        let after = &order.after[&PluginName::new(name)];
        after.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plugin_waits_whatever_order_they_are_found_in() {
        let found = order("[plugin.a]\nafter = ['b', 'later']\n", &["a", "b"]);
        assert_eq!(after(&found, "a"), ["b", "later"]);
        let unknown = (PluginName::new("a"), PluginName::new("later"));
        assert_eq!(found.unknown, [unknown]);
        assert!(found.circles.is_empty());
    }

    #[test]
    fn upstreams_order_is_that_of_the_files() {
        let text = "[plugins]\npaths = ['/p']\n[order]\nupstream = ['/p']\n";
        let found = order(text, &["a", "b", "c"]);
        assert_eq!(after(&found, "c"), ["a", "b"], "b may be off");
        assert_eq!(after(&found, "a"), [""; 0]);
    }

    #[test]
    fn a_circle_is_found_whatever_it_is_made_of() {
        for (text, circle) in [
            (
                "[plugins]\npaths = ['/p']\n[order]\nupstream = ['/p']\n[plugin.a]\nafter = ['c']\n",
                "a → c → a",
            ),
            (
                "[plugins]\npaths = [{ path = '/p', after = ['b'] }]\n[plugin.b]\nafter = ['a']\n",
                "a → b → a",
            ),
            (
                "[plugins]\ndefaults = { after = ['c'] }\n[plugin.c]\nafter = ['a']\n",
                "a → c → a",
            ),
        ] {
            let found = order(text, &["a", "b", "c"]);
            let circles: Vec<_> = found.circles.iter().map(|one| in_words(one)).collect();
            assert!(circles.contains(&circle.to_owned()), "{text}: {circles:?}");
            let again = found
                .after
                .keys()
                .find_map(|name| way_back(name, &found.after));
            assert_eq!(again, None, "{text}");
        }
    }
}
