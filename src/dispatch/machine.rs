//! The machine of one plugin's dispatcher: rows, answers, exits and times in; deliveries and cursor changes out.
//!
//! Never: I/O, a clock, chance, a process. What is handed out twice was never settled on disk.

mod bodies;
mod commit;
mod ended;
mod replay;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    filter::{Filter, Verdict},
    open::{Kept, OpenList},
    policy::{AFTER_MAX, Policy},
};
use crate::{
    clock::{Mono, Now, Unix},
    event::{Body, Event},
    ident::{EventId, PluginName, Seq},
    journal::{Counts, Cursor, NewDead, OPEN_MAX, OpenEntry, Origin, Replay},
};

/// Rows of one read: a read for each row that is settled would cost more than the delivery.
const READ_ROWS: usize = 256;
/// Settlements that may wait for the disk.
pub const UNCOMMITTED_MAX: usize = 1000;
/// Progress without a settlement is written this seldom: repeating it only filters again.
const LAZY: std::time::Duration = std::time::Duration::from_secs(10);
/// Events in a row that used up their attempts: the plugin fails, not the event.
const EXHAUSTED_MAX: u32 = 3;
/// Of what a plugin calls its version, so much is kept with each of its dead letters.
const VERSION_CHARS: usize = 100;
/// The reason of a dead letter that an operator wanted.
pub const SKIPPED: &str = "skipped_by_operator";
/// What is said of an event whose body nobody has.
const PRUNED: &str = "its body was pruned here, and the site no longer has the row";
/// Lone crashes after which the event is to blame.
const CRASHES_MAX: u32 = 2;

/// An event to be handed out.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event.
    pub event: Arc<Event>,
    /// Subscriptions that match, by index.
    pub matched: Vec<u16>,
    /// 1 for the first.
    pub attempt: u32,
    /// An operator asked for it again.
    pub is_replay: bool,
    /// What the last attempt wanted to see again.
    pub progress: Option<Box<str>>,
}

/// Why the plugin gets nothing more until somebody acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It stops at an event that failed, as it asked for.
    OnError(Seq),
    /// Event after event used up its attempts.
    Failing,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    plugin: PluginName,
    /// The version of the plugin, for its dead letters.
    version: Option<Box<str>>,
    policy: Policy,
    filter: Filter,
    position: Seq,
    /// The highest one that was handed out or settled. What waits above it is found again by reading: the journal
    /// hears of no row that is read ahead.
    touched: Seq,
    open: OpenList,
    out: usize,
    /// Out when the process crashed: one at a time until these are settled.
    suspects: BTreeSet<Seq>,
    /// Nothing goes out before this crash is on disk.
    holds_for_commit: bool,
    exhausted: u32,
    refusal: Option<Refusal>,
    needs_body: Option<Arc<Event>>,
    /// The same of the replay that is looked at: what is new does not wait for it.
    replay_needs_body: Option<Arc<Event>>,
    /// Wanted events whose bodies are not read: their lanes wait for them.
    unread: Vec<Seq>,
    /// Ranges that an operator wants handed out again.
    replays: Vec<Replay>,
    /// Nothing above it goes out: others must settle it first.
    ceiling: Seq,
    /// By how many milliseconds the site's clock is ahead of ours: events have their age by the site's.
    site_ahead: i64,
    change: Pending,
    /// The events that the last change gave up, by position.
    given_up: BTreeMap<Seq, EventId>,
    committing: bool,
    /// Settlements of the change that is on its way to the disk: they wait for it like those that are not.
    under_way: usize,
}

/// What the journal has not heard of.
#[derive(Debug, Default)]
struct Pending {
    settled: Vec<Seq>,
    dead: Vec<NewDead>,
    given_up: BTreeMap<Seq, EventId>,
    replays: Vec<Replay>,
    counts: Counts,
    unwritten: usize,
    is_urgent: bool,
    since: Option<Mono>,
}

impl Machine {
    /// A dispatcher that stands at a position; open entries come by [`Self::reopen`].
    #[must_use]
    pub fn new(plugin: PluginName, policy: Policy, filter: Filter, position: Seq) -> Self {
        Self {
            plugin,
            version: None,
            policy,
            filter,
            position,
            touched: position,
            open: OpenList::default(),
            out: 0,
            suspects: BTreeSet::new(),
            holds_for_commit: false,
            exhausted: 0,
            refusal: None,
            needs_body: None,
            replay_needs_body: None,
            unread: Vec::new(),
            replays: Vec::new(),
            ceiling: Seq(u64::MAX),
            site_ahead: 0,
            change: Pending::default(),
            given_up: BTreeMap::new(),
            committing: false,
            under_way: 0,
        }
    }

