//! The table of a process's life, and its times.

use super::*;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono(ms),
        unix: Unix(i64::try_from(ms).expect("small")),
    }
}

fn life(state: State) -> Life {
    Life {
        state,
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
        (S::Stopped, I::Start, S::Starting, vec![A::Spawn(Why::Boot)]),
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
        (ready(), I::Validated, swap(), vec![A::Drain]),
        (swap(), exited(true), S::Starting, vec![A::Promote]),
        (
            swap(),
            I::Invalid,
            S::Draining(Then::Start(Why::Changed)),
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
        (
            swap(),
            I::Changed,
            S::Draining(Then::Start(Why::Changed)),
            vec![A::Discard],
        ),
        (ready(), I::Off, S::Draining(Then::Rest), vec![A::Drain]),
        (
            S::Draining(Then::Rest),
            I::Start,
            S::Draining(Then::Start(Why::Enabled)),
            vec![],
        ),
        (disabled(bad()), I::Off, S::Stopped, vec![]),
        (
            disabled(Cause::Operator),
            I::Off,
            disabled(Cause::Operator),
            vec![],
        ),
        (S::Draining(Then::Rest), exited(true), S::Stopped, vec![]),
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
    let mut life = life(State::Ready { since: Mono(0) });
    assert_eq!(
        life.step(exited(true), at(60_000), 0.0),
        vec![Action::Spawn(Why::Crash)]
    );
}
