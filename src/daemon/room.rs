//! A journal that cannot be written: one alert while it lasts, and its end.
//!
//! In: how the writer stands. Out: alerts.
//! Never: a try to write; the writer tries by itself, every second.

use std::path::PathBuf;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{Alert, Alerts, CauseKey, Grade},
    journal::{Health, JournalError},
};

/// Tells of a full disk, and that there is space again, until `stop`.
pub(super) async fn watch(
    mut health: watch::Receiver<Health>,
    alerts: Alerts,
    dir: PathBuf,
    stop: CancellationToken,
) {
    let key = CauseKey::new("journal/stalled");
    loop {
        match &*health.borrow_and_update() {
            Health::Stalled(error) => alerts.begin(stalled(key.clone(), error, &dir)),
            Health::Working => alerts.end(&key),
            // The daemon ends, and says why.
            Health::Broken(_) | Health::Closed => return,
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

fn stalled(key: CauseKey, error: &JournalError, dir: &std::path::Path) -> Alert {
    let by_itself = "No events are fetched meanwhile; plugins go on with what is in the journal, and all goes on within \
                     seconds once it can be written.";
    Alert {
        by_itself: by_itself.to_owned(),
        remedy: format!("df -h {}", dir.display()),
        ..Alert::new(key, "journal_stalled", Grade::Error, error.to_string())
    }
}
