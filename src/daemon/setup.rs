//! How one plugin is run, as the config stands: its settings, sessions, folders and process. Pure.
//!
//! Never: a look at the plugin's file system.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;

use super::herd::Herd;
use crate::{
    config::{Config, PluginSettings, StartFrom},
    ident::Seq,
    journal::Place,
    plugin::{
        discovery::Found,
        setup::Setup,
        spec::{Places, launch},
    },
    services::FileRoots,
};

/// How a plugin is run; `after`: how far those have settled that come first.
pub(super) fn of(herd: &Herd, found: &Found, after: Vec<watch::Receiver<Seq>>) -> Setup {
    let config = &herd.config;
    let effective = config.plugin(&found.name, found.path_index);
    let are_emails_given = effective.origins.contains_key("emails");
    let settings = effective.settings;
    let root = config.state.dir.join("plugins").join(found.name.folder());
    let (data, tmp) = (root.join("data"), root.join("tmp"));
    let places = Places {
        data: &data,
        tmp: &tmp,
        sdk: &herd.sdk,
    };
    let launch = launch(found, &found.name, &settings, &places, &herd.environment);
    let own = std::slice::from_ref(&config.site.script);
    let scripts = if settings.scripts.is_empty() {
        own
    } else {
        &settings.scripts
    };
    let sessions = scripts
        .iter()
        .filter_map(|script| herd.sessions.get(script).cloned());
    Setup {
        file: found.file.as_ref().map_or_else(
            || found.command.join(" "),
            |file| file.display().to_string(),
        ),
        language: found.language.to_owned(),
        are_emails_given,
        sessions: sessions.collect(),
        after,
        uses_session_uuid: config.site.session_uuid,
        start: place(settings.start_from),
        files: Arc::new(roots(config, &settings, [&data, &tmp])),
        paths: (data.clone(), tmp.clone()),
        launch,
        settings,
    }
}

/// Where its files may lie.
fn roots(config: &Config, settings: &PluginSettings, own: [&PathBuf; 2]) -> FileRoots {
    let keys = config.keys();
    let keys = keys.iter().filter_map(|(_, source)| source.file());
    FileRoots {
        base: settings.cwd.clone().unwrap_or_else(|| own[0].clone()),
        own: own.map(Clone::clone).into(),
        granted: settings.files.clone(),
        state: config.state.dir.clone(),
        kept_back: keys.chain([config.file.clone()]).collect(),
        umask: settings.umask,
        user: settings.user.clone(),
    }
}

fn place(start: StartFrom) -> Place {
    match start {
        StartFrom::Latest => Place::Latest,
        StartFrom::Oldest => Place::Oldest,
        StartFrom::EventId(id) => Place::Event(id),
        StartFrom::Time(time) => Place::Time(time),
    }
}
