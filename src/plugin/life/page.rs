//! `docs/plugin-life.md`: the machine's whole table for people, found by asking the machine itself.
//!
//! In: every input in every state that inputs lead to. Out: the page; with `SGEVENTD_PUBLISH` set it is written.
//! Never: a line about a state or an input that is not what `step` does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    fs,
};

use super::{Candidate, *};
use crate::ident::EventId;

const INTRO: &str = "# The life of a plugin's process

<!-- Made from src/plugin/life.rs: SGEVENTD_PUBLISH=1 cargo test --lib plugin::life::page -->

One enum of states and one function make up the life of a plugin (`src/plugin/life.rs`); this page is printed from them, by asking for
every input in every state. What is not in a table changes nothing. Where one input leads to several states, it depends on what came before:
the eighth failure within a quarter of an hour, or in a row, disables; the first one after a minute of good service starts it again at once.
`docs/failures.md` says what of it an operator sees, and what to type.
";

/// A moment, a backoff, and long enough for every time to have come.
const WAITS: [u64; 3] = [1, 80_000, 2 * 3_600_000];

/// Every input, in words.
fn inputs() -> Vec<(&'static str, Input)> {
    let no = String::new;
    let exited = |counts| Input::Exited {
        error: no(),
        counts,
    };
    vec![
        ("the daemon starts", Input::Boot),
        ("its file comes, or the config switches it on", Input::Start),
        ("`start` is answered", Input::Ready),
        ("the process cannot be started", Input::StartFailed(no())),
        ("the handshake fails", Input::HandshakeFailed(no())),
        (
            "its manifest, version or config is of no use",
            Input::Refused(Cause::Manifest(no())),
        ),
        ("it disables itself", Input::Refused(Cause::Itself(no()))),
        (
            "three events in a row have used up their attempts",
            Input::Refused(Cause::Failing(no())),
        ),
        (
            "an event fails under `on_error = \"stop\"`",
            Input::Refused(on_error()),
        ),
        ("it hangs", Input::Hung(no())),
        ("the process ends, a failure", exited(true)),
        ("the process ends, no failure", exited(false)),
        ("a file or the config changes", Input::Changed),
        (
            "the changed version has answered `initialize`",
            Input::Validated,
        ),
        ("the changed version does not work", Input::Invalid),
        ("the changed version has ended", Input::CandidateGone),
        ("the file is gone", Input::Vanished),
        ("an operator enables it", Input::Enable),
        ("an operator disables it", Input::Disable),
        ("the config switches it off", Input::Off),
        ("the daemon stops", Input::Shutdown),
        ("its time has come", Input::Tick),
    ]
}

fn on_error() -> Cause {
    Cause::OnError {
        event_id: EventId(0),
        error: String::new(),
    }
}

fn causes() -> [Cause; 6] {
    let no = String::new;
    [
        Cause::Manifest(no()),
        on_error(),
        Cause::Itself(no()),
        Cause::CrashLoop(no()),
        Cause::Failing(no()),
        Cause::Operator,
    ]
}

fn then(then: &Then) -> &'static str {
    match then {
        Then::Rest => "rest",
        Then::Start(_) => "start again",
        Then::Swap => "swap",
        Then::Disable(Cause::Operator) => "be disabled by an operator",
        Then::Disable(_) => "be disabled",
        Then::Miss => "be missing",
        Then::Fail(_) => "fail",
    }
}

/// A state in words, with what becomes of a changed version beside a process that runs.
fn name(life: &Life) -> String {
    match (&life.state, life.candidate) {
        (State::Stopped, _) => "stopped".to_owned(),
        (State::Starting, _) => "starting".to_owned(),
        (State::Ready { .. }, Candidate::None | Candidate::Passed) => "ready".to_owned(),
        (State::Ready { .. }, Candidate::Trying) => "ready, a change is tried".to_owned(),
        (State::Ready { .. }, Candidate::Leaving { again: false }) => {
            "ready, a change that failed is ended".to_owned()
        }
        (State::Ready { .. }, Candidate::Leaving { again: true }) => {
            "ready, a change waits for its try".to_owned()
        }
        (State::Draining(next), _) => format!("draining, to {}", then(next)),
        (State::Stopping(next), _) => format!("stopping, to {}", then(next)),
        (State::Backoff { .. }, _) => "backoff".to_owned(),
        (State::Missing, _) => "missing".to_owned(),
        (State::Disabled { cause, .. }, _) => format!("disabled: {}", cause.word()),
    }
}

fn told(action: &Action) -> String {
    match action {
        Action::Spawn(why) => format!(
            "start a process, reason {}",
            format!("{why:?}").to_lowercase()
        ),
        Action::Validate => "start the changed version beside it, up to `initialize`".to_owned(),
        Action::Promote => "send `start` to the changed version".to_owned(),
        Action::EndCandidate => "end the changed version".to_owned(),
        Action::Drain => "wait for its open events, then stop it".to_owned(),
        Action::End => "stop it, from SIGTERM on".to_owned(),
        Action::TellDisabled => "begin an alert".to_owned(),
        Action::TellRecovered => "end its alerts".to_owned(),
    }
}

