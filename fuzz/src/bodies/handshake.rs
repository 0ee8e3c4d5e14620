//! The handshake: whatever a plugin says, it is ready only when it answered both requests as it must, and what is wrong is bounded.

use serde_json::value::RawValue;
use sgeventd_protocol::{
    Item, RpcError, Side, handshake,
    pending::{Answered, Pending},
};

use super::{lines, manifest};

/// What the daemon has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Initialize,
    Start,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Waits(Asked),
    Ready,
    Disabled,
    Refused,
}

/// The first byte says in which pieces the rest arrives: all that a plugin writes.
///
/// # Panics
/// When something does not hold.
pub fn try_out(data: &[u8]) {
    let Some((pieces, stream)) = data.split_first() else {
        return;
    };
    let items = lines::read(Side::Daemon, stream, usize::from(*pieces) + 1, true);
    let mut pending = Pending::default();
    let first = pending.ask(Asked::Initialize);
    let mut end = End::Waits(Asked::Initialize);
    let (mut answers, mut second) = (0, None);
    for item in items {
        let Item::Response { id, outcome } = item else {
            continue;
        };
        match pending.answer(id) {
            Answered::Open(Asked::Initialize) => {
                assert_eq!((id, &end), (first, &End::Waits(Asked::Initialize)));
                answers += 1;
                end = initialized(outcome);
                if end == End::Waits(Asked::Start) {
                    second = Some(pending.ask(Asked::Start));
                }
            }
            Answered::Open(Asked::Start) => {
                assert_eq!((Some(id), &end), (second, &End::Waits(Asked::Start)));
                answers += 1;
                end = started(outcome);
            }
            Answered::Again => assert!(id == first || Some(id) == second),
            Answered::Unknown => assert!(id != first && Some(id) != second),
        }
    }
    let needs = match end {
        End::Waits(Asked::Initialize) => 0..=0,
        End::Waits(Asked::Start) => 1..=1,
        End::Ready | End::Disabled => 2..=2,
        End::Refused => 1..=2,
    };
    assert!(needs.contains(&answers), "{end:?} after {answers} answers");
}

fn initialized(outcome: Result<Box<RawValue>, RpcError>) -> End {
    let shown = format!("{outcome:?}");
    match handshake::initialized(outcome) {
        Ok((read, raw)) => {
            manifest::sound(&read);
            let again = format!("{{\"protocol\":1,\"manifest\":{raw}}}");
            let again = RawValue::from_string(again).expect("an object around JSON");
            let (again, _) = handshake::initialized(Ok(again)).expect("it was read before");
            assert_eq!(format!("{read:?}"), format!("{again:?}"));
            End::Waits(Asked::Start)
        }
        Err(told) => {
            assert!(
                told.len() <= manifest::TOLD_MAX,
                "{} bytes of {shown:.80}",
                told.len()
            );
            End::Refused
        }
    }
}

fn started(outcome: Result<Box<RawValue>, RpcError>) -> End {
    let is_error = outcome.is_err();
    match handshake::started(outcome) {
        Ok(None) => {
            assert!(!is_error);
            End::Ready
        }
        Ok(Some(_)) => End::Disabled,
        Err(told) => {
            assert!(told.len() <= manifest::TOLD_MAX, "{} bytes", told.len());
            End::Refused
        }
    }
}
