//! Every method of the protocol: who sends it, when, with what.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};

use super::calls::{
    Batch, BatchResult, ById, Create, Download, Find, FindOne, Found, Key, KeyAndValue, Matches,
    Picture, Row, Rpc, Schema as SchemaParams, SchemaField, ShareThumbnail, Summarize, TextSearch,
    Update, Upload,
};
use super::event::{Answer, Empty, Event};
use super::queries::Summaries;
use crate::calls::{Touches, touches};
use crate::message::{
    Alert, Cancel, Initialize, Initialized, Log, Pause, Progress, Start, Started, Unhealthy,
};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Daemon,
    Plugin,
    Both,
}

/// Whether an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Request,
    Notification,
}

/// When it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    /// First of all.
    First,
    /// After the result of `initialize`.
    Initialized,
    /// After the result of `start`.
    Started,
    /// At any time.
    Always,
    /// While the request that it names is open.
    Open,
}

/// Makes a schema.
pub(super) type Make = fn(&mut SchemaGenerator) -> Schema;

/// A method.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) when: When,
    /// A name in `features`; none: part of version 1.
    pub(super) feature: Option<&'static str>,
    pub(super) params: Make,
    pub(super) result: Option<Make>,
    pub(super) summary: &'static str,
}

/// The schema of a type.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn call(name: &'static str, params: Make, result: Make, summary: &'static str) -> Method {
    let when = match touches(name) {
        Some(Touches::Site | Touches::Raw) => When::Initialized,
        _ => When::Started,
    };
    Method {
        side: Side::Plugin,
        ..ask(name, when, params, result, summary)
    }
}

fn tell(name: &'static str, when: When, params: Make, summary: &'static str) -> Method {
    Method {
        name,
        side: Side::Plugin,
        kind: Kind::Notification,
        when,
        feature: None,
        params,
        result: None,
        summary,
    }
}

fn ask(
    name: &'static str,
    when: When,
    params: Make,
    result: Make,
    summary: &'static str,
) -> Method {
    Method {
        name,
        side: Side::Daemon,
        kind: Kind::Request,
        when,
        feature: None,
        params,
        result: Some(result),
        summary,
    }
}

/// All of them, in the order of the manual.
pub(super) fn all() -> Vec<Method> {
    let parts = [
        of_daemon(),
        about_requests(),
        rows(),
        files_and_raw(),
        state(),
        notices(),
    ];
    parts.into_iter().flatten().collect()
}

/// What the daemon asks a plugin.
fn of_daemon() -> Vec<Method> {
    vec![
        ask(
            "initialize",
            When::First,
            of::<Initialize>,
            of::<Initialized>,
            "Who are you, and what do you want? It changes nothing.",
        ),
        ask(
            "start",
            When::Initialized,
            of::<Start>,
            of::<Started>,
            "From your answer on, events come.",
        ),
        ask(
            "event",
            When::Started,
            of::<Event>,
            of::<Answer>,
            "An event. The response is the acknowledgement.",
        ),
        ask(
            "shutdown",
            When::Initialized,
            of::<Empty>,
            of::<Empty>,
            "Finish, answer, and exit.",
        ),
    ]
}

/// What either side says about a request that is open.
fn about_requests() -> Vec<Method> {
    vec![
        Method {
            feature: Some("cancel"),
            side: Side::Both,
            ..tell(
                "$/cancel",
                When::Open,
                of::<Cancel>,
                "The sender does not wait for this request any more; it is answered all the same.",
            )
        },
        Method {
            feature: Some("progress"),
            ..tell(
                "$/progress",
                When::Open,
                of::<Progress>,
                "How far an event is; may move its deadline.",
            )
        },
    ]
}

/// Calls about rows of the site and its schema.
fn rows() -> Vec<Method> {
    vec![
        call(
            "sg.find",
            of::<Find>,
            of::<Vec<Row>>,
            "All rows that match, up to `limit`.",
        ),
        call(
            "sg.find_one",
            of::<FindOne>,
            of::<Option<Row>>,
            "The first row that matches, or null.",
        ),
        call("sg.create", of::<Create>, of::<Row>, "A new row."),
        call("sg.update", of::<Update>, of::<Row>, "Changes a row."),
        call(
            "sg.delete",
            of::<ById>,
            of::<bool>,
            "Retires a row; false when it was retired already.",
        ),
        call(
            "sg.revive",
            of::<ById>,
            of::<bool>,
            "Brings a row back; false when it was there.",
        ),
        call(
            "sg.batch",
            of::<Batch>,
            of::<Vec<BatchResult>>,
            "Several writes, all or nothing.",
        ),
        call(
            "sg.summarize",
            of::<Summarize>,
            of::<Summaries>,
            "Counts, sums and the like, also by group.",
        ),
        call(
            "sg.schema_read",
            of::<SchemaParams>,
            of::<Map<String, Value>>,
            "Fields of all types.",
        ),
        call(
            "sg.schema_entity_read",
            of::<SchemaParams>,
            of::<Map<String, Value>>,
            "All types.",
        ),
        call(
            "sg.schema_field_read",
            of::<SchemaField>,
            of::<Map<String, Value>>,
            "Fields of one type.",
        ),
        call(
            "sg.text_search",
            of::<TextSearch>,
            of::<Matches>,
            "Rows by a text.",
        ),
    ]
}

/// Calls with files, and of the site's own API.
fn files_and_raw() -> Vec<Method> {
    vec![
        call(
            "sg.upload",
            of::<Upload>,
            of::<i64>,
            "A file to the site; the attachment's id.",
        ),
        call(
            "sg.upload_thumbnail",
            of::<Picture>,
            of::<i64>,
            "A picture as a thumbnail.",
        ),
        call(
            "sg.upload_filmstrip_thumbnail",
            of::<Picture>,
            of::<i64>,
            "A picture as a filmstrip.",
        ),
        call(
            "sg.share_thumbnail",
            of::<ShareThumbnail>,
            of::<Option<i64>>,
            "One thumbnail for several rows.",
        ),
        call(
            "sg.download",
            of::<Download>,
            of::<String>,
            "A file from the site to a path.",
        ),
        call(
            "sg.rpc",
            of::<Rpc>,
            of::<Value>,
            "One call of the site's own API.",
        ),
    ]
}

/// What the daemon keeps for a plugin.
fn state() -> Vec<Method> {
    vec![
        call(
            "state.get",
            of::<Key>,
            of::<Found>,
            "A value that outlives the process.",
        ),
        call(
            "state.set",
            of::<KeyAndValue>,
            of::<Empty>,
            "Keeps a value; answered when it is on disk.",
        ),
        call(
            "state.delete",
            of::<Key>,
            of::<Empty>,
            "Forgets a key; one that is not there is no error.",
        ),
    ]
}

/// What a plugin tells.
fn notices() -> Vec<Method> {
    vec![
        tell(
            "log",
            When::Always,
            of::<Log>,
            "A line for the plugin's log.",
        ),
        tell(
            "alert",
            When::Always,
            of::<Alert>,
            "Tells the people who look after the plugin.",
        ),
        tell(
            "pause",
            When::Started,
            of::<Pause>,
            "No new events for a while, please.",
        ),
        tell(
            "unhealthy",
            When::Started,
            of::<Unhealthy>,
            "It cannot work now: the plugin is disabled, and tried again every hour.",
        ),
    ]
}
