//! The daemon: every task is built here from the config, started in order, stopped in reverse.
//!
//! ```text
//!   state locked ─► admin socket bound ─► journal ─► alerts ─► site ─► ingest ─► plugins ─► socket served ─► ready
//! ```
//! Whoever asks "what runs here?" reads [`Daemon::start`].

pub mod adopt;
mod bridge;
mod containment;
mod error;
mod herd;
mod notify;
mod operate;
mod reload;
mod room;
mod schema;
mod setup;
mod status;
mod tell;
mod upkeep;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use error::DaemonError;

use crate::{
    admin::{AdminServer as _, Status, server::AdminSocket},
    alert::{self, Alerts},
    clock::Clock,
    config::{Config, StartFrom},
    fail,
    ingest::{self, SiteReport},
    journal::{Health, Journal, JournalError, Op, Options, Refused, Sqlite, StateDir},
    plugin::setup::Shared,
    process::{self, Spawner},
    sdk::{self, Sdk},
    services::Services,
    site::{Session, Site, SiteOptions},
    telemetry::Guard,
    way::Way,
};

/// A daemon that runs.
pub struct Daemon {
    journal: Journal,
    ingest: JoinHandle<Result<(), DaemonError>>,
    herd: JoinHandle<Result<(), DaemonError>>,
    stop: CancellationToken,
    /// Cancelled when the plugins have ended: what they needed may go.
    stop_rest: CancellationToken,
    tasks: TaskTracker,
    desk: Arc<status::Desk>,
    reloader: reload::Reloader,
}

