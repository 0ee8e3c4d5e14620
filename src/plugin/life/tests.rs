//! The table of a plugin's life, and its longer stories.

use super::*;
use crate::ident::EventId;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms),
        unix: Unix(i64::try_from(ms).expect("small")),
    }
}

fn life(state: State) -> Life {
    let is_swapping = matches!(
        state,
        State::Draining(Then::Swap) | State::Stopping(Then::Swap)
    );
    Life {
        state,
        candidate: if is_swapping {
            Candidate::Passed
        } else {
            Candidate::None
        },
        ..Life::new(false, at(0))
    }
}

fn exited(counts: bool) -> Input {
    Input::Exited {
        error: "exit 1".into(),
        counts,
    }
}

#[test]
fn the_table() {
    use {Action as A, Input as I, State as S};
    let ready = || S::Ready { since: Mono(0) };
    let disabled = |cause: Cause| S::Disabled {
        probe_at: cause.probe_at(Mono(0)),
        cause,
    };
    let backoff = |until| S::Backoff {
        until: Mono(until),
        error: "exit 1".into(),
    };
    let swap = || S::Draining(Then::Swap);
    let bad = || Cause::Manifest("m".into());
    for (from, input, to, actions) in [
        (S::Stopped, I::Boot, S::Starting, vec![A::Spawn(Why::Boot)]),
        (
            S::Stopped,
            I::Start,
            S::Starting,
            vec![A::Spawn(Why::Changed)],
        ),
        (S::Starting, I::Ready, ready(), vec![A::TellRecovered]),
        (
            S::Starting,
            I::StartFailed("exit 1".into()),
            backoff(1000),
            vec![],
        ),
        (S::Starting, exited(true), backoff(1000), vec![]),
        (
            S::Starting,
            I::Refused(bad()),
            S::Stopping(Then::Disable(bad())),
            vec![A::End],
        ),
        (
            S::Stopping(Then::Disable(bad())),
            exited(true),
            disabled(bad()),
            vec![A::TellDisabled],
        ),
        (ready(), exited(true), backoff(1000), vec![]),
        (
            ready(),
            exited(false),
            S::Starting,
            vec![A::Spawn(Why::Crash)],
        ),
        (
            ready(),
            I::Hung("h".into()),
            S::Stopping(Then::Fail("h".into())),
            vec![A::End],
        ),
        (ready(), I::Changed, ready(), vec![A::Validate]),
        (ready(), I::Validated, ready(), vec![]),
        (swap(), exited(true), S::Starting, vec![A::Promote]),
        (
            swap(),
            I::CandidateGone,
            S::Draining(Then::Start(Why::Changed)),
            vec![],
        ),
        (
            swap(),
            I::Changed,
            S::Draining(Then::Start(Why::Changed)),
            vec![A::EndCandidate],
        ),
        (
            swap(),
            I::Shutdown,
            S::Draining(Then::Rest),
            vec![A::Drain, A::EndCandidate],
        ),
        (ready(), I::Off, S::Draining(Then::Rest), vec![A::Drain]),
        (
            S::Draining(Then::Rest),
            I::Start,
            S::Draining(Then::Start(Why::Changed)),
            vec![],
        ),
        (
            S::Draining(Then::Miss),
            I::Start,
            S::Draining(Then::Start(Why::Changed)),
            vec![],
        ),
        (
            disabled(bad()),
            I::Start,
            S::Starting,
            vec![A::Spawn(Why::Changed)],
        ),
        (disabled(bad()), I::Off, S::Stopped, vec![]),
        (
            disabled(Cause::Operator),
            I::Off,
            disabled(Cause::Operator),
            vec![],
        ),
        (
            ready(),
            I::Vanished,
            S::Draining(Then::Miss),
            vec![A::Drain],
        ),
        (S::Draining(Then::Miss), exited(true), S::Missing, vec![]),
        (
            S::Missing,
            I::Start,
            S::Starting,
            vec![A::Spawn(Why::Changed)],
        ),
        (backoff(0), I::Tick, S::Starting, vec![A::Spawn(Why::Crash)]),
        (backoff(5), I::Tick, backoff(5), vec![]),
        (
            backoff(5),
            I::Changed,
            S::Starting,
            vec![A::Spawn(Why::Changed)],
        ),
        (disabled(bad()), I::Tick, disabled(bad()), vec![]),
        (
            disabled(bad()),
            I::Changed,
            S::Starting,
            vec![A::Spawn(Why::Changed)],
        ),
        (
            disabled(Cause::Operator),
            I::Changed,
            disabled(Cause::Operator),
            vec![],
        ),
        (
            disabled(Cause::Operator),
            I::Enable,
            S::Starting,
            vec![A::Spawn(Why::Enabled)],
        ),
        (
            ready(),
            I::Disable,
            S::Draining(Then::Disable(Cause::Operator)),
            vec![A::Drain],
        ),
        (
            ready(),
            I::Shutdown,
            S::Draining(Then::Rest),
            vec![A::Drain],
        ),
        (
            S::Draining(Then::Rest),
            I::Changed,
            S::Draining(Then::Rest),
            vec![],
        ),
        (S::Draining(Then::Rest), exited(true), S::Stopped, vec![]),
        (
            S::Draining(Then::Disable(Cause::Operator)),
            I::Enable,
            S::Draining(Then::Start(Why::Enabled)),
            vec![],
        ),
        (
            S::Draining(Then::Disable(Cause::Operator)),
            I::Changed,
            S::Draining(Then::Disable(Cause::Operator)),
            vec![],
        ),
        (backoff(5), I::Shutdown, S::Stopped, vec![]),
    ] {
        let mut one = life(from.clone());
        let done = one.step(input.clone(), at(0), 0.0);
        assert_eq!((one.state, done), (to, actions), "{from:?} + {input:?}");
    }
}

