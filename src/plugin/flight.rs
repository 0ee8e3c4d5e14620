//! The events that a process works on, with their clocks: who is late, who is only waiting for its own calls. Pure.
//!
//! In: deliveries, answers, calls, times, the site that goes and comes. Out: what is settled, cancelled, hung.
//! Never: a clock, a pipe, what a settlement means (`dispatch`).

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use crate::{clock::Mono, dispatch::Disposition, event::Event};

/// After `$/cancel` the plugin has so long to answer all the same.
pub const CANCELLED: Duration = Duration::from_secs(10);
/// A timer that fires later than this is the machine's fault, not the plugin's.
const LATE: Duration = Duration::from_secs(5);

/// An event that the plugin works on.
#[derive(Debug)]
pub struct Open {
    /// The event.
    pub event: Arc<Event>,
    /// When it was handed out.
    pub since: Mono,
    deadline: Mono,
    /// `$/cancel` was sent: the process is ended at the deadline.
    is_cancelled: bool,
    /// Answered, but calls of it are under way.
    held: Option<Disposition>,
    calls: usize,
}

/// What an event that is late asks for.
#[derive(Debug)]
pub enum Late {
    /// The plugin is told that nobody waits any more: the request's id.
    Cancel(u64),
    /// It said nothing to that either: the process hangs.
    Hung(Open),
}

/// See the module. Requests are known by their ids.
#[derive(Debug, Default)]
pub struct Flights {
    open: FxHashMap<u64, Open>,
}

impl Flights {
    /// How many there are, answered or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when it works on nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// True when the request is one of these.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// The event of a request.
    #[must_use]
    pub fn event(&self, id: u64) -> Option<&Arc<Event>> {
        self.open.get(&id).map(|open| &open.event)
    }

    /// Those that are not answered, with their requests.
    pub fn unanswered(&self) -> impl Iterator<Item = (u64, &Arc<Event>)> {
        let open = self.open.iter().filter(|(_, open)| open.held.is_none());
        open.map(|(id, open)| (*id, &open.event))
    }

    /// One was handed out, and must be answered within `timeout`.
    pub fn begin(&mut self, id: u64, event: Arc<Event>, timeout: Duration, now: Mono) {
        let open = Open {
            event,
            since: now,
            deadline: now + timeout,
            is_cancelled: false,
            held: None,
            calls: 0,
        };
        self.open.insert(id, open);
    }

    /// It was answered; it is over when its calls are over, too.
    pub fn answered(&mut self, id: u64, ended: Disposition) -> Option<(Open, Disposition)> {
        let open = self.open.get_mut(&id)?;
        if open.calls > 0 {
            open.held = Some(ended);
            return None;
        }
        self.open.remove(&id).map(|open| (open, ended))
    }

    /// A call was made for it; false when it is answered, or none of these: the call holds nothing up then.
    pub fn call_begun(&mut self, id: u64) -> bool {
        let waits = self.open.get_mut(&id).filter(|open| open.held.is_none());
        waits.map(|open| open.calls += 1).is_some()
    }

    /// A call that had begun for it is over: with the last one an event that was answered meanwhile is over.
    pub fn call_over(&mut self, id: u64) -> Option<(Open, Disposition)> {
        let open = self.open.get_mut(&id)?;
        open.calls = open.calls.saturating_sub(1);
        if open.calls > 0 {
            return None;
        }
        let ended = open.held.take()?;
        self.open.remove(&id).map(|open| (open, ended))
    }

    /// The plugin asks for more time: never less than it has, at most `ceiling` in all.
    pub fn extend(&mut self, id: u64, more: Duration, ceiling: Duration, now: Mono) {
        if let Some(open) = self.open.get_mut(&id)
            && !open.is_cancelled
        {
            let asked = (now + more).min(open.since + ceiling);
            open.deadline = open.deadline.max(asked);
        }
    }

    /// The next one that is late, if any; to be called until there is none, and not while their clocks stand.
    pub fn late(&mut self, now: Mono) -> Option<Late> {
        let is_late = |open: &Open| now >= open.deadline && open.held.is_none();
        let (id, open) = self.open.iter_mut().find(|(_, open)| is_late(open))?;
        let id = *id;
        if open.is_cancelled {
            return self.open.remove(&id).map(Late::Hung);
        }
        open.is_cancelled = true;
        open.deadline = now + CANCELLED;
        Some(Late::Cancel(id))
    }

