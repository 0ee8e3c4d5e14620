//! systemd: ready, status, reloading, stopping, and a watchdog that is fed only when ingest, writer and herd have all turned.

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
/// While plugins drain, systemd hears this often that it goes on,
const DRAINING: Duration = Duration::from_secs(5);
/// and that it may take so long from then on: a few words may be late.
const EXTENSION: Duration = Duration::from_secs(30);
/// A stop that takes longer hangs: no ladder is so long.
const STOP_MAX: Duration = Duration::from_secs(180);

/// Tells systemd something; without systemd nobody listens.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    let _nobody = sd_notify::notify(states);
}

/// The config is being read; systemd wants to know since when, by the machine's clock.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
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

/// Feeds the watchdog until the rest stops; `status` is the line that systemd shows.
pub(super) async fn watch(
    loops: Loops,
    mut status: watch::Receiver<String>,
    (stop, stop_rest): (CancellationToken, CancellationToken),
) {
    let asked = sd_notify::watchdog_enabled();
    let every = asked.map_or(BEAT, |limit| (limit / 3).min(BEAT));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(every) => {}
            Ok(()) = status.changed() => {
                let line = status.borrow_and_update().clone();
                tell(&[NotifyState::Status(&line)]);
                continue;
            }
        }
        let turned = tokio::select! {
            () = stop.cancelled() => break,
            turned = tokio::time::timeout(SLOW, loops.turn()) => turned,
        };
        match turned {
            Ok(Ok(())) => tell(&[NotifyState::Watchdog]),
            Ok(Err(name)) => tracing::error!(name, "a loop has ended; the watchdog is not fed"),
            Err(_) => tracing::error!("a loop does not turn; the watchdog is not fed"),
        }
    }
    tokio::select! {
        () = stop_rest.cancelled() => {}
        () = drain(every.min(DRAINING)) => {}
    }
}

/// The loops end one after the other, in a bounded time: systemd waits for so long.
async fn drain(every: Duration) {
    let usec = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
    let end = tokio::time::Instant::now() + STOP_MAX;
    while tokio::time::Instant::now() < end {
        tell(&[NotifyState::Watchdog, NotifyState::ExtendTimeoutUsec(usec)]);
        tokio::time::sleep(every).await;
    }
    tracing::error!("the stop does not end; systemd is asked for no more time");
}
