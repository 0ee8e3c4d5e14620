//! How many calls of one plugin are open: a few under way, some waiting, the next is told to come back.
//!
//! In: an arrival with its size. Out: a place, after a wait in order, or *busy*.
//! Never: a queue without an end, in calls or in bytes.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use sgeventd_protocol::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::RpcError;

/// Calls of one plugin under way at once.
pub const AT_WORK: usize = 8;
/// Calls of one plugin that may wait besides: a plugin that leaks calls is told so instead of filling memory.
pub const WAITING: usize = 256;
/// What the params of one plugin's open calls may hold in all, bytes: a few of the longest lines, and not a memory full.
const PARAMS_BYTES: usize = 64 << 20;
/// When a plugin that is told *busy* should try again: by then some of the eight are done.
const RETRY_AFTER_MS: u64 = 500;

/// Counts arrivals and departures: pure.
#[derive(Debug, Default)]
struct Load {
    open: usize,
    bytes: usize,
}

impl Load {
    /// Takes one more with so many bytes, unless it is full; a lone one always fits.
    fn admit(&mut self, bytes: usize) -> bool {
        let fits = self.open == 0 || self.bytes + bytes <= PARAMS_BYTES;
        let has_room = fits && self.open < AT_WORK + WAITING;
        if has_room {
            self.open += 1;
            self.bytes += bytes;
        }
        has_room
    }

    fn leave(&mut self, bytes: usize) {
        self.open = self.open.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The calls of one plugin.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    load: Arc<Mutex<Load>>,
    at_work: Arc<Semaphore>,
}

/// A call that counts; dropping it makes room.
#[derive(Debug)]
pub(super) struct Admitted {
    load: Arc<Mutex<Load>>,
    bytes: usize,
    _at_work: Option<OwnedSemaphorePermit>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            load: Arc::default(),
            at_work: Arc::new(Semaphore::new(AT_WORK)),
        }
    }

    /// Calls that are open: under way or waiting.
    pub(super) fn open(&self) -> usize {
        self.load
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open
    }

    /// Waits for a place with params of so many bytes, in the order of arrival; refuses at once when too much waits.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(super) async fn enter(&self, bytes: usize) -> Result<Admitted, RpcError> {
        let has_room = self
            .load
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(bytes);
        if !has_room {
            return Err(busy());
        }
        let mut admitted = Admitted {
            load: self.load.clone(),
            bytes,
            _at_work: None,
        };
        // The semaphore is never closed; without a permit the call would still be counted.
        admitted._at_work = self.at_work.clone().acquire_owned().await.ok();
        Ok(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.load
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .leave(self.bytes);
    }
}

/// The answer to a call beyond what one plugin may have open.
pub fn busy() -> RpcError {
    let message = format!(
        "{AT_WORK} calls are under way and {WAITING} wait, or their params have 64 MiB; read the answers first"
    );
    let data = json!({ "retry_after_ms": RETRY_AFTER_MS });
    RpcError::new(ErrorCode::Busy, message, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_too_much_is_busy_and_room_comes_back() {
        let queue = Queue::new();
        let mut at_work = Vec::new();
        for _ in 0..AT_WORK {
            at_work.push(queue.enter(10).await.unwrap());
        }
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(queue.enter(10))).collect();
        for wait in &mut waiting {
            assert!(futures::poll!(wait).is_pending());
        }
        let refused = queue.enter(10).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Busy);
        assert_eq!(refused.data.get(), r#"{"retry_after_ms":500}"#);
        at_work.pop();
        assert!(futures::poll!(&mut waiting[0]).is_ready());
        waiting.clear();
        at_work.clear();
        assert_eq!(queue.open(), 0);
    }

    #[tokio::test]
    async fn a_few_huge_calls_are_too_much_as_well() {
        let queue = Queue::new();
        let lone = queue.enter(PARAMS_BYTES + 1).await.unwrap();
        assert_eq!(queue.enter(1).await.unwrap_err().code, ErrorCode::Busy);
        drop(lone);
        let half = queue.enter(PARAMS_BYTES / 2).await.unwrap();
        let rest = queue.enter(PARAMS_BYTES / 2).await.unwrap();
        assert_eq!(queue.enter(1).await.unwrap_err().code, ErrorCode::Busy);
        drop(rest);
        drop(queue.enter(1).await.unwrap());
        drop(half);
        assert_eq!(queue.open(), 0);
    }
}
