//! Open requests of both directions of one connection.
//!
//! Never: a clock, a message. It knows ids and what they stand for.

use std::collections::HashMap;

use crate::FIRST_REQUEST_ID;

/// Requests that one side has asked and that are not answered; `T` is what each stands for.
#[derive(Debug)]
pub struct Pending<T> {
    next: u64,
    open: HashMap<u64, T>,
}

/// What an answer belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered<T> {
    /// This request.
    Open(T),
    /// One that was answered before.
    Again,
    /// Nothing that was ever asked.
    Unknown,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self::from(FIRST_REQUEST_ID)
    }
}

impl<T> Pending<T> {
    /// Ids begin here and are never used again.
    #[must_use]
    pub fn from(first: u64) -> Self {
        Self {
            next: first,
            open: HashMap::new(),
        }
    }

    /// The id of the next request, open from now on.
    pub fn ask(&mut self, what: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.open.insert(id, what);
        id
    }

    /// Takes an answer.
    pub fn answer(&mut self, id: u64) -> Answered<T> {
        match self.open.remove(&id) {
            Some(what) => Answered::Open(what),
            None if (FIRST_REQUEST_ID..self.next).contains(&id) => Answered::Again,
            None => Answered::Unknown,
        }
    }

    /// What an open request stands for.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&T> {
        self.open.get(&id)
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_answered_once() {
        let mut pending = Pending::default();
        let id = pending.ask("a");
        assert_eq!(id, FIRST_REQUEST_ID);
        assert_eq!(pending.answer(7), Answered::Unknown);
        assert_eq!(pending.answer(id + 1), Answered::Unknown);
        assert_eq!(pending.answer(id), Answered::Open("a"));
        assert_eq!(pending.answer(id), Answered::Again);
        assert_ne!(pending.ask("b"), id);
    }
}
