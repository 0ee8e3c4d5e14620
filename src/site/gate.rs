//! The gate before the site: at most so many calls at once, taken in turns by plugin.
//!
//! In: a key. Out: a [`Turn`] that is given back when it is dropped. The rules stand in `turns.rs`.
//! Never: the calls of ingest, which would wait behind plugins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::turns::{Arrival, Ticket, Turns};
use crate::ident::PluginName;

/// Who stands in the queue: a plugin, or the daemon itself.
type Key = Option<PluginName>;

/// At most so many calls at once. Copies share the places.
#[derive(Clone)]
pub(super) struct Gate(Arc<Mutex<State>>);

struct State {
    turns: Turns<Key>,
    waiting: HashMap<Ticket, (Key, oneshot::Sender<Turn>)>,
}

/// A place; dropping it passes it on.
pub(super) struct Turn {
    gate: Gate,
    key: Key,
}

impl Gate {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            turns: Turns::new(places),
            waiting: HashMap::new(),
        })))
    }

    /// Waits for a place.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue, or passes on a place that had just been given.
    pub(super) async fn take(&self, key: Key) -> Turn {
        let mut wait = {
            let mut state = self.lock();
            let ticket = match state.turns.arrive(key.clone()) {
                Arrival::Go => return self.turn(key),
                Arrival::Wait(ticket) => ticket,
            };
            let (turn, given) = oneshot::channel();
            state.waiting.insert(ticket, (key.clone(), turn));
            Wait {
                gate: self.clone(),
                key,
                ticket,
                given,
            }
        };
        let given = (&mut wait.given).await;
        // The sender lives in the gate, which `wait` holds, until it sends.
        given.expect("a waiting ticket is never dropped by the gate")
    }

    fn turn(&self, key: Key) -> Turn {
        let gate = self.clone();
        Turn { gate, key }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Wait {
    gate: Gate,
    key: Key,
    ticket: Ticket,
    given: oneshot::Receiver<Turn>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.turns.abandon(&self.key, self.ticket);
        let sender = state.waiting.remove(&self.ticket);
        drop(state);
        drop(sender);
        // A turn that arrived meanwhile goes with `given`, and passes itself on.
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next: Vec<_> = {
            let mut state = self.gate.lock();
            let tickets = state.turns.leave(&self.key).into_iter();
            let next = tickets.filter_map(|ticket| state.waiting.remove(&ticket));
            next.collect()
        };
        for (key, next) in next {
            // One who left just now sends the turn back to us: dropped, it tries the next.
            drop(next.send(self.gate.turn(key)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_never_lost() {
        let gate = Gate::new(1);
        let first = gate.take(None).await;
        let mut leaving = Box::pin(gate.take(Some(PluginName::new("a"))));
        let mut staying = Box::pin(gate.take(Some(PluginName::new("b"))));
        assert!(futures::poll!(&mut leaving).is_pending());
        assert!(futures::poll!(&mut staying).is_pending());
        drop(first); // passes to `leaving`, which goes away without looking
        drop(leaving);
        let turn = staying.await;
        let mut third = Box::pin(gate.take(None));
        assert!(futures::poll!(&mut third).is_pending());
        drop(third); // leaves the queue
        drop(turn);
        drop(gate.take(None).await);
    }
}
