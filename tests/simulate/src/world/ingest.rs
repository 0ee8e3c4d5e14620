//! Ingest as its task carries it out: one question under way while the last answer commits, another beside.

use std::time::Duration;

use futures::FutureExt as _;
use sgeventd::{
    clock::Unix,
    ident::{EventId, Seq},
    ingest::{
        self, Answer, Failure, Machine, Notice, Policy, Question, StartFrom, Teller, anchors,
    },
    journal::{Append, Gap, Op},
    site::Health,
};

use super::{World, writer::From};
use crate::{chance::Die, plan::Start, queue::Due, site::EPOCH};

/// How many of the last rows may serve as anchors after a start.
const RECENT: u64 = 64;
/// An operator looks at a halted site this often.
const ACCEPTED_AFTER: u64 = 90_000;

/// What the site said, and up to when it shows what was committed.
type Heard = (Result<Answer, Failure>, u64);

/// A question under way.
struct Asking {
    question: Question,
    /// What the site said, if it looked at the question when it was asked; else it looks when the answer is due.
    heard: Option<Heard>,
}

/// See the module.
pub(super) struct Ingest {
    pub(super) machine: Machine,
    teller: Teller,
    asking: Option<Asking>,
    answered: Option<Heard>,
    beside: Option<Asking>,
    beside_answered: Option<Heard>,
    pub(super) is_committing: bool,
    /// An operator accepts the site.
    pub(super) to_accept: bool,
    halted_since: Option<u64>,
    /// What the append that is under way gives up, as it was said.
    pub(super) given_up: Vec<Gap>,
    pub(super) health: Health,
    pub(super) armed: Option<u64>,
    asked: u64,
}

impl Ingest {
    /// Of a daemon that does not run.
    pub(super) fn none() -> Self {
        Self::of(Machine::new(
            policy_of(&Limits::default(), StartFrom::Oldest),
            Default::default(),
            Vec::new(),
        ))
    }

    fn of(machine: Machine) -> Self {
        Self {
            machine,
            teller: Teller::new("script"),
            asking: None,
            answered: None,
            beside: None,
            beside_answered: None,
            is_committing: false,
            to_accept: false,
            halted_since: None,
            given_up: Vec::new(),
            health: Health::Up,
            armed: None,
            asked: 0,
        }
    }
}

/// What a plan says about ingest.
#[derive(Default)]
struct Limits {
    page: usize,
    timeout_s: u64,
    give_up_s: u64,
    hold_s: u64,
}

fn policy_of(limits: &Limits, start_from: StartFrom) -> Policy {
    Policy {
        interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(5),
        page: limits.page,
        start_from,
        gap_timeout: Duration::from_secs(limits.timeout_s),
        gap_give_up: Duration::from_secs(limits.give_up_s),
        gap_hold: Duration::from_secs(limits.hold_s),
        max_retry_wait: Duration::from_secs(60),
    }
}

