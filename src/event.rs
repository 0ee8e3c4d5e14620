//! One row of the site's event log: what filters need, parsed once, and the row itself as the site's own text.
//!
//! In: a row of a `read` answer. Out: [`Facts`] and the body without newlines.
//! Never: a re-serialised row, a failure because a field has an unexpected type (the field is then absent).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    clock::Unix,
    ident::{EventId, Seq, Timeline},
};

/// The fields that are asked of the site for every event.
pub const FIELDS: [&str; 9] = [
    "id",
    "event_type",
    "attribute_name",
    "meta",
    "entity",
    "user",
    "project",
    "session_uuid",
    "created_at",
];

/// An event of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its position in our journal.
    pub seq: Seq,
    /// What filters need.
    pub facts: Arc<Facts>,
    /// The row itself, where it was read.
    pub body: Body,
}

/// The row as the site's own JSON text, one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Read and here.
    Here(Bytes),
    /// On disk, not read: the reader asked for facts only.
    Unread,
    /// Pruned; the site may still have it.
    Dropped,
}

/// A link to another row of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The schema name, such as `Shot`.
    pub kind: Box<str>,
    /// The site's id of it.
    pub id: i64,
    /// The display name, when the site gave one.
    pub name: Option<Box<str>>,
}

/// What filters and screens need to know of an event without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which life of the site's ids it belongs to.
    pub timeline: Timeline,
    /// The site's id.
    pub event_id: EventId,
    /// When the site wrote it; none when the row does not say so.
    pub created_at: Option<Unix>,
    /// Such as `Shotgun_Task_Change`; empty when the row has none.
    pub event_type: Box<str>,
    /// The changed field, for changes.
    pub attribute_name: Option<Box<str>>,
    /// The browser session or caller that caused it.
    pub session_uuid: Option<Box<str>>,
    /// The project, none for site-level rows.
    pub project: Option<Link>,
    /// The entity as the site showed it: none when it was deleted since.
    pub entity: Option<Link>,
    /// Who did it.
    pub user: Option<Link>,
    /// `meta.entity_type` and `meta.entity_id`, unless `meta.actual_attribute_changed` says that they describe another.
    pub subject: Option<Link>,
    /// `meta.sudo_actual_user`: who really did it, under sudo.
    pub sudo_user: Option<Link>,
    /// True when the row could only be read with fewer fields.
    pub is_partial: bool,
}

impl Facts {
    /// The entity, or the subject that `meta` names when the entity was deleted since.
    #[must_use]
    pub fn entity_or_subject(&self) -> Option<&Link> {
        self.entity.as_ref().or(self.subject.as_ref())
    }
}

/// Why a row of an answer cannot be an event.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadRow {
    /// It is not a JSON object.
    #[error("the row is not a JSON object")]
    NotAnObject,
    /// It has no `id`, or one that is no integer.
    #[error("the row has no integer `id`")]
    NoId,
}

#[derive(Deserialize)]
struct WireRow<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    attribute_name: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    entity: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    project: Option<&'a RawValue>,
    #[serde(borrow)]
    session_uuid: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireLink<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: i64,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireMeta<'a> {
    #[serde(borrow, default)]
    entity_type: Option<&'a RawValue>,
    #[serde(default, borrow)]
    entity_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    actual_attribute_changed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sudo_actual_user: Option<&'a RawValue>,
}

/// Reads one row of a `read` answer.
///
/// # Errors
/// When it is no object or has no integer id; any other oddity leaves the field absent.
pub fn parse(timeline: Timeline, row: &str) -> Result<(Facts, Bytes), BadRow> {
    let wire: WireRow<'_> = serde_json::from_str(row).map_err(|_| BadRow::NotAnObject)?;
    let id = wire
        .id
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .ok_or(BadRow::NoId)?;
    let meta = wire.meta.and_then(read_meta);
    let (subject, sudo_user) = meta.unwrap_or_default();
    let facts = Facts {
        timeline,
        event_id: EventId(id),
        created_at: text(wire.created_at).and_then(|text| read_time(&text)),
        event_type: text(wire.event_type).unwrap_or_default(),
        attribute_name: text(wire.attribute_name),
        session_uuid: text(wire.session_uuid),
        project: link(wire.project),
        entity: link(wire.entity),
        user: link(wire.user),
        subject,
        sudo_user,
        is_partial: false,
    };
    Ok((facts, one_line(row)))
}

