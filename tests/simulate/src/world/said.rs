//! What a process does with an event, and what the daemon makes of what it says.

use std::time::Duration;

use sgeventd::{
    clock::Mono,
    dispatch::Disposition,
    plugin::life::{Cause, Input, State},
};

use super::{BUSY, World};
use crate::{
    chance::Die,
    process::{Act, Answer, End, Say},
    queue::Due,
};

impl World<'_> {
    /// A process hears of an event, and does what it does.
    pub(super) fn hears(&mut self, process: usize, request: u64, event: i64, attempt: u32) {
        let chance = self.chance;
        let says = |say| Due::Says(process, say);
        if self.processes[process].hangs {
            return;
        }
        match self.processes[process].act(chance, event, attempt) {
            Act::Answers(answer, takes) => {
                self.queue.after(takes, says(Say::Answer(request, answer)));
            }
            Act::Babbles(takes) => {
                self.queue
                    .after(takes, says(Say::Answer(request, Answer::Ok)));
                self.queue
                    .after(takes, says(Say::Answer(request, Answer::Failed)));
                self.queue
                    .after(takes, says(Say::Answer(request + 1000, Answer::Ok)));
            }
            Act::Calls(takes) => {
                self.queue.after(1, says(Say::Call(request)));
                // The answer may come while the call is under way.
                let early = chance.below(Die::Call, request, process as u64, 2 * takes);
                self.queue
                    .after(2 + early, says(Say::Answer(request, Answer::Ok)));
                self.queue.after(1 + takes, says(Say::CallOver(request)));
            }
            Act::Pauses(takes) => {
                self.queue.after(1, says(Say::Pause(takes)));
                self.queue
                    .after(takes, says(Say::Answer(request, Answer::Ok)));
            }
            Act::Hangs => {}
            Act::Crashes(takes) => self.ends(process, End::Code(1), takes),
            Act::GivesUp => self.queue.after(1, says(Say::Unhealthy)),
        }
    }

    pub(super) fn says(&mut self, process: usize, say: Say) {
        if !self.processes[process].is_alive {
            return;
        }
        let who = self.processes[process].plugin;
        if self.tasks[who].is_making {
            self.queue.after(BUSY, Due::Says(process, say));
            return;
        }
        let is_of = |slot: &Option<super::task::Run>| {
            slot.as_ref().is_some_and(|run| run.process == process)
        };
        let is_candidate = is_of(&self.tasks[who].candidate);
        if !is_candidate && !is_of(&self.tasks[who].run) {
            return;
        }
        match say {
            Say::Initialized(is_usable) => self.initialized(who, is_candidate, is_usable),
            Say::Started(started) => self.started(who, started),
            Say::Answer(request, answer) => self.hear_answer(who, request, answer),
            Say::Call(request) => {
                if let Some(run) = &mut self.tasks[who].run {
                    run.flights.call_begun(request);
                }
                self.tasks[who].needs.called();
            }
            // Calls wait while the site is away.
            Say::CallOver(_) if self.tasks[who].needs.is_down() => {
                self.queue.after(500, Due::Says(process, say));
            }
            Say::CallOver(request) => {
                let run = self.tasks[who].run.as_mut();
                if let Some((open, ended)) = run.and_then(|run| run.flights.call_over(request)) {
                    self.settle(who, &open, ended);
                }
            }
            Say::Pause(wait) => {
                let until = Mono(self.mono().0 + wait);
                self.tasks[who].paused_until = Some(until);
            }
            Say::Unhealthy => {
                if matches!(self.tasks[who].life.state(), State::Ready { .. }) {
                    self.step(who, Input::Refused(Cause::Itself(String::new())));
                }
            }
            Say::Closed => self.closed(who, is_candidate),
            Say::Bye => {
                let now = self.mono();
                if let Some(ladder) = self.tasks[who]
                    .slot(is_candidate)
                    .as_mut()
                    .and_then(|run| run.ladder.as_mut())
                {
                    ladder.answered(now);
                }
            }
        }
        self.advance(who);
    }

    fn hear_answer(&mut self, who: usize, request: u64, answer: Answer) {
        let run = self.tasks[who].run.as_mut();
        // A second answer, or one to nothing that was asked, changes nothing.
        if run.and_then(|run| run.asked.remove(&request)).is_none() {
            return;
        }
        let reason = String::new();
        let progress = None;
        let ended = match answer {
            Answer::Ok => Disposition::Ok,
            Answer::Skip => Disposition::Skip,
            Answer::Retry(after) => Disposition::Retry {
                after: Some(Duration::from_millis(after)),
                reason,
                progress,
            },
            Answer::Failed => Disposition::Failed {
                error: "no".into(),
                progress,
            },
            Answer::Dead => Disposition::Dead { reason },
        };
        self.answered(who, request, ended);
    }
}