/// What comes of something: the next state and what is done.
type Outcome = (String, String);
/// Outcomes of a state, each with the inputs that have it, by their place in [`inputs`].
type Section = BTreeMap<Outcome, BTreeSet<usize>>;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms),
        unix: Unix(0),
    }
}

/// Everything that something comes of, by state.
fn sections() -> BTreeMap<String, Section> {
    let inputs = inputs();
    let mut sections = BTreeMap::<String, Section>::new();
    let mut seen = BTreeSet::new();
    let mut to_do = VecDeque::from([(Life::new(false, at(0)), 0)]);
    while let Some((life, now)) = to_do.pop_front() {
        let failures = (
            life.failures.len().min(8),
            life.streak.min(8),
            life.has_served,
        );
        let end = match &life.state {
            State::Draining(next) | State::Stopping(next) => format!("{next:?}"),
            _ => String::new(),
        };
        let from = name(&life);
        if !seen.insert((from.clone(), end, format!("{:?}", life.candidate), failures)) {
            continue;
        }
        let section = sections.entry(from.clone()).or_default();
        for (index, (_, input)) in inputs.iter().enumerate() {
            for wait in WAITS {
                let mut next = life.clone();
                let actions = next.step(input.clone(), at(now + wait), 0.5);
                let mut to = name(&next);
                if from.ends_with("to be disabled") && to.starts_with("disabled: ") {
                    "disabled: that cause".clone_into(&mut to);
                }
                // One that is being ended already may be told to once more.
                let is_stray = actions == [Action::EndCandidate] && !from.starts_with("ready");
                if from != to || !(actions.is_empty() || is_stray) {
                    let actions: Vec<_> = actions.iter().map(told).collect();
                    let outcome = (to, actions.join("; "));
                    section.entry(outcome).or_default().insert(index);
                }
                to_do.push_back((next, now + wait));
            }
        }
    }
    sections
}

/// What ends a disabled state, as the machine does it.
fn ends_by(page: &mut String) {
    page.push_str(
        "\n## Disabled\n\nIt keeps its place: nothing is skipped for it, and its counts begin anew when it comes back.\n\n\
         | because | a change of file or config | `enable` | a probe each hour | the daemon starts again |\n|---|---|---|---|---|\n",
    );
    for cause in causes() {
        let hour = 3_600_000;
        let ends = |input: Input, ms| {
            let probe_at = cause.probe_at(Mono(0));
            let mut life = Life::new(false, at(0));
            life.state = State::Disabled {
                cause: cause.clone(),
                probe_at,
            };
            life.step(input, at(ms), 0.0);
            if life.state == State::Starting {
                "starts it"
            } else {
                "–"
            }
        };
        // Nothing but an operator's word is on disk.
        let mut again = Life::new(cause == Cause::Operator, at(0));
        again.step(Input::Boot, at(0), 0.0);
        let again = if again.state == State::Starting {
            "starts it"
        } else {
            "–"
        };
        let _fits = writeln!(
            page,
            "| {} | {} | {} | {} | {again} |",
            cause.word(),
            ends(Input::Changed, 1),
            ends(Input::Enable, 1),
            ends(Input::Tick, hour),
        );
    }
}

fn page() -> String {
    let mut page = INTRO.to_owned();
    ends_by(&mut page);
    page.push_str("\n## The table\n");
    let inputs = inputs();
    // States that do the same are one.
    let mut same = BTreeMap::<Section, Vec<String>>::new();
    for (name, section) in sections() {
        same.entry(section).or_default().push(name);
    }
    let mut all: Vec<_> = same.into_iter().collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    for (section, names) in all {
        let _fits = write!(
            page,
            "\n### {}\n\n| what happens | then it is | what is done |\n|---|---|---|\n",
            names.join("; ")
        );
        let mut rows: Vec<_> = section.into_iter().collect();
        rows.sort_by_key(|(_, inputs)| inputs.first().copied());
        for ((to, done), asked) in rows {
            let asked: Vec<_> = asked.into_iter().map(|index| inputs[index].0).collect();
            let done = if done.is_empty() { "–" } else { &done };
            let _fits = writeln!(page, "| {} | {to} | {done} |", asked.join("; "));
        }
    }
    page
}

#[test]
fn the_page_says_what_the_machine_does() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plugin-life.md");
    let page = page();
    if std::env::var_os("SGEVENTD_PUBLISH").is_some() {
        fs::write(file, &page).expect("a file of ours");
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        found, page,
        "docs/plugin-life.md is old: SGEVENTD_PUBLISH=1 cargo test --lib plugin::life::page"
    );
}
