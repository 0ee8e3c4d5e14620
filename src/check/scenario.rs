//! The scenarios, in the order in which they are told: what each does, what it needs to mean anything, who judges it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{
    judge::{self, Finding, runs, wire},
    made::Events,
    plan::{Calls, Delivered, Hello, Plan, Step},
    transcript::Transcript,
};

/// The name of the first one.
pub(super) const HANDSHAKE: &str = "handshake";
const EVENTS: &str = "events";
const UNKNOWN: &str = "unknown";
const LATE_CALLS: &str = "late-calls";

/// A validated version waits for its turn: so long nothing is said to it.
const PAUSE: Duration = Duration::from_millis(300);
/// One that ends by itself after its start has done so by then.
const SETTLED: Duration = Duration::from_millis(150);
/// A call that is answered late waits so long.
const LATE: Duration = Duration::from_millis(250);
/// Events in a row, at least.
const IN_A_ROW: usize = 8;
/// A large event.
const LARGE: usize = 1 << 20;

/// Makes a plan from what can be sent, or says why there is none.
pub(super) type MakePlan = fn(&Events) -> Result<Plan, String>;
/// Judges one run that was carried out; the reason when nothing could be seen in it.
pub(super) type JudgeRun = fn(&Transcript) -> Result<Vec<Finding>, String>;
/// Judges what was said in all runs.
pub(super) type JudgeAll = fn(&Transcript) -> Vec<Finding>;

/// What is done.
pub(super) enum Kind {
    /// A run of its own.
    Run {
        /// What is said.
        plan: MakePlan,
        /// What came of it.
        judge: JudgeRun,
    },
    /// A look at every run.
    Wire(JudgeAll),
}

/// One scenario.
pub struct Scenario {
    /// A word, for `--only` and for programs; it stays.
    pub name: &'static str,
    /// In a sentence.
    pub title: &'static str,
    /// Those that must pass, else this one means nothing.
    pub needs: &'static [&'static str],
    /// What is done.
    pub(super) kind: Kind,
}

/// Declares the scenarios that have a run of their own.
const fn run(
    name: &'static str,
    title: &'static str,
    needs: &'static [&'static str],
    plan: MakePlan,
    judge: JudgeRun,
) -> Scenario {
    let kind = Kind::Run { plan, judge };
    Scenario {
        name,
        title,
        needs,
        kind,
    }
}

/// Declares those that look at all runs.
const fn wire(name: &'static str, title: &'static str, judge: JudgeAll) -> Scenario {
    Scenario {
        name,
        title,
        needs: &[HANDSHAKE],
        kind: Kind::Wire(judge),
    }
}

/// All of them.
pub static SCENARIOS: [Scenario; 20] = [
    run(
        HANDSHAKE,
        "answers initialize with a manifest, then start",
        &[],
        |_| Ok(handshake_plan()),
        runs::handshake,
    ),
    run(
        "validated",
        "tells its manifest and goes again, as before a reload",
        &[HANDSHAKE],
        |_| Ok(validated()),
        runs::eof,
    ),
    run(
        "version",
        "claims no version that it does not speak",
        &[HANDSHAKE],
        |_| Ok(other_version()),
        runs::version,
    ),
    run(
        EVENTS,
        "answers every event of its subscriptions",
        &[HANDSHAKE],
        in_a_row,
        runs::events,
    ),
    run(
        UNKNOWN,
        "ignores what only a later daemon says",
        &[EVENTS],
        |events| Ok(unknown(events)),
        runs::unknown,
    ),
    run(
        "unknown-request",
        "refuses a request that it does not know, with -32601",
        &[HANDSHAKE],
        |_| Ok(Plan::after_handshake([Step::Unknown])),
        runs::unknown_request,
    ),
    run(
        "again",
        "answers an event that comes again",
        &[EVENTS],
        |events| one(events, |made| Step::Event(Box::new(Delivered::again(made)))),
        runs::again,
    ),
    run(
        "large",
        "reads an event of 1 MiB",
        &[EVENTS],
        |events| {
            one(events, |made| {
                let large = "x".repeat(LARGE);
                let change = |row: &mut serde_json::Value| row["description"] = large.into();
                Step::Event(Box::new(Delivered::with_row(made, change)))
            })
        },
        runs::large,
    ),
    run(
        "separators",
        "reads a line with U+2028, U+2029 and U+0085 in it",
        &[EVENTS],
        |events| {
            one(events, |made| {
                let text = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{1f3ac}";
                let change = |row: &mut serde_json::Value| row["description"] = text.into();
                Step::Event(Box::new(Delivered::with_row(made, change)))
            })
        },
        runs::separators,
    ),
    run(
        LATE_CALLS,
        "waits for the answer of its own call, past a $/ line",
        &[EVENTS, UNKNOWN],
        |events| Ok(two(events)?.with(Calls::Late(LATE))),
        runs::late_calls,
    ),
    run(
        "site-away",
        "goes on when its call is answered with an error",
        &[EVENTS],
        |events| Ok(two(events)?.with(Calls::Away)),
        runs::site_away,
    ),
    run(
        "cancel",
        "answers an event that is cancelled",
        &[EVENTS, UNKNOWN, LATE_CALLS],
        |events| {
            let made = events.first()?;
            let cancelled = Step::Cancelled(Box::new(Delivered::of(made)));
            let next = Step::Event(Box::new(Delivered::of(made)));
            Ok(Plan::after_handshake([cancelled, next]))
        },
        runs::cancel,
    ),
    run(
        "window",
        "answers several open events of different lanes",
        &[EVENTS],
        together,
        runs::window,
    ),
    run(
        "eof",
        "exits when its input ends",
        &[HANDSHAKE],
        |_| Ok(Plan::after_handshake([Step::Eof])),
        runs::eof,
    ),
    run(
        "shutdown",
        "answers shutdown and exits with 0",
        &[HANDSHAKE],
        |_| Ok(Plan::after_handshake([Step::Shutdown, Step::Eof])),
        runs::shutdown,
    ),
    wire(
        "stdout",
        "writes nothing but messages to descriptor 1",
        wire::stdout,
    ),
    wire(
        "messages",
        "writes messages as JSON-RPC 2.0 has them",
        wire::messages,
    ),
    wire(
        "answers",
        "answers each request once, and no other",
        wire::answers,
    ),
    wire(
        "before-start",
        "changes nothing before start",
        wire::before_start,
    ),
    wire(
        "calls",
        "calls what there is, as it declares, for an open event",
        wire::calls,
    ),
];

