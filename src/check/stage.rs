//! What a check stands on: a made-up site, the daemon's services over it, a thread that starts processes, folders.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use serde_json::{Value, json, value::to_raw_value};
use sgeventd_protocol::Manifest;
use tokio_util::sync::CancellationToken;

use super::{
    Options,
    made::Ground,
    store::{Memory, Nobody},
};
use crate::{
    config::{PermissionsLayer, PluginSettings},
    ident::PluginName,
    journal::Place,
    plugin::{
        discovery::Found,
        setup::Setup,
        spec::{Places, launch},
        task,
    },
    process::{self, Marks, Spawner},
    sandbox::{self, Sandbox, Scenario},
    secret::Secret,
    services::{CallContext, FileRoots, Phase, Services},
    site::{Session, Site, SiteOptions},
};

/// The script that the plugin's calls are made by.
pub(super) const SCRIPT: &str = "sgeventd";

/// Rows of each type.
const ROWS: usize = 4;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The machine said no.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The client of the site cannot be made.
    #[error(transparent)]
    Site(#[from] crate::site::SetupError),
}

/// See the module.
pub(super) struct Stage {
    pub(super) name: PluginName,
    pub(super) settings: PluginSettings,
    pub(super) spawner: Spawner,
    /// Where the made-up site is.
    pub(super) url: String,
    found: Found,
    session: Session,
    /// All numbers of processes of this check belong to it, as to a state directory.
    pub(super) dir: PathBuf,
    pub(super) marks: Marks,
    sdk: PathBuf,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    stop: CancellationToken,
    reaping: tokio::task::JoinHandle<()>,
}

impl Stage {
    /// Builds everything below the folder of the options.
    pub(super) async fn build(found: &Found, options: &Options) -> Result<Self, CheckError> {
        let failed = |what| move |source| CheckError::System { what, source };
        process::become_subreaper();
        let helper = std::env::current_exe().map_err(failed("cannot find our own binary"))?;
        let spawner = Spawner::start(helper)
            .map_err(failed("cannot start the thread that starts plugins"))?;
        let stop = CancellationToken::new();
        let key = format!("check-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let site = sandbox::Options {
            listen: ([127, 0, 0, 1], 0).into(),
            scripts: vec![(SCRIPT.to_owned(), Secret::new(key.clone()))],
            seed: 1,
            scenario: Scenario::Demo,
            rate: 0.0,
            page_delay: std::time::Duration::ZERO,
        };
        let sandbox = Sandbox::start(site, stop.clone())
            .await
            .map_err(failed("cannot open a port for the made-up site"))?;
        let site = Site::new(&SiteOptions::new(sandbox.url()))?;
        let session = site.session(SCRIPT, Secret::new(key));
        let marks = Marks::default();
        let mut settings = options.settings.clone();
        // What only the operator can allow is not the plugin's fault.
        let generous = PermissionsLayer {
            background: Some(true),
            ..PermissionsLayer::default()
        };
        settings.permissions = generous.under(&settings.permissions);
        Ok(Self {
            name: found.name.clone(),
            settings,
            spawner,
            url: sandbox.url(),
            found: found.clone(),
            session,
            dir: options.dir.clone(),
            sdk: options.sdk.clone(),
            environment: std::env::vars_os().collect(),
            reaping: tokio::spawn(process::reap_orphans(marks.clone(), stop.clone())),
            marks,
            stop,
        })
    }

    /// Ends the site.
    pub(super) async fn end(self) {
        self.stop.cancel();
        // It ends at once; a panic of it changes nothing any more.
        let _ended = self.reaping.await;
    }

    /// How the process of one run is started, in folders of its own.
    pub(super) fn setup(&self, number: u32) -> Setup {
        let root = self.dir.join(number.to_string());
        let (data, tmp) = (root.join("data"), root.join("tmp"));
        let places = Places {
            data: &data,
            tmp: &tmp,
            sdk: &self.sdk,
        };
        let (found, name, settings) = (&self.found, &self.name, &self.settings);
        let launch = launch(found, name, settings, &places, &self.environment);
        Setup {
            are_emails_given: false,
            settings: settings.clone(),
            file: String::new(),
            language: String::new(),
            files: Arc::new(FileRoots {
                base: settings.cwd.clone().unwrap_or_else(|| data.clone()),
                own: vec![data.clone(), tmp.clone()],
                granted: settings.files.clone(),
                state: self.dir.clone(),
                kept_back: Vec::new(),
                umask: settings.umask,
                user: settings.user.clone(),
            }),
            paths: (data, tmp),
            launch,
            sessions: vec![self.session.clone()],
            after: Vec::new(),
            uses_session_uuid: true,
            start: Place::Latest,
        }
    }

    /// Services with an empty state.
    pub(super) fn services() -> Services {
        Services::new(Arc::new(Memory::default()), Arc::new(Nobody))
    }

    /// What is on the made-up site of the types that the manifest's events are about: a few rows each, made where there are none.
    pub(super) async fn survey(&self, manifest: &Manifest) -> Ground {
        let ours = json!({ "permissions": { "background": true } });
        let ours = serde_json::from_value(ours).unwrap_or_default();
        let Ok((caller, _)) = task::caller(&self.name, &self.setup(0), &ours) else {
            return Ground::default();
        };
        let (services, context) = (Self::services(), CallContext::outside(Phase::Running));
        let call = async |method: &str, params: &Value| -> Option<Value> {
            let params = to_raw_value(params).ok()?;
            let answer = services
                .call(&caller, &context, method, Some(&params))
                .await;
            serde_json::from_str(answer.ok()?.get()).ok()
        };
        let find = json!({ "filters": [], "fields": ["name", "code", "content", "subject"], "limit": ROWS });
        let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for kind in Ground::types(manifest) {
            let mut find = find.clone();
            find["entity_type"] = kind.as_str().into();
            let found = call("sg.find", &find).await;
            let found = found.and_then(|found| serde_json::from_value(found).ok());
            let mut found: Vec<Value> = found.unwrap_or_default();
            let project = rows.get("Project").and_then(|rows| rows.first());
            // A type that the made-up site does not have stays empty: its events name rows that are gone, as can happen.
            for name in ["code", "subject", "content"] {
                if !found.is_empty() {
                    break;
                }
                for number in 1..=ROWS {
                    let made = json!({ "entity_type": kind, "data": { "project": project, name: format!("made up {number}") } });
                    found.extend(call("sg.create", &made).await);
                }
            }
            rows.insert(kind, found.iter().map(link).collect());
        }
        Ground(rows)
    }
}

/// A row as the event log links it.
fn link(row: &Value) -> Value {
    let name = ["name", "code", "content", "subject"].map(|key| &row[key]);
    let name = name.into_iter().find(|name| name.is_string());
    json!({ "type": row["type"], "id": row["id"], "name": name })
}
