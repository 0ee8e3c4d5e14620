//! What a plugin's task is given: what all plugins share, what is its own, and the orders it takes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{host::Host, report::PluginReport, scarce::Scarce};
use crate::{
    alert::Alerts,
    clock::Clock,
    config::{Emails, PluginSettings},
    dispatch,
    ident::{EventId, Generation, PluginName, Seq},
    journal::{Journal, Place},
    process::{Marks, SpawnSpec, Spawner, Tree},
    services::{FileRoots, Services},
    site::{Session, Site},
    telemetry::Traffic,
};

/// What all plugins share.
#[derive(Clone)]
pub struct Shared {
    /// The journal.
    pub journal: Journal,
    /// What plugins may call.
    pub services: Services,
    /// The time.
    pub clock: Clock,
    /// What a person must know.
    pub alerts: Alerts,
    /// Starts processes.
    pub spawner: Spawner,
    /// Messages, one line each.
    pub traffic: Traffic,
    /// The site.
    pub site: Site,
    /// At most so many processes shake hands at once.
    pub starts: Arc<Semaphore>,
    /// The state directory.
    pub state: Arc<Path>,
    /// Whose the numbers of all processes are: the state directory as it really lies, which has one daemon at a time.
    pub whose: Arc<str>,
    /// The numbers that were given out.
    pub marks: Marks,
    /// Our control groups; none: this machine hands us none.
    pub groups: Option<Tree>,
    /// Failures of all plugins.
    pub host: Arc<Host>,
    /// Starts that wait for descriptors.
    pub scarce: Arc<Scarce>,
    /// How long a settlement waits for company, and how many are company enough.
    pub settle: (Duration, usize),
    /// A plugin this far behind is an alert; a reload may change it.
    pub lag: watch::Receiver<Duration>,
}

/// What is one plugin's own. Two that are equal need no restart.
#[derive(Clone)]
pub struct Setup {
    /// The operator says who gets mail; else the manifest may.
    pub are_emails_given: bool,
    /// Its settings.
    pub settings: PluginSettings,
    /// Its file or command, for people.
    pub file: String,
    /// `rust`, `python`, `shell` … as far as the file tells; empty otherwise.
    pub language: String,
    /// Its own folders: data, tmp.
    pub paths: (PathBuf, PathBuf),
    /// Where the files may lie that it uploads and downloads.
    pub files: Arc<FileRoots>,
    /// How its process is started.
    pub launch: Launch,
    /// Sessions of its scripts; the first is the default.
    pub sessions: Vec<Session>,
    /// The plugins that must have settled an event first, those that are on.
    pub after: Vec<watch::Receiver<Seq>>,
    /// Its writes carry the `session_uuid` of their event.
    pub uses_session_uuid: bool,
    /// Where a new name begins.
    pub start: Place,
}

/// How a process is started, or why it cannot be.
#[derive(Debug, Clone)]
pub enum Launch {
    /// As this says.
    Spec(Box<SpawnSpec>),
    /// Not at all.
    Impossible(String),
}

impl Setup {
    /// Who gets mail about it: the operator's word, else `alerts.emails` of the manifest.
    #[must_use]
    pub fn recipients(&self, manifest: Option<&serde_json::Value>) -> crate::alert::Recipients {
        use serde_json::Value;

        use crate::alert::Recipients;
        match (&self.settings.emails, manifest) {
            (Emails::Default, Some(Value::Bool(false))) if !self.are_emails_given => {
                Recipients::Nobody
            }
            (Emails::Default, Some(Value::Array(all))) if !self.are_emails_given => {
                let texts = all.iter().filter_map(Value::as_str);
                Recipients::To(texts.map(str::to_owned).collect())
            }
            (Emails::Default, _) => Recipients::Default,
            (Emails::Nobody, _) => Recipients::Nobody,
            (Emails::To(list), _) => Recipients::To(list.clone()),
        }
    }