#[test]
fn eight_failures_are_a_loop_and_a_probe_tries_it_again() {
    let mut life = life(State::Starting);
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..7 {
        life.step(Input::StartFailed("x".into()), at(now), 0.0);
        let until = life.poll_timeout().expect("a backoff").0;
        waits.push(until - now);
        now = until;
        assert_eq!(
            life.step(Input::Tick, at(now), 0.0),
            vec![Action::Spawn(Why::Crash)]
        );
    }
    assert_eq!(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
    let told = life.step(Input::StartFailed("x".into()), at(now), 0.0);
    assert_eq!(told, vec![Action::TellDisabled]);
    let probe = life.poll_timeout().expect("a probe").0;
    assert_eq!(probe - now, 3_600_000);
    assert_eq!(
        life.step(Input::Tick, at(probe), 0.0),
        vec![Action::Spawn(Why::Probe)]
    );
}

#[test]
fn after_good_service_the_first_restart_is_at_once() {
    for (input, then) in [
        (exited(true), None),
        (Input::Hung("h".into()), Some(exited(true))),
    ] {
        let mut life = life(State::Ready { since: Mono(0) });
        let mut done = life.step(input, at(60_000), 0.0);
        if let Some(then) = then {
            done = life.step(then, at(61_000), 0.0);
        }
        assert_eq!(done, vec![Action::Spawn(Why::Crash)]);
        assert_eq!(life.step(exited(true), at(62_000), 0.0), vec![]);
        assert!(matches!(life.state(), State::Backoff { .. }));
    }
}

#[test]
fn a_crash_every_minute_is_a_loop_too() {
    let mut life = life(State::Ready { since: Mono(0) });
    let mut now = 0;
    for _ in 0..7 {
        now += 61_000;
        assert_eq!(
            life.step(exited(true), at(now), 0.0),
            vec![Action::Spawn(Why::Crash)]
        );
        assert_eq!(
            life.step(Input::Ready, at(now), 0.0),
            vec![Action::TellRecovered]
        );
    }
    now += 61_000;
    assert_eq!(
        life.step(exited(true), at(now), 0.0),
        vec![Action::TellDisabled]
    );
}

#[test]
fn a_candidate_is_tried_beside_a_running_process_only() {
    use {Action as A, Candidate as C, Input as I};
    let ready = || life(State::Ready { since: Mono(0) });
    for (before, steps) in [
        // It passes, and takes over.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Validated, vec![A::Drain]),
                (exited(true), vec![A::Promote]),
            ],
        ),
        // Another change: the first one is ended before the next is tried.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Changed, vec![A::EndCandidate]),
                (I::Changed, vec![]),
                (I::Validated, vec![]),
                (I::CandidateGone, vec![A::Validate]),
            ],
        ),
        // Another change while the old one drains.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Validated, vec![A::Drain]),
                (I::Changed, vec![A::EndCandidate]),
                (exited(true), vec![A::Spawn(Why::Changed)]),
                (I::CandidateGone, vec![]),
            ],
        ),
        // The daemon stops while the old one drains.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Validated, vec![A::Drain]),
                (I::Shutdown, vec![A::Drain, A::EndCandidate]),
                (exited(true), vec![]),
            ],
        ),
        // The old one dies during the try: the changed file is started afresh.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (exited(true), vec![A::Spawn(Why::Changed), A::EndCandidate]),
                (I::CandidateGone, vec![]),
            ],
        ),
        // What the old one does wrong during the try is no reason to give up the changed one.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (
                    I::Refused(Cause::OnError {
                        event_id: EventId(7),
                        error: "e".into(),
                    }),
                    vec![A::Drain, A::EndCandidate],
                ),
                (exited(false), vec![A::Spawn(Why::Changed)]),
                (I::CandidateGone, vec![]),
            ],
        ),
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Changed, vec![A::EndCandidate]),
                (I::Hung("h".into()), vec![A::End]),
                (exited(true), vec![A::Spawn(Why::Changed)]),
                (I::CandidateGone, vec![]),
            ],
        ),
        // The changed version fails.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Invalid, vec![A::EndCandidate]),
                (I::CandidateGone, vec![]),
                (I::Changed, vec![A::Validate]),
            ],
        ),
        // It dies by itself.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::CandidateGone, vec![]),
                (I::Changed, vec![A::Validate]),
            ],
        ),
        // It dies when it had passed.
        (
            ready(),
            vec![
                (I::Changed, vec![A::Validate]),
                (I::Validated, vec![A::Drain]),
                (I::CandidateGone, vec![]),
                (exited(true), vec![A::Spawn(Why::Changed)]),
            ],
        ),
    ] {
        let mut life = before;
        for (input, actions) in steps {
            let what = format!("{input:?}");
            assert_eq!(life.step(input, at(1), 0.0), actions, "{what}");
        }
        let runs = matches!(life.state, State::Ready { .. } | State::Starting);
        assert!(runs || life.candidate != C::Trying);
    }
}

#[test]
fn failures_in_a_row_are_a_loop_however_long_each_takes() {
    let mut life = life(State::Starting);
    for failure in 1..=8 {
        // Silent for a minute, then a minute of waiting: never eight within a quarter of an hour.
        let now = at(failure * 150_000);
        life.step(Input::HandshakeFailed("silence".into()), now, 0.0);
        let told = life.step(exited(false), now, 0.0);
        if failure == 8 {
            assert_eq!(told, vec![Action::TellDisabled]);
        } else {
            let until = life.poll_timeout().expect("a backoff");
            life.step(Input::Tick, at(until.0), 0.0);
        }
    }
}
