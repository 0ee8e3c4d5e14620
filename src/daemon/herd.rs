//! All plugins: what is found gets a task, what changed is told to its task, what vanished is waited for.
//!
//! In: what the looker saw, a changed config. Out: orders to plugin tasks, their reports.
//! Never: a plugin's process, an event, a wait for a plugin's task or file system.

mod kept;

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

use kept::Kept;

use super::{DaemonError, bridge::TrafficOfCalls, setup, tell::Teller};
use crate::{
    admin::status::NotPlugin,
    config::Config,
    ident::{PluginName, Seq},
    journal::{JournalError, Op, When},
    plugin::{
        discovery::Found,
        ghosts::ghosts,
        look::{Identity, Looker, Seen, Wanted},
        order::Order as Links,
        report::PluginReport,
        setup::{Handle, ORDERS, Operated, Operation, Order as PluginOrder, Setup, Shared},
        task::{self, Parts},
    },
    site::Session,
    text::instead,
};

/// An order that found its plugin busy is tried again this often.
const AGAIN: Duration = Duration::from_secs(1);

/// What the herd is told.
pub(super) enum Order {
    /// Did the loop turn?
    Beat(oneshot::Sender<()>),
    /// The config that holds from now on, with the sessions of the scripts that it names.
    Reload(Box<Config>, BTreeMap<String, Session>),
    /// An operator wants something of a plugin.
    Operate(PluginName, Operation, Operated),
    /// Events that were opened again in the journal.
    Reopened(Vec<(PluginName, Seq)>),
}

/// What `status` shows of all plugins.
#[derive(Default, Clone)]
pub(super) struct Reports {
    pub(super) plugins: BTreeMap<PluginName, watch::Receiver<PluginReport>>,
    /// Those that are there: a file that is gone for good holds nothing back in the journal.
    pub(super) present: BTreeSet<PluginName>,
    pub(super) not_plugins: Vec<NotPlugin>,
    /// What is to be said of sections of the config for plugins that are nowhere.
    pub(super) ghosts: Vec<String>,
}

/// What the herd works with.
pub(super) struct Herd {
    pub(super) shared: Shared,
    pub(super) config: Config,
    /// The session of each script that the config names.
    pub(super) sessions: BTreeMap<String, Session>,
    /// How much of each plugin's calls is in the traffic log.
    pub(super) calls: TrafficOfCalls,
    /// Which file has which name.
    pub(super) files: BTreeMap<PluginName, PathBuf>,
    /// The Python SDK's folder.
    pub(super) sdk: PathBuf,
    /// Our own environment, of which plugins see a part.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) reports: watch::Sender<Reports>,
}

struct Running {
    herd: Herd,
    looker: Looker,
    kept: BTreeMap<PluginName, Kept>,
    /// How far each has settled, by name: for those that wait for one that is not there yet, too.
    settled: BTreeMap<PluginName, watch::Sender<Seq>>,
    links: Links,
    tasks: JoinSet<(PluginName, Result<(), JournalError>)>,
    stop: CancellationToken,
    last: Seen,
    /// The first look is over: what comes now was not there when the daemon started.
    has_looked: bool,
    /// What is to be said of sections for plugins that are nowhere.
    ghosts: Vec<String>,
    teller: Teller,
}

/// Runs all plugins until `stop`; returns when the last one has ended.
///
/// # Errors
/// When the journal cannot go on, or a task of ours panicked.
pub(super) async fn run(herd: Herd, stop: CancellationToken) -> Result<(), DaemonError> {
    let wanted = Wanted::of(&herd.config);
    let (looker, mut seen) = Looker::start(wanted, herd.files.clone()).map_err(|source| {
        let what = "cannot start the threads that look at plugin files";
        DaemonError::System { what, source }
    })?;
    let mut running = Running {
        teller: Teller::new(herd.shared.alerts.clone(), herd.config.file.clone()),
        herd,
        looker,
        kept: BTreeMap::new(),
        settled: BTreeMap::new(),
        links: Links::default(),
        tasks: JoinSet::new(),
        stop: stop.clone(),
        last: Seen::default(),
        has_looked: false,
        ghosts: Vec::new(),
    };
    loop {
        let wake = running.next_wake();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(seen) = seen.recv() => running.see(seen),
            Some(order) = running.herd.orders.recv() => running.obey(order),
            Some(done) = running.tasks.join_next() => ended(done)?,
            () = sleep_until(wake) => running.tell_late(),
            () = watch_changed(&mut running.kept) => running.want(),
        }
    }
    // One that could not write must not take the others' time to drain.
    let mut result = Ok(());
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

impl Running {
    fn see(&mut self, seen: Seen) {
        self.last = seen;
        self.link();
        let plugins = std::mem::take(&mut self.last.found.plugins);
        for (name, found) in &plugins {
            let identity = self.last.identity.get(name).cloned().unwrap_or_default();
            self.see_one(name, found, identity);
        }
        self.last.found.plugins = plugins;
        self.has_looked = true;
        self.tell_links();
        self.look_for_ghosts();
        self.note_files();
        self.note_gone();
        self.teller.missing(&self.last.found.missing);
        self.publish();
    }

