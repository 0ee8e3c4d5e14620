//! Sections of the config for plugins that are nowhere: written too early, left behind, or a slip in the name. Pure.
//!
//! Never: an error, for the file may come later; a word while a folder cannot be read, for it may lie there.

use std::{fmt, path::Path};

use super::discovery::Discovered;
use crate::{config::Config, ident::PluginName, text::instead};

/// Such a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ghost {
    /// The name that no plugin has.
    pub plugin: PluginName,
    /// The section, such as `plugin.render_submit`.
    pub key: String,
    /// File and line.
    pub place: String,
    /// What there is to say of it.
    pub what: String,
}

impl fmt::Display for Ghost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All of them; `known`: those that were there before.
#[must_use]
pub fn ghosts(
    config: &Config,
    found: &Discovered,
    known: impl Fn(&PluginName) -> bool,
) -> Vec<Ghost> {
    if !found.missing.is_empty() {
        return Vec::new();
    }
    // A command makes its plugin, wherever its program is.
    let sections = config.plugin.iter();
    let sections = sections.filter(|(_, layer)| layer.command.clone().flatten().is_none());
    let names = sections.map(|(name, _)| PluginName::new(name.as_str()));
    let nowhere = names.filter(|name| !found.plugins.contains_key(name) && !known(name));
    nowhere.map(|name| ghost(config, found, name)).collect()
}

fn ghost(config: &Config, found: &Discovered, plugin: PluginName) -> Ghost {
    let (key, place) = config.section_of(&plugin);
    let place = place.map_or_else(
        || config.file.display().to_string(),
        |place| format!("{}:{}", place.file.display(), place.line),
    );
    let what = format!(
        "[{key}] is for a plugin that is not there; {}",
        why(found, &plugin)
    );
    Ghost {
        plugin,
        key,
        place,
        what,
    }
}

fn why(found: &Discovered, name: &PluginName) -> String {
    let mut files = found.not_plugins.iter();
    let is_its = |path: &Path| path.file_stem().is_some_and(|stem| stem == name.as_str());
    if let Some((path, why)) = files.find(|(path, _)| is_its(path)) {
        return format!("{} is none: {why}", path.display());
    }
    let all: Vec<&str> = found.plugins.keys().map(PluginName::as_str).collect();
    instead(name.as_str(), &all)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::plugin::discovery::Found;

    fn found(names: &[&str]) -> Discovered {
        let one = |name: &&str| Found {
            name: PluginName::new(*name),
            path_index: Some(0),
            place: None,
            command: Vec::new(),
            file: None,
            watch: Vec::new(),
            base: PathBuf::new(),
            language: "",
        };
        let all = names.iter().map(one);
        Discovered {
            plugins: all.map(|one| (one.name.clone(), one)).collect(),
            ..Discovered::default()
        }
    }

    fn said(text: &str, found: &Discovered) -> Vec<String> {
        let site = "[site]\nurl = 'https://x.example'\nscript = 's'\nkey = { file = '/k' }\n";
        let loaded = crate::config::parse(&format!("{site}{text}"), Path::new("/etc/x.toml"));
        let all = ghosts(loaded.config(), found, |name| name.as_str() == "gone");
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_section_without_a_plugin_is_told_with_what_there_is() {
        let text = "[plugin.stops]\n[plugin.made]\ncommand = ['/bin/x']\n[plugin.gone]\n[plugin.stpos]\n[plugin.other]\n[plugin.\"a/b\"]\n";
        let mut there = found(&["stops"]);
        let at = "/etc/x.toml";
        let not_there = "is for a plugin that is not there";
        let expected = [
            format!("{at}:11: [plugin.\"a/b\"] {not_there}; there are: stops"),
            format!("{at}:10: [plugin.other] {not_there}; there are: stops"),
            format!("{at}:9: [plugin.stpos] {not_there}; did you mean stops?"),
        ];
        assert_eq!(said(text, &there), expected);
        let file = PathBuf::from("/p/other.sh");
        there
            .not_plugins
            .insert(file, "not executable: chmod +x".to_owned());
        let spoiled = format!(
            "{at}:10: [plugin.other] {not_there}; /p/other.sh is none: not executable: chmod +x"
        );
        assert_eq!(said(text, &there)[1], spoiled);
        there.missing.insert("/p".into(), "away".to_owned());
        assert!(said(text, &there).is_empty(), "it may lie there");
    }
}