impl Daemon {
    /// Starts everything; when it returns, the state is locked, the journal open and the admin socket listens.
    ///
    /// # Errors
    /// Why it cannot run; nothing is left running.
    pub async fn start(config: Config, guard: &Guard) -> Result<Self, DaemonError> {
        let clock = Clock::start();
        let traffic = guard.traffic();
        let keys = load_keys(&config)?;
        let state = StateDir::open(&config.state.dir)?;
        fail::at("start.locked");
        // Before anything is handed out: a socket that cannot be had ends the daemon.
        let socket = AdminSocket::bind(&config.admin.socket, &config.admin.group)?;
        // The lock file is made before the database.
        let is_copy = state.database().exists() && state.previous().is_none();
        let engine = Sqlite::open(&state.database())?;
        fail::at("start.opened");
        let last = engine.last();
        let missing = state.missing(last);
        let options = Options {
            settle_wait: config.state.settle.wait,
            settle_count: config.state.settle.count,
            ..Options::default()
        };
        let journal = Journal::start(Box::new(engine), Some(state), options)?;
        if is_copy {
            tracing::warn!(
                last = last.0,
                "the journal has no lock file beside it: it was copied or restored; what came after its last event is asked of the site again"
            );
        }
        if let Some(missing) = missing {
            tracing::warn!(
                first = missing.start().0,
                last = missing.end().0,
                "rows that the lock file knows are not in the journal; was its -wal file lost? They are asked of the site again"
            );
        }
        let url = site_address(&config);
        let owned = journal.write(Op::Site { url }).await;
        owned.map_err(|error| other_site(error, &config))?;
        let whose = whose(&config.state.dir);
        end_children(&journal, Arc::clone(&whose)).await?;
        // After those of the last daemon have had their turn to end by themselves.
        let containment = containment::take(&config, &whose);
        fail::at("start.children_ended");

        let stop = CancellationToken::new();
        let stop_rest = CancellationToken::new();
        let tasks = TaskTracker::new();
        let host = hostname();
        let options = alert::Options::new(&config, &host)?;
        let alerts = alert::start(options, clock, &tasks, &stop_rest);

        let calls = bridge::TrafficOfCalls::new(traffic.clone());
        let site = Site::new(&site_options(&config, &keys, calls.clone()))?;
        let sessions = sessions(&config, &keys, &site);
        let files = journal.query(|reader| reader.files()).await?;
        let files = files.into_iter();
        let files = files.map(|(name, file)| (name, String::from(file).into()));
        let (site_report, site_reports) = watch::channel(SiteReport {
            url: site.origin(),
            state: "starting".to_owned(),
            since: Clock::unix(),
            ..SiteReport::default()
        });
        let (ingest_orders, inbox) = mpsc::channel(16);
        let session = sessions[&config.site.script].clone();
        let ingest = ingest_parts(
            &config,
            session,
            &journal,
            &alerts,
            clock,
            site_report,
            inbox,
        );
        let ingest = start_ingest(ingest.await?, stop.clone());

        let spawner = spawner()?;
        let marks = process::Marks::default();
        let store = Arc::new(bridge::Store(journal.clone()));
        let services = Services::new(store, bridge::observer());
        tasks.spawn(schema::watch(
            journal.clone(),
            services.clone(),
            stop_rest.clone(),
        ));
        let (lag, lags) = watch::channel(config.alerts.lag);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Shared {
            journal: journal.clone(),
            services,
            clock,
            alerts: alerts.clone(),
            spawner,
            traffic: traffic.clone(),
            site: site.clone(),
            starts: Arc::new(Semaphore::new(cores)),
            state: config.state.dir.as_path().into(),
            whose,
            marks: marks.clone(),
            groups: containment.groups,
            host: Arc::default(),
            scarce: Arc::default(),
            settle: (config.state.settle.wait, config.state.settle.count),
            lag: lags,
        };
        let sdk = config.state.dir.join("sdk-python");
        sdk::unpack(Sdk::Python, &sdk)?;
        sdk::open(&sdk)?;
        let (reports, all_reports) = watch::channel(herd::Reports::default());
        let (herd_orders, inbox) = mpsc::channel(16);
        let herd = herd::Herd {
            shared,
            sessions: sessions.clone(),
            files: files.collect(),
            calls,
            sdk,
            environment: std::env::vars_os().collect(),
            orders: inbox,
            reports,
            config: config.clone(),
        };
        let herd = tokio::spawn(herd::run(herd, stop.clone()));

        let config_state = Arc::new(Mutex::new(reload::ConfigState::new(&config)));
        let desk = Arc::new(status::Desk {
            started_at: Clock::unix(),
            journal: journal.clone(),
            site: site_reports,
            ingest: ingest_orders.clone(),
            herd: all_reports.clone(),
            orders: herd_orders.clone(),
            alerts: alerts.clone(),
            config: Arc::clone(&config_state),
            state_dir: config.state.dir.clone(),
            traffic_log: config.log.traffic.file.clone(),
            containment: containment.report,
            way: Way::to(&config.file, &config.admin.socket),
        });
        let methods = status::Answering(Arc::clone(&desk)).into_rpc();
        tasks.spawn(socket.serve(methods.into(), stop_rest.clone()));
        let (retention, policies) = watch::channel(upkeep::policy(&config));
        tasks.spawn(upkeep::run(
            journal.clone(),
            alerts.clone(),
            policies,
            all_reports,
            stop_rest.clone(),
        ));
        let loops = notify::Loops {
            journal: journal.clone(),
            ingest: ingest_orders.clone(),
            herd: herd_orders.clone(),
        };
        tasks.spawn(room::watch(
            journal.health(),
            alerts.clone(),
            config.state.dir.clone(),
            stop_rest.clone(),
        ));
        tasks.spawn(process::reap_orphans(marks, stop_rest.clone()));
        let lines = desk.lines(&tasks, stop_rest.clone());
        let stops = (stop.clone(), stop_rest.clone());
        tasks.spawn(notify::watch(loops, lines, stops));
        let targets = reload::Targets {
            ingest: ingest_orders,
            herd: herd_orders,
            retention,
            lag,
            site,
            sessions,
        };
        Ok(Self {
            journal,
            ingest,
            herd,
            stop,
            stop_rest,
            tasks,
            desk,
            reloader: reload::Reloader::new(config, config_state, targets, alerts),
        })
    }

