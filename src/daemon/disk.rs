//! A journal that cannot write: people are told when it begins and when it ends, and a stop does not wait for ever.
//!
//! Never: a try of its own (the writer tries every second).

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{Alert, Alerts, CauseKey, Grade},
    journal::Health,
};

/// Tells people about it until `stop`.
pub(super) async fn watch(
    mut health: watch::Receiver<Health>,
    alerts: Alerts,
    stop: CancellationToken,
) {
    let key = CauseKey::new("journal/stalled");
    loop {
        match &*health.borrow_and_update() {
            Health::Stalled(error) => alerts.begin(Alert {
                by_itself: "It is tried again every second. Plugins go on with what is in the journal, no new event is taken; nothing is lost."
                    .to_owned(),
                ..Alert::new(key.clone(), "journal", Grade::Error, error.to_string())
            }),
            Health::Working => alerts.end(&key),
            Health::Broken(_) | Health::Closed => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

/// Returns when nothing could be written for so long without a break; else never.
pub(super) async fn stalled_for(mut health: watch::Receiver<Health>, time: Duration) {
    let is_stalled = |health: &Health| matches!(health, Health::Stalled(_));
    loop {
        if health.wait_for(is_stalled).await.is_err() {
            return std::future::pending().await;
        }
        let goes_on = health.wait_for(|health| !is_stalled(health));
        if tokio::time::timeout(time, goes_on).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alert::Context, clock::Clock, config::Config, journal::JournalError};

    fn full() -> Health {
        Health::Stalled(JournalError::Full { dir: "/s".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn people_hear_of_a_full_disk_and_of_its_end() {
        let context = Context::new(&Config::default(), "host");
        let alerts = Alerts::log_only(context, Clock::start());
        let (health, healths) = watch::channel(Health::Working);
        let stop = CancellationToken::new();
        let told = tokio::spawn(watch(healths, alerts.clone(), stop.clone()));
        health.send_replace(full());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let open = alerts.open();
        assert!(open[0].alert.sentence.contains("no space"), "{open:?}");
        health.send_replace(Health::Working);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(alerts.open().is_empty());
        stop.cancel();
        told.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_a_full_disk_for_a_bounded_time() {
        let (health, healths) = watch::channel(Health::Working);
        let time = Duration::from_secs(55);
        let waiting = tokio::spawn(stalled_for(healths, time));
        for _ in 0..3 {
            health.send_replace(full());
            tokio::time::sleep(time / 2).await;
            health.send_replace(Health::Working);
            tokio::time::sleep(time).await;
        }
        assert!(!waiting.is_finished(), "it wrote now and then");
        health.send_replace(full());
        waiting.await.expect("it gives up");
    }
}