    fn see_one(&mut self, name: &PluginName, found: &Found, identity: Identity) {
        if !self.kept.contains_key(name) {
            self.add(found, identity);
            return;
        }
        let setup = self.setup(found);
        let after = self.after(name);
        let Some(kept) = self.kept.get_mut(name) else {
            return;
        };
        let order = if kept.is_told_gone {
            Some(PluginOrder::Appeared(Box::new(setup)))
        } else if kept.spoiled.is_some() || kept.found != *found || identity.differs(&kept.identity)
        {
            Some(PluginOrder::Changed(Box::new(setup)))
        } else {
            None
        };
        (kept.identity, kept.found) = (identity, found.clone());
        (kept.gone_since, kept.is_told_gone) = (None, false);
        kept.spoiled = None;
        if let Some(order) = order {
            kept.after = after;
            kept.tell(order);
        }
    }

    /// Sections of the config for plugins that are nowhere.
    fn look_for_ghosts(&mut self) {
        let kept = &self.kept;
        let ghosts = ghosts(&self.herd.config, &self.last.found, |name| {
            kept.contains_key(name)
        });
        self.teller.ghosts(&ghosts);
        self.ghosts = ghosts.iter().map(ToString::to_string).collect();
    }

    /// Who waits for whom, now that these are there.
    fn link(&mut self) {
        let plugins = &self.last.found.plugins;
        self.links = Links::of(&self.herd.config, plugins);
        for name in plugins.keys().filter(|name| !self.kept.contains_key(*name)) {
            // Nobody runs ahead while it starts.
            settled_of(&mut self.settled, name).send_replace(Seq(0));
        }
        self.teller.links(&self.links);
    }

    /// Tells those whose order alone has changed.
    fn tell_links(&mut self) {
        for name in self.kept.keys().cloned().collect::<Vec<_>>() {
            let (after, receivers) = (self.after(&name), self.receivers(&name));
            if let Some(kept) = self.kept.get_mut(&name)
                && kept.after != after
            {
                kept.after = after;
                kept.tell(PluginOrder::After(receivers));
            }
        }
    }

    fn after(&self, name: &PluginName) -> BTreeSet<PluginName> {
        self.links.after.get(name).cloned().unwrap_or_default()
    }

    fn receivers(&mut self, name: &PluginName) -> Vec<watch::Receiver<Seq>> {
        let after = self.after(name);
        let settled = &mut self.settled;
        let receivers = after
            .iter()
            .map(|other| settled_of(settled, other).subscribe());
        receivers.collect()
    }

    /// Keeps which file has which name: it has it after a restart, too.
    fn note_files(&mut self) {
        for (name, found) in &self.last.found.plugins {
            let Some(place) = &found.place else { continue };
            let Some(text) = place.to_str() else { continue };
            if self.herd.files.get(name) == Some(place) {
                continue;
            }
            let op = Op::PluginFile {
                plugin: name.clone(),
                file: text.into(),
            };
            // Without room it is written at the next look.
            if let Ok(ticket) = self.herd.shared.journal.try_submit(vec![op], When::Now) {
                drop(ticket);
                self.herd.files.insert(name.clone(), place.clone());
            }
        }
    }

    /// Plugins whose file is gone; where a whole folder is gone with them, their processes go on. So do those whose file
    /// was saved without its `#!` or its `x`: a mistake in a file takes no plugin down.
    fn note_gone(&mut self) {
        let folders = &self.herd.config.plugins.paths;
        for (name, kept) in &mut self.kept {
            let folder = kept.found.path_index.and_then(|index| folders.get(index));
            let found = &self.last.found;
            let is_folder_gone =
                folder.is_some_and(|entry| found.missing.contains_key(&entry.path));
            if found.plugins.contains_key(name) || is_folder_gone || kept.is_told_gone {
                continue;
            }
            let place = kept.found.place.as_ref();
            kept.is_missed(place.and_then(|place| found.not_plugins.get(place)));
        }
    }

    fn next_wake(&self) -> Option<tokio::time::Instant> {
        let kept = self.kept.values();
        let gone = kept.filter_map(Kept::gone_at).min();
        let is_late = self.kept.values().any(|kept| !kept.late.is_empty());
        let again = is_late.then(|| tokio::time::Instant::now() + AGAIN);
        gone.into_iter().chain(again).min()
    }

    /// Tells what had to wait: that a file is gone for good, and orders that found no room.
    fn tell_late(&mut self) {
        let now = tokio::time::Instant::now();
        for kept in self.kept.values_mut() {
            if kept.gone_at().is_some_and(|at| now >= at) {
                kept.is_told_gone = true;
                kept.tell(PluginOrder::Vanished);
            }
            kept.tell_late();
        }
        self.publish();
    }

