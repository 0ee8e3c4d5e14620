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
    Answer, Failure, Machine, Policy, SiteReport,
    ask::ask,
    tell::{Teller, Told, fill},
};
use crate::{
    alert::Alerts,
    clock::{Clock, Now},
    ident::{EventId, Timeline},
    journal::{Append, Appended, Journal, JournalError},
    site::Session,
};

/// What ingest is told from outside.
#[derive(Debug)]
pub enum Message {
    /// There may be something new.
    Nudge,
    /// An operator accepts a restored site, from this id on. Answered when it is on disk.
    Accept(EventId, oneshot::Sender<Result<Accepted, AcceptError>>),
    /// The config that holds from now on.
    Policy(Box<Policy>),
    /// Did the loop turn?
    Beat(oneshot::Sender<()>),
}

/// What accepting a restored site came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The new timeline.
    pub timeline: Timeline,
    /// Missing ids of the old one, which are given up.
    pub given_up: u64,
}

/// Why a site is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// Nothing is wrong with it.
    #[error("the site is not rewound: its log goes on where it was read last")]
    NotRewound,
    /// No row has such an id.
    #[error("{0} is no id of an event; allowed: 1 and above")]
    NoId(EventId),
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

type Heard = Result<(Answer, Duration), Failure>;
type Committed = Result<Appended, JournalError>;
type Accepting = oneshot::Sender<Result<Accepted, AcceptError>>;

/// What happened.
enum Input {
    Stop,
    Told(Message),
    Answered(Heard),
    AnsweredBeside(Heard),
    Committed(Committed),
    Time,
}

/// Something that is under way, or nothing.
struct Pending<'a, T> {
    future: OptionFuture<BoxFuture<'a, T>>,
    is_some: bool,
}

impl<'a, T> Pending<'a, T> {
    fn none() -> Self {
        Self {
            future: None.into(),
            is_some: false,
        }
    }

    fn some(future: impl Future<Output = T> + Send + 'a) -> Self {
        let future: BoxFuture<'a, T> = Box::pin(future);
        Self {
            future: Some(future).into(),
            is_some: true,
        }
    }
}