    /// What `status` answers.
    pub async fn status(&self) -> Status {
        self.desk.status().await
    }

    /// The site's ids of all events in the journal, in its order.
    pub async fn event_ids(&self) -> Vec<i64> {
        let mut ids = Vec::new();
        let mut after = crate::ident::Seq(0);
        while let Ok(rows) = self.journal.read(after, 500).await
            && let Some(last) = rows.last()
        {
            after = last.seq;
            ids.extend(rows.iter().map(|event| event.facts.event_id.0));
        }
        ids
    }

    /// Reads the config again and applies what can be applied.
    pub async fn reload(&mut self, guard: &Guard) {
        notify::reloading();
        self.reloader.reload(guard).await;
        notify::tell(&[sd_notify::NotifyState::Ready]);
    }

    /// Waits until something of it has ended by itself: then it must be stopped.
    pub async fn failed(&mut self) {
        let mut health = self.journal.health();
        tokio::select! {
            _ = health.wait_for(|health| matches!(health, Health::Broken(_))) => {}
            () = done(&self.ingest) => {}
            () = done(&self.herd) => {}
        }
    }

    /// Drains the plugins, writes what is not written, and ends.
    ///
    /// # Errors
    /// The first thing that went wrong, now or before.
    pub async fn stop(self) -> Result<(), DaemonError> {
        notify::tell(&[sd_notify::NotifyState::Stopping]);
        self.journal.leave();
        self.stop.cancel();
        let herd = joined(self.herd.await, "the plugins");
        let ingest = joined(self.ingest.await, "ingest");
        self.stop_rest.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let health = self.journal.health().borrow().clone();
        let journal = match health {
            Health::Broken(error) => Err(error.into()),
            _ => Ok(()),
        };
        self.journal.close().await;
        herd.and(ingest).and(journal)
    }
}

/// Says that the daemon is ready: the state is locked, the config valid, the socket listens. The site may well be away.
pub fn tell_ready() {
    notify::tell(&[sd_notify::NotifyState::Ready]);
}

