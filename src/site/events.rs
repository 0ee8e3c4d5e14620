//! What ingest asks of the event log: rows by spans of ids, and how many there are.
//!
//! In: spans, fields, an order. Out: rows as slices of one body, in the site's order; a count.
//! Never: a second page, a parsed row, an opinion about gaps.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    error::SiteError,
    session::{Call, Reply, Session},
};
use crate::{
    clock::Unix,
    event::FIELDS,
    ident::{EventId, PluginName},
};

/// The type of the rows.
const LOG: &str = "EventLogEntry";

/// Which rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Every id above this one.
    Above(EventId),
    /// Both ends included.
    Within(EventId, EventId),
    /// Written at this second or later, by the site's clock.
    Since(Unix),
}

/// From which end the page is taken, and in which order it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The lowest ids first.
    #[default]
    OldestFirst,
    /// The highest ids first.
    NewestFirst,
}

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// One try at once: ingest has its own pace.
    Once,
    /// Like a plugin's call: in turns, waiting for the site, repeated.
    Patient,
}

/// One question about the event log: rows in any of the spans; every row when there is none.
#[derive(Debug, Clone, Copy)]
pub struct EventQuery<'a> {
    /// Joined by "or".
    pub spans: &'a [Span],
    /// Rows of the one page that is asked for.
    pub limit: u32,
    /// Which fields.
    pub fields: &'a [&'a str],
    /// Which end.
    pub order: Order,
}

impl<'a> EventQuery<'a> {
    /// The lowest rows in the spans, with every field that an event has.
    #[must_use]
    pub fn new(spans: &'a [Span], limit: u32) -> Self {
        Self {
            spans,
            limit,
            fields: &FIELDS,
            order: Order::OldestFirst,
        }
    }
}

/// The rows of one answer.
#[derive(Debug, Clone)]
pub struct EventPage {
    text: Bytes,
    rows: Vec<Range<usize>>,
    /// The site's clock when it answered.
    pub date: Option<Unix>,
    /// Size of the answer after decompression.
    pub bytes: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// The site says that there are more rows than it put into this answer, which may be fewer than were asked for.
    pub has_more: bool,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCount {
    /// The number.
    pub rows: u64,
    /// The site's clock when it answered.
    pub date: Option<Unix>,
    /// How long it took.
    pub elapsed: Duration,
}

impl EventPage {
    /// The rows as the site wrote them, in its order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.iter().map(|row| {
            // The whole was read as JSON, so each row is UTF-8.
            std::str::from_utf8(&self.text[row.clone()]).unwrap_or_default()
        })
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when the answer has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Session {
    /// Asks the event log for one page.
    ///
    /// # Errors
    /// As every call; `BadJson` when the answer has no list of rows.
    pub async fn read_events(
        &self,
        query: &EventQuery<'_>,
        tries: Tries,
    ) -> Result<EventPage, SiteError> {
        let payload = read_payload(query);
        let reply = self.ask("read", &payload, tries, None).await?;
        page(reply)
    }

    /// Asks for one event on behalf of a plugin whose row was pruned here; waits for the site.
    ///
    /// # Errors
    /// As [`Self::read_events`].
    pub async fn read_event(
        &self,
        event_id: EventId,
        plugin: Option<&PluginName>,
    ) -> Result<Option<String>, SiteError> {
        let spans = [Span::Within(event_id, event_id)];
        let payload = read_payload(&EventQuery::new(&spans, 1));
        let reply = self.ask("read", &payload, Tries::Patient, plugin).await?;
        let page = page(reply)?;
        let row = page.rows().next().map(str::to_owned);
        Ok(row)
    }

    /// Counts the rows in the spans.
    ///
    /// # Errors
    /// As every call; `BadJson` when the answer has no count.
    pub async fn count_events(
        &self,
        spans: &[Span],
        tries: Tries,
    ) -> Result<EventCount, SiteError> {
        #[derive(Deserialize)]
        struct Summary {
            summaries: Counted,
        }
        #[derive(Deserialize)]
        struct Counted {
            id: u64,
        }
        let payload = count_payload(spans);
        let reply = self.ask("summarize", &payload, tries, None).await?;
        let summary: Summary = serde_json::from_slice(&reply.result).map_err(|e| odd(&e))?;
        Ok(EventCount {
            rows: summary.summaries.id,
            date: reply.date,
            elapsed: reply.elapsed,
        })
    }

    async fn ask(
        &self,
        method: &str,
        payload: &RawValue,
        tries: Tries,
        plugin: Option<&PluginName>,
    ) -> Result<Reply, SiteError> {
        let call = Call {
            plugin,
            ..Call::new(method, Some(payload))
        };
        match tries {
            Tries::Once => self.call_once(&call).await,
            Tries::Patient => self.call(&call).await,
        }
    }
}

#[derive(Serialize)]
struct Filters<'a> {
    logical_operator: &'a str,
    conditions: Vec<Condition>,
}

#[derive(Serialize)]
struct Condition {
    path: &'static str,
    relation: &'static str,
    values: Vec<serde_json::Value>,
}

fn filters(spans: &[Span]) -> Filters<'static> {
    Filters {
        // An empty "or" could as well mean nothing.
        logical_operator: if spans.is_empty() { "and" } else { "or" },
        conditions: spans.iter().map(condition).collect(),
    }
}

fn condition(span: &Span) -> Condition {
    let (path, relation, values) = match *span {
        Span::Above(id) => ("id", "greater_than", vec![id.0.into()]),
        Span::Within(first, last) => ("id", "between", vec![first.0.into(), last.0.into()]),
        // The site compares whole seconds, and has no "at least".
        Span::Since(at) => {
            let before =
                jiff::Timestamp::from_second(at.0.div_euclid(1000) - 1).unwrap_or_default();
            let text = before.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            ("created_at", "greater_than", vec![text.into()])
        }
    };
    Condition {
        path,
        relation,
        values,
    }
}

