//! Events for tests.

use bytes::Bytes;

use super::{Anchor, Append, IngestState, NewEvent};
use crate::{
    clock::Unix,
    event,
    ident::{EventId, Timeline},
};

/// An event as the site would give it.
pub(crate) fn new_event(timeline: u32, id: i64) -> NewEvent {
    let row = format!(
        r#"{{"type":"EventLogEntry","id":{id},"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","meta":{{"entity_type":"Task","entity_id":{id}}},"entity":{{"type":"Task","id":{id},"name":"comp"}},"user":{{"type":"HumanUser","id":7,"name":"jo"}},"project":{{"type":"Project","id":3,"name":"ABC"}},"session_uuid":null,"created_at":"2026-07-09T19:33:37Z"}}"#
    );
    let (mut facts, body) = event::parse(Timeline(timeline), &row).expect("a good row");
    facts.created_at = Some(Unix(id * 1000));
    NewEvent { facts, body }
}

/// An event with a body of this size.
pub(crate) fn sized_event(id: i64, bytes: usize) -> NewEvent {
    let mut event = new_event(0, id);
    let mut body = event.body.to_vec();
    let pad = bytes.saturating_sub(body.len() + 9);
    body.pop();
    body.extend_from_slice(format!(r#","pad":"{}"}}"#, "x".repeat(pad)).as_bytes());
    event.body = Bytes::from(body);
    event
}

/// An answer that moves the head from one id to the next and brings these events.
pub(crate) fn answer(from: Option<i64>, to: i64, events: Vec<NewEvent>) -> Append {
    Append {
        expected_head: from.map(EventId),
        events,
        ingest: IngestState {
            head: Some(Anchor {
                event_id: EventId(to),
                event_type: "Shotgun_Task_Change".into(),
                created_at: Some(Unix(to * 1000)),
            }),
            ..IngestState::default()
        },
    }
}
