//! Answers `status`: gathers what each part tells of itself.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonrpsee::{
    core::{RpcResult, async_trait},
    types::ErrorObjectOwned,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{herd, reload::ConfigState};
use crate::{
    admin::{
        self, AdminServer, Enabled, Letter, SiteAccepted, Status,
        status::{AlertReport, ConfigReport, ContainmentReport, JournalReport, NotPlugin, Overall},
    },
    alert::Alerts,
    clock::Unix,
    ident::{EventId, PluginName},
    ingest::{self, SiteReport},
    journal::{Extent, Health, Journal},
    plugin::{report::PluginReport, setup::Operation},
    way::Way,
};

/// The two lines of `status` are made this often, for systemd and the lock file.
const LINES: Duration = Duration::from_secs(2);

/// Everything that `status` is made of.
pub(super) struct Desk {
    pub(super) started_at: Unix,
    pub(super) journal: Journal,
    pub(super) site: watch::Receiver<SiteReport>,
    pub(super) ingest: mpsc::Sender<ingest::Message>,
    pub(super) herd: watch::Receiver<herd::Reports>,
    pub(super) orders: mpsc::Sender<herd::Order>,
    pub(super) alerts: Alerts,
    pub(super) config: Arc<Mutex<ConfigState>>,
    pub(super) state_dir: PathBuf,
    pub(super) traffic_log: Option<PathBuf>,
    pub(super) containment: ContainmentReport,
    pub(super) way: Way,
}

impl Desk {
    pub(super) async fn status(&self) -> Status {
        // What waits comes first: all else is of one moment, and what people were told is not newer than what bears it out.
        let extent = self.journal.extent().await.unwrap_or_default();
        let letters = self.journal.query(|reader| reader.dead_counts()).await;
        let alerts: Vec<AlertReport> = self.alerts.open().into_iter().map(alert).collect();
        let site = self.site.borrow().clone();
        let journal = self.journal_report(&extent);
        let (mut plugins, not_plugins, warnings) = {
            let herd = self.herd.borrow();
            let plugins = herd.plugins.values();
            let plugins: Vec<PluginReport> =
                plugins.map(|report| report.borrow().clone()).collect();
            let mut not_plugins = herd.not_plugins.clone();
            not_plugins.retain(|file| !plugins.iter().any(|plugin| is_told_by(plugin, file)));
            (plugins, not_plugins, herd.ghosts.clone())
        };
        // A plugin knows what it gave up, and not what operators redrove or dropped.
        let dead_letters: BTreeMap<PluginName, u64> = match letters {
            Ok(letters) => letters.into_iter().collect(),
            Err(_) => {
                let known = plugins.iter().filter(|plugin| plugin.dead_letters > 0);
                known
                    .map(|plugin| (plugin.name.clone(), plugin.dead_letters))
                    .collect()
            }
        };
        for plugin in &mut plugins {
            plugin.dead_letters = dead_letters.get(&plugin.name).copied().unwrap_or(0);
            for remedy in plugin.remedy.iter_mut().chain(&mut plugin.other_remedies) {
                *remedy = self.way.command(remedy);
            }
        }
        let config = self.config.lock();
        let config = config.unwrap_or_else(PoisonError::into_inner).report();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            state: Status::judge(&site, &journal, &plugins, alerts.len()),
            site,
            journal,
            plugins,
            not_plugins,
            dead_letters,
            alerts,
            config: ConfigReport { warnings, ..config },
            traffic_log: self
                .traffic_log
                .as_ref()
                .map(|file| file.display().to_string()),
            containment: self.containment.clone(),
        }
    }

    fn journal_report(&self, extent: &Extent) -> JournalReport {
        let health = self.journal.health().borrow().clone();
        let state = match &health {
            Health::Working => "ok".to_owned(),
            Health::Stalled(error) => format!("{error}; nothing is written while that lasts"),
            Health::Broken(error) => error.to_string(),
            Health::Closed => "closed".to_owned(),
        };
        JournalReport {
            state,
            dir: self.state_dir.display().to_string(),
            seq: extent.last.0,
            rows: extent.rows(),
            bytes: extent.body_bytes,
            oldest: extent.oldest,
        }
    }

    /// Keeps the two lines fresh: for systemd, and in the lock file for when the daemon hangs.
    pub(super) fn lines(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> watch::Receiver<String> {
        let (line, lines) = watch::channel(String::new());
        let desk = Arc::clone(self);
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LINES) => {}
                }
                let two = two_lines(&desk.status().await);
                let text = two.join(" · ");
                line.send_if_modified(|known| {
                    let is_new = *known != text;
                    if is_new {
                        known.clone_from(&text);
                        desk.journal.note_status(two);
                    }
                    is_new
                });
            }
        });
        lines
    }
}