    /// Puts an entry of the journal's cursor back, with its event; one that no longer matches is settled as skip.
    pub fn reopen(&mut self, entry: OpenEntry, event: Arc<Event>, now: Now) {
        // A clock that was put back meanwhile makes nothing wait for longer than anything may.
        let wait = entry.next_at.map(|at| (at - now.unix).min(AFTER_MAX));
        let kept = Kept {
            is_kept: true,
            due: wait.map(|wait| now.mono + wait),
        };
        match self.judge(&event) {
            Verdict::Match(matched) => {
                self.note_unread(&event);
                self.open
                    .add(self.policy.order, event, matched, entry, kept);
            }
            // It matched when it was opened, and nothing says that it does not any more.
            Verdict::NeedsBody => {
                self.note_unread(&event);
                self.open
                    .add(self.policy.order, event, Vec::new(), entry, kept);
            }
            Verdict::No => {
                self.change.counts.skipped += 1;
                self.change.settled.push(entry.seq);
                self.note(now, true);
            }
        }
    }

    /// What the plugin says of its version: a dead letter names it.
    pub fn set_version(&mut self, version: Option<&str>) {
        self.version = version.map(|text| text.chars().take(VERSION_CHARS).collect());
    }

    /// The time to answer.
    #[must_use]
    pub fn timeout(&self) -> std::time::Duration {
        self.policy.timeout
    }

    /// The names of subscriptions.
    #[must_use]
    pub fn names(&self, matched: &[u16]) -> Vec<Arc<str>> {
        self.filter.names(matched)
    }

