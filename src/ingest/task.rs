//! Asks the site what the machine wants to know, and writes what it finds to the journal.
//!
//! ```text
//!   machine ──question──► session ──answer──► machine ──append──► journal
//!                 the next question is under way while the last answer commits
//! ```
//! Never: a decision about ids, gaps or waits.

use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Failure, Fields, Kind, Machine, Policy, Question, Row, SiteReport,
    tell::{Teller, fill},
};
use crate::{
    alert::Alerts,
    clock::{Clock, Now},
    event::{FIELDS, parse},
    ident::{EventId, Timeline},
    journal::{Appended, Journal, JournalError},
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

/// What is left to write at the end is waited for so long.
const LAST_WRITE: Duration = Duration::from_secs(10);

/// What ingest is told from outside.
#[derive(Debug)]
pub enum Message {
    /// There may be something new.
    Nudge,
    /// An operator accepts a restored site, from this id on.
    Accept(EventId, oneshot::Sender<()>),
    /// The config that holds from now on.
    Policy(Box<Policy>),
    /// Did the loop turn?
    Beat(oneshot::Sender<()>),
}

/// What ingest works with.
pub struct Parts {
    /// Decides.
    pub machine: Machine,
    /// Reads the event log.
    pub session: Session,
    /// Keeps what is found.
    pub journal: Journal,
    /// Tells people.
    pub alerts: Alerts,
    /// Reads the time.
    pub clock: Clock,
    /// What `status` shows.
    pub report: watch::Sender<SiteReport>,
    /// What others want of it.
    pub orders: mpsc::Receiver<Message>,
}

type Asking<'a> = BoxFuture<'a, Result<(Answer, Duration), Failure>>;
type Committing = BoxFuture<'static, Result<Appended, JournalError>>;

/// What happened.
enum Input {
    Stop,
    Told(Message),
    Answered(Result<(Answer, Duration), Failure>),
    Committed(Result<Appended, JournalError>),
    Time,
}

/// Follows the event log until `stop`.
///
/// # Errors
/// When the journal cannot go on; the daemon must end.
pub async fn run(mut parts: Parts, stop: CancellationToken) -> Result<(), JournalError> {
    let session = parts.session.clone();
    let mut teller = Teller::new(
        session.site().clone(),
        parts.alerts.clone(),
        session.script(),
    );
    let mut asking: OptionFuture<Asking<'_>> = None.into();
    let mut is_asking = false;
    let mut committing: OptionFuture<Committing> = None.into();
    let mut is_committing = false;
    loop {
        let now = parts.clock.now();
        if !is_asking && let Some(question) = parts.machine.poll_question(now) {
            let timeline = parts.machine.state().timeline;
            let ask: Asking<'_> = Box::pin(ask(&session, question, timeline));
            (asking, is_asking) = (Some(ask).into(), true);
        }
        let wake = parts
            .machine
            .poll_timeout()
            .map(|at| parts.clock.instant(at));
        let input = tokio::select! {
            biased;
            () = stop.cancelled() => Input::Stop,
            Some(done) = &mut committing, if is_committing => Input::Committed(done),
            Some(order) = parts.orders.recv() => Input::Told(order),
            // An answer waits until the one before it is on disk.
            Some(answer) = &mut asking, if is_asking && !is_committing => Input::Answered(answer),
            () = sleep_until(wake), if !is_asking => Input::Time,
        };
        let append = match input {
            Input::Stop => break,
            Input::Time => None,
            Input::Committed(done) => {
                is_committing = false;
                parts.report.send_modify(|report| {
                    report.journaled += done.as_ref().map_or(0, |d| d.fresh.len() as u64);
                });
                done?;
                None
            }
            Input::Told(order) => obey(&mut parts.machine, order, now),
            Input::Answered(answer) => {
                is_asking = false;
                let now = parts.clock.now();
                take(&mut parts, answer, now)
            }
        };
        for notice in parts.machine.take_notices() {
            teller.tell(&notice, Clock::unix());
        }
        fill(
            &parts.report,
            &parts.machine,
            &session.site().health().borrow(),
        );
        if let Some(append) = append {
            let journal = parts.journal.clone();
            let commit: Committing = Box::pin(async move { journal.append(append).await });
            (committing, is_committing) = (Some(commit).into(), true);
        }
    }
    // What was taken is written, or asked for again after the next start; a disk without room is not waited for.
    if is_committing {
        match tokio::time::timeout(LAST_WRITE, committing).await {
            Ok(done) => done.transpose().map(drop)?,
            Err(_) => {
                tracing::error!("the last events cannot be written; they are asked for again");
            }
        }
    }
    Ok(())
}

fn take(
    parts: &mut Parts,
    answer: Result<(Answer, Duration), Failure>,
    now: Now,
) -> Option<crate::journal::Append> {
    match answer {
        Ok((answer, elapsed)) => {
            parts.report.send_modify(|report| {
                report.polled_at = Some(now.unix);
                report.latency_ms = elapsed.as_secs_f64() * 1000.0;
            });
            parts.machine.answered(answer, now, fastrand::f32())
        }
        Err(failure) => {
            parts.machine.failed(failure, now, fastrand::f32());
            None
        }
    }
}

fn obey(machine: &mut Machine, order: Message, now: Now) -> Option<crate::journal::Append> {
    match order {
        Message::Nudge => machine.nudge(now),
        Message::Policy(policy) => {
            machine.set_policy(*policy);
            machine.nudge(now);
        }
        Message::Beat(turned) => {
            // Who asked may have gone.
            let _gone = turned.send(());
        }
        Message::Accept(from, done) => {
            let _gone = done.send(());
            return Some(machine.accept(from, now));
        }
    }
    None
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One question, one request, one attempt.
async fn ask(
    session: &Session,
    question: Question,
    timeline: Timeline,
) -> Result<(Answer, Duration), Failure> {
    let fields: &[&str] = match question.fields {
        Fields::Whole => &FIELDS,
        Fields::NoMeta => &NO_META,
        Fields::Least => &LEAST,
    };
    let (spans, limit, order) = match question.kind {
        Kind::Count(first, last) => return count(session, first, last).await,
        Kind::Newest { limit } => (Vec::new(), limit, Order::NewestFirst),
        Kind::Since(time) => (vec![Span::Since(time)], 1, Order::OldestFirst),
        Kind::Page { ranges, limit } => {
            let span = |range: &super::Range| match range.last {
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

async fn count(
    session: &Session,
    first: EventId,
    last: EventId,
) -> Result<(Answer, Duration), Failure> {
    let counted = session
        .count_events(&[Span::Within(first, last)], Tries::Once)
        .await;
    let count = counted.map_err(|error| failure(&error))?;
    Ok((
        Answer {
            count: Some(count),
            site_time: Clock::unix(),
            ..Answer::default()
        },
        Duration::ZERO,
    ))
}

fn failure(error: &SiteError) -> Failure {
    let message = error.to_string();
    match error {
        SiteError::Auth { .. } => Failure::Refused(message),
        _ => Failure::Failed {
            message,
            retry_after: error.retry_after(),
        },
    }
}
