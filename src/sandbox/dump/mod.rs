//! Dumps: a whole site as lines of JSON, and back.
//!
//! In: a site. Out: its lines; of the same lines the same site: schema with its changes, rows retired or not, the log in the order of
//! becoming readable, what is kept beside them, passwords, sessions, files.
//! Never: what is under way only: uploads that were begun, ordered trouble, programs that wait for somebody to sign in.
//!
//! The first line is `{"site": {"version": 1, …}}`, the last one `{"end": {"lines": n}}`; each line is an object with one key, which
//! says what it is. Types come before rows. A reader of version 1 refuses what it does not know.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

pub use read::LoadError;
pub(super) use read::{missing, read};
pub(super) use write::write;

use super::{cell::Link, schema::RawType};

/// Of this form.
const VERSION: u32 = 1;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Site(Head),
    Statuses(BTreeMap<String, String>),
    Type(TypeLine),
    Row(RowLine),
    Ids(IdsLine),
    Event(Box<EventLine>),
    Follow(FollowLine),
    Seen(SeenLine),
    Accessed(AccessedLine),
    Day(DayLine),
    Plan(PlanLine),
    Secret(SecretLine),
    SecondFactor(SecondLine),
    Session(SessionLine),
    File(FileLine),
    End(EndLine),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// That of the program.
    program: String,
    /// The id that the next event gets.
    next_event: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeLine {
    r#type: String,
    def: RawType,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowLine {
    r#type: String,
    id: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retired: bool,
    fields: Map<String, Value>,
}

/// The highest id that a type ever gave away: ids of work that was undone are not given again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdsLine {
    r#type: String,
    last: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    id: i64,
    event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attribute_name: Option<String>,
    meta: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entity: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Ref>,
    /// Seconds since 1970.
    created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_uuid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Milliseconds since 1970; before that it is not readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readable_at: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FollowLine {
    person: i64,
    entity: Ref,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenLine {
    by: Ref,
    entity: Ref,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessedLine {
    by: Ref,
    project: i64,
    /// Seconds since 1970.
    at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayLine {
    date: String,
    working: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Neither of the two: the whole studio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanLine {
    person: i64,
    plan: String,
}

/// A password of a person or the key of a script.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretLine {
    of: Ref,
    secret: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondLine {
    login: String,
    code: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionLine {
    token: String,
    of: Ref,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLine {
    attachment: i64,
    name: String,
    content_type: String,
    /// Milliseconds since 1970.
    ready_at: i64,
    base64: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    lines: usize,
}

/// A link.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ref {
    r#type: String,
    id: i64,
}

impl From<Link> for Ref {
    fn from(link: Link) -> Self {
        Self {
            r#type: link.kind.to_owned(),
            id: link.id,
        }
    }
}

#[cfg(test)]
mod tests;
