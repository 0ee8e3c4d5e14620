//! Turns: who of many may call next, so that one busy plugin does not crowd out the others.
//!
//! In: arrivals, departures, those who stop waiting. Out: whose turn it is, one by one around the plugins.
//! Never: a lock, a wait (that is `gate.rs`).

use std::{collections::VecDeque, hash::Hash};

use indexmap::IndexMap;

/// One wait of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// What an arrival gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A place was free.
    Go,
    /// All places are taken; this is its number in the queue.
    Wait(Ticket),
}

/// A fixed number of places, handed around.
#[derive(Debug)]
pub(super) struct Turns<K> {
    free: usize,
    issued: u64,
    /// Who waits, the next key first; a key is here only while it has a ticket.
    waiting: IndexMap<K, VecDeque<Ticket>>,
}

impl<K: Hash + Eq> Turns<K> {
    /// `places` may go at once, at least one.
    pub(super) fn new(places: usize) -> Self {
        Self {
            free: places.max(1),
            issued: 0,
            waiting: IndexMap::new(),
        }
    }

    /// Somebody wants a place.
    pub(super) fn arrive(&mut self, key: K) -> Arrival {
        if self.free > 0 {
            self.free -= 1;
            return Arrival::Go;
        }
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.waiting.entry(key).or_default().push_back(ticket);
        Arrival::Wait(ticket)
    }

    /// A place is given back; it passes to the ticket returned, else it is free.
    pub(super) fn leave(&mut self) -> Option<Ticket> {
        let Some((key, mut tickets)) = self.waiting.shift_remove_index(0) else {
            self.free += 1;
            return None;
        };
        let next = tickets.pop_front();
        if !tickets.is_empty() {
            // To the end: the others come first now.
            self.waiting.insert(key, tickets);
        }
        next
    }

    /// Stops waiting; false when the ticket had already got its place.
    pub(super) fn abandon(&mut self, key: &K, ticket: Ticket) -> bool {
        let Some(tickets) = self.waiting.get_mut(key) else {
            return false;
        };
        let before = tickets.len();
        tickets.retain(|&waiting| waiting != ticket);
        let is_removed = tickets.len() < before;
        if tickets.is_empty() {
            self.waiting.shift_remove(key);
        }
        is_removed
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn one_busy_caller_does_not_crowd_out_the_others() {
        let mut turns = Turns::new(1);
        assert_eq!(turns.arrive("busy"), Arrival::Go);
        let mut owner = std::collections::HashMap::new();
        for key in ["busy", "busy", "busy", "calm", "busy", "third"] {
            let Arrival::Wait(ticket) = turns.arrive(key) else {
                panic!("the place is taken");
            };
            owner.insert(ticket, key);
        }
        let order: Vec<_> = std::iter::from_fn(|| turns.leave().map(|t| owner[&t])).collect();
        assert_eq!(order, ["busy", "calm", "third", "busy", "busy", "busy"]);
        assert_eq!(turns.arrive("calm"), Arrival::Go, "the place is free again");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arrive(u8),
        Leave,
        Abandon(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u8..4).prop_map(Step::Arrive),
            2 => Just(Step::Leave),
            1 => (0usize..8).prop_map(Step::Abandon),
        ]
    }

    proptest! {
        /// Against a model that keeps all waits in one list: never more than the places are taken, nobody waits beside
        /// a free place, a key's own order holds, and no key gets two turns while another waits through both.
        #[test]
        fn places_are_kept_and_turns_are_fair(places in 1usize..4, steps in vec(step(), 0..80)) {
            let mut turns = Turns::new(places);
            let mut taken = 0;
            let mut waits: Vec<(u8, Ticket)> = Vec::new();
            let mut passed_over: std::collections::HashMap<u8, Vec<u8>> = std::collections::HashMap::new();
            for step in steps {
                match step {
                    Step::Arrive(key) => match turns.arrive(key) {
                        Arrival::Go => {
                            prop_assert!(waits.is_empty() && taken < places);
                            taken += 1;
                        }
                        Arrival::Wait(ticket) => {
                            prop_assert_eq!(taken, places);
                            waits.push((key, ticket));
                            passed_over.entry(key).or_default();
                        }
                    },
                    Step::Leave if taken > 0 => match turns.leave() {
                        None => {
                            prop_assert!(waits.is_empty());
                            taken -= 1;
                        }
                        Some(ticket) => {
                            let at = waits.iter().position(|&(_, t)| t == ticket);
                            prop_assert!(at.is_some());
                            let (key, _) = waits.remove(at.unwrap_or_default());
                            prop_assert!(!waits.iter().any(|&(k, t)| k == key && t < ticket));
                            for (other, seen) in &mut passed_over {
                                if *other != key && waits.iter().any(|(k, _)| k == other) {
                                    prop_assert!(!seen.contains(&key), "{key} twice before {other}");
                                    seen.push(key);
                                }
                            }
                            passed_over.insert(key, Vec::new());
                        }
                    },
                    Step::Abandon(at) if at < waits.len() => {
                        let (key, ticket) = waits.remove(at);
                        prop_assert!(turns.abandon(&key, ticket));
                        prop_assert!(!turns.abandon(&key, ticket));
                        passed_over.insert(key, Vec::new());
                    }
                    _ => {}
                }
            }
        }
    }
}
