//! Turns: who of many may call next, so that one busy plugin does not crowd out the others.
//!
//! In: arrivals, departures, those who stop waiting. Out: whose turn it is, one by one around the plugins; the last places
//! are kept for those that have none, so that calls which hang hold up those of their own plugin only.
//! Never: a lock, a wait (that is `gate.rs`).

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

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

/// So many of all places, as a part of them, are for keys that hold none: a quarter.
const KEPT: usize = 4;

/// A fixed number of places, handed around.
#[derive(Debug)]
pub(super) struct Turns<K> {
    free: usize,
    /// So many of the free ones are for keys that hold none.
    kept: usize,
    /// How many each holds; who holds none is not here.
    held: HashMap<K, usize>,
    issued: u64,
    /// Who waits, the next key first; a key is here only while it has a ticket.
    waiting: IndexMap<K, VecDeque<Ticket>>,
}

impl<K: Hash + Eq + Clone> Turns<K> {
    /// `places` may go at once, at least one.
    pub(super) fn new(places: usize) -> Self {
        let places = places.max(1);
        Self {
            free: places,
            // A single place is everybody's.
            kept: places.div_ceil(KEPT).min(places - 1),
            held: HashMap::new(),
            issued: 0,
            waiting: IndexMap::new(),
        }
    }

    /// Somebody wants a place.
    pub(super) fn arrive(&mut self, key: K) -> Arrival {
        if self.may_go(&key) {
            self.seat(key);
            return Arrival::Go;
        }
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.waiting.entry(key).or_default().push_back(ticket);
        Arrival::Wait(ticket)
    }

