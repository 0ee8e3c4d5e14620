//! Retention, once a minute, and what people hear of it.
//!
//! Never: a decision about what may go.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::herd::Reports;
use crate::{
    alert::{Alert, Alerts, CauseKey, Grade},
    clock::Clock,
    config::Config,
    journal::{
        Journal,
        retention::{Policy, Report, Retention},
    },
    way::word,
};

/// Retention looks this often.
const UPKEEP: Duration = Duration::from_secs(60);
/// For the first time soon: what a daemon that was away for long finds may be much.
const FIRST: Duration = Duration::from_secs(5);
/// Rows stay longer than ingest may ask for a gap.
const ROWS_AGE: Duration = Duration::from_secs(2 * 24 * 3600);
/// So many ids stand in one line of the log.
const IDS: usize = 50;

/// What the config says of retention.
pub(super) fn policy(config: &Config) -> Policy {
    Policy {
        age: config.retention.age,
        size: config.retention.size,
        orphan: config.retention.orphan,
        rows_age: ROWS_AGE.max(2 * config.gap.give_up),
    }
}

/// Keeps the journal small until `stop`.
pub(super) async fn run(
    journal: Journal,
    alerts: Alerts,
    mut policy: watch::Receiver<Policy>,
    herd: watch::Receiver<Reports>,
    stop: CancellationToken,
) {
    let clock = Clock::start();
    let mut retention = Retention::new(*policy.borrow_and_update());
    match journal.extent().await {
        Ok(extent) => retention.begin(clock.now(), extent.newest),
        Err(error) => tracing::warn!(%error, "retention took no step"),
    }
    let mut wait = FIRST;
    let mut was_doubted = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = UPKEEP,
        }
        retention.set_policy(*policy.borrow_and_update());
        let present = herd.borrow().present.iter().cloned().collect();
        tokio::select! {
            // A full disk would hold the end up.
            () = stop.cancelled() => return,
            looked = retention.look(&journal, clock.now(), present) => match looked {
                Ok(report) => {
                    let is_doubted = report.is_clock_doubted;
                    if is_doubted && !was_doubted {
                        tracing::warn!("the clock has jumped by more than a day: nothing is deleted before it has stood so for an hour");
                    }
                    was_doubted = is_doubted;
                    tell(&alerts, &report);
                }
                Err(error) => tracing::warn!(%error, "retention took no step"),
            },
        }
    }
}

fn tell(alerts: &Alerts, report: &Report) {
    for orphan in &report.new_orphans {
        let key = CauseKey::of_plugin(orphan, "orphan");
        let sentence = format!("{orphan} is gone for so long that it holds nothing back any more");
        alerts.once(Alert::new(key, "orphan", Grade::Warning, sentence));
    }
    for lost in report.lost.chunk_by(|one, next| one.0 == next.0) {
        let plugin = &lost[0].0;
        for part in lost.chunks(IDS) {
            let ids: Vec<i64> = part.iter().map(|(_, id)| id.0).collect();
            tracing::warn!(%plugin, event_ids = ?ids, "open events of a plugin that is gone went with their rows; they are dead letters now");
        }
        let key = CauseKey::of_plugin(plugin, "lost");
        let count = lost.len();
        let sentence = format!(
            "{count} open events of {plugin}, which is gone, went with their rows and are dead letters now"
        );
        alerts.once(Alert {
            plugin: Some(plugin.clone()),
            remedy: format!("sgeventd dead list --plugin {}", word(plugin.as_str())),
            ..Alert::new(key, "orphan", Grade::Warning, sentence)
        });
    }
}
