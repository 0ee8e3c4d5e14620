//! All plugins: what is found gets a task, what changed is told to its task, what vanished is waited for.
//!
//! In: what the looker saw, a changed config. Out: orders to plugin tasks, their reports.
//! Never: a plugin's process, an event.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use crate::{
    admin::status::NotPlugin,
    alert::{Alert, CauseKey, Grade},
    config::{Config, StartFrom},
    ident::{PluginName, Seq},
    journal::{JournalError, Place},
    plugin::{
        discovery::{Found, language},
        look::{Looker, Seen, Wanted},
        report::PluginReport,
        setup::{Handle, ORDERS, Order as PluginOrder, Setup, Shared},
        spec::{Places, launch},
        task::{self, Parts},
    },
    site::Session,
};

/// A file that is gone for so long is gone.
const GONE: Duration = Duration::from_secs(10);

/// What the herd is told.
pub(super) enum Order {
    /// Did the loop turn, and a plugin with it?
    Beat(oneshot::Sender<()>),
    /// The config that holds from now on.
    Reload(Box<Config>),
}

/// What `status` shows of all plugins.
#[derive(Default, Clone)]
pub(super) struct Reports {
    pub(super) plugins: BTreeMap<PluginName, watch::Receiver<PluginReport>>,
    pub(super) not_plugins: Vec<NotPlugin>,
}

/// What the herd works with.
pub(super) struct Herd {
    pub(super) shared: Shared,
    pub(super) config: Config,
    /// The session of each script that the config names.
    pub(super) sessions: BTreeMap<String, Session>,
    /// The Python SDK's folder.
    pub(super) sdk: PathBuf,
    /// Our own environment, of which plugins see a part.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) reports: watch::Sender<Reports>,
}

struct Kept {
    handle: Handle,
    found: Found,
    identity: [u8; 32],
    watched: Vec<String>,
    gone_since: Option<tokio::time::Instant>,
    is_told_gone: bool,
}

struct Running {
    herd: Herd,
    looker: Looker,
    kept: BTreeMap<PluginName, Kept>,
    /// How far each plugin has settled, also of those that only `after` names: they hold nothing back.
    settled: BTreeMap<PluginName, watch::Sender<Seq>>,
    tasks: JoinSet<(PluginName, Result<(), JournalError>)>,
    stop: CancellationToken,
    last: Seen,
    told_missing: BTreeSet<PathBuf>,
}

/// Runs all plugins until `stop`; returns when the last one has ended.
///
/// # Errors
/// When the journal cannot go on, or a task of ours panicked.
pub(super) async fn run(herd: Herd, stop: CancellationToken) -> Result<(), DaemonError> {
    let (looker, mut seen) = Looker::start(wanted(&herd.config)).map_err(|source| {
        let what = "cannot start the thread that looks at plugin files";
        DaemonError::System { what, source }
    })?;
    let mut running = Running {
        herd,
        looker,
        kept: BTreeMap::new(),
        settled: BTreeMap::new(),
        tasks: JoinSet::new(),
        stop: stop.clone(),
        last: Seen::default(),
        told_missing: BTreeSet::new(),
    };
    loop {
        let gone = running.next_gone();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(seen) = seen.recv() => running.see(seen).await,
            Some(order) = running.herd.orders.recv() => running.obey(order).await,
            Some(done) = running.tasks.join_next() => ended(done)?,
            () = sleep_until(gone) => running.tell_gone().await,
            () = watch_changed(&mut running.kept) => running.want(),
        }
    }
    let mut result = Ok(());
    // The first error is told, and nobody is left behind for it.
    while let Some(done) = running.tasks.join_next().await {
        result = result.and(ended(done));
    }
    result
}

