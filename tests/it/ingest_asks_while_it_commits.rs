//! Ingest asks for the next page while the last one commits: a slow disk and a slow site do not add up.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use sgeventd::{
    alert::{Alerts, Context},
    clock::Clock,
    config::Config,
    ident::{EventId, Seq},
    ingest::{Machine, Parts, Policy, SiteReport, StartFrom, run},
    journal::{Answer, Engine, IngestState, Journal, JournalError, Model, Op, Options, Reader},
    sandbox::{Options as SiteIs, Sandbox, Scenario},
    secret::Secret,
    site::{CallRecord, CallTap, Site, SiteOptions},
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// A commit waits so long at most for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many pages were read.
#[derive(Default)]
struct Pages {
    read: Mutex<u32>,
    moved: Condvar,
}

impl CallTap for Pages {
    fn tried(&self, record: &CallRecord<'_>) {
        if record.method == "read" {
            *self.read.lock().expect("a lock") += 1;
            self.moved.notify_all();
        }
    }
}

impl Pages {
    /// True when a second page is read before the patience is over.
    fn second(&self) -> bool {
        let read = self.read.lock().expect("a lock");
        let waited = self
            .moved
            .wait_timeout_while(read, PATIENCE, |read| *read < 2);
        !waited.expect("a lock").1.timed_out()
    }
}

/// An engine whose first commit of events, those of the first page, takes as long as the site's second answer.
struct Slow {
    inner: Model,
    pages: Arc<Pages>,
    verdict: Arc<Mutex<Option<bool>>>,
}

impl Engine for Slow {
    fn commit(&mut self, ops: &[Op]) -> Result<Vec<Answer>, JournalError> {
        let has_events =
            |op: &Op| matches!(op, Op::Append { append, .. } if !append.events.is_empty());
        let mut verdict = self.verdict.lock().expect("a lock");
        if verdict.is_none() && ops.iter().any(has_events) {
            *verdict = Some(self.pages.second());
        }
        self.inner.commit(ops)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        self.inner.reader()
    }

    fn housekeep(&mut self, _is_idle: bool) -> Result<(), JournalError> {
        Ok(())
    }
}

#[tokio::test]
async fn the_next_page_is_read_while_the_last_one_commits() {
    let stop = CancellationToken::new();
    let key = || Secret::new("a-key-of-the-test");
    let options = SiteIs {
        listen: ([127, 0, 0, 1], 0).into(),
        scripts: vec![("daemon".to_owned(), key())],
        seed: 1,
        scenario: Scenario::Empty,
        rate: 0.0,
        page_delay: Duration::ZERO,
    };
    let sandbox = Sandbox::start(options, stop.clone()).await.expect("a site");
    sandbox.bulk(20);
    let first = sandbox.truth()[0];
    let (pages, verdict) = (Arc::new(Pages::default()), Arc::default());
    let engine = Slow {
        inner: Model::new(),
        pages: Arc::clone(&pages),
        verdict: Arc::clone(&verdict),
    };
    let journal = Journal::start(Box::new(engine), None, Options::default()).expect("a journal");
    let site = Site::new(&SiteOptions {
        tap: Some(pages),
        ..SiteOptions::new(sandbox.url())
    });
    let policy = Policy {
        interval: Duration::from_millis(20),
        max_interval: Duration::from_millis(50),
        page: 5,
        start_from: StartFrom::Id(EventId(first)),
        gap_timeout: Duration::from_secs(300),
        gap_give_up: Duration::from_secs(86_400),
        gap_hold: Duration::ZERO,
        max_retry_wait: Duration::from_secs(1),
    };
    let clock = Clock::start();
    let (_orders, inbox) = mpsc::channel(1);
    let parts = Parts {
        machine: Machine::new(policy, IngestState::default(), Vec::new()),
        session: site.expect("a site").session("daemon", key()),
        journal: journal.clone(),
        alerts: Alerts::log_only(Context::new(&Config::default(), "host"), clock),
        clock,
        report: watch::channel(SiteReport::default()).0,
        orders: inbox,
    };
    let running = tokio::spawn(run(parts, stop.clone()));
    let mut head = journal.head();
    let all = head.wait_for(|seq| *seq == Seq(20));
    let all = tokio::time::timeout(Duration::from_secs(20), all).await;
    drop(all.expect("in time").expect("a journal"));
    stop.cancel();
    running.await.expect("no panic").expect("no error");
    assert_eq!(*verdict.lock().expect("a lock"), Some(true));
}