    fn add(&mut self, found: &Found, identity: Identity) {
        let name = found.name.clone();
        self.teller.named(found);
        let setup = self.setup(found);
        let (orders, inbox) = mpsc::channel(ORDERS);
        let (report, reports) = watch::channel(PluginReport::of(&name, &setup.file));
        let settled = settled_of(&mut self.settled, &name);
        let (watch, watches) = watch::channel(Vec::new());
        let parts = Parts {
            // Its folder may only have been mounted late.
            was_there: !self.has_looked || self.herd.files.contains_key(&name),
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
            found: found.clone(),
            identity,
            after: self.after(&name),
            gone_since: None,
            is_told_gone: false,
            spoiled: None,
            late: Vec::new(),
        };
        self.kept.insert(name, kept);
        self.herd.shared.host.count(self.kept.len());
    }

    /// How a plugin is run, as the config stands.
    fn setup(&mut self, found: &Found) -> Setup {
        let after = self.receivers(&found.name);
        let setup = setup::of(&self.herd, found, after);
        let traffic = setup.settings.traffic.map(Into::into);
        self.herd.calls.set(&found.name, traffic);
        setup
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Beat(turned) => {
                // Who asked may have gone.
                let _gone = turned.send(());
            }
            Order::Reload(config, sessions) => self.reload(*config, sessions),
            Order::Operate(name, what, done) => match self.kept.get_mut(&name) {
                Some(kept) => kept.tell(PluginOrder::Operate(what, done)),
                None => {
                    // Who asked may have gone.
                    let _gone = done.send(Err(self.unknown(&name)));
                }
            },
            Order::Reopened(all) => {
                let mut by_plugin = BTreeMap::<PluginName, Vec<Seq>>::new();
                for (name, seq) in all {
                    by_plugin.entry(name).or_default().push(seq);
                }
                for (name, seqs) in by_plugin {
                    if let Some(kept) = self.kept.get_mut(&name) {
                        kept.tell(PluginOrder::Reopened(seqs));
                    }
                }
            }
        }
    }

    fn unknown(&self, name: &PluginName) -> String {
        let all: Vec<&str> = self.kept.keys().map(PluginName::as_str).collect();
        format!(
            "there is no plugin {name}; {}",
            instead(name.as_str(), &all)
        )
    }

    /// Only plugins whose effective settings differ are started again.
    fn reload(&mut self, config: Config, sessions: BTreeMap<String, Session>) {
        let old = std::mem::replace(&mut self.herd.config, config);
        let changed_keys: BTreeSet<&String> = old
            .scripts
            .iter()
            .filter(|(name, script)| self.herd.config.scripts.get(*name) != Some(script))
            .map(|(name, _)| name)
            .collect();
        self.herd.sessions = sessions;
        self.want();
        self.link();
        for name in self.kept.keys().cloned().collect::<Vec<_>>() {
            let Some(found) = self.kept.get(&name).map(|kept| kept.found.clone()) else {
                continue;
            };
            let before = old.plugin(&name, found.path_index).settings;
            let setup = self.setup(&found);
            let after = self.after(&name);
            // Another command is another thing to look at: it is told when it was.
            let is_other = before.command != setup.settings.command;
            let mut scripts = setup.settings.scripts.iter();
            let has_keys = scripts.any(|script| changed_keys.contains(script));
            if is_other || before == setup.settings && !has_keys {
                continue;
            }
            if let Some(kept) = self.kept.get_mut(&name) {
                kept.after = after;
                kept.tell(PluginOrder::Configured(Box::new(setup)));
            }
        }
        self.tell_links();
        // Other folders are looked at first.
        let before = old.plugins.paths.iter().map(|entry| &entry.path);
        let now = self.herd.config.plugins.paths.iter();
        if before.eq(now.map(|entry| &entry.path)) {
            self.look_for_ghosts();
            self.publish();
        }
    }

    fn want(&mut self) {
        let mut now = Wanted::of(&self.herd.config);
        for (name, kept) in &self.kept {
            let watch = kept.handle.watch.borrow().clone();
            now.watch.insert(name.clone(), watch);
        }
        self.looker.want(|wanted| *wanted = now);
    }

    fn publish(&self) {
        let plugins = self.kept.iter();
        let plugins = plugins.map(|(name, kept)| (name.clone(), kept.handle.report.clone()));
        let present = self.kept.iter().filter(|(_, kept)| !kept.is_told_gone);
        let not_plugins = self.last.found.not_plugins.iter();
        self.herd.reports.send_replace(Reports {
            plugins: plugins.collect(),
            present: present.map(|(name, _)| name.clone()).collect(),
            not_plugins: not_plugins
                .map(|(path, reason)| NotPlugin {
                    path: path.display().to_string(),
                    reason: reason.clone(),
                })
                .collect(),
            ghosts: self.ghosts.clone(),
        });
    }
}

/// How far a plugin has settled; one that is not there holds nobody up.
fn settled_of(
    all: &mut BTreeMap<PluginName, watch::Sender<Seq>>,
    name: &PluginName,
) -> watch::Sender<Seq> {
    let fresh = || watch::channel(Seq(u64::MAX)).0;
    all.entry(name.clone()).or_insert_with(fresh).clone()
}
