//! What the machine of a plugin's life can do at all: every input in every state that inputs lead to.

use std::collections::{BTreeSet, VecDeque};

use sgeventd::{
    clock::{Mono, Now, Unix},
    plugin::life::{Cause, Input, Life},
};

use crate::{
    coverage::Transition,
    world::{word_of, word_of_input},
};

/// A moment, a backoff, and long enough for every time to have come.
const WAITS: [u64; 3] = [1, 80_000, 2 * 3_600_000];

/// Why a transition that the machine has can never be asked of it.
pub(crate) fn impossible((_, from, what, to): &Transition) -> Option<&'static str> {
    let is_being_stopped = from.starts_with("draining") || from.starts_with("stopping");
    match *what {
        // One that says by its exit code that it cannot be configured is as good as gone when that is judged.
        "exited, counts" if *from == "stopping, then disable" && *to == "disabled" => None,
        "exited, counts" if is_being_stopped => {
            Some("the end of a process that is being stopped never counts")
        }
        "handshake failed" if *from == "ready" => Some("a handshake that is over cannot fail"),
        "exited, free" if *from == "starting" => {
            Some("no event is to blame for the end of a process that shakes hands")
        }
        _ => None,
    }
}

fn inputs() -> Vec<Input> {
    let error = String::new;
    vec![
        Input::Boot,
        Input::Start,
        Input::Ready,
        Input::StartFailed(error()),
        Input::HandshakeFailed(error()),
        Input::Refused(Cause::Itself(error())),
        Input::Hung(error()),
        Input::Exited {
            error: error(),
            counts: true,
        },
        Input::Exited {
            error: error(),
            counts: false,
        },
        Input::Changed,
        Input::Validated,
        Input::Invalid,
        Input::CandidateGone,
        Input::Vanished,
        Input::Enable,
        Input::Disable,
        Input::Off,
        Input::Shutdown,
        Input::Tick,
    ]
}

/// All transitions that something comes of.
pub(crate) fn transitions() -> BTreeSet<Transition> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut to_do = VecDeque::from([(Life::new(false, at(0)), 0)]);
    while let Some((life, now)) = to_do.pop_front() {
        if !seen.insert(key(&life)) {
            continue;
        }
        for input in inputs() {
            for wait in WAITS {
                let mut next = life.clone();
                let (from, what) = (word_of(life.state()), word_of_input(&input));
                let actions = next.step(input.clone(), at(now + wait), 0.5);
                let to = word_of(next.state());
                if from != to || !actions.is_empty() {
                    found.insert(("life", from, what, to));
                }
                to_do.push_back((next, now + wait));
            }
        }
    }
    found
}

/// What makes two of them the same: all but the times, and how many failures there were below the limit.
fn key(life: &Life) -> String {
    let text = format!("{life:?}");
    let candidate = text.split("candidate: ").nth(1).unwrap_or_default();
    let candidate = candidate.split(", since").next().unwrap_or_default();
    let failures = text.split("failures: [").nth(1).unwrap_or_default();
    let failures = failures
        .split(']')
        .next()
        .unwrap_or_default()
        .matches("Mono")
        .count()
        .min(8);
    let served = text.contains("has_served: true");
    let is_operators = text.contains("Operator");
    format!(
        "{} {candidate} {failures} {served} {is_operators}",
        word_of(life.state())
    )
}

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms),
        unix: Unix(ms as i64),
    }
}