fn read_payload(query: &EventQuery<'_>) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Paging {
        entities_per_page: u32,
        current_page: u32,
    }
    #[derive(Serialize)]
    struct Sort {
        field_name: &'static str,
        direction: &'static str,
    }
    #[derive(Serialize)]
    struct Read<'a> {
        r#type: &'static str,
        return_fields: &'a [&'a str],
        filters: Filters<'static>,
        return_only: &'static str,
        paging: Paging,
        sorts: [Sort; 1],
        api_return_image_urls: bool,
        return_paging_info_without_counts: bool,
    }
    raw(&Read {
        r#type: LOG,
        return_fields: query.fields,
        filters: filters(query.spans),
        return_only: "active",
        paging: Paging {
            entities_per_page: query.limit,
            current_page: 1,
        },
        sorts: [Sort {
            field_name: "id",
            direction: match query.order {
                Order::OldestFirst => "asc",
                Order::NewestFirst => "desc",
            },
        }],
        api_return_image_urls: true,
        // Else the answer need not say whether a page was cut below what was asked for.
        return_paging_info_without_counts: true,
    })
}

fn count_payload(spans: &[Span]) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Summary {
        field: &'static str,
        r#type: &'static str,
    }
    #[derive(Serialize)]
    struct Summarize {
        r#type: &'static str,
        summaries: [Summary; 1],
        filters: Filters<'static>,
    }
    raw(&Summarize {
        r#type: LOG,
        summaries: [Summary {
            field: "id",
            r#type: "count",
        }],
        filters: filters(spans),
    })
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("plain strings and numbers always encode")
}

/// Splits an answer into rows without copying them.
fn page(reply: Reply) -> Result<EventPage, SiteError> {
    #[derive(Deserialize)]
    struct Rows<'a> {
        #[serde(borrow)]
        entities: Option<Vec<&'a RawValue>>,
        #[serde(borrow, default)]
        paging_info: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Paging {
        has_next_page: bool,
    }
    let found: Rows<'_> = serde_json::from_slice(&reply.result).map_err(|e| odd(&e))?;
    let start = reply.result.as_ptr() as usize;
    let place = |row: &RawValue| {
        let from = row.get().as_ptr() as usize - start;
        from..from + row.get().len()
    };
    // A site that says it in no known way is believed by the number of its rows.
    let has_more = found
        .paging_info
        .and_then(|info| serde_json::from_str::<Paging>(info.get()).ok())
        .is_some_and(|info| info.has_next_page);
    let rows = found.entities.unwrap_or_default();
    let rows = rows.into_iter().map(place).collect();
    Ok(EventPage {
        rows,
        text: reply.result.clone(),
        date: reply.date,
        bytes: reply.bytes,
        elapsed: reply.elapsed,
        has_more,
    })
}

fn odd(error: &serde_json::Error) -> SiteError {
    SiteError::BadJson {
        what: format!("not what a reading of events answers: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_the_official_client_sends() {
        let spans = [
            Span::Above(EventId(100)),
            Span::Within(EventId(7), EventId(9)),
            Span::Since(Unix(1_783_625_617_900)),
        ];
        let query = EventQuery {
            fields: &["id"],
            ..EventQuery::new(&spans, 500)
        };
        insta::assert_snapshot!(read_payload(&query).get().replace(",\"", ",\n\""), @r#"
        {"type":"EventLogEntry",
        "return_fields":["id"],
        "filters":{"logical_operator":"or",
        "conditions":[{"path":"id",
        "relation":"greater_than",
        "values":[100]},{"path":"id",
        "relation":"between",
        "values":[7,9]},{"path":"created_at",
        "relation":"greater_than",
        "values":["2026-07-09T19:33:36Z"]}]},
        "return_only":"active",
        "paging":{"entities_per_page":500,
        "current_page":1},
        "sorts":[{"field_name":"id",
        "direction":"asc"}],
        "api_return_image_urls":true,
        "return_paging_info_without_counts":true}
        "#);
        insta::assert_snapshot!(count_payload(&spans[..1]).get(), @r#"{"type":"EventLogEntry","summaries":[{"field":"id","type":"count"}],"filters":{"logical_operator":"or","conditions":[{"path":"id","relation":"greater_than","values":[100]}]}}"#);
    }

    #[test]
    fn rows_are_split_in_place() {
        let text = r#"{"entities": [{"id": 1, "x": "é\n"} , {"id":2}], "paging_info": {}}"#;
        let reply = |text: &'static str| Reply {
            result: Bytes::from_static(text.as_bytes()),
            date: None,
            elapsed: Duration::ZERO,
            bytes: text.len(),
        };
        let found = page(reply(text)).unwrap();
        let rows: Vec<_> = found.rows().collect();
        assert_eq!(rows, [r#"{"id": 1, "x": "é\n"}"#, r#"{"id":2}"#]);
        assert!(page(reply(r#"{"entities": null}"#)).unwrap().is_empty());
        for (info, has_more) in [
            (r#"{"has_next_page": true}"#, true),
            (r#"{"has_next_page": false}"#, false),
            (r#"{"page_count": 3}"#, false),
            ("null", false),
            ("7", false),
        ] {
            let text = format!(r#"{{"entities": [], "paging_info": {info}}}"#);
            assert_eq!(
                page(reply(text.leak())).unwrap().has_more,
                has_more,
                "{info}"
            );
        }
        assert!(page(reply("[]")).is_err());
    }
}
