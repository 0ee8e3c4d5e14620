//! An outbox: takes parcels off a bounded queue and carries them one after the other, again and again when the other side is away.
//!
//! Full: the parcel is dropped and counted. Failures are said once, until it works again.
//! Never: a parcel that is tried for more than a day, more than [`CAPACITY`] of them in memory.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{letter::Letter, mail::Mailer, webhook::Webhook};

/// At ten mails a day and recipient: days of them.
pub(super) const CAPACITY: usize = 256;
const WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];
/// About a day at the longest wait: older news is no news.
const MAX_TRIES: u32 = 100;
/// What is still queued at the end is tried once, all together this long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is carried.
#[derive(Debug)]
pub(super) enum Parcel {
    Letter(Box<Letter>),
    Post(String),
}

/// Who carries it.
pub(super) enum Carrier {
    Mail(Mailer),
    Webhook(Webhook),
}

/// How an outbox does, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxStatus {
    /// Out.
    pub sent: u64,
    /// Lost: no room, refused, or too old.
    pub dropped: u64,
    /// Waiting, the one that is being tried included.
    pub queued: u64,
    /// Why the last try failed; none when it did not.
    pub failing: Option<String>,
}

/// The status as handle and task share it.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedStatus(Arc<Mutex<OutboxStatus>>);

impl SharedStatus {
    pub(super) fn get(&self) -> OutboxStatus {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut OutboxStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The side that fills an outbox.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    parcels: mpsc::Sender<Parcel>,
    pub(super) status: SharedStatus,
}

impl Slot {
    pub(super) fn new() -> (Self, mpsc::Receiver<Parcel>) {
        let (parcels, queue) = mpsc::channel(CAPACITY);
        (
            Self {
                parcels,
                status: SharedStatus::default(),
            },
            queue,
        )
    }

    /// Takes a parcel, or drops and counts it.
    pub(super) fn put(&self, parcel: Parcel) {
        let Ok(place) = self.parcels.try_reserve() else {
            self.status.change(|status| status.dropped += 1);
            return;
        };
        self.status.change(|status| status.queued += 1);
        place.send(parcel);
    }
}

/// Carries until it is stopped, then tries what is left once.
pub(super) async fn run(
    carrier: Carrier,
    mut queue: mpsc::Receiver<Parcel>,
    status: SharedStatus,
    stop: CancellationToken,
) {
    loop {
        let parcel = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            parcel = queue.recv() => parcel,
        };
        let Some(parcel) = parcel else { return };
        if !deliver(&carrier, &parcel, &status, &stop).await {
            break;
        }
    }
    let last = async {
        while let Ok(parcel) = queue.try_recv() {
            let result = carrier.carry(&parcel).await;
            status.note(result.map_err(|(_, why)| why));
        }
    };
    if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
        warn!(queued = status.get().queued, "mails left unsent at the end");
    }
}

/// Tries until the parcel is out or given up; false when we are to stop (the parcel had its last try).
async fn deliver(
    carrier: &Carrier,
    parcel: &Parcel,
    status: &SharedStatus,
    stop: &CancellationToken,
) -> bool {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut carried = std::pin::pin!(carrier.carry(parcel));
        let result = tokio::select! {
            result = &mut carried => result,
            // A server that is slow must not hold up our end.
            () = stop.cancelled() => match tokio::time::timeout(LAST_WORDS, carried).await {
                Ok(result) => result,
                Err(_) => {
                    status.note(Err("the other side was too slow for our end".to_owned()));
                    return false;
                }
            },
        };
        let error = match result {
            Ok(()) => {
                status.note(Ok(()));
                return true;
            }
            Err((is_temporary, why)) if !is_temporary || tries >= MAX_TRIES => {
                status.note(Err(why));
                return true;
            }
            Err((_, why)) => why,
        };
        status.note_wait(&error);
        let wait = WAITS[(tries as usize - 1).min(WAITS.len() - 1)];
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let result = tokio::time::timeout(LAST_WORDS, carrier.carry(parcel)).await;
                status.note(result.unwrap_or(Err((true, error))).map_err(|(_, why)| why));
                return false;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Carrier {
    /// One try; in the error, whether another one is worth it.
    async fn carry(&self, parcel: &Parcel) -> Result<(), (bool, String)> {
        match (self, parcel) {
            (Self::Mail(mailer), Parcel::Letter(letter)) => mailer
                .send(letter)
                .await
                .map_err(|error| (error.is_worth_a_retry(), error.to_string())),
            (Self::Webhook(webhook), Parcel::Post(body)) => webhook.post(body).await,
            (Self::Mail(_), Parcel::Post(_)) | (Self::Webhook(_), Parcel::Letter(_)) => {
                Err((false, "this outbox does not carry it".to_owned()))
            }
        }
    }
}

impl SharedStatus {
    /// A parcel left the queue: out, or lost.
    fn note(&self, result: Result<(), String>) {
        let was_failing = self.get().failing.is_some();
        self.change(|status| status.queued = status.queued.saturating_sub(1));
        match result {
            Ok(()) => {
                self.change(|status| {
                    status.sent += 1;
                    status.failing = None;
                });
                if was_failing {
                    info!("alerts go out again");
                }
            }
            Err(error) => {
                warn!(%error, "alert lost on its way out");
                self.change(|status| {
                    status.dropped += 1;
                    status.failing = Some(error);
                });
            }
        }
    }

    /// A try failed; said when it is news.
    fn note_wait(&self, error: &str) {
        if self.get().failing.as_deref() != Some(error) {
            warn!(error, "alert not out yet, trying again");
        }
        self.change(|status| status.failing = Some(error.to_owned()));
    }
}
