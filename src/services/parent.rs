//! Which event a call belongs to: from it come `session_uuid`, permission and log context, call by call.
//!
//! In: `_meta.parent`, the open events. Out: one of them, "outside", or why that cannot be said. Pure.

use std::sync::Arc;

use serde_json::{json, value::RawValue};
use sgeventd_protocol::{ErrorCode, FIRST_REQUEST_ID};

use super::error::RpcError;
use crate::ident::EventId;

/// An event that the plugin has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEvent {
    /// The id of the `event` request.
    pub request_id: u64,
    /// The site's id of the event.
    pub event_id: EventId,
    /// The event's session.
    pub session_uuid: Option<Box<str>>,
}

/// How far the plugin's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before `start` was written.
    Handshake,
    /// `start` is not answered.
    Starting,
    /// Ready for events.
    Running,
    /// `shutdown` was written.
    ShuttingDown,
}

/// The moment at which a call arrived.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// How far the process is.
    pub phase: Phase,
    /// The events that are open.
    pub open: Arc<[OpenEvent]>,
    /// The highest id of a request that the daemon has made in this process generation.
    pub last_request_id: u64,
}

impl CallContext {
    /// A call outside of every event.
    #[must_use]
    pub fn outside(phase: Phase) -> Self {
        Self {
            phase,
            open: Arc::new([]),
            last_request_id: FIRST_REQUEST_ID - 1,
        }
    }
}

/// Finds the event that a call belongs to; none when it is outside.
pub(super) fn resolve<'a>(
    context: &'a CallContext,
    named: Option<&RawValue>,
) -> Result<Option<&'a OpenEvent>, RpcError> {
    let Some(named) = named else {
        return match &*context.open {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            several => Err(ambiguous(several)),
        };
    };
    let id = serde_json::from_str::<u64>(named.get()).ok();
    let open = id.and_then(|id| context.open.iter().find(|event| event.request_id == id));
    let was_ours = id.is_some_and(|id| (FIRST_REQUEST_ID..=context.last_request_id).contains(&id));
    match (open, was_ours) {
        (Some(event), _) => Ok(Some(event)),
        // Its event is answered: the call goes on outside.
        (None, true) => Ok(None),
        (None, false) => Err(unknown(named, context)),
    }
}

fn ids(open: &[OpenEvent]) -> Vec<u64> {
    open.iter().map(|event| event.request_id).collect()
}

fn ambiguous(open: &[OpenEvent]) -> RpcError {
    let message = format!(
        "{} events are open; `_meta.parent` must name the request id of one",
        open.len()
    );
    RpcError::new(ErrorCode::Parent, message, &json!({ "open": ids(open) }))
}

fn unknown(named: &RawValue, context: &CallContext) -> RpcError {
    let shown: String = named.get().chars().take(40).collect();
    let message = format!("`_meta.parent` is {shown}, which is no request of this daemon");
    let data = json!({ "parent": shown, "open": ids(&context.open) });
    RpcError::new(ErrorCode::Parent, message, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_named_or_the_only_one() {
        let context = |ids: &[u64]| CallContext {
            phase: Phase::Running,
            open: ids
                .iter()
                .map(|&request_id| OpenEvent {
                    request_id,
                    event_id: EventId(1),
                    session_uuid: None,
                })
                .collect(),
            last_request_id: 1_000_009,
        };
        for (open, named, expected) in [
            (&[][..], None, Ok(None)),
            (&[1_000_005], None, Ok(Some(1_000_005))),
            (&[1_000_005, 1_000_006], None, Err(())),
            (
                &[1_000_005, 1_000_006],
                Some("1000006"),
                Ok(Some(1_000_006)),
            ),
            (&[1_000_005], Some("1000004"), Ok(None)),
            (&[1_000_005], Some("1000010"), Err(())),
            (&[1_000_005], Some("7"), Err(())),
            (&[1_000_005], Some("\"1000005\""), Err(())),
        ] {
            let context = context(open);
            let raw = named.map(|text| RawValue::from_string(text.to_owned()).unwrap());
            let found = resolve(&context, raw.as_deref());
            let found = found.map(|event| event.map(|event| event.request_id));
            assert_eq!(
                found.map_err(|e| assert_eq!(e.code, ErrorCode::Parent)),
                expected,
                "{open:?} {named:?}"
            );
        }
    }
}