/// Those that are named, and those that they need, in their order; all when none is named.
pub(super) fn chosen(only: &[String]) -> Vec<&'static Scenario> {
    let is_named = |scenario: &Scenario| only.iter().any(|name| name == scenario.name);
    let named = || SCENARIOS.iter().filter(|one| is_named(one));
    let is_all = only.is_empty();
    let mut wanted: BTreeSet<&str> = named().map(|one| one.name).collect();
    // A look at all runs needs runs.
    if named().any(|one| matches!(one.kind, Kind::Wire(_))) {
        let runs = SCENARIOS.iter();
        let runs = runs.filter(|one| matches!(one.kind, Kind::Run { .. }));
        wanted.extend(runs.map(|one| one.name));
    }
    // What is needed stands before: from the last to the first all of it is found.
    for one in SCENARIOS.iter().rev() {
        if wanted.contains(one.name) {
            wanted.extend(one.needs);
        }
    }
    let is_chosen = |one: &&Scenario| is_all || wanted.contains(one.name);
    SCENARIOS.iter().filter(is_chosen).collect()
}

/// `initialize` and `start`.
pub(super) fn handshake_plan() -> Plan {
    Plan::after_handshake([Step::Quiet(SETTLED)])
}

/// As the daemon does with a changed file: only `initialize`, a pause, and away with it.
fn validated() -> Plan {
    Plan {
        steps: vec![
            Step::Initialize(Hello::Plain),
            Step::Quiet(PAUSE),
            Step::Eof,
        ],
        calls: Calls::Served,
    }
}

fn other_version() -> Plan {
    Plan {
        steps: vec![Step::Initialize(Hello::OtherVersion)],
        calls: Calls::Served,
    }
}

fn unknown(events: &Events) -> Plan {
    let mut steps = vec![
        Step::Initialize(Hello::Newer),
        Step::Start(Hello::Newer),
        Step::Notify("$/a_later_method", json!({ "some": ["thing"] })),
    ];
    steps.push(match events.made.first() {
        Some(made) => {
            let is_newer = true;
            let plain = Delivered::of(made);
            Step::Event(Box::new(Delivered { is_newer, ..plain }))
        }
        // Without an event, a plugin that cannot bear it is seen to die.
        None => Step::Quiet(PAUSE),
    });
    Plan {
        steps,
        calls: Calls::Served,
    }
}

fn in_a_row(events: &Events) -> Result<Plan, String> {
    events.first()?;
    let count = IN_A_ROW.max(events.made.len());
    let all = events.made.iter().cycle().take(count);
    let steps = all.map(|made| Step::Event(Box::new(Delivered::of(made))));
    Ok(Plan::after_handshake(steps))
}

fn one(events: &Events, step: impl FnOnce(&super::made::Made) -> Step) -> Result<Plan, String> {
    Ok(Plan::after_handshake([step(events.first()?)]))
}

/// Each kind of event that there is, two at least: the second one shows that it goes on.
fn two(events: &Events) -> Result<Plan, String> {
    events.first()?;
    let count = events.made.len().max(2);
    let all = events.made.iter().cycle().take(count);
    let steps = all.map(|made| Step::Event(Box::new(Delivered::of(made))));
    Ok(Plan::after_handshake(steps))
}

fn together(events: &Events) -> Result<Plan, String> {
    events.first()?;
    if events.window < 2 {
        return Err("it takes one event at a time".to_owned());
    }
    if events.lanes.len() < 2 {
        return Err("no two events of different lanes could be made".to_owned());
    }
    let all = events.lanes.iter().map(Delivered::of).collect();
    Ok(Plan::after_handshake([Step::Together(all)]))
}

impl Scenario {
    /// Judges its run, or all runs.
    pub(super) fn judge(
        &self,
        own: Option<&Transcript>,
        all: &[(&str, &Transcript)],
    ) -> Result<Vec<Finding>, String> {
        match (&self.kind, own) {
            (Kind::Run { judge, .. }, Some(run)) => judge(run),
            (Kind::Run { .. }, None) => Err("it was not run".to_owned()),
            (Kind::Wire(judge), _) => Ok(judge::over_all(all, *judge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_brings_what_it_needs() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            let all: Vec<&str> = chosen(&only).iter().map(|one| one.name).collect();
            all
        };
        assert_eq!(names(&["eof"]), [HANDSHAKE, "eof"]);
        let needed = [HANDSHAKE, EVENTS, UNKNOWN, LATE_CALLS, "cancel"];
        assert_eq!(names(&["cancel"]), needed);
        assert_eq!(names(&["stdout"]).len(), 16);
        assert_eq!(names(&[]).len(), SCENARIOS.len());
        // What is needed comes before.
        for (at, one) in SCENARIOS.iter().enumerate() {
            for need in one.needs {
                let place = SCENARIOS.iter().position(|other| other.name == *need);
                assert!(
                    place.is_some_and(|place| place < at),
                    "{}: {need}",
                    one.name
                );
            }
        }
    }
}
