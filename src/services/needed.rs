//! What would allow a call that was refused: lines of the config that can be pasted, or a member of the manifest. Pure.
//!
//! What is granted already is part of it: whoever puts it in the place of what stands there loses nothing.

use std::fmt;

use super::caller::CallerSetup;
use crate::{ident::PluginName, site::permissions::Side};

/// What to write, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    /// The head of a section of the config; none: the line says where it stands.
    section: Option<String>,
    line: String,
}

/// What a side's permissions lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// These grants: those that there are, and one more.
    Grants(Vec<String>),
    /// Files in both directions.
    Upload,
    /// Calls outside of events.
    Background,
}

impl Needed {
    /// A key in the plugin's section of the config.
    pub(super) fn setting(plugin: &PluginName, line: String) -> Self {
        Self {
            section: Some(plugin.section()),
            line,
        }
    }

    /// All permissions of a side, with what is missing.
    pub(super) fn permissions(setup: &CallerSetup, side: Side, missing: Missing) -> Self {
        let (grants, upload, background) = match side {
            Side::Operator => (
                &setup.granted.operator,
                setup.upload.operator,
                setup.background.operator,
            ),
            Side::Manifest => (
                &setup.granted.manifest,
                setup.upload.manifest,
                setup.background.manifest,
            ),
        };
        let mut members = Vec::new();
        let mut say = |name: &'static str, value: String| members.push((name, value));
        let (asks_upload, asks_background) =
            (missing == Missing::Upload, missing == Missing::Background);
        let sg = match missing {
            Missing::Grants(all) => all,
            _ => grants.written().to_vec(),
        };
        // What holds when nothing is said is left out.
        if sg != ["*"] {
            say("sg", format!("{sg:?}"));
        }
        if asks_upload || !upload {
            say("upload", asks_upload.to_string());
        }
        if asks_background || background {
            say("background", true.to_string());
        }
        let join = |pair: fn(&(&str, String)) -> String| {
            let all: Vec<String> = members.iter().map(pair).collect();
            all.join(", ")
        };
        match side {
            Side::Operator => {
                let all = join(|(name, value)| format!("{name} = {value}"));
                Self::setting(&setup.plugin, format!("permissions = {{ {all} }}"))
            }
            Side::Manifest => {
                let all = join(|(name, value)| format!("\"{name}\": {value}"));
                let plugin = &setup.plugin;
                Self {
                    section: None,
                    line: format!("manifest of {plugin}: \"permissions\": {{{all}}}"),
                }
            }
        }
    }

    /// As it is pasted: the section, and the key on a line of its own.
    pub(super) fn pasted(&self) -> String {
        match &self.section {
            Some(section) => format!("{section}\n{}", self.line),
            None => self.line.clone(),
        }
    }
}

impl fmt::Display for Needed {
    /// In a sentence, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.section {
            Some(section) => write!(f, "{} in {section}", self.line),
            None => f.write_str(&self.line),
        }
    }
}
