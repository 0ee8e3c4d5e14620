//! What is to happen, by virtual time; at one moment in the order in which it was put here.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::process::Say;

/// Something that happens at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// Artists do something.
    Work,
    /// A reserved id becomes readable: the id, when it was reserved, and before which restore of the site.
    Commit(i64, u64, u64),
    Fault(usize),
    FaultOver(usize),
    /// All faults are over.
    Mend,
    /// The daemon starts.
    Boot,
    /// An answer of the site has come: to a poll, or to what is asked beside.
    Answer {
        is_beside: bool,
    },
    /// The disk has done its work.
    Disk,
    /// Something of ingest is due.
    Ingest,
    /// Something of a plugin's task is due.
    Task(usize),
    /// A process was started, or could not be.
    Spawned(usize),
    /// What was read for a plugin is here.
    Read(usize),
    /// A process says something.
    Says(usize, Say),
    /// A process has ended.
    Exited(usize),
    /// A plugin's task was told something, and had no time for it.
    Told(usize),
    /// An alert is due.
    Alert,
}

impl Due {
    /// It happens in the daemon: not while it sleeps, and not after its end.
    pub(crate) fn is_ours(self) -> bool {
        !matches!(
            self,
            Self::Work
                | Self::Commit(..)
                | Self::Fault(_)
                | Self::FaultOver(_)
                | Self::Mend
                | Self::Boot
        )
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, u32, Due)>>,
    put: u64,
    /// The virtual time, in milliseconds.
    pub(crate) now: u64,
    /// Which life of the daemon it is.
    pub(crate) life: u32,
}

impl Queue {
    /// Something happens after a while.
    pub(crate) fn after(&mut self, wait: u64, due: Due) {
        self.put += 1;
        let at = self.now + wait;
        self.heap.push(Reverse((at, self.put, self.life, due)));
    }

    /// The next thing, if it is before `end`; what belongs to another life of the daemon is passed over. Moves the time.
    pub(crate) fn pop(&mut self, end: u64) -> Option<Due> {
        loop {
            let Reverse((at, ..)) = self.heap.peek()?;
            if *at > end {
                return None;
            }
            let Reverse((at, _, life, due)) = self.heap.pop()?;
            if due.is_ours() && life != self.life {
                continue;
            }
            self.now = self.now.max(at);
            return Some(due);
        }
    }
}