/// The file is one of a plugin whose row or alert says what is wrong with it.
fn is_told_by(plugin: &PluginReport, file: &NotPlugin) -> bool {
    let rests = matches!(plugin.state.as_str(), "disabled" | "off" | "missing");
    !rests && Path::new(&plugin.file).starts_with(&file.path)
}

fn alert(open: crate::alert::OpenAlert) -> AlertReport {
    AlertReport {
        cause: open.alert.key.to_string(),
        plugin: open.alert.plugin.map(|plugin| plugin.to_string()),
        sentence: open.alert.sentence,
        remedy: Some(open.alert.remedy),
        since: open.since,
        count: open.count,
    }
}

fn two_lines(status: &Status) -> [String; 2] {
    let word = match status.state {
        Overall::Ok => "ok",
        Overall::Degraded => "degraded",
        Overall::Down => "down",
    };
    let bad = status.plugins.iter().filter(|plugin| !plugin.ok).count();
    let site = match &status.site.reason {
        Some(reason) => format!("site {}: {reason}", status.site.state),
        None => format!("site {}", status.site.state),
    };
    [
        format!("{word}: {site}"),
        format!(
            "{} plugins, {bad} not ok; on disk to {}",
            status.plugins.len(),
            status.journal.seq
        ),
    ]
}

fn refused(words: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(admin::api::REFUSED, words, None::<()>)
}

/// The desk behind the admin API.
pub(super) struct Answering(pub(super) Arc<Desk>);

#[async_trait]
impl AdminServer for Answering {
    async fn status(&self) -> RpcResult<Status> {
        Ok(self.0.status().await)
    }

    async fn site_accept(&self, from: EventId) -> RpcResult<SiteAccepted> {
        let ended =
            || refused("ingest has ended; nothing is known of what became of it".to_owned());
        let (done, answer) = oneshot::channel();
        let sent = self
            .0
            .ingest
            .send(ingest::Message::Accept(from, done))
            .await;
        sent.map_err(|_| ended())?;
        let accepted = answer.await.map_err(|_| ended())?;
        let accepted = accepted.map_err(|error| refused(error.to_string()))?;
        Ok(SiteAccepted {
            timeline: accepted.timeline,
            from,
            given_up: accepted.given_up,
        })
    }

    async fn plugin_enable(&self, plugin: PluginName, skip_event: bool) -> RpcResult<Enabled> {
        self.0.enable(plugin, skip_event).await.map_err(refused)
    }

    async fn plugin_disable(&self, plugin: PluginName) -> RpcResult<()> {
        let done = self.0.operate(plugin, Operation::Disable).await;
        done.map(drop).map_err(refused)
    }

    async fn dead(
        &self,
        plugin: Option<PluginName>,
        after: i64,
        rows: usize,
    ) -> RpcResult<Vec<Letter>> {
        self.0.dead(plugin, after, rows).await.map_err(refused)
    }

    async fn dead_redrive(&self, ids: Vec<i64>) -> RpcResult<usize> {
        self.0.redrive(ids).await.map_err(refused)
    }

    async fn dead_drop(&self, ids: Vec<i64>) -> RpcResult<u64> {
        self.0.drop_dead(ids).await.map_err(refused)
    }
}