    /// Where it stands, for a test or a screen.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.position
    }

    /// True when it is wanted and not settled.
    #[must_use]
    pub fn is_open(&self, seq: Seq) -> bool {
        self.open.contains(seq)
    }

    /// How many wanted events are not settled.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Why nothing goes out until somebody acts.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Somebody acted: it starts again where it stands.
    pub fn enable(&mut self) {
        self.refusal = None;
        self.exhausted = 0;
    }

    /// How many rows to read, and after which position; none while there is no room.
    #[must_use]
    pub fn poll_read(&self) -> Option<(Seq, usize)> {
        let has_room = self.open.len() + READ_ROWS <= OPEN_MAX;
        (has_room && self.needs_body.is_none() && self.refusal.is_none())
            .then_some((self.position, READ_ROWS))
    }

    /// Looks at rows after the position, in order; stops at one whose body is needed.
    pub fn handle_rows(&mut self, rows: &[Arc<Event>], now: Now) {
        for event in rows {
            if event.seq <= self.position || self.open.len() >= OPEN_MAX {
                continue;
            }
            match self.judge(event) {
                Verdict::NeedsBody => {
                    self.needs_body = Some(Arc::clone(event));
                    return;
                }
                Verdict::No => {}
                // An operator triggered it before its turn.
                Verdict::Match(_) if self.open.contains(event.seq) => {}
                Verdict::Match(_) if self.is_too_old(event, now) => self.change.counts.too_old += 1,
                Verdict::Match(matched) => {
                    let entry = new_entry(event.seq);
                    self.note_unread(event);
                    self.open.add(
                        self.policy.order,
                        Arc::clone(event),
                        matched,
                        entry,
                        Kept::default(),
                    );
                }
            }
            self.passed(event.seq, now);
        }
    }

    fn passed(&mut self, seq: Seq, now: Now) {
        self.position = seq;
        self.change.since.get_or_insert(now.mono);
    }

    /// Nothing above this position goes out: the plugins that come first have not settled it.
    pub fn set_ceiling(&mut self, ceiling: Seq) {
        self.ceiling = ceiling;
    }

    /// What the site's clock says now; ours until it is known.
    pub fn set_site_time(&mut self, site: Unix, now: Now) {
        self.site_ahead = site.0.saturating_sub(now.unix.0);
    }

    /// Every wanted event up to here is settled.
    #[must_use]
    pub fn settled_to(&self) -> Seq {
        match self.open.first_event() {
            Some(event) => Seq(event.seq.0.saturating_sub(1)),
            None => self.position,
        }
    }

    /// The oldest event that waits.
    #[must_use]
    pub fn oldest(&self) -> Option<&Arc<Event>> {
        self.open.first_event()
    }

    /// The site's id of an event that is open, or that the last change gave up.
    #[must_use]
    pub fn event_id(&self, seq: Seq) -> Option<EventId> {
        let open = self.open.get(seq).map(|open| open.event.facts.event_id);
        open.or_else(|| self.given_up.get(&seq).copied())
    }

    /// The first event that is to be tried again: its id, the attempts so far, and what went wrong.
    #[must_use]
    pub fn retrying(&self) -> Option<(EventId, u32, &str)> {
        let open = self.open.retrying()?;
        let error = open.entry.last_error.as_deref().unwrap_or_default();
        Some((open.event.facts.event_id, open.entry.attempts, error))
    }

    /// When that event is tried again, by the wall clock: for people, who are told nothing new while it waits.
    #[must_use]
    pub fn retry_at(&self) -> Option<Unix> {
        self.open.retrying()?.entry.next_at
    }

    /// The next event to hand out, if one may go.
    pub fn poll_delivery(&mut self, now: Now) -> Option<Delivery> {
        let window = if self.suspects.is_empty() {
            self.policy.lanes()
        } else {
            1
        };
        let is_full = self.change.unwritten + self.under_way >= UNCOMMITTED_MAX;
        let is_held = self.holds_for_commit || is_full;
        if self.out >= window || self.refusal.is_some() || is_held {
            return None;
        }
        if self.exhausted >= EXHAUSTED_MAX {
            self.refusal = Some(Refusal::Failing);
            return None;
        }
        let seq = self.next_fresh(now)?;
        let open = self.open.get_mut(seq)?;
        open.entry.deliveries += 1;
        self.touched = self.touched.max(seq);
        self.out += 1;
        self.change.counts.delivered += 1;
        Some(Delivery {
            event: Arc::clone(&open.event),
            matched: open.matched.clone(),
            attempt: open.entry.deliveries,
            is_replay: open.entry.origin != Origin::Event,
            progress: open.entry.progress.clone(),
        })
    }

    /// The next event that may go out; those that have become too old while they waited are passed over.
    fn next_fresh(&mut self, now: Now) -> Option<Seq> {
        loop {
            let seq = self.open.take_ready(now.mono, self.ceiling)?;
            let open = self.open.get_mut(seq)?;
            let is_first = open.entry.deliveries == 0 && open.entry.origin == Origin::Event;
            let event = Arc::clone(&open.event);
            if !is_first || !self.is_too_old(&event, now) {
                return Some(seq);
            }
            self.settle(seq, |counts| counts.too_old += 1, now);
        }
    }

    /// When [`Self::poll_commit`] or [`Self::poll_delivery`] may have something new.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> Option<Mono> {
        // One that is due waits for the process or its turn: no time to wake up for.
        let retry = self.open.next_due().filter(|at| *at > now.mono);
        let commit = self
            .change
            .since
            .filter(|_| !self.committing)
            .map(|since| since + self.commit_wait());
        retry.into_iter().chain(commit).min()
    }

    fn judge(&self, event: &Event) -> Verdict {
        let body = match &event.body {
            Body::Here(body) => Some(&body[..]),
            Body::Dropped | Body::Unread => None,
        };
        self.filter.judge(&event.facts, body)
    }

    fn is_too_old(&self, event: &Event, now: Now) -> bool {
        let site_now = Unix(now.unix.0.saturating_add(self.site_ahead));
        let age = event.facts.created_at.map(|at| site_now - at);
        !self.policy.max_age.is_zero() && age.is_some_and(|age| age > self.policy.max_age)
    }

    fn note_unread(&mut self, event: &Event) {
        if !matches!(event.body, Body::Here(_)) {
            self.unread.push(event.seq);
        }
    }

    fn note(&mut self, now: Now, is_urgent: bool) {
        self.change.is_urgent |= is_urgent;
        self.change.since.get_or_insert(now.mono);
    }
}

pub(super) fn new_entry(seq: Seq) -> OpenEntry {
    OpenEntry {
        seq,
        origin: Origin::Event,
        attempts: 0,
        crashes: 0,
        deliveries: 0,
        next_at: None,
        last_error: None,
        progress: None,
    }
}

/// A machine that goes on from a cursor, given its replays and the events of its open list; for tests and starts alike.
pub fn resume(
    mut machine: Machine,
    cursor: &Cursor,
    replays: &[Replay],
    events: &[Arc<Event>],
    now: Now,
) -> Machine {
    machine.replays.extend(replays);
    for entry in &cursor.open {
        match events.iter().find(|event| event.seq == entry.seq) {
            Some(event) => machine.reopen(entry.clone(), Arc::clone(event), now),
            None => machine.handle_gone(entry, now),
        }
    }
    machine
}
