//! systemd: ready, status, stopping, and a watchdog that is fed only when ingest, writer and plugins have all turned.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::herd;
use crate::{ingest, journal::Journal};

/// When systemd asks for no watchdog, the loops are asked all the same: a hang is in the log.
const BEAT: Duration = Duration::from_secs(20);
/// A loop that does not turn for so long hangs.
const SLOW: Duration = Duration::from_secs(15);

/// Tells systemd something; without systemd nobody listens.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    let _nobody = sd_notify::notify(states);
}

/// The loops that must turn.
pub(super) struct Loops {
    pub(super) journal: Journal,
    pub(super) ingest: mpsc::Sender<ingest::Message>,
    pub(super) herd: mpsc::Sender<herd::Order>,
}

impl Loops {
    /// Waits until all have turned; the name of one that has not.
    async fn turn(&self) -> Result<(), &'static str> {
        let (beat, turned) = oneshot::channel();
        let sent = self.ingest.send(ingest::Message::Beat(beat)).await;
        sent.map_err(|_| "ingest")?;
        turned.await.map_err(|_| "ingest")?;
        let (beat, turned) = oneshot::channel();
        let sent = self.herd.send(herd::Order::Beat(beat)).await;
        sent.map_err(|_| "plugins")?;
        turned.await.map_err(|_| "plugins")?;
        self.journal.heartbeat().await.map_err(|_| "journal")
    }
}

/// Feeds the watchdog until `stop`; `status` is the line that systemd shows.
pub(super) async fn watch(loops: Loops, status: watch::Receiver<String>, stop: CancellationToken) {
    let asked = sd_notify::watchdog_enabled();
    let every = asked.map_or(BEAT, |limit| (limit / 3).min(BEAT));
    let mut status = status;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
            Ok(()) = status.changed() => {
                let line = status.borrow_and_update().clone();
                tell(&[NotifyState::Status(&line)]);
                continue;
            }
        }
        match tokio::time::timeout(SLOW, loops.turn()).await {
            Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
            Ok(Err(name)) => tracing::error!(name, "a loop has ended; the watchdog is not fed"),
            Err(_) => tracing::error!("a loop does not turn; the watchdog is not fed"),
        }
    }
}
