//! A model of a plugin's process: what a version of it does with what it is sent.
//!
//! In: requests. Out: when it says what, and when it ends. Never: what the daemon makes of it.

use crate::{
    chance::{Chance, Die},
    plan::Vice,
};

/// What a process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Say {
    /// The answer to `initialize`; false: a manifest that cannot be used.
    Initialized(bool),
    /// The answer to `start`.
    Started(Started),
    /// The answer to an event, by its request.
    Answer(u64, Answer),
    /// It makes a call for the event of a request, and says its answer when the call is over.
    Call(u64),
    /// The call is over.
    CallOver(u64),
    /// It wants nothing for so many milliseconds.
    Pause(u64),
    /// It disables itself.
    Unhealthy,
    /// It closed its output some time ago, and lives on.
    Closed,
    /// The answer to `shutdown`.
    Bye,
}

/// How `start` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Started {
    Ok,
    Error,
    Disable,
}

/// How an event is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Ok,
    Skip,
    Retry(u64),
    Failed,
    Dead,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As it was asked to, or by a crash: the exit code.
    Code(u8),
    /// By a signal: ours, or one from outside.
    Killed,
}

/// What it does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers after so long.
    Answers(Answer, u64),
    /// Answers twice, and once for an event that nobody sent.
    Babbles(u64),
    /// Calls the site, answers while the call is under way.
    Calls(u64),
    /// Pauses, then answers.
    Pauses(u64),
    /// Never answers.
    Hangs,
    /// Its process ends.
    Crashes(u64),
    /// It disables itself and answers nothing.
    GivesUp,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) plugin: usize,
    pub(crate) vice: Vice,
    pub(crate) is_alive: bool,
    /// It does not hear any more.
    pub(crate) hangs: bool,
    pub(crate) end: End,
}

impl Process {
    /// What it does with an event.
    pub(crate) fn act(&mut self, chance: Chance, id: i64, attempt: u32) -> Act {
        let about = (self.plugin as u64) << 48 | id as u64;
        let dice = chance.below(Die::Act, about, u64::from(attempt), 100);
        let time = 1 + chance.below(Die::ActTime, about, u64::from(attempt), 40);
        let is_chosen = chance.below(Die::Act, about, u64::MAX, 40) == 0;
        let act = match self.vice {
            Vice::Flaky => match dice {
                0..=1 => Act::Crashes(time),
                2 => Act::Hangs,
                3..=9 => Act::Answers(Answer::Failed, time),
                10..=13 => Act::Answers(Answer::Retry(1000 * (dice - 9) * 3), time),
                14..=15 => Act::Answers(Answer::Dead, time),
                16..=19 => Act::Answers(Answer::Skip, time),
                20..=25 => Act::Babbles(time),
                26 => Act::Pauses(1000 * time),
                27..=34 => Act::Calls(time),
                _ => Act::Answers(Answer::Ok, time),
            },
            Vice::Poisoned if is_chosen => Act::Crashes(time),
            Vice::Hanging if is_chosen => Act::Hangs,
            Vice::Failing => Act::Answers(Answer::Failed, time),
            Vice::Crashing if dice < 4 => Act::Crashes(time),
            Vice::Calling => Act::Calls(time * 10),
            Vice::Slow => Act::Answers(Answer::Ok, time * 60),
            Vice::Unhealthy if is_chosen => Act::GivesUp,
            _ => Act::Answers(Answer::Ok, time),
        };
        self.hangs |= act == Act::Hangs;
        act
    }
}
