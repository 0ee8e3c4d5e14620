//! Ingest against a made-up site on a clock that stands still but when the test moves it: rules of minutes in no time.

use std::{collections::BTreeMap, sync::mpsc, time::Duration};

use sgeventd::{
    alert::{Alerts, Context},
    clock::Clock,
    config::Config,
    ident::{EventId, Seq},
    ingest::{
        Machine, Message, Policy, SiteReport, StartFrom,
        task::{Parts, run},
    },
    journal::{IngestState, Journal, JournalError, Model, Options},
    secret::Secret,
    site::{Site as Client, SiteOptions},
};
use tokio::{
    sync::{mpsc as channel, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{KEY, Site, yardstick::Yardstick};

/// How far the clock moves at once.
const STEP: Duration = Duration::from_secs(1);
/// Real time that the sockets and threads get after each step.
const BREATH: Duration = Duration::from_millis(3);
/// Steps after which what was waited for does not come.
const STEPS_MAX: usize = 3000;

/// Ingest that runs on such a clock.
pub(crate) struct Frozen {
    pub(crate) site: Site,
    journal: Journal,
    alerts: Alerts,
    report: watch::Receiver<SiteReport>,
    /// The kinds of the alerts by their causes.
    kinds: BTreeMap<String, &'static str>,
    /// Alerts that began (true) or were over, and when.
    told: Vec<(Instant, String, bool)>,
    running: JoinHandle<Result<(), JournalError>>,
    stop: CancellationToken,
    orders: channel::Sender<Message>,
    /// While a blocking task runs, a paused clock does not move by itself: not even while sockets are waited for.
    _still: mpsc::Sender<()>,
}

impl Frozen {
    /// Starts it, and waits until it has read the whole log. The test's clock must be paused.
    pub(crate) async fn start() -> Self {
        let (still, ended) = mpsc::channel();
        tokio::task::spawn_blocking(move || ended.recv());
        let site = Site::quiet().await;
        let first = site.truth()[0];
        let journal = Journal::start(Box::new(Model::new()), None, Options::default());
        let journal = journal.expect("a journal");
        let clock = Clock::start();
        let alerts = Alerts::log_only(Context::new(&Config::default(), "host"), clock);
        let client = Client::new(&SiteOptions::new(site.sandbox.url())).expect("a client");
        let (orders, inbox) = channel::channel(1);
        let (reports, report) = watch::channel(SiteReport::default());
        let parts = Parts {
            machine: Machine::new(policy(first), IngestState::default(), Vec::new()),
            session: client.session("sgeventd", Secret::new(KEY)),
            journal: journal.clone(),
            alerts: alerts.clone(),
            clock,
            report: reports,
            orders: inbox,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(parts, stop.clone()));
        let mut frozen = Self {
            site,
            journal,
            alerts,
            report,
            kinds: BTreeMap::new(),
            told: Vec::new(),
            running,
            stop,
            orders,
            _still: still,
        };
        frozen.until_read().await;
        frozen.until_quiet().await;
        frozen
    }

    /// Moves the clock until the site is in a state, as `status` would say.
    pub(crate) async fn until_state(&mut self, state: &str) {
        for _ in 0..STEPS_MAX {
            if self.report.borrow().state == state {
                return;
            }
            self.pass(STEP).await;
        }
        panic!("never {state}: {:?}", self.report.borrow());
    }

    /// Moves the clock; whoever waits for a time in between is woken at that time.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            tokio::time::advance(STEP).await;
            // A thread's sleep, for the runtime's own would wait for the clock that stands still.
            let breath = tokio::task::spawn_blocking(|| std::thread::sleep(BREATH));
            breath.await.expect("it sleeps");
            self.listen();
        }
    }

    fn listen(&mut self) {
        for open in self.alerts.open() {
            let key = open.alert.key.to_string();
            self.kinds.insert(key, open.alert.kind);
        }
        let open = self.alerts();
        let is_open = |key: &String| open.contains(key);
        let mut lasting: BTreeMap<String, bool> = BTreeMap::new();
        for (_, key, has_begun) in &self.told {
            lasting.insert(key.clone(), *has_begun);
        }
        let over = lasting
            .iter()
            .filter(|(key, lasts)| **lasts && !is_open(key));
        let over: Vec<String> = over.map(|(key, _)| key.clone()).collect();
        let new = open.iter().filter(|key| lasting.get(*key) != Some(&true));
        let new: Vec<String> = new.cloned().collect();
        let at = Instant::now();
        self.told
            .extend(over.into_iter().map(|key| (at, key, false)));
        self.told.extend(new.into_iter().map(|key| (at, key, true)));
    }

    /// The alerts that began (true) or were over since a time, how long after it.
    pub(crate) fn told_since(&self, begun: Instant) -> Vec<(Duration, &str, bool)> {
        let told = self.told.iter().filter(|(at, ..)| *at >= begun);
        told.map(|(at, key, has_begun)| (*at - begun, key.as_str(), *has_begun))
            .collect()
    }

    /// How many alerts began (true) or were over, by kind.
    pub(crate) fn told(&self, has_begun: bool) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (_, key, _) in self.told.iter().filter(|told| told.2 == has_begun) {
            *counts.entry(self.kinds[key].to_owned()).or_default() += 1;
        }
        counts
    }

    /// The line of a run on such a clock: there are no plugins, so it is what ingest does.
    pub(crate) async fn judged(self, mut line: Yardstick) -> Yardstick {
        line.alerts = Some(self.told(true));
        line.recovered = Some(self.told(false));
        let truth = self.site.truth();
        let found = self.end().await;
        let lost = truth.iter().filter(|id| !found.contains(id));
        line.lost = Some(lost.count() as u64);
        assert_eq!(found, truth, "in order, each once");
        line
    }

    /// When the site was asked since a time, after it.
    pub(crate) fn asked_since(&self, begun: Instant) -> Vec<Duration> {
        self.site.asked_since(begun)
    }

    /// The causes of the alerts that last.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let open = self.alerts.open().into_iter();
        open.map(|open| open.alert.key.to_string()).collect()
    }

    /// Moves the clock until the journal has all that is readable, in whatever order it became so.
    pub(crate) async fn until_all(&mut self) {
        for _ in 0..STEPS_MAX {
            let truth = self.site.truth();
            let found = self.journaled().await;
            if truth.iter().all(|id| found.contains(id)) {
                return;
            }
            self.pass(STEP).await;
        }
        panic!("never all: {:?}", self.report.borrow());
    }

    /// The ids in the journal in its order.
    pub(crate) async fn journaled(&self) -> Vec<i64> {
        let read = self.journal.read(Seq(0), 1000).await.expect("events");
        read.iter().map(|event| event.facts.event_id.0).collect()
    }

    /// What `status` would say of the site.
    pub(crate) fn report(&self) -> SiteReport {
        self.report.borrow().clone()
    }

    /// An operator accepts the site as it is, from an id on.
    pub(crate) async fn accept(&self, from: i64) {
        let (done, answer) = tokio::sync::oneshot::channel();
        let accept = Message::Accept(EventId(from), done);
        self.orders.send(accept).await.expect("ingest runs");
        answer.await.expect("an answer").expect("accepted");
    }

    /// Waits until everything is read, stops, and returns the ids in the journal in its order.
    pub(crate) async fn end(mut self) -> Vec<i64> {
        self.until_read().await;
        self.close().await
    }

    /// Stops as it is, and returns the ids in the journal in its order.
    pub(crate) async fn close(self) -> Vec<i64> {
        self.stop.cancel();
        self.running.await.expect("no panic").expect("no error");
        let read = self.journal.read(Seq(0), 1000).await.expect("events");
        self.journal.close().await;
        read.iter().map(|event| event.facts.event_id.0).collect()
    }

    /// Moves the clock to an instant at which nothing is asked: tests count the questions from there on.
    async fn until_quiet(&mut self) {
        for _ in 0..STEPS_MAX {
            let asked = self.site.sandbox.asked();
            if asked.last().is_none_or(|asked| asked.at < Instant::now()) {
                return;
            }
            self.pass(STEP).await;
        }
        panic!("asked at each instant");
    }

    async fn until_read(&mut self) {
        let last = self.site.truth().last().copied();
        for _ in 0..STEPS_MAX {
            if self.report.borrow().head.map(|head| head.0) == last {
                return;
            }
            self.pass(STEP).await;
        }
        panic!("never read to {last:?}: {:?}", self.report.borrow());
    }
}

fn policy(first: i64) -> Policy {
    Policy {
        interval: Duration::from_secs(1),
        max_interval: Duration::from_secs(5),
        page: 500,
        start_from: StartFrom::Id(EventId(first)),
        gap_timeout: Duration::from_secs(300),
        gap_give_up: Duration::from_secs(86_400),
        gap_hold: Duration::ZERO,
        max_retry_wait: Duration::from_secs(60),
    }
}
