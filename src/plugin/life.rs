//! The life of one plugin's process: when it is started, stopped, started again, given up. Pure.
//!
//! In: what happened to the process, its files, its config; times and chance are handed in. Out: what the task must do.
//! Never: a process, a pipe, a clock. What is not named here is stale and changes nothing.

mod words;

use std::{collections::VecDeque, time::Duration};

use sgeventd_protocol::message::Reason as Why;

pub use self::words::{Action, Cause, Input, State, Then};
use crate::clock::{Mono, Now, Unix};

/// So many failures within [`LOOP_TIME`], or in a row however long each takes, are a crash loop.
const LOOP_FAILURES: usize = 8;
const LOOP_TIME: Duration = Duration::from_secs(15 * 60);
/// After so long a service the first restart is at once.
const GOOD_SERVICE: Duration = Duration::from_secs(60);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A changed version that is tried beside the running one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate {
    None,
    /// It shakes hands.
    Trying,
    /// It passed, and waits until the running one has stopped.
    Passed,
    /// It is being ended; `again`: another change came meanwhile.
    Leaving {
        again: bool,
    },
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Life {
    state: State,
    candidate: Candidate,
    since: Unix,
    failures: VecDeque<Mono>,
    /// Failures in a row without good service between.
    streak: usize,
    /// The process that runs, or ran last, served well for a while.
    has_served: bool,
    restarts: u32,
}

impl Life {
    /// A plugin without a process; `is_disabled`: by an operator, before the daemon started.
    #[must_use]
    pub fn new(is_disabled: bool, now: Now) -> Self {
        let state = if is_disabled {
            State::Disabled {
                cause: Cause::Operator,
                probe_at: None,
            }
        } else {
            State::Stopped
        };
        Self {
            state,
            candidate: Candidate::None,
            since: now.unix,
            failures: VecDeque::new(),
            streak: 0,
            has_served: false,
            restarts: 0,
        }
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Since when.
    #[must_use]
    pub fn since(&self) -> Unix {
        self.since
    }

    /// Restarts that nobody asked for.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// True when it failed, and did not serve well since.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.streak > 0
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match &self.state {
            State::Backoff { until, .. } => Some(*until),
            State::Disabled { probe_at, .. } => *probe_at,
            _ => None,
        }
    }

    /// Takes one step; `random` is from 0 to 1.
    pub fn step(&mut self, input: Input, now: Now, random: f32) -> Vec<Action> {
        let before = std::mem::discriminant(&self.state);
        if let State::Ready { since } = self.state {
            self.has_served = now.mono - since >= GOOD_SERVICE;
        }
        let mut actions = self.go(input, now.mono, random);
        if before != std::mem::discriminant(&self.state) {
            self.since = now.unix;
        }
        actions.extend(self.end_stray_candidate());
        actions
    }

    /// A changed version is tried beside a process that runs, and nowhere else.
    fn end_stray_candidate(&mut self) -> Option<Action> {
        use {Candidate as C, State as S};
        let is_stray = match self.candidate {
            C::Trying => !matches!(self.state, S::Ready { .. }),
            C::Passed => !matches!(
                self.state,
                S::Draining(Then::Swap) | S::Stopping(Then::Swap)
            ),
            C::None | C::Leaving { .. } => false,
        };
        is_stray.then(|| {
            self.candidate = C::Leaving { again: false };
            Action::EndCandidate
        })
    }

    fn go(&mut self, input: Input, now: Mono, random: f32) -> Vec<Action> {
        use {Action as A, Input as I, State as S};
        let state = self.state.clone();
        match (state, input) {
            (S::Stopped, I::Boot) => self.start(Why::Boot),
            (S::Stopped, I::Start) => self.start(Why::Changed),
            (S::Missing, I::Start | I::Changed) => self.start(Why::Changed),
            (S::Starting, I::Ready) => {
                self.state = S::Ready { since: now };
                vec![A::TellRecovered]
            }
            (S::Starting, I::StartFailed(error)) => self.fail(error, now, random),
            // What it is changed to may well be the cure.
            (S::Ready { .. }, I::Hung(_)) if self.is_changing() => {
                self.wind_down(Then::Start(Why::Changed), false)
            }
            (S::Ready { .. }, I::Refused(_)) if self.is_changing() => {
                self.wind_down(Then::Start(Why::Changed), true)
            }
            (S::Ready { .. }, I::Exited { .. }) if self.is_changing() => {
                self.restarts += 1;
                self.start_again(Why::Changed)
            }
            (S::Starting | S::Ready { .. }, I::HandshakeFailed(error) | I::Hung(error)) => {
                self.state = S::Stopping(Then::Fail(error));
                vec![A::End]
            }
            (S::Starting, I::Refused(cause)) => self.wind_down(Then::Disable(cause), false),
            (
                S::Starting | S::Ready { .. },
                I::Exited {
                    error,
                    counts: true,
                },
            ) => self.fail(error, now, random),
            (S::Starting | S::Ready { .. }, I::Exited { counts: false, .. }) => {
                self.restarts += 1;
                self.start(Why::Crash)
            }
            (S::Ready { .. }, I::Refused(cause)) => self.wind_down(Then::Disable(cause), true),
            (S::Ready { .. }, I::Changed) => self.try_candidate(),
            (S::Ready { .. }, I::Validated) if self.candidate == Candidate::Trying => {
                self.candidate = Candidate::Passed;
                self.wind_down(Then::Swap, true)
            }
            (_, I::Invalid) if self.candidate != Candidate::None => {
                let again = self.candidate == Candidate::Leaving { again: true };
                self.candidate = Candidate::Leaving { again };
                self.swap_is_off();
                vec![A::EndCandidate]
            }
            (_, I::CandidateGone) => self.candidate_gone(),
            // What starts may be half of the old and half of the new file.
            (S::Starting, I::Changed) => self.wind_down(Then::Start(Why::Changed), false),
            (S::Draining(_) | S::Stopping(_), I::Hung(_)) => vec![A::End],
            (S::Draining(then) | S::Stopping(then), I::Exited { .. }) => {
                self.after(then, now, random)
            }
            (S::Draining(_) | S::Stopping(_), I::Enable)
                if matches!(
                    self.state,
                    S::Draining(Then::Disable(Cause::Operator))
                        | S::Stopping(Then::Disable(Cause::Operator))
                ) =>
            {
                self.redirect(Then::Start(Why::Enabled))
            }
            (S::Draining(then) | S::Stopping(then), I::Changed | I::Enable)
                if !matches!(then, Then::Rest | Then::Disable(Cause::Operator)) =>
            {
                self.redirect(Then::Start(Why::Changed))
            }
            (
                S::Draining(Then::Rest | Then::Miss) | S::Stopping(Then::Rest | Then::Miss),
                I::Start,
            ) => self.redirect(Then::Start(Why::Changed)),
            (S::Draining(_) | S::Stopping(_), I::Disable) => {
                self.redirect(Then::Disable(Cause::Operator))
            }
            (S::Draining(_), I::Shutdown | I::Off) => {
                self.redirect(Then::Rest);
                vec![A::Drain]
            }
            (S::Stopping(_), I::Shutdown | I::Off) => self.redirect(Then::Rest),
            (S::Backoff { .. }, I::Changed) => self.start_again(Why::Changed),
            (S::Backoff { until, .. }, I::Tick) if now >= until => {
                self.restarts += 1;
                self.start(Why::Crash)
            }
            (S::Disabled { cause, .. }, I::Changed | I::Start) if cause != Cause::Operator => {
                self.start_again(Why::Changed)
            }
            (S::Disabled { probe_at, .. }, I::Tick) if probe_at.is_some_and(|at| now >= at) => {
                self.start_again(Why::Probe)
            }
            (S::Disabled { .. } | S::Backoff { .. } | S::Stopped, I::Enable) => {
                self.start_again(Why::Enabled)
            }
            (S::Starting | S::Ready { .. }, I::Vanished) => self.wind_down(Then::Miss, true),
            (S::Stopped | S::Backoff { .. }, I::Vanished) => {
                self.state = S::Missing;
                vec![]
            }
            (S::Starting | S::Ready { .. }, I::Disable) => {
                self.wind_down(Then::Disable(Cause::Operator), true)
            }
            (S::Stopped | S::Backoff { .. } | S::Missing | S::Disabled { .. }, I::Disable) => {
                self.after(Then::Disable(Cause::Operator), now, random)
            }
            (S::Starting | S::Ready { .. }, I::Shutdown | I::Off) => {
                self.wind_down(Then::Rest, true)
            }
            // What an operator disabled stays so, whatever the config says meanwhile.
            (
                S::Disabled {
                    cause: Cause::Operator,
                    ..
                },
                I::Off,
            ) => vec![],
            (_, I::Shutdown | I::Off) => {
                self.state = S::Stopped;
                vec![]
            }
            _ => vec![],
        }
    }

    /// One is tried at a time: a change during a try ends it, and the next is tried when it is gone.
    fn try_candidate(&mut self) -> Vec<Action> {
        match self.candidate {
            Candidate::None => {
                self.candidate = Candidate::Trying;
                vec![Action::Validate]
            }
            Candidate::Trying | Candidate::Passed => {
                self.candidate = Candidate::Leaving { again: true };
                vec![Action::EndCandidate]
            }
            Candidate::Leaving { .. } => {
                self.candidate = Candidate::Leaving { again: true };
                vec![]
            }
        }
    }

    /// A changed version is tried, or waits for its try.
    fn is_changing(&self) -> bool {
        let waits = Candidate::Leaving { again: true };
        self.candidate == Candidate::Trying || self.candidate == waits
    }

    fn candidate_gone(&mut self) -> Vec<Action> {
        let was = std::mem::replace(&mut self.candidate, Candidate::None);
        match (&self.state, was) {
            (State::Ready { .. }, Candidate::Leaving { again: true }) => self.try_candidate(),
            _ => {
                self.swap_is_off();
                vec![]
            }
        }
    }

    /// Nothing waits to take over: what comes next is started from its file.
    fn swap_is_off(&mut self) {
        if let State::Draining(then) | State::Stopping(then) = &mut self.state
            && *then == Then::Swap
        {
            *then = Then::Start(Why::Changed);
        }
    }

    fn start(&mut self, why: Why) -> Vec<Action> {
        self.state = State::Starting;
        self.has_served = false;
        vec![Action::Spawn(why)]
    }

    /// Somebody acted: what it did before no longer counts.
    fn start_again(&mut self, why: Why) -> Vec<Action> {
        self.failures.clear();
        self.streak = 0;
        self.start(why)
    }

    fn redirect(&mut self, to: Then) -> Vec<Action> {
        match &mut self.state {
            State::Draining(then) | State::Stopping(then) => *then = to,
            _ => {}
        }
        vec![]
    }

    fn wind_down(&mut self, then: Then, drains: bool) -> Vec<Action> {
        let action = if drains { Action::Drain } else { Action::End };
        self.state = if drains {
            State::Draining(then)
        } else {
            State::Stopping(then)
        };
        vec![action]
    }

    fn after(&mut self, then: Then, now: Mono, random: f32) -> Vec<Action> {
        match then {
            Then::Rest => {
                self.state = State::Stopped;
                vec![]
            }
            Then::Start(why) => self.start_again(why),
            Then::Swap => {
                self.state = State::Starting;
                self.candidate = Candidate::None;
                self.failures.clear();
                self.streak = 0;
                self.has_served = false;
                vec![Action::Promote]
            }
            Then::Disable(cause) => {
                let is_asked = cause == Cause::Operator;
                let probe_at = cause.probe_at(now);
                self.state = State::Disabled { cause, probe_at };
                if is_asked {
                    vec![]
                } else {
                    vec![Action::TellDisabled]
                }
            }
            Then::Miss => {
                self.state = State::Missing;
                vec![]
            }
            Then::Fail(error) => self.fail(error, now, random),
        }
    }

    /// It failed: it is started again after a wait, or given up. After good service the first restart is at once.
    fn fail(&mut self, error: String, now: Mono, random: f32) -> Vec<Action> {
        self.failures.push_back(now);
        while self
            .failures
            .front()
            .is_some_and(|at| now - *at > LOOP_TIME)
        {
            self.failures.pop_front();
        }
        let has_served = std::mem::take(&mut self.has_served);
        self.streak = if has_served { 0 } else { self.streak + 1 };
        if self.failures.len().max(self.streak) >= LOOP_FAILURES {
            return self.after(Then::Disable(Cause::CrashLoop(error)), now, random);
        }
        if has_served {
            self.restarts += 1;
            return self.start(Why::Crash);
        }
        let base = Duration::from_secs(1 << (self.streak - 1).min(6)).min(BACKOFF_MAX);
        let until = now + base.mul_f32(1.0 + 0.2 * random);
        self.state = State::Backoff { until, error };
        vec![]
    }
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