    /// A place is given back; places pass to the tickets returned, which are two at most.
    pub(super) fn leave(&mut self, key: &K) -> Vec<Ticket> {
        self.free += 1;
        if let Some(held) = self.held.get_mut(key) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(key);
            }
        }
        std::iter::from_fn(|| self.next()).collect()
    }

    fn may_go(&self, key: &K) -> bool {
        let kept = if self.held.contains_key(key) {
            self.kept
        } else {
            0
        };
        self.free > kept
    }

    fn seat(&mut self, key: K) {
        self.free -= 1;
        *self.held.entry(key).or_default() += 1;
    }

    /// The first that may go.
    fn next(&mut self) -> Option<Ticket> {
        let at = self.waiting.keys().position(|key| self.may_go(key))?;
        let (key, mut tickets) = self.waiting.shift_remove_index(at)?;
        let next = tickets.pop_front();
        self.seat(key.clone());
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
        let mut owner = HashMap::new();
        for key in ["busy", "busy", "busy", "calm", "busy", "third"] {
            let Arrival::Wait(ticket) = turns.arrive(key) else {
                panic!("the place is taken");
            };
            owner.insert(ticket, key);
        }
        let mut order = Vec::new();
        let mut next = Some("busy");
        while let Some(key) = next {
            next = turns.leave(&key).first().map(|ticket| owner[ticket]);
            order.extend(next);
        }
        assert_eq!(order, ["busy", "calm", "third", "busy", "busy", "busy"]);
        assert_eq!(turns.arrive("calm"), Arrival::Go, "the place is free again");
    }

    #[test]
    fn calls_that_hang_leave_places_for_others() {
        let mut turns = Turns::new(8);
        for _ in 0..6 {
            assert_eq!(turns.arrive("hangs"), Arrival::Go);
        }
        let Arrival::Wait(waiting) = turns.arrive("hangs") else {
            panic!("the last two are for others");
        };
        for _ in 0..100 {
            for key in ["calm", "third"] {
                assert_eq!(turns.arrive(key), Arrival::Go);
            }
            for key in ["calm", "third"] {
                assert_eq!(turns.leave(&key), [], "nor does it get what they leave");
            }
        }
        assert_eq!(turns.leave(&"hangs"), [waiting]);
    }

    /// How long a call that hangs keeps its place.
    const DEADLINE: u64 = 10;

    /// When a plugin that calls at a time gets its place, beside others whose every call hangs to its deadline and is made
    /// anew at once; of each: when it begins, and how many it makes at a time.
    fn seated_at(places: usize, hanging: &[(u64, usize)], calls_at: u64) -> u64 {
        let calm = hanging.len();
        let mut turns = Turns::new(places);
        let mut waits = HashMap::new();
        // Who has a place, and until when.
        let mut seated: Vec<(usize, u64)> = Vec::new();
        for now in 0.. {
            let mut calls: Vec<usize> = Vec::new();
            for (key, (begins, count)) in hanging.iter().enumerate() {
                let is_begun = *begins == now;
                calls.extend(std::iter::repeat_n(key, if is_begun { *count } else { 0 }));
            }
            calls.extend((calls_at == now).then_some(calm));
            let (over, rest): (Vec<_>, Vec<_>) =
                seated.iter().copied().partition(|(_, until)| *until == now);
            seated = rest;
            for (key, _) in over {
                let next = turns.leave(&key).into_iter();
                seated.extend(next.map(|ticket| (waits[&ticket], now + DEADLINE)));
                calls.push(key);
            }
            for key in calls {
                match turns.arrive(key) {
                    Arrival::Go => seated.push((key, now + DEADLINE)),
                    Arrival::Wait(ticket) => drop(waits.insert(ticket, key)),
                }
            }
            if seated.iter().any(|(key, _)| *key == calm) {
                return now;
            }
        }
        unreachable!("time goes on until it is seated")
    }

    #[derive(Debug, Clone)]
    enum Step {
        Arrive(u8),
        Leave(usize),
        Abandon(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u8..4).prop_map(Step::Arrive),
            2 => (0usize..8).prop_map(Step::Leave),
            1 => (0usize..8).prop_map(Step::Abandon),
        ]
    }

    proptest! {
        /// As long as there is a place for each plugin: one whose calls do not hang waits for one deadline at most.
        #[test]
        fn plugins_that_hang_hold_up_another_for_one_deadline_at_most(
            hanging in vec((0..DEADLINE * 3, 1usize..10), 1..12),
            more_places in 0usize..4,
            calls_at in 0..DEADLINE * 4,
        ) {
            let places = hanging.len() + 1 + more_places;
            let waited = seated_at(places, &hanging, calls_at) - calls_at;
            prop_assert!(waited <= DEADLINE, "{waited}");
        }

        /// Against a model that keeps all waits in one list: never more than the places are taken, nobody waits beside
        /// a place that is free for it, a key's own order holds, and who holds nothing waits for no key's second turn.
        #[test]
        fn places_are_kept_and_turns_are_fair(places in 1usize..9, steps in vec(step(), 0..80)) {
            let mut turns = Turns::new(places);
            let kept = places.div_ceil(KEPT).min(places - 1);
            let mut taken: Vec<u8> = Vec::new();
            let mut waits: Vec<(u8, Ticket)> = Vec::new();
            let mut passed_over: HashMap<u8, Vec<u8>> = HashMap::new();
            for step in steps {
                match step {
                    Step::Arrive(key) => match turns.arrive(key) {
                        Arrival::Go => taken.push(key),
                        Arrival::Wait(ticket) => {
                            waits.push((key, ticket));
                            passed_over.entry(key).or_default();
                        }
                    },
                    Step::Leave(at) if at < taken.len() => {
                        let left = taken.swap_remove(at);
                        let next = turns.leave(&left);
                        prop_assert!(next.len() <= 2);
                        for ticket in next {
                            let at = waits.iter().position(|&(_, t)| t == ticket);
                            prop_assert!(at.is_some());
                            let (key, _) = waits.remove(at.unwrap_or_default());
                            prop_assert!(!waits.iter().any(|&(k, t)| k == key && t < ticket));
                            taken.push(key);
                            for (other, seen) in &mut passed_over {
                                let waits = waits.iter().any(|(k, _)| k == other);
                                if *other != key && waits && !taken.contains(other) {
                                    prop_assert!(!seen.contains(&key), "{key} twice before {other}");
                                    seen.push(key);
                                }
                            }
                            passed_over.insert(key, Vec::new());
                        }
                    }
                    Step::Abandon(at) if at < waits.len() => {
                        let (key, ticket) = waits.remove(at);
                        prop_assert!(turns.abandon(&key, ticket));
                        prop_assert!(!turns.abandon(&key, ticket));
                        passed_over.insert(key, Vec::new());
                    }
                    _ => {}
                }
                prop_assert!(taken.len() <= places);
                let free = places - taken.len();
                for (key, _) in &waits {
                    let is_free = free > if taken.contains(key) { kept } else { 0 };
                    prop_assert!(!is_free, "{key} waits beside a place that is free for it");
                }
            }
        }
    }
}
