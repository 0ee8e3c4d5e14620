//! The queue between everybody and the one writer thread: bounded in bytes, one bound for the log and one for the traffic.
//!
//! Full: the record is dropped and counted; the writer says so when it has room again.
//! Never: a caller that waits for more than the lock of a push.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{collect::Record, traffic::Message};

/// 8 MiB of log: minutes of debug output, and small beside what plugins take.
const MAX_LOG_BYTES: usize = 8 << 20;
/// 32 MiB of traffic: a burst of bodies at full speed for about a second.
const MAX_TRAFFIC_BYTES: usize = 32 << 20;

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) log: VecDeque<Record>,
    pub(super) traffic: VecDeque<Message>,
    /// Dropped since the last batch.
    pub(super) dropped_log: u64,
    pub(super) dropped_traffic: u64,
    /// Files are to be opened again.
    pub(super) reopen: bool,
    /// This is the last one.
    pub(super) is_last: bool,
}

#[derive(Debug, Default)]
struct Inner {
    batch: Batch,
    log_bytes: usize,
    traffic_bytes: usize,
    total_log: u64,
    total_traffic: u64,
    /// The writer has a batch in its hands.
    is_writing: bool,
}

/// Shared by all who write and the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
    written: Condvar,
}

impl Queue {
    pub(super) fn push_log(&self, record: Record) {
        let mut inner = self.lock();
        let bytes = record.bytes();
        if inner.log_bytes + bytes > MAX_LOG_BYTES {
            inner.batch.dropped_log += 1;
            inner.total_log += 1;
            return;
        }
        inner.log_bytes += bytes;
        inner.batch.log.push_back(record);
        self.arrived.notify_one();
    }

    pub(super) fn push_traffic(&self, message: Message) {
        let mut inner = self.lock();
        let bytes = message.record.size();
        if inner.traffic_bytes + bytes > MAX_TRAFFIC_BYTES {
            inner.batch.dropped_traffic += 1;
            inner.total_traffic += 1;
            return;
        }
        inner.traffic_bytes += bytes;
        inner.batch.traffic.push_back(message);
        self.arrived.notify_one();
    }

    pub(super) fn ask_reopen(&self) {
        self.lock().batch.reopen = true;
        self.arrived.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().batch.is_last = true;
        self.arrived.notify_one();
    }

    /// Records of the log and of the traffic that were dropped so far.
    pub(super) fn dropped(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.total_log, inner.total_traffic)
    }

    /// Waits for something to do. Only the writer calls it: it says that the last batch is written.
    pub(super) fn take(&self) -> Batch {
        let mut inner = self.lock();
        inner.is_writing = false;
        self.written.notify_all();
        while inner.is_idle() {
            inner = self
                .arrived
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner.is_writing = true;
        inner.log_bytes = 0;
        inner.traffic_bytes = 0;
        std::mem::take(&mut inner.batch)
    }

    /// Says that the last batch is written.
    pub(super) fn finish(&self) {
        self.lock().is_writing = false;
        self.written.notify_all();
    }

    /// Waits until all is written, at most so long; false when it was not.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let inner = self.lock();
        let is_busy = |inner: &mut Inner| inner.is_writing || !inner.is_idle();
        let waited = self.written.wait_timeout_while(inner, patience, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        let batch = &self.batch;
        batch.log.is_empty() && batch.traffic.is_empty() && !batch.reopen && !batch.is_last
    }
}