    /// What the manifest and the operator say about delivery; the operator wins.
    #[must_use]
    pub fn policy(
        &self,
        manifest: &sgeventd_protocol::manifest::Delivery,
        settle: (Duration, usize),
    ) -> dispatch::Policy {
        use sgeventd_protocol::manifest::{OnError, Order};

        use crate::config::{LaneOrder, OnError as ConfigOnError};
        let ours = &self.settings.delivery;
        let default = dispatch::Policy::default();
        let order = ours.order.map(|order| match order {
            LaneOrder::All => Order::All,
            LaneOrder::Entity => Order::Entity,
            LaneOrder::Project => Order::Project,
            LaneOrder::None => Order::None,
        });
        let on_error = ours.on_error.map(|on_error| match on_error {
            ConfigOnError::Retry => OnError::Retry,
            ConfigOnError::Stop => OnError::Stop,
            ConfigOnError::Skip => OnError::Skip,
        });
        let window = ours
            .max_in_flight
            .and_then(|window| u16::try_from(window).ok());
        dispatch::Policy {
            window: window.or(manifest.max_in_flight).map_or(1, usize::from),
            order: order.or(manifest.order).unwrap_or_default(),
            timeout: ours
                .timeout
                .or(manifest.timeout_ms.map(Duration::from_millis))
                .unwrap_or(default.timeout),
            max_attempts: ours
                .max_attempts
                .or(manifest.max_attempts)
                .unwrap_or(default.max_attempts),
            on_error: on_error.or(manifest.on_error).unwrap_or_default(),
            max_age: self.settings.max_age,
            settle_wait: settle.0,
            settle_count: settle.1,
        }
    }
}

/// What a plugin's task is told.
pub enum Order {
    /// Its files changed: this is how it is started now.
    Changed(Box<Setup>),
    /// Its config changed.
    Configured(Box<Setup>),
    /// These come first now: how far they have settled.
    After(Vec<watch::Receiver<Seq>>),
    /// Its file is gone.
    Vanished,
    /// Its file is there, but no plugin any more, for this reason.
    Spoiled(String),
    /// Its file is there.
    Appeared(Box<Setup>),
    /// An operator wants something of it.
    Operate(Operation, Operated),
    /// The journal holds events that are open again.
    Reopened(Vec<Seq>),
}

/// What an operator wants of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It shall work again.
    Enable {
        /// The oldest open event becomes a dead letter first.
        skip_event: bool,
    },
    /// It shall rest until it is enabled.
    Disable,
}

/// What enabling a plugin came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enabled {
    /// The oldest event that waits for it: it goes on there; none when none is known to wait.
    pub resumes_at: Option<EventId>,
    /// The event that became a dead letter first.
    pub skipped: Option<EventId>,
    /// The number of that dead letter.
    #[serde(default)]
    pub dead_letter: Option<i64>,
}

/// Who is told what became of it: once it is on disk, or in words why not.
pub type Operated = oneshot::Sender<Result<Enabled, String>>;

impl Order {
    /// True when it need not be told any more, since this one will be.
    #[must_use]
    pub fn is_replaced_by(&self, newer: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(newer)
    }
}

/// Orders that may wait: a handful a second at most, from one sender.
pub const ORDERS: usize = 16;

/// What others hold of a plugin.
pub struct Handle {
    /// Its name.
    pub name: PluginName,
    /// Tells it something.
    pub orders: mpsc::Sender<Order>,
    /// What it tells of itself.
    pub report: watch::Receiver<PluginReport>,
    /// Files that it wants watched, as its manifest says.
    pub watch: watch::Receiver<Vec<String>>,
}

/// Names a process among all of this daemon, for its number: see [`crate::process::number`].
#[must_use]
pub fn run_mark(name: &PluginName, generation: Generation) -> String {
    format!("{}/{name}/{generation}", std::process::id())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alert::Recipients;

    #[test]
    fn the_manifest_says_who_gets_mail_when_the_operator_does_not() {
        let setup = |emails, are_emails_given| Setup {
            are_emails_given,
            settings: PluginSettings {
                emails,
                ..PluginSettings::default()
            },
            file: String::new(),
            language: String::new(),
            paths: (PathBuf::new(), PathBuf::new()),
            files: Arc::default(),
            launch: Launch::Impossible(String::new()),
            sessions: Vec::new(),
            after: Vec::new(),
            uses_session_uuid: true,
            start: Place::Latest,
        };
        let list = json!(["td@studio.example"]);
        let to_list = Recipients::To(vec!["td@studio.example".to_owned()]);
        for (emails, is_given, manifest, expected) in [
            (Emails::Default, false, None, Recipients::Default),
            (
                Emails::Default,
                false,
                Some(&json!(true)),
                Recipients::Default,
            ),
            (
                Emails::Default,
                false,
                Some(&json!(false)),
                Recipients::Nobody,
            ),
            (Emails::Default, false, Some(&list), to_list),
            (Emails::Default, true, Some(&list), Recipients::Default),
            (Emails::Nobody, true, Some(&list), Recipients::Nobody),
        ] {
            let found = setup(emails.clone(), is_given).recipients(manifest);
            assert_eq!(found, expected, "{emails:?} {is_given} {manifest:?}");
        }
    }
}
