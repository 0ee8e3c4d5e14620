//! What each plugin that was found is called. Pure.
//!
//! In: all that was found, in the order of the folders; which file had which name; folders that cannot be read. Out: each by its name.
//! Never: a name taken from the file that had it, not even while its folder is away.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::discovery::{Discovered, Found};
use crate::ident::PluginName;

/// The file that had a name keeps it; else the earlier folder's does, and the other is called `folder/stem`.
pub(super) fn name_them(
    all: Vec<Found>,
    had: &BTreeMap<PluginName, PathBuf>,
    found: &mut Discovered,
) {
    let names: BTreeMap<&Path, &PluginName> = had
        .iter()
        .map(|(name, place)| (place.as_path(), name))
        .collect();
    let name_of = |one: &Found| names.get(one.place.as_deref()?).copied().cloned();
    let here: BTreeSet<&Path> = all.iter().filter_map(|one| one.place.as_deref()).collect();
    let is_away = |place: &Path| {
        let folder = place.parent();
        folder.is_some_and(|folder| found.missing.contains_key(folder))
    };
    let reserved: BTreeSet<PluginName> = had
        .iter()
        .filter(|(_, place)| here.contains(place.as_path()) || is_away(place))
        .map(|(name, _)| name.clone())
        .collect();
    let (old, new): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| name_of(one).is_some());
    for mut one in old.into_iter().chain(new) {
        if let Some(name) = name_of(&one) {
            one.name = name;
        } else if reserved.contains(&one.name) || found.plugins.contains_key(&one.name) {
            let folder = one.place.as_deref().and_then(Path::parent);
            let folder = folder.and_then(Path::file_name).unwrap_or_default();
            one.name = PluginName::new(format!("{}/{}", folder.display(), one.name));
        }
        if let (Some(other), Some(place)) = (found.plugins.get(&one.name), &one.place) {
            let reason = format!("{} has the name {} already", other.base.display(), one.name);
            found.not_plugins.insert(place.clone(), reason);
            continue;
        }
        found.plugins.insert(one.name.clone(), one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(place: &str) -> Found {
        let place = Path::new(place);
        Found {
            name: PluginName::new(place.file_stem().expect("a stem").to_string_lossy()),
            path_index: Some(0),
            place: Some(place.to_owned()),
            command: Vec::new(),
            file: None,
            watch: Vec::new(),
            base: place.parent().expect("a folder").to_owned(),
            language: "",
        }
    }

    /// Names by file, for files, names that they had, and folders that are away.
    fn names(files: &[&str], had: &[(&str, &str)], away: &[&str]) -> Vec<String> {
        let had = had.iter().map(|(name, place)| {
            let place = PathBuf::from(place);
            (PluginName::new(*name), place)
        });
        let mut found = Discovered::default();
        for folder in away {
            found.missing.insert(folder.into(), "away".to_owned());
        }
        let all = files.iter().map(|file| one(file)).collect();
        name_them(all, &had.collect(), &mut found);
        let named = found.plugins.iter().map(|(name, one)| {
            let place = one.place.as_deref().unwrap_or(Path::new("")).display();
            format!("{name}={place}")
        });
        let refused = found.not_plugins.keys();
        let refused = refused.map(|place| format!("none={}", place.display()));
        named.chain(refused).collect()
    }

    #[test]
    fn the_file_that_had_the_name_keeps_it() {
        let both = ["/a/x.py", "/b/x.py"];
        for (files, had, away, expected) in [
            (
                &both[..],
                &[][..],
                &[][..],
                &["b/x=/b/x.py", "x=/a/x.py"][..],
            ),
            (
                &both,
                &[("x", "/b/x.py")],
                &[],
                &["a/x=/a/x.py", "x=/b/x.py"],
            ),
            // Its file is gone for good: the name is free, and a file that was moved keeps it.
            (&both[..1], &[("x", "/b/x.py")], &[], &["x=/a/x.py"]),
            // Its file server is: the name is not.
            (&both[..1], &[("x", "/b/x.py")], &["/b"], &["a/x=/a/x.py"]),
            // The longer name stays when the other one goes.
            (
                &both[1..],
                &[("x", "/a/x.py"), ("b/x", "/b/x.py")],
                &[],
                &["b/x=/b/x.py"],
            ),
            (
                &["/a/x.py", "/a/x.sh"],
                &[],
                &[],
                &["a/x=/a/x.sh", "x=/a/x.py"],
            ),
            (
                &["/a/x.a", "/a/x.b", "/a/x.c"],
                &[],
                &[],
                &["a/x=/a/x.b", "x=/a/x.a", "none=/a/x.c"],
            ),
        ] {
            assert_eq!(
                names(files, had, away),
                expected,
                "{files:?} {had:?} {away:?}"
            );
        }
    }
}
