//! SIGHUP: the config is read again; what can be applied is, what cannot is said by name, an invalid file changes nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::{mpsc, watch};

use super::{DaemonError, herd};
use crate::{
    admin::status::ConfigReport,
    alert::{self, Alert, Alerts, CauseKey, Grade},
    config::{self, Config},
    ingest,
    journal::retention,
    site::{Session, Site},
    telemetry::Guard,
};

/// The file that runs, for `status`.
pub(super) struct ConfigState {
    file: PathBuf,
    read_at: Option<SystemTime>,
    needs_restart: Vec<String>,
    error: Option<String>,
}

impl ConfigState {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            read_at: modified(&config.file),
            file: config.file.clone(),
            needs_restart: Vec::new(),
            error: None,
        }
    }

    pub(super) fn report(&self) -> ConfigReport {
        ConfigReport {
            file: self.file.display().to_string(),
            is_newer: modified(&self.file) > self.read_at,
            needs_restart: self.needs_restart.clone(),
            error: self.error.clone(),
            warnings: Vec::new(),
        }
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// Whoever takes a changed config.
pub(super) struct Targets {
    pub(super) ingest: mpsc::Sender<ingest::Message>,
    pub(super) herd: mpsc::Sender<herd::Order>,
    pub(super) retention: watch::Sender<retention::Policy>,
    pub(super) lag: watch::Sender<Duration>,
    pub(super) site: Site,
    pub(super) sessions: BTreeMap<String, Session>,
}

/// Reads and applies.
pub(super) struct Reloader {
    config: Config,
    state: Arc<Mutex<ConfigState>>,
    targets: Targets,
    alerts: Alerts,
}

impl Reloader {
    pub(super) fn new(
        config: Config,
        state: Arc<Mutex<ConfigState>>,
        targets: Targets,
        alerts: Alerts,
    ) -> Self {
        Self {
            config,
            state,
            targets,
            alerts,
        }
    }

    pub(super) async fn reload(&mut self, guard: &Guard) {
        let file = self.config.file.clone();
        let read_at = modified(&file);
        let loaded = tokio::task::spawn_blocking(move || config::load(&file).accept()).await;
        let key = CauseKey::new("config/invalid");
        match loaded {
            Ok(Ok((new, findings))) => {
                for finding in findings {
                    tracing::warn!(%finding, "config");
                }
                match self.apply(new, guard).await {
                    Ok(needs_restart) => {
                        self.alerts.end(&key);
                        self.note(read_at, &needs_restart);
                    }
                    Err(error) => {
                        tracing::error!(%error, "config");
                        self.refuse(&key, error.to_string());
                    }
                }
            }
            Ok(Err(findings)) => {
                let errors: Vec<_> = findings.iter().filter(|one| one.is_error()).collect();
                for finding in &errors {
                    tracing::error!(%finding, "config");
                }
                let first = errors.first().map(ToString::to_string);
                self.refuse(&key, first.unwrap_or_default());
            }
            Err(error) => tracing::error!(%error, "the config could not be read"),
        }
    }

    /// The old config goes on.
    fn refuse(&self, key: &CauseKey, error: String) {
        let first = error.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        let sentence = format!("the changed config is invalid and changes nothing: {first}");
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .error = Some(error);
        self.alerts.begin(Alert {
            by_itself: "The old config goes on.".to_owned(),
            remedy: format!("sgeventd check-config -c {}", self.config.file.display()),
            ..Alert::new(key.clone(), "config", Grade::Error, sentence)
        });
    }

    fn note(&self, read_at: Option<SystemTime>, needs_restart: &[&str]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = needs_restart.iter().map(|&key| key.to_owned());
        (state.read_at, state.error) = (read_at, None);
        state.needs_restart = keys.collect();
    }

    /// What can change at once does; the rest keeps its old value until a restart, and is named.
    async fn apply(
        &mut self,
        new: Config,
        guard: &Guard,
    ) -> Result<Vec<&'static str>, DaemonError> {
        // What can fail comes first: a config is taken as a whole or not at all.
        let sessions = self.sessions(&new)?;
        if new.log.level != self.config.log.level {
            guard.set_level(&new.log.level)?;
        }
        let diff = config::diff(&self.config, &new, &[]);
        self.config = config::applied(&self.config, new);
        self.targets.sessions.clone_from(&sessions);
        if let Some(mail) = &self.config.mail {
            self.alerts.set_policy(alert::Policy::of_mail(mail));
        }
        let targets = &self.targets;
        targets
            .retention
            .send_replace(super::upkeep::policy(&self.config));
        targets.lag.send_replace(self.config.alerts.lag);
        let policy = Box::new(super::ingest_policy(&self.config));
        let order = herd::Order::Reload(Box::new(self.config.clone()), sessions);
        // Who has ended takes no orders: the daemon stops.
        let _ended = targets.ingest.send(ingest::Message::Policy(policy)).await;
        let _ended = targets.herd.send(order).await;
        let keys = diff.applied.join(", ");
        let plugins: Vec<_> = diff.plugins.iter().map(ToString::to_string).collect();
        let plugins = plugins.join(", ");
        if !diff.restart.is_empty() {
            let keys = diff.restart.join(", ");
            tracing::warn!(
                keys,
                "changed in the config, and needs a restart of the daemon to take effect"
            );
        }
        if diff.restart.is_empty() || !keys.is_empty() || !plugins.is_empty() {
            tracing::info!(keys, plugins, "config applied");
        }
        Ok(diff.restart)
    }

    /// The session of each script: a new one where the config names another key.
    fn sessions(&self, new: &Config) -> Result<BTreeMap<String, Session>, DaemonError> {
        let own = &self.config.site.script;
        let mut sessions = BTreeMap::new();
        if let Some(session) = self.targets.sessions.get(own) {
            sessions.insert(own.clone(), session.clone());
        }
        for (name, script) in new.scripts.iter().filter(|(name, _)| *name != own) {
            let known = self.targets.sessions.get(name);
            let is_known = self.config.scripts.get(name) == Some(script);
            let session = match known.filter(|_| is_known) {
                Some(session) => session.clone(),
                None => {
                    let key = format!("scripts.{name}.key");
                    let secret = script.key.load();
                    let secret = secret.map_err(|source| DaemonError::Key { key, source })?;
                    self.targets.site.session(name, secret)
                }
            };
            sessions.insert(name.clone(), session);
        }
        Ok(sessions)
    }
}