    /// When one may be late: the clock of an event that is answered wakes nobody.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let ticking = self.open.values().filter(|open| open.held.is_none());
        ticking.map(|open| open.deadline).min()
    }

    /// All deadlines move: the site was away, or we were late ourselves.
    pub fn shift(&mut self, by: Duration) {
        for open in self.open.values_mut() {
            open.deadline = open.deadline + by;
        }
    }

    /// The process ended, and nobody makes its calls any more: those that were answered are over.
    pub fn over(&mut self) -> Vec<(Open, Disposition)> {
        let is_answered = |open: &mut Open| open.held.is_some();
        let answered = self.open.extract_if(|_, open| is_answered(open));
        let ended = answered.filter_map(|(_, mut open)| open.held.take().map(|held| (open, held)));
        ended.collect()
    }
}

/// Whether the site that a plugin needs is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    down_since: Option<Mono>,
    /// It has called the site before: without the site it gets no new event.
    has_called: bool,
}

impl Needs {
    /// It called the site.
    pub fn called(&mut self) {
        self.has_called = true;
    }

    /// The site is away, whoever needs it.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// It waits for the site: nothing new goes out, and clocks stand.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.is_down() && self.has_called
    }

    /// The site went or came; by how much deadlines move.
    pub fn site_is(&mut self, is_down: bool, now: Mono) -> Duration {
        match (is_down, self.down_since) {
            (true, None) => self.down_since = Some(now),
            (false, Some(since)) => {
                self.down_since = None;
                return now - since;
            }
            _ => {}
        }
        Duration::ZERO
    }
}

/// By how much deadlines move when a timer that was due then fires now, after a sleep since `asleep`: not at all for what is
/// common, else by the whole of the sleep. Nobody knows when in it the machine stood still, and less could leave the plugin nothing.
#[must_use]
pub fn lateness(asleep: Mono, due: Option<Mono>, now: Mono) -> Duration {
    let late = due.map_or(Duration::ZERO, |due| now - due);
    if late > LATE {
        now - asleep
    } else {
        Duration::ZERO
    }
}

/// Whose fault the end of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blame {
    /// It ended by itself: neither was it asked to, nor did a signal come from outside.
    pub is_own: bool,
    /// It counts as a failure of the plugin.
    pub counts: bool,
}

/// Judges an end. `is_asked`: it was being stopped. `at_work`: events it worked on.
#[must_use]
pub fn blame(is_asked: bool, is_signal_from_outside: bool, at_work: usize) -> Blame {
    let is_own = !is_asked && !is_signal_from_outside;
    // A lone event is to blame. A signal from outside is no fault of an event's, but one of the plugin's restarts all the same.
    let counts = !(is_asked || is_own && at_work == 1);
    Blame { is_own, counts }
}

/// True when an attempt that failed counts against its event: not while the site is away, and not when a stop cut it.
#[must_use]
pub fn is_charged(is_site_away: bool, is_cut: bool) -> bool {
    !is_site_away && !is_cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Body, parse},
        ident::{Seq, Timeline},
    };

    #[test]
    fn a_pause_leaves_a_plugin_the_time_that_it_had() {
        let (asleep, due) = (Mono(1_000), Mono(3_000));
        for (now, moved_ms) in [(3_000, 0), (8_000, 0), (8_001, 7_001), (13_000, 12_000)] {
            let moved = lateness(asleep, Some(due), Mono(now));
            assert_eq!(moved, Duration::from_millis(moved_ms), "{now}");
        }
        assert_eq!(lateness(asleep, None, Mono(90_000)), Duration::ZERO);
    }

    #[test]
    fn a_call_after_the_answer_neither_holds_its_event_nor_frees_it() {
        let row = r#"{"id":7,"event_type":"T"}"#;
        let (facts, body) = parse(Timeline(0), row).expect("a row");
        let event = Event {
            seq: Seq(7),
            facts: facts.into(),
            body: Body::Here(body),
        };
        let mut flights = Flights::default();
        flights.begin(3, event.into(), Duration::from_secs(1), Mono(0));
        assert!(!flights.call_begun(4), "nobody has it");
        assert!(flights.call_begun(3));
        assert!(flights.answered(3, Disposition::Ok).is_none(), "it waits");
        assert!(!flights.call_begun(3), "it is answered");
        let over = flights.call_over(3);
        assert!(over.is_some_and(|(open, _)| open.event.seq == Seq(7)));
    }

    #[test]
    fn whose_fault_an_end_is() {
        for (is_asked, is_signal, at_work, is_own, counts) in [
            (false, false, 0, true, true),
            (false, false, 1, true, false),
            (false, false, 2, true, true),
            (false, true, 1, false, true),
            (true, false, 1, false, false),
            (true, true, 0, false, false),
        ] {
            let expected = Blame { is_own, counts };
            assert_eq!(blame(is_asked, is_signal, at_work), expected);
        }
    }
}