/// The text without newlines between tokens: as it is when it holds none, else compacted.
#[must_use]
pub fn one_line(json: &str) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none() {
        return Bytes::copy_from_slice(json.as_bytes());
    }
    // A raw newline is legal only between tokens, so inside valid JSON it can simply go.
    Bytes::from(
        json.bytes()
            .filter(|byte| !matches!(byte, b'\n' | b'\r'))
            .collect::<Vec<u8>>(),
    )
}

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, fractions and offsets allowed.
#[must_use]
pub fn read_time(text: &str) -> Option<Unix> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(|at| Unix(at.as_millisecond()))
}

fn text(raw: Option<&RawValue>) -> Option<Box<str>> {
    serde_json::from_str::<Option<Box<str>>>(raw?.get()).ok()?
}

fn link(raw: Option<&RawValue>) -> Option<Link> {
    let wire: WireLink<'_> = serde_json::from_str(raw?.get()).ok()?;
    Some(Link {
        kind: wire.kind.into(),
        id: wire.id,
        name: text(wire.name),
    })
}

/// The subject and the real user of a `meta`; a `meta` that arrived as a JSON string is read through.
fn read_meta(raw: &RawValue) -> Option<(Option<Link>, Option<Link>)> {
    let unpacked = text(Some(raw));
    let meta: WireMeta<'_> = serde_json::from_str(unpacked.as_deref().unwrap_or(raw.get())).ok()?;
    let is_other = meta
        .actual_attribute_changed
        .is_some_and(|raw| raw.get() != "null");
    let id = meta
        .entity_id
        .and_then(|raw| serde_json::from_str::<i64>(raw.get()).ok());
    let subject = match (text(meta.entity_type), id) {
        (Some(kind), Some(id)) if !is_other => Some(Link {
            kind,
            id,
            name: None,
        }),
        _ => None,
    };
    Some((subject, link(meta.sudo_actual_user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"type":"EventLogEntry","id":7,"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list",
        "meta":{"type":"attribute_change","entity_type":"Task","entity_id":3,"sudo_actual_user":{"type":"ApiUser","id":9}},
        "entity":null,"user":{"type":"HumanUser","id":1,"name":"A\nB"},"project":"odd","created_at":"2026-07-09T19:33:37Z"}"#;

    #[test]
    fn a_row_gives_its_facts_and_one_line() {
        let (facts, body) = parse(Timeline(0), ROW).expect("a row");
        assert_eq!(
            (facts.event_id, &*facts.event_type),
            (EventId(7), "Shotgun_Task_Change")
        );
        assert_eq!(facts.created_at, Some(Unix(1_783_625_617_000)));
        assert_eq!(facts.entity_or_subject().map(|l| l.id), Some(3));
        assert_eq!(facts.sudo_user.as_ref().map(|l| l.id), Some(9));
        assert_eq!(facts.project, None);
        assert!(!body.contains(&b'\n'));
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }

    #[test]
    fn a_back_reference_has_no_subject() {
        let row = r#"{"id":1,"meta":{"entity_type":"Task","entity_id":3,"actual_attribute_changed":"Task.entity"}}"#;
        assert_eq!(parse(Timeline(0), row).expect("a row").0.subject, None);
    }

    #[test]
    fn what_is_no_event_says_why() {
        assert_eq!(parse(Timeline(0), "[1]").unwrap_err(), BadRow::NotAnObject);
        for row in [r#"{"id":null}"#, r#"{"id":"7"}"#, r#"{}"#] {
            assert_eq!(parse(Timeline(0), row).unwrap_err(), BadRow::NoId, "{row}");
        }
    }
}
