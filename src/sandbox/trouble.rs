//! Trouble on demand: every way in which the site can misbehave, and what it does to an answer.
//!
//! In: orders (from `ctl`), a call's method, the right answer. Out: the wrong one.
//! Never: a change of the store; what is wrong is only how it is told.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::schema::EVENT_LOG;

/// Size of the row that is too big.
const HUGE: usize = 5 << 20;

/// What may go wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Status 500.
    Http500,
    /// Status 502.
    Http502,
    /// Status 503, with `Retry-After` when asked for.
    Http503,
    /// Status 429, with `Retry-After` when asked for.
    Http429,
    /// A page for people, with status 200.
    Html,
    /// The first half of the right answer.
    Truncated,
    /// A fault, with status 200.
    Fault,
    /// The connection is reset.
    Reset,
    /// No answer, until cleared.
    Hang,
    /// The head of an answer, then a byte a second.
    Drip,
    /// An answer whose headers never end.
    EndlessHead,
    /// An answer with more bytes than it announces.
    ShortLength,
    /// An answer that ends before what it announces.
    LongLength,
    /// A few MB that unpack to 2 GiB.
    Bomb,
    /// A page of 2 GiB, of an unknown length.
    HugePage,
    /// A page of 2 GiB that says so.
    HugeLength,
    /// A page of the log without rows.
    EmptyPage,
    /// A row of the log without its id.
    NoId,
    /// A row of the log that is null.
    NullRow,
    /// A row of the log whose entity is null.
    NullEntity,
    /// A row of the log of 5 MB.
    HugeRow,
    /// A row of the log that stands in its page twice.
    Twice,
    /// The rows of a page in no order.
    Shuffled,
    /// A row of the log whose text is another one than when it was read before.
    Edited,
    /// A row of the log over several lines, with a line separator (U+2028) in a text.
    OddRow,
}

impl Kind {
    fn is_about_rows(self) -> bool {
        matches!(
            self,
            Self::EmptyPage
                | Self::NoId
                | Self::NullRow
                | Self::NullEntity
                | Self::HugeRow
                | Self::Twice
                | Self::Shuffled
                | Self::Edited
                | Self::OddRow
        )
    }
}

/// An order for trouble.
#[derive(Debug, Clone)]
pub(super) struct Armed {
    /// What goes wrong.
    pub(super) kind: Kind,
    /// How many more calls; nothing: until cleared.
    pub(super) calls: Option<u32>,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
    /// Only calls of this method.
    pub(super) method: Option<String>,
    /// Only this row; the last of the page otherwise.
    pub(super) id: Option<i64>,
}

/// All that is ordered.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Rows that make every page fail which has them, when a field is asked for; without one, unless only ids are.
    pub(super) poison: BTreeMap<i64, Option<String>>,
    /// Before every answer.
    pub(super) latency: Duration,
    armed: Vec<Armed>,
    lag: Option<(usize, u32)>,
}

/// What the caller gets.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer.
    Answer(Answer),
    /// The connection is reset.
    Reset,
    /// Nothing, until trouble is cleared.
    Hang,
    /// Bytes that no server should send.
    Raw(Kind),
}

/// An answer of HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The type of the body.
    pub(super) content_type: &'static str,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// JSON, as it should be.
    pub(super) fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json; charset=utf-8",
            retry_after: None,
            body,
        }
    }

    fn error(status: u16, retry_after: Option<u32>) -> Self {
        Self {
            status,
            content_type: "text/html",
            retry_after,
            body: format!("<html><body><h1>{status}</h1>trouble on demand</body></html>"),
        }
    }
}

impl Troubles {
    /// Orders trouble.
    pub(super) fn arm(&mut self, armed: Armed) {
        self.armed.push(armed);
    }

    /// The next polls of the log do not see the newest rows.
    pub(super) fn lag(&mut self, rows: usize, polls: u32) {
        self.lag = Some((rows, polls));
    }

    /// Everything works again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many orders for trouble still wait for a call or a clear.
    pub(super) fn count(&self) -> usize {
        self.armed.len() + self.poison.len() + usize::from(self.lag.is_some())
    }

    /// How many of the newest rows a poll of the log does not see.
    pub(super) fn hidden_rows(&mut self) -> usize {
        let Some((rows, polls)) = self.lag.take() else {
            return 0;
        };
        if polls > 1 {
            self.lag = Some((rows, polls - 1));
        }
        if polls == 0 { 0 } else { rows }
    }