async fn done<T>(task: &JoinHandle<T>) {
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn joined(
    result: Result<Result<(), DaemonError>, tokio::task::JoinError>,
    what: &str,
) -> Result<(), DaemonError> {
    result.unwrap_or_else(|error| Err(DaemonError::Panic(format!("{what} ({error})"))))
}

/// The site's address as the journal keeps it.
fn site_address(config: &Config) -> Box<str> {
    config.site.url.as_str().trim_end_matches('/').into()
}

fn other_site(error: JournalError, config: &Config) -> DaemonError {
    match error {
        JournalError::Refused(Refused::OtherSite { found, asked }) => DaemonError::OtherSite {
            dir: config.state.dir.clone(),
            found,
            asked,
        },
        error => error.into(),
    }
}

/// Every key that the config names, by the config's key.
fn load_keys(config: &Config) -> Result<BTreeMap<String, crate::secret::Secret>, DaemonError> {
    let load = |(key, source): (String, &crate::config::KeySource)| match source.load() {
        Ok(secret) => Ok((key, secret)),
        Err(source) => Err(DaemonError::Key { key, source }),
    };
    config.keys().into_iter().map(load).collect()
}

fn sessions(
    config: &Config,
    keys: &BTreeMap<String, crate::secret::Secret>,
    site: &Site,
) -> BTreeMap<String, Session> {
    let own = (config.site.script.clone(), "site.key".to_owned());
    let others = config.scripts.keys();
    let others = others.map(|name| (name.clone(), format!("scripts.{name}.key")));
    std::iter::once(own)
        .chain(others)
        .filter_map(|(script, key)| {
            let session = site.session(&script, keys.get(&key)?.clone());
            Some((script, session))
        })
        .collect()
}

fn site_options(
    config: &Config,
    keys: &BTreeMap<String, crate::secret::Secret>,
    calls: bridge::TrafficOfCalls,
) -> SiteOptions {
    let site = &config.site;
    SiteOptions {
        proxy: site.proxy.as_ref().map(ToString::to_string),
        proxy_password: keys.get("site.proxy_password").cloned(),
        ca_file: site.ca_file.clone(),
        timeout: site.timeout,
        max_calls: site.max_calls,
        max_retry_wait: site.max_retry_wait,
        tap: Some(Arc::new(calls)),
        ..SiteOptions::new(site.url.as_str().trim_end_matches('/'))
    }
}

async fn ingest_parts(
    config: &Config,
    session: Session,
    journal: &Journal,
    alerts: &Alerts,
    clock: Clock,
    report: watch::Sender<SiteReport>,
    orders: mpsc::Receiver<ingest::Message>,
) -> Result<ingest::Parts, DaemonError> {
    let kept = journal.query(|reader| reader.ingest()).await?;
    let recent = journal.query(|reader| {
        let last = reader.extent()?.last;
        reader.page(
            crate::ident::Seq(last.0.saturating_sub(RECENT)),
            RECENT as usize,
            usize::MAX,
        )
    });
    let timeline = kept.timeline;
    let anchors = ingest::anchors(&recent.await?, timeline);
    Ok(ingest::Parts {
        machine: ingest::Machine::new(ingest_policy(config), kept, anchors),
        session,
        journal: journal.clone(),
        alerts: alerts.clone(),
        clock,
        report,
        orders,
    })
}

/// How ingest follows the event log.
fn ingest_policy(config: &Config) -> ingest::Policy {
    ingest::Policy {
        interval: config.poll.interval,
        max_interval: config.poll.max_interval,
        page: config.poll.page as usize,
        start_from: match config.poll.start_from {
            StartFrom::Latest => ingest::StartFrom::Latest,
            StartFrom::Oldest => ingest::StartFrom::Oldest,
            StartFrom::EventId(id) => ingest::StartFrom::Id(id),
            StartFrom::Time(time) => ingest::StartFrom::Time(time),
        },
        gap_timeout: config.gap.timeout,
        gap_give_up: config.gap.give_up,
        gap_hold: config.gap.hold,
        max_retry_wait: config.site.max_retry_wait,
    }
}

/// Rows that may serve as an anchor when the head is gone from sight.
const RECENT: u64 = 50;

fn start_ingest(
    parts: ingest::Parts,
    stop: CancellationToken,
) -> JoinHandle<Result<(), DaemonError>> {
    tokio::spawn(async move { Ok(ingest::run(parts, stop).await?) })
}

fn spawner() -> Result<Spawner, DaemonError> {
    process::become_subreaper();
    let failed = |what| move |source| DaemonError::System { what, source };
    let helper = std::env::current_exe().map_err(failed("cannot find our own binary"))?;
    Spawner::start(helper).map_err(failed("cannot start the thread that starts plugins"))
}

/// Plugins of a daemon that died are ended before new ones start.
async fn end_children(journal: &Journal, whose: Arc<str>) -> Result<(), DaemonError> {
    let children = journal.query(|reader| reader.children()).await?;
    let left = process::end_recorded(&children).await;
    for child in &children {
        if left.contains(child) {
            tracing::error!(plugin = %child.plugin, pid = child.pid, "a plugin of the last daemon does not die");
            continue;
        }
        let (pid, start_time) = (child.pid, child.start_time);
        journal.write(Op::ChildRemove { pid, start_time }).await?;
    }
    let left = tokio::task::spawn_blocking(move || process::end_left_behind(&whose)).await;
    if let Ok(count @ 1..) = left {
        tracing::warn!(
            count,
            "what plugins of the last daemon had started was ended"
        );
    }
    Ok(())
}

/// What the marks of our processes begin with: the same for each daemon on this state.
fn whose(state: &std::path::Path) -> Arc<str> {
    let whole = state.canonicalize();
    let whole = whole.as_deref().unwrap_or(state);
    whole.to_string_lossy().into()
}

fn hostname() -> String {
    let name = nix::unistd::gethostname().ok();
    name.map_or_else(
        || "localhost".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