/// Follows the event log until `stop`.
///
/// # Errors
/// When the journal cannot go on; the daemon must end.
pub async fn run(mut parts: Parts, stop: CancellationToken) -> Result<(), JournalError> {
    let session = parts.session.clone();
    let mut teller = Teller::new(session.script());
    let mut asking: Pending<'_, Heard> = Pending::none();
    // An answer waits here until the one before it is on disk.
    let mut answered: Option<Heard> = None;
    let mut beside: Pending<'_, Heard> = Pending::none();
    let mut committing: Pending<'_, Committed> = Pending::none();
    // A site that is to be accepted when the commit under way is done, and one whose commit that is.
    let mut to_accept: Option<(EventId, Accepting)> = None;
    let mut accepting: Option<(Accepted, Accepting)> = None;
    loop {
        let now = parts.clock.now();
        let timeline = parts.machine.state().timeline;
        if !asking.is_some
            && answered.is_none()
            && let Some(question) = parts.machine.poll_question(now)
        {
            asking = Pending::some(ask(&session, question, timeline));
        }
        if !beside.is_some
            && let Some(question) = parts.machine.poll_beside(now)
        {
            beside = Pending::some(ask(&session, question, timeline));
        }
        // An outage that lasts is told while nothing is asked.
        tell_all(&mut parts, &mut teller);
        let wake = parts
            .machine
            .poll_timeout()
            .map(|at| parts.clock.instant(at));
        let input = tokio::select! {
            biased;
            () = stop.cancelled() => Input::Stop,
            Some(done) = &mut committing.future, if committing.is_some => Input::Committed(done),
            Some(order) = parts.orders.recv() => Input::Told(order),
            // Turned while a commit is under way: the request goes out at once.
            Some(answer) = &mut asking.future, if asking.is_some => Input::Answered(answer),
            Some(answer) = &mut beside.future, if beside.is_some && !committing.is_some => Input::AnsweredBeside(answer),
            () = sleep_until(wake), if !asking.is_some && answered.is_none() => Input::Time,
        };
        let mut append = match input {
            Input::Stop => break,
            Input::Time => None,
            Input::Committed(done) => {
                committing = Pending::none();
                let fresh = done?.fresh.len() as u64;
                parts.report.send_modify(|report| report.journaled += fresh);
                if let Some((accepted, done)) = accepting.take() {
                    tell_accepted(accepted, done);
                }
                None
            }
            Input::Told(Message::Accept(from, done)) => {
                match judge(&parts.machine, from, to_accept.is_some()) {
                    Ok(()) => to_accept = Some((from, done)),
                    // Who asked may have gone.
                    Err(error) => {
                        let _gone = done.send(Err(error));
                    }
                }
                None
            }
            Input::Told(Message::Nudge) => {
                parts.machine.nudge(now);
                None
            }
            Input::Told(Message::Policy(policy)) => {
                parts.machine.set_policy(*policy);
                parts.machine.nudge(now);
                None
            }
            Input::Told(Message::Beat(turned)) => {
                let _gone = turned.send(());
                None
            }
            Input::Answered(answer) => {
                asking = Pending::none();
                answered = Some(answer);
                None
            }
            Input::AnsweredBeside(answer) => {
                beside = Pending::none();
                let now = parts.clock.now();
                match answer {
                    Ok((answer, _)) => parts.machine.beside_answered(answer),
                    Err(failure) => {
                        parts.machine.beside_failed(&failure, now);
                        None
                    }
                }
            }
        };
        if !committing.is_some
            && append.is_none()
            && let Some(answer) = answered.take()
        {
            let now = parts.clock.now();
            append = take(&mut parts, answer, now);
        }
        if !committing.is_some
            && append.is_none()
            && let Some((from, done)) = to_accept.take()
        {
            // What is under way was asked of the old timeline.
            (asking, beside) = (Pending::none(), Pending::none());
            answered = None;
            let (accepted, accept) = accept(&mut parts.machine, from, now);
            accepting = Some((accepted, done));
            append = Some(accept);
        }
        tell_all(&mut parts, &mut teller);
        let health = session.site().health().borrow().clone();
        fill(&parts.report, &parts.machine, &health, now);
        if let Some(append) = append {
            let journal = parts.journal.clone();
            committing = Pending::some(async move { journal.append(append).await });
        }
    }
    // What was taken is written, or asked for again after the next start.
    if committing.is_some
        && let Some(done) = committing.future.await
    {
        match done {
            // It found no room.
            Err(error) if error.can_be_retried() => return Ok(()),
            done => drop(done?),
        }
        if let Some((accepted, done)) = accepting {
            tell_accepted(accepted, done);
        }
    }
    Ok(())
}

fn tell_all(parts: &mut Parts, teller: &mut Teller) {
    for notice in parts.machine.take_notices() {
        let told = teller.tell(&notice, Clock::unix());
        told.into_iter().for_each(|told| pass_on(parts, told));
    }
}

fn pass_on(parts: &Parts, told: Told) {
    match told {
        Told::Begin(alert) => parts.alerts.begin(alert),
        Told::End(key) => parts.alerts.end(&key),
        Told::Once(alert) => parts.alerts.once(alert),
        Told::Health(health) => parts.session.site().set_health(health),
    }
}

fn take(parts: &mut Parts, answer: Heard, now: Now) -> Option<Append> {
    match answer {
        Ok((answer, elapsed)) => {
            crate::fail::at("ingest.page_received");
            parts.report.send_modify(|report| {
                report.polled_at = Some(now.unix);
                report.latency_ms = elapsed.as_secs_f64() * 1000.0;
            });
            parts.machine.answered(answer, now)
        }
        Err(failure) => {
            parts.machine.failed(failure, now, fastrand::f32());
            None
        }
    }
}

/// Whether a site can be accepted from an id on.
fn judge(machine: &Machine, from: EventId, is_under_way: bool) -> Result<(), AcceptError> {
    match from {
        EventId(..1) => Err(AcceptError::NoId(from)),
        _ if machine.is_halted() && !is_under_way => Ok(()),
        _ => Err(AcceptError::NotRewound),
    }
}

fn accept(machine: &mut Machine, from: EventId, now: Now) -> (Accepted, Append) {
    let before = machine.state().given_up;
    let append = machine.accept(from, now);
    let accepted = Accepted {
        timeline: append.ingest.timeline,
        given_up: append.ingest.given_up - before,
    };
    (accepted, append)
}

fn tell_accepted(accepted: Accepted, done: Accepting) {
    tracing::info!(
        timeline = accepted.timeline.0,
        given_up = accepted.given_up,
        "an operator accepted the site as it is"
    );
    // Who asked may have gone.
    let _gone = done.send(Ok(accepted));
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