    /// What happens instead of the call, if anything.
    pub(super) fn instead(&mut self, method: &str) -> Option<Outcome> {
        let armed = self.take(method, |kind| {
            !kind.is_about_rows() && kind != Kind::Truncated
        })?;
        let after = armed.retry_after;
        Some(match armed.kind {
            Kind::Reset => Outcome::Reset,
            Kind::Hang => Outcome::Hang,
            Kind::Drip
            | Kind::EndlessHead
            | Kind::ShortLength
            | Kind::LongLength
            | Kind::Bomb
            | Kind::HugePage
            | Kind::HugeLength => Outcome::Raw(armed.kind),
            Kind::Http502 => Outcome::Answer(Answer::error(502, after)),
            Kind::Http503 => Outcome::Answer(Answer::error(503, after)),
            Kind::Http429 => Outcome::Answer(Answer::error(429, after)),
            Kind::Html => Outcome::Answer(Answer {
                status: 200,
                ..Answer::error(200, None)
            }),
            Kind::Fault => {
                let body = json!({"exception": true, "error_code": 104, "message": "API trouble on demand"});
                Outcome::Answer(Answer::json(body.to_string()))
            }
            _ => Outcome::Answer(Answer::error(500, after)),
        })
    }

    /// What becomes of the right answer.
    pub(super) fn spoil(&mut self, method: &str, payload: &Value, body: String) -> Answer {
        let mut body = body;
        if method == "read" && payload["type"] == EVENT_LOG {
            if self.is_poisoned(payload, &body) {
                return Answer::error(500, None);
            }
            body = self.spoil_rows(body);
        }
        if self.take(method, |kind| kind == Kind::Truncated).is_some() {
            let half = body.floor_char_boundary(body.len() / 2);
            body.truncate(half);
        }
        Answer::json(body)
    }

    fn is_poisoned(&self, payload: &Value, body: &str) -> bool {
        let fields = &payload["return_fields"];
        if self.poison.is_empty() || *fields == json!(["id"]) {
            return false;
        }
        let is_asked = |field: &Option<String>| {
            let asked = |name: &String| {
                fields
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == name))
            };
            field.as_ref().is_none_or(asked)
        };
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let rows = body["results"]["entities"].as_array();
        rows.is_some_and(|rows| {
            let mut ids = rows.iter().filter_map(|row| row["id"].as_i64());
            ids.any(|id| self.poison.get(&id).is_some_and(is_asked))
        })
    }

    fn spoil_rows(&mut self, body: String) -> String {
        if !self.armed.iter().any(|armed| armed.kind.is_about_rows()) {
            return body;
        }
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(rows) = answer["results"]["entities"].as_array_mut() else {
            return body;
        };
        let wanted = |armed: &Armed| {
            let id = armed.id;
            id.is_none() || rows.iter().any(|row| row["id"].as_i64() == id)
        };
        let fits: Vec<bool> = self.armed.iter().map(wanted).collect();
        if rows.is_empty() || !fits.contains(&true) {
            return body;
        }
        let index = self
            .armed
            .iter()
            .zip(&fits)
            .position(|(armed, fits)| *fits && armed.kind.is_about_rows());
        let Some(armed) = index.map(|index| self.use_up(index)) else {
            return body;
        };
        if armed.kind == Kind::EmptyPage {
            rows.clear();
            return answer.to_string();
        }
        if armed.kind == Kind::Shuffled {
            // The upper half first, and the lower one upwards behind it: sorted neither way.
            rows.reverse();
            let half = rows.len() / 2;
            rows[half..].reverse();
            return answer.to_string();
        }
        let last = rows.len() - 1;
        let at = rows.iter().position(|row| row["id"].as_i64() == armed.id);
        let row = &mut rows[at.unwrap_or(last)];
        if armed.kind == Kind::Twice {
            let again = row.clone();
            rows.insert(0, again);
            return answer.to_string();
        }
        spoil_row(armed.kind, row);
        if armed.kind == Kind::OddRow {
            return serde_json::to_string_pretty(&answer).unwrap_or(body);
        }
        answer.to_string()
    }

    fn take(&mut self, method: &str, wanted: impl Fn(Kind) -> bool) -> Option<Armed> {
        let index = self.armed.iter().position(|armed| {
            let named = armed.method.as_deref().is_none_or(|name| name == method);
            named && wanted(armed.kind)
        })?;
        Some(self.use_up(index))
    }

    fn use_up(&mut self, index: usize) -> Armed {
        let armed = &mut self.armed[index];
        let taken = armed.clone();
        if let Some(calls) = &mut armed.calls {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                self.armed.remove(index);
            }
        }
        taken
    }
}

fn spoil_row(kind: Kind, row: &mut Value) {
    let Value::Object(fields) = row else { return };
    match kind {
        Kind::NoId => {
            let _id = fields.remove("id");
        }
        Kind::NullRow => *row = Value::Null,
        Kind::NullEntity => {
            fields.insert("entity".into(), Value::Null);
        }
        Kind::HugeRow => {
            let meta = json!({"type": "attribute_change", "new_value": "x".repeat(HUGE)});
            fields.insert("meta".into(), meta);
        }
        Kind::Edited => {
            let meta = json!({"type": "attribute_change", "new_value": "edited"});
            fields.insert("meta".into(), meta);
            fields.insert("attribute_name".into(), "edited".into());
        }
        _ => {
            let meta = json!({"type": "attribute_change", "new_value": "one\u{2028}two\nthree"});
            fields.insert("meta".into(), meta);
        }
    }
}
