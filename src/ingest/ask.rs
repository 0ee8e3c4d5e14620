//! One question of the machine, one request to the site, one attempt.
//!
//! In: a question. Out: an answer with the site's time, or why there is none.
//! Never: a second try, a decision about ids.

use std::time::Duration;

use super::{Answer, Failure, Fields, Kind, Question, Range, Row, question::Trouble};
use crate::{
    clock::Clock,
    event::{FIELDS, parse},
    ident::{EventId, Timeline},
    site::{EventQuery, Order, Session, SiteError, Span, Tries},
};

/// What is asked for of a row that spoils its page.
const NO_META: [&str; 8] = [
    "id",
    "event_type",
    "attribute_name",
    "entity",
    "user",
    "project",
    "session_uuid",
    "created_at",
];
/// The least that proves a row.
const LEAST: [&str; 3] = ["id", "event_type", "created_at"];
/// What no content of a row can spoil.
const ID: [&str; 1] = ["id"];

/// Asks.
pub(super) async fn ask(
    session: &Session,
    question: Question,
    timeline: Timeline,
) -> Result<(Answer, Duration), Failure> {
    let fields: &[&str] = match question.fields {
        Fields::Whole => &FIELDS,
        Fields::NoMeta => &NO_META,
        Fields::Least => &LEAST,
        Fields::Id => &ID,
    };
    let (spans, limit, order) = match question.kind {
        Kind::Limits => return limits(session).await,
        Kind::Count(first, last) => return count(session, first, last).await,
        Kind::Newest { limit } => (Vec::new(), limit, Order::NewestFirst),
        Kind::Since(time) => (vec![Span::Since(time)], 1, Order::OldestFirst),
        Kind::Page { ranges, limit } => {
            let span = |range: &Range| match range.last {
                Some(last) => Span::Within(range.first, last),
                None => Span::Above(EventId(range.first.0 - 1)),
            };
            (ranges.iter().map(span).collect(), limit, Order::OldestFirst)
        }
    };
    let query = EventQuery {
        fields,
        order,
        ..EventQuery::new(&spans, u32::try_from(limit).unwrap_or(500))
    };
    let page = session
        .read_events(&query, Tries::Once)
        .await
        .map_err(|error| failure(&error))?;
    let mut answer = Answer {
        has_more: page.has_more,
        site_time: page.date.unwrap_or_else(Clock::unix),
        ..Answer::default()
    };
    for row in page.rows() {
        match parse(timeline, row) {
            Ok((facts, body)) => answer.rows.push(Row { facts, body }),
            Err(_) => answer.bad_rows += 1,
        }
    }
    Ok((answer, page.elapsed))
}

async fn limits(session: &Session) -> Result<(Answer, Duration), Failure> {
    let asked = session.site().info().await;
    let (capabilities, reply) = asked.map_err(|error| failure(&error))?;
    let answer = Answer {
        page_max: usize::try_from(capabilities.page_max).ok(),
        ..Answer::default()
    };
    Ok((answer, reply.elapsed))
}

async fn count(
    session: &Session,
    first: EventId,
    last: EventId,
) -> Result<(Answer, Duration), Failure> {
    let spans = [Span::Within(first, last)];
    let counted = session.count_events(&spans, Tries::Once).await;
    let counted = counted.map_err(|error| failure(&error))?;
    let answer = Answer {
        count: Some(counted.rows),
        site_time: counted.date.unwrap_or_else(Clock::unix),
        ..Answer::default()
    };
    Ok((answer, counted.elapsed))
}

fn failure(error: &SiteError) -> Failure {
    let message = error.to_string();
    match error {
        // Which script it is, everybody says who passes this on.
        SiteError::Auth { message, .. } => Failure::Refused(message.clone()),
        _ => Failure::Failed(Trouble {
            message,
            retry_after: error.retry_after(),
            is_outage: error.is_outage(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Unix,
        site::tests::{
            server::{Move, Server},
            session,
        },
    };

    async fn answers(moves: impl IntoIterator<Item = Move>, kind: Kind) -> Result<Answer, Failure> {
        let server = Server::start(moves).await;
        let session = session(&server.url);
        let question = Question {
            kind,
            fields: Fields::Id,
        };
        ask(&session, question, Timeline(0))
            .await
            .map(|(answer, _)| answer)
    }

    #[tokio::test]
    async fn every_answer_carries_the_sites_clock() {
        let rows = r#"{"entities":[{"id":5},{"x":7}],"paging_info":{"has_next_page":true}}"#;
        let page = answers([Move::results(rows)], Kind::Newest { limit: 2 }).await;
        let page = page.expect("an answer");
        let count = r#"{"summaries":{"id":4},"groups":[]}"#;
        let counted = answers([Move::results(count)], Kind::Count(EventId(1), EventId(9))).await;
        let counted = counted.expect("an answer");
        // The server's Date header; a count must not put our own clock in its place.
        let date = Unix(784_111_777_000);
        assert_eq!((page.site_time, counted.site_time), (date, date));
        assert_eq!(
            (page.bad_rows, page.has_more, counted.count),
            (1, true, Some(4))
        );
    }

    #[tokio::test]
    async fn only_what_is_an_outage_counts_as_one() {
        let fault = r#"{"exception":true,"message":"not permitted","error_code":104}"#;
        for (answer, is_outage) in [
            (Move::json(fault), false),
            (Move::status("500 Oops", "", b""), true),
        ] {
            let failed = answers([answer], Kind::Newest { limit: 1 }).await;
            let Err(Failure::Failed(trouble)) = failed else {
                panic!("{failed:?}");
            };
            assert_eq!(trouble.is_outage, is_outage, "{trouble:?}");
        }
    }
}