impl World<'_> {
    pub(super) fn start_ingest(&mut self) -> Ingest {
        let plan = self.plan;
        let start_from = match plan.start {
            Start::Oldest => StartFrom::Oldest,
            Start::Latest => StartFrom::Latest,
            Start::Time => StartFrom::Time(Unix(EPOCH + 30_000)),
        };
        let limits = Limits {
            page: plan.page,
            timeout_s: plan.gap_timeout_s,
            give_up_s: plan.gap_give_up_s,
            hold_s: plan.gap_hold_s,
        };
        let (kept, recent) = self
            .journal
            .query(|reader| {
                let last = reader.extent()?.last;
                let recent = reader.page(
                    Seq(last.0.saturating_sub(RECENT)),
                    RECENT as usize,
                    usize::MAX,
                )?;
                Ok((reader.ingest()?, recent))
            })
            .now_or_never()
            .and_then(Result::ok)
            .expect("a model answers at once");
        let anchors = anchors(&recent, kept.timeline);
        Ingest::of(Machine::new(policy_of(&limits, start_from), kept, anchors))
    }

    /// Does all that can be done now, and sets the next time to wake up.
    pub(super) fn advance_ingest(&mut self) {
        if !self.is_up || self.is_stopping {
            return;
        }
        while self.turn_ingest() {}
        let ingest = &self.ingest;
        let is_waiting = ingest.asking.is_none() && ingest.answered.is_none();
        let wake = ingest.machine.poll_timeout().filter(|_| is_waiting);
        if let Some(wake) = wake
            && self
                .ingest
                .armed
                .is_none_or(|armed| wake.0 + self.born < armed)
        {
            self.ingest.armed = Some(self.at(wake, Due::Ingest));
        }
    }

    /// One turn of the loop; true when something was taken, so that there may be more.
    fn turn_ingest(&mut self) -> bool {
        self.ask();
        let now = self.now();
        let ingest = &mut self.ingest;
        if ingest.is_committing {
            return false;
        }
        let before = ingest.machine.phase();
        let mut what = "answered";
        let append: Option<(Append, Option<u64>)>;
        if let Some((heard, at)) = ingest.beside_answered.take() {
            what = "beside";
            let made = match heard {
                Ok(answer) => ingest.machine.beside_answered(answer),
                Err(failure) => {
                    ingest.machine.beside_failed(&failure, now);
                    None
                }
            };
            append = made.map(|made| (made, Some(at)));
        } else if let Some((heard, at)) = ingest.answered.take() {
            let made = match heard {
                Ok(answer) => ingest.machine.answered(answer, now),
                Err(failure) => {
                    what = "failed";
                    let random = self.chance.unit(Die::Random, self.steps, 0);
                    ingest.machine.failed(failure, now, random);
                    None
                }
            };
            append = made.map(|made| (made, Some(at)));
        } else if std::mem::take(&mut ingest.to_accept) && ingest.machine.is_halted() {
            what = "accepted";
            let from = ingest.machine.would_accept_from();
            // Where nothing says it, somebody knows when the site was restored.
            let restored_to = self.restored_to.take();
            let from = from.unwrap_or(EventId(restored_to.unwrap_or(self.site.newest() + 1)));
            (ingest.asking, ingest.beside, ingest.answered) = (None, None, None);
            append = Some((ingest.machine.accept(from, now), None));
            self.story.tell(self.queue.now, || {
                format!("an operator accepts the site from {from} on")
            });
        } else {
            return false;
        }
        self.cover
            .note("ingest", before, what, self.ingest.machine.phase());
        self.tell_notices();
        if let Some((append, shown_to)) = append {
            let at = self.now().unix;
            self.ingest.is_committing = true;
            self.submit(From::Ingest(shown_to), vec![Op::Append { append, at }]);
        }
        self.watch_halt();
        true
    }

    fn ask(&mut self) {
        let now = self.now();
        if self.ingest.asking.is_none()
            && self.ingest.answered.is_none()
            && let Some(question) = self.ingest.machine.poll_question(now)
        {
            self.ingest.asking = Some(self.send(question, false));
        }
        if self.ingest.beside.is_none()
            && self.ingest.beside_answered.is_none()
            && let Some(question) = self.ingest.machine.poll_beside(now)
        {
            self.ingest.beside = Some(self.send(question, true));
        }
    }

    fn send(&mut self, question: Question, is_beside: bool) -> Asking {
        self.ingest.asked += 1;
        let about = (self.queue.life as u64) << 32 | self.ingest.asked;
        let mut takes = 10 + self.chance.below(Die::SiteLatency, about, 0, 150);
        if self.site.mood.is_slow {
            takes += self.chance.below(Die::SiteLatency, about, 1, 9000);
        }
        self.queue.after(takes, Due::Answer { is_beside });
        let is_early = self.chance.below(Die::SiteWhen, about, 0, 2) == 0;
        let heard = is_early.then(|| self.look(&question));
        Asking { question, heard }
    }

    /// The site looks at a question.
    fn look(&mut self, question: &Question) -> Heard {
        let now = self.queue.now;
        (self.site.ask(question, now), self.site.shows_up_to(now))
    }

    /// An answer has come.
    pub(super) fn site_answers(&mut self, is_beside: bool) {
        let slot = if is_beside {
            &mut self.ingest.beside
        } else {
            &mut self.ingest.asking
        };
        // It may be of a question that was forgotten when the site was accepted.
        let Some(asking) = slot.take() else { return };
        let heard = asking.heard.unwrap_or_else(|| self.look(&asking.question));
        if is_beside {
            self.ingest.beside_answered = Some(heard);
        } else {
            self.ingest.answered = Some(heard);
        }
        self.advance_ingest();
    }

    fn tell_notices(&mut self) {
        let unix = self.now().unix;
        for notice in self.ingest.machine.take_notices() {
            self.story
                .tell(self.queue.now, || format!("ingest: {notice:?}"));
            if let Notice::GivenUp(gaps) = &notice {
                self.ingest.given_up.extend(gaps);
            }
            for told in self.ingest.teller.tell(&notice, unix) {
                match told {
                    ingest::Told::Health(health) => self.site_is(health),
                    ingest::Told::Begin(alert) => self.alert(sgeventd::alert::Input::Begin(alert)),
                    ingest::Told::End(key) => self.alert(sgeventd::alert::Input::End(key)),
                    ingest::Told::Once(alert) => self.alert(sgeventd::alert::Input::Once(alert)),
                }
            }
        }
    }

    /// When all faults are over an operator looks after a halted site.
    fn watch_halt(&mut self) {
        if !self.ingest.machine.is_halted() {
            self.ingest.halted_since = None;
            return;
        }
        let since = *self.ingest.halted_since.get_or_insert(self.queue.now);
        if self.is_mended && !self.stays_rewound && self.queue.now - since >= ACCEPTED_AFTER {
            self.ingest.to_accept = true;
        }
    }

    fn site_is(&mut self, health: Health) {
        if self.ingest.health != health {
            self.ingest.health = health;
            let is_away = self.ingest.health != Health::Up;
            for who in 0..self.tasks.len() {
                self.site_changed(who, is_away);
                self.advance(who);
            }
        }
    }
}