fn ended(
    done: Result<(PluginName, Result<(), JournalError>), tokio::task::JoinError>,
) -> Result<(), DaemonError> {
    match done {
        Ok((_, result)) => Ok(result?),
        Err(error) => Err(DaemonError::Panic(format!("a plugin ({error})"))),
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits until a manifest wants other files watched.
async fn watch_changed(kept: &mut BTreeMap<PluginName, Kept>) {
    let changes = kept.values_mut().map(|one| {
        Box::pin(async {
            if one.handle.watch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    futures::future::select_all(changes).await;
}

fn layer_language(layer: &crate::config::PluginLayer) -> &'static str {
    let first = layer
        .command
        .as_ref()
        .and_then(|command| command.as_ref()?.first());
    first.map_or("", |first| language(first.as_ref()))
}

fn wanted(config: &Config) -> Wanted {
    let folders = config.plugins.paths.iter();
    let base = config.file.parent().unwrap_or(&config.file).to_owned();
    let commands = config.plugin.iter().filter_map(|(name, layer)| {
        let command = layer.command.clone().flatten()?;
        let file = command.first().map(PathBuf::from);
        Some(Found {
            name: PluginName::new(name.as_str()),
            path_index: None,
            file: file.filter(|file| file.is_absolute()),
            command,
            watch: Vec::new(),
            base: base.clone(),
            language: layer_language(layer),
        })
    });
    Wanted {
        folders: folders.map(|entry| entry.path.clone()).collect(),
        commands: commands.collect(),
        watch: BTreeMap::new(),
    }
}

impl Running {
    async fn see(&mut self, seen: Seen) {
        self.last = seen;
        let names: Vec<PluginName> = self.last.found.plugins.keys().cloned().collect();
        // Before the first of them is set up: it may have to wait for one that is set up later.
        for name in &names {
            if !self.kept.contains_key(name) {
                self.settled_of(name).send_replace(Seq(0));
            }
        }
        for name in names {
            let Some(found) = self.last.found.plugins.get(&name).cloned() else {
                continue;
            };
            let identity = self.last.identity.get(&name).copied().unwrap_or_default();
            let watched = self.last.watched.get(&name).cloned().unwrap_or_default();
            if !self.kept.contains_key(&name) {
                self.add(found, identity);
                continue;
            }
            let setup = self.setup(&found);
            let Some(kept) = self.kept.get_mut(&name) else {
                continue;
            };
            let order = if kept.is_told_gone {
                Some(PluginOrder::Appeared(Box::new(setup)))
            } else if kept.found != found || kept.watched == watched && kept.identity != identity {
                Some(PluginOrder::Changed(Box::new(setup)))
            } else {
                None
            };
            // Another set of watched files has another hash: that alone is no change.
            (kept.identity, kept.found, kept.watched) = (identity, found, watched);
            (kept.gone_since, kept.is_told_gone) = (None, false);
            if let Some(order) = order {
                let _ended = kept.handle.orders.send(order).await;
            }
        }
        self.note_gone();
        self.tell_missing();
        self.publish();
    }

    /// Plugins whose file is gone; where a whole folder is gone with them, their processes go on.
    fn note_gone(&mut self) {
        let folders = &self.herd.config.plugins.paths;
        for (name, kept) in &mut self.kept {
            let folder = kept.found.path_index.and_then(|index| folders.get(index));
            let is_folder_gone =
                folder.is_some_and(|entry| self.last.found.missing.contains_key(&entry.path));
            if !self.last.found.plugins.contains_key(name) && !is_folder_gone {
                kept.gone_since
                    .get_or_insert_with(tokio::time::Instant::now);
            }
        }
    }

    fn next_gone(&self) -> Option<tokio::time::Instant> {
        let waiting = self.kept.values().filter(|kept| !kept.is_told_gone);
        waiting
            .filter_map(|kept| Some(kept.gone_since? + GONE))
            .min()
    }

    async fn tell_gone(&mut self) {
        let now = tokio::time::Instant::now();
        for kept in self.kept.values_mut() {
            let is_due = kept.gone_since.is_some_and(|since| now >= since + GONE);
            if is_due && !kept.is_told_gone {
                kept.is_told_gone = true;
                let _ended = kept.handle.orders.send(PluginOrder::Vanished).await;
            }
        }
    }

    fn tell_missing(&mut self) {
        let key = |path: &PathBuf| CauseKey::new(format!("path/{}", path.display()));
        for (path, reason) in &self.last.found.missing {
            if self.told_missing.insert(path.clone()) {
                let sentence = format!(
                    "the plugin path {} cannot be read: {reason}",
                    path.display()
                );
                let by_itself =
                    "It is looked at again all the time; its plugins start when it is there.";
                self.herd.shared.alerts.begin(Alert {
                    by_itself: by_itself.to_owned(),
                    ..Alert::new(key(path), "plugin_path", Grade::Error, sentence)
                });
            }
        }
        let missing = &self.last.found.missing;
        let alerts = &self.herd.shared.alerts;
        self.told_missing.retain(|path| {
            let is_missing = missing.contains_key(path);
            if !is_missing {
                alerts.end(&key(path));
            }
            is_missing
        });
    }

    fn add(&mut self, found: Found, identity: [u8; 32]) {
        let name = found.name.clone();
        let setup = self.setup(&found);
        let (orders, inbox) = mpsc::channel(ORDERS);
        let (report, reports) = watch::channel(PluginReport::of(&name, &setup.file));
        let settled = self.settled_of(&name).clone();
        let (watch, watches) = watch::channel(Vec::new());
        let parts = Parts {
            name: name.clone(),
            shared: self.herd.shared.clone(),
            setup,
            orders: inbox,
            report,
            settled,
            watch,
        };
        let stop = self.stop.child_token();
        let whose = name.clone();
        self.tasks
            .spawn(async move { (whose, task::run(parts, stop).await) });
        let handle = Handle {
            name: name.clone(),
            orders,
            report: reports,
            watch: watches,
        };
        let kept = Kept {
            handle,
            found,
            identity,
            watched: Vec::new(),
            gone_since: None,
            is_told_gone: false,
        };
        self.kept.insert(name, kept);
        self.herd.shared.host.count(self.kept.len());
    }

    /// How a plugin is run, as the config stands.
    fn setup(&mut self, found: &Found) -> Setup {
        let settings = self.herd.config.plugin(&found.name, found.path_index);
        let settings = settings.settings;
        let before = self.before(found);
        let after = settings.after.iter().chain(&before);
        let after = after.filter(|other| **other != found.name);
        let after = after.map(|other| self.settled_of(other).subscribe());
        let after = after.collect();
        let config = &self.herd.config;
        let root = config.state.dir.join("plugins").join(found.name.as_str());
        let (data, tmp) = (root.join("data"), root.join("tmp"));
        let places = Places {
            data: &data,
            tmp: &tmp,
            sdk: &self.herd.sdk,
        };
        let environment = &self.herd.environment;
        let launch = launch(found, &found.name, &settings, &places, environment);
        let own = std::slice::from_ref(&config.site.script);
        let scripts = if settings.scripts.is_empty() {
            own
        } else {
            &settings.scripts
        };
        let sessions = scripts
            .iter()
            .filter_map(|script| self.herd.sessions.get(script).cloned());
        Setup {
            file: found.file.as_ref().map_or_else(
                || found.command.join(" "),
                |file| file.display().to_string(),
            ),
            language: found.language.to_owned(),
            sessions: sessions.collect(),
            after,
            uses_session_uuid: config.site.session_uuid,
            start: place(settings.start_from),
            paths: (data.clone(), tmp.clone()),
            launch,
            settings,
        }
    }

    /// How far a plugin has settled; one that is not there holds nothing back.
    fn settled_of(&mut self, name: &PluginName) -> &watch::Sender<Seq> {
        let none = || watch::Sender::new(Seq(u64::MAX));
        self.settled.entry(name.clone()).or_insert_with(none)
    }

    /// `[order] upstream`: the file before this one in its folder, by name.
    fn before(&self, found: &Found) -> Option<PluginName> {
        let config = &self.herd.config;
        let entry = config.plugins.paths.get(found.path_index?)?;
        if !config.order.upstream.contains(&entry.path) {
            return None;
        }
        let plugins = self.last.found.plugins.values();
        let beside = plugins.filter(|other| other.path_index == found.path_index);
        let earlier = beside.filter(|other| other.file < found.file);
        let last = earlier.max_by(|one, other| one.file.cmp(&other.file))?;
        Some(last.name.clone())
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Beat(turned) => {
                if let Some(kept) = self.kept.values().next() {
                    let (beat, beaten) = oneshot::channel();
                    let sent = kept.handle.orders.try_send(PluginOrder::Beat(beat));
                    if sent.is_ok() {
                        tokio::spawn(async move {
                            if beaten.await.is_ok() {
                                let _gone = turned.send(());
                            }
                        });
                        return;
                    }
                }
                let _gone = turned.send(());
            }
            Order::Reload(config) => self.reload(*config).await,
        }
    }

    /// Only plugins whose effective settings differ are started again.
    async fn reload(&mut self, config: Config) {
        let old = std::mem::replace(&mut self.herd.config, config);
        self.want();
        for name in self.kept.keys().cloned().collect::<Vec<_>>() {
            let Some(found) = self.kept.get(&name).map(|kept| kept.found.clone()) else {
                continue;
            };
            let before = old.plugin(&name, found.path_index).settings;
            let setup = self.setup(&found);
            // One that is gone is set up anew when it is back.
            if before != setup.settings
                && let Some(kept) = self.kept.get(&name)
                && !kept.is_told_gone
            {
                let order = PluginOrder::Configured(Box::new(setup));
                let _ended = kept.handle.orders.send(order).await;
            }
        }
    }

    fn want(&mut self) {
        let mut now = wanted(&self.herd.config);
        for (name, kept) in &self.kept {
            let watch = kept.handle.watch.borrow().clone();
            now.watch.insert(name.clone(), watch);
        }
        self.looker.want(|wanted| *wanted = now);
    }

    fn publish(&self) {
        let plugins = self.kept.iter();
        let plugins = plugins.map(|(name, kept)| (name.clone(), kept.handle.report.clone()));
        let not_plugins = self.last.found.not_plugins.iter();
        self.herd.reports.send_replace(Reports {
            plugins: plugins.collect(),
            not_plugins: not_plugins
                .map(|(path, reason)| NotPlugin {
                    path: path.display().to_string(),
                    reason: reason.clone(),
                })
                .collect(),
        });
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
