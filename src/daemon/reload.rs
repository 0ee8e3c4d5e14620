//! SIGHUP: the config is read again; what can be applied is, what cannot is said by name, an invalid file changes nothing.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::mpsc;

use super::herd;
use crate::{
    admin::status::ConfigReport,
    alert::{Alert, Alerts, CauseKey, Grade},
    config::{self, Config},
};

/// The file that runs, for `status`.
pub(super) struct ConfigState {
    file: PathBuf,
    read_at: Option<SystemTime>,
    error: Option<String>,
    needs_restart: Vec<String>,
}

impl ConfigState {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            read_at: modified(&config.file),
            file: config.file.clone(),
            error: None,
            needs_restart: Vec::new(),
        }
    }

    pub(super) fn report(&self) -> ConfigReport {
        ConfigReport {
            file: self.file.display().to_string(),
            is_newer: modified(&self.file) > self.read_at,
            error: self.error.clone(),
            needs_restart: self.needs_restart.clone(),
        }
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// Reads and applies.
pub(super) struct Reloader {
    config: Config,
    state: Arc<Mutex<ConfigState>>,
    herd: mpsc::Sender<herd::Order>,
    alerts: Alerts,
}

impl Reloader {
    pub(super) fn new(
        config: Config,
        state: Arc<Mutex<ConfigState>>,
        herd: mpsc::Sender<herd::Order>,
        alerts: Alerts,
    ) -> Self {
        Self {
            config,
            state,
            herd,
            alerts,
        }
    }

    pub(super) async fn reload(&mut self) {
        let file = self.config.file.clone();
        let read_at = modified(&file);
        let loaded = tokio::task::spawn_blocking(move || config::load(&file).accept()).await;
        let key = CauseKey::new("config/invalid");
        match loaded {
            Ok(Ok((new, findings))) => {
                for finding in findings {
                    tracing::warn!(%finding, "config");
                }
                self.alerts.end(&key);
                self.note(read_at, None);
                self.apply(new).await;
            }
            Ok(Err(findings)) => {
                let errors: Vec<_> = findings.iter().filter(|one| one.is_error()).collect();
                for finding in &errors {
                    tracing::error!(%finding, "config");
                }
                let first = errors.first().map(ToString::to_string).unwrap_or_default();
                let sentence =
                    format!("the changed config is invalid and changes nothing: {first}");
                self.alerts.begin(Alert {
                    by_itself: "The old config goes on.".to_owned(),
                    remedy: format!("sgeventd check-config -c {}", self.config.file.display()),
                    ..Alert::new(key, "config", Grade::Error, sentence)
                });
                self.note(None, Some(first));
            }
            Err(error) => tracing::error!(%error, "the config could not be read"),
        }
    }

    fn state(&self) -> MutexGuard<'_, ConfigState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, read_at: Option<SystemTime>, error: Option<String>) {
        let mut state = self.state();
        if read_at.is_some() {
            state.read_at = read_at;
        }
        state.error = error;
    }

    /// Plugins change at once; the rest keeps its old value until a restart, and is named.
    async fn apply(&mut self, new: Config) {
        let diff = config::diff(&self.config, &new, &[]);
        if !diff.restart.is_empty() {
            let keys = diff.restart.join(", ");
            tracing::warn!(
                keys,
                "changed in the config, and needs a restart of the daemon to take effect"
            );
        }
        self.state().needs_restart = diff.restart.into_iter().map(str::to_owned).collect();
        let applied = Config {
            plugins: new.plugins,
            plugin: new.plugin,
            order: new.order,
            ..self.config.clone()
        };
        self.config = applied.clone();
        let sent = self.herd.send(herd::Order::Reload(Box::new(applied))).await;
        if sent.is_ok() {
            tracing::info!("config applied");
        }
    }
}
