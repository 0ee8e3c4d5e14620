//! The handle: starts the site, its server and its artists, and stops them.
//!
//! In: options, a token to stop. Out: the address, the truth.
//! Never: what an answer says.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ctl::Verb, ground::Ground, server::serve, state::State, webhook::deliver};
use crate::{
    clock::{Clock, Unix},
    sandbox::Scenario,
    secret::Secret,
};

/// Calls that are remembered.
const ASKED_MAX: usize = 10_000;

/// Artists who are further behind than this do not hurry any more.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// At the slowest pace somebody does something once a day.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A call that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// `read`, `info`, `update`.
    pub method: String,
}

/// How the site is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its scripts with their keys.
    pub scripts: Vec<(String, Secret)>,
    /// The same seed and the same calls give the same site.
    pub seed: u64,
    /// What it begins with.
    pub scenario: Scenario,
    /// Events a second that artists make; 0: nobody works.
    pub rate: f64,
    /// What every answer takes.
    pub page_delay: Duration,
}

/// What server, artists and handle share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Woken when trouble is cleared.
    pub(super) cleared: Notify,
    /// Woken when there may be something for the receivers of webhooks.
    pub(super) changed: Notify,
    /// What every answer takes.
    pub(super) page_delay: Duration,
    started: Instant,
    asked: Mutex<VecDeque<Asked>>,
    state: Mutex<State>,
}

impl Shared {
    /// The state, for a moment without waiting.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, and the time by the site's clock: what was due by now is done.
    pub(super) fn enter(&self) -> (MutexGuard<'_, State>, Unix) {
        let mut state = self.state();
        let now = state.time(Clock::unix());
        (state, now)
    }

    /// Writes a call down.
    pub(super) fn note(&self, method: &str) {
        let mut asked = self.asked();
        if asked.len() == ASKED_MAX {
            asked.pop_front();
        }
        asked.push_back(Asked {
            at: Instant::now(),
            method: method.to_owned(),
        });
    }

    /// The calls that came: milliseconds since the site began, and the method.
    pub(super) fn asked_json(&self) -> Value {
        let asked = self.asked();
        let calls = asked.iter().map(|call| {
            let at = crate::clock::millis(call.at - self.started);
            json!({"at_ms": at, "method": call.method})
        });
        calls.collect()
    }

    fn asked(&self) -> MutexGuard<'_, VecDeque<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out an order; a clear ends the silence of those who hang.
    pub(super) fn order(&self, verb: &Verb) -> Result<Value, String> {
        let (mut state, now) = self.enter();
        let done = state.order(verb, now);
        drop(state);
        self.changed.notify_one();
        if matches!(verb, Verb::Clear { .. }) {
            self.cleared.notify_waiters();
        }
        done
    }
}

/// A made-up site that runs.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    rest: CancellationToken,
}

impl Sandbox {
    /// Starts a site; it runs until the token is cancelled.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(options: Options, stop: CancellationToken) -> io::Result<Self> {
        Self::start_on(Ground::default(), options, stop).await
    }

    /// Starts a site on a schema of its own, or one that was before: then the scenario of the options has no meaning.
    ///
    /// # Errors
    /// When it cannot listen, or the scenario cannot be played on the schema.
    pub async fn start_on(
        ground: Ground,
        options: Options,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let chance = (options.seed, Clock::unix());
        let state = State::on(ground.0, options.scripts, options.scenario, chance)
            .map_err(|fault| io::Error::other(fault.to_string()))?;
        let shared = Arc::new(Shared {
            cleared: Notify::new(),
            changed: Notify::new(),
            page_delay: options.page_delay,
            started: Instant::now(),
            asked: Mutex::default(),
            state: Mutex::new(state),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(serve(listener, shared.clone(), stop.clone()));
        tasks.spawn(deliver(shared.clone(), stop.clone()));
        let rest = stop.child_token();
        if options.rate > 0.0 {
            tasks.spawn(artists(shared.clone(), options.rate, rest.clone()));
        }
        tasks.close();
        Ok(Self {
            address,
            shared,
            tasks,
            rest,
        })
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The ids of the event rows that are readable, in the order of becoming readable.
    #[must_use]
    pub fn truth(&self) -> Vec<i64> {
        let (state, _) = self.shared.enter();
        state.store.log.order().to_vec()
    }

    /// The last calls that came, oldest first; `GET /_sandbox/asked` tells them, too.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked().iter().cloned().collect()
    }

    /// What there is now: rows that are readable or wait, calls that came, keys that were refused, orders for trouble that wait.
    #[must_use]
    pub fn summary(&self) -> Value {
        self.shared.state().summary()
    }

    /// Appends rows of ten event types, dense and readable at once, for measurements.
    pub fn bulk(&self, count: usize) {
        let (mut state, now) = self.shared.enter();
        state.store.bulk(count, now);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Sends the artists home; the site goes on.
    pub fn quiet(&self) {
        self.rest.cancel();
    }

    /// Carries out an order such as `{"verb": "fail", "kind": "http503", "calls": 3}`, as `/_sandbox/ctl` does.
    ///
    /// # Errors
    /// What is wrong with the order.
    pub fn order(&self, order: &Value) -> Result<Value, String> {
        self.shared.order(&Verb::read(order)?)
    }

    /// What was ordered and lasts, as it would be ordered now and in words; `GET /_sandbox/ctl` tells it, too.
    #[must_use]
    pub fn armed(&self) -> Value {
        self.shared.enter().0.armed()
    }

    /// The whole site as lines of JSON, in pieces.
    #[must_use]
    pub fn dump(&self) -> Vec<Bytes> {
        self.shared.enter().0.dump()
    }

    /// Waits until everything has ended, after the token was cancelled.
    pub async fn closed(&self) {
        self.tasks.wait().await;
    }
}

/// Artists work at a pace of so many event ids a second. What a busy machine missed is caught up with, for a moment.
async fn artists(shared: Arc<Shared>, rate: f64, stop: CancellationToken) {
    let mut due = Instant::now();
    loop {
        // A fault here means that there is nothing to work on, which may change.
        let ids = {
            let (mut state, now) = shared.enter();
            state.artist(now).unwrap_or(0)
        };
        shared.changed.notify_one();
        let ids = f64::from(u32::try_from(ids.max(1)).unwrap_or(1));
        let pause = Duration::try_from_secs_f64(ids / rate).unwrap_or(PAUSE_MAX);
        let now = Instant::now();
        due = due.max(now.checked_sub(BEHIND_MAX).unwrap_or(now)) + pause.min(PAUSE_MAX);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(due) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;

    async fn start(stop: &CancellationToken) -> Sandbox {
        start_with(stop, Scenario::Empty, 0.0).await
    }

    async fn start_with(stop: &CancellationToken, scenario: Scenario, rate: f64) -> Sandbox {
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            scripts: vec![("tests".into(), Secret::new("made-up-key"))],
            seed: 1,
            scenario,
            rate,
            page_delay: Duration::ZERO,
        };
        Sandbox::start(options, stop.clone()).await.unwrap()
    }

    #[tokio::test]
    async fn it_stops_while_a_call_hangs() {
        let stop = CancellationToken::new();
        let sandbox = start(&stop).await;
        sandbox
            .order(&json!({"verb": "fail", "kind": "hang"}))
            .unwrap();
        let mut stream = tokio::net::TcpStream::connect(sandbox.address)
            .await
            .unwrap();
        let call = "POST /api3/json HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
        tokio::io::AsyncWriteExt::write_all(&mut stream, call.as_bytes())
            .await
            .unwrap();
        stop.cancel();
        sandbox.closed().await;
        let mut rest = Vec::new();
        let ended = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
        assert!(rest.is_empty(), "{ended:?}: {rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn artists_keep_the_pace() {
        let stop = CancellationToken::new();
        let sandbox = start_with(&stop, Scenario::Demo, 20.0).await;
        let next_id = |sandbox: &Sandbox| sandbox.summary()["next_id"].as_i64().unwrap();
        let before = next_id(&sandbox);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let ids = next_id(&sandbox) - before;
        // The last deed may take some more.
        assert!((1200..1300).contains(&ids), "{ids}");
        sandbox.quiet();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = next_id(&sandbox);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(next_id(&sandbox), after);
        stop.cancel();
        sandbox.closed().await;
    }

    #[tokio::test]
    async fn an_order_that_is_none_is_refused_in_words() {
        let stop = CancellationToken::new();
        let sandbox = start(&stop).await;
        for (order, words) in [
            (json!({"verb": "explode"}), "`verb` is \"explode\""),
            (
                json!({"verb": "revoke_key", "script": "x"}),
                "no script is called \"x\"; allowed: tests",
            ),
            (json!({"verb": "work"}), "--scenario demo"),
            (
                json!({"verb": "restore", "to": 1001}),
                "`to` is 1001; allowed: 0 to 1000",
            ),
            (
                json!({"verb": "purge", "before": 1002}),
                "`before` is 1002; allowed: 1 to 1001",
            ),
            (
                json!({"verb": "retire", "type": "Shot", "id": 9}),
                "Entity of type [Shot] with id=9",
            ),
            (json!({"verb": "retire", "type": "Shoe", "id": 9}), "Shoe"),
        ] {
            let refused = sandbox.order(&order).unwrap_err();
            assert!(refused.contains(words), "{order}: {refused}");
        }
        sandbox.bulk(2);
        assert_eq!(sandbox.truth(), [1001, 1002]);
        stop.cancel();
        sandbox.closed().await;
    }
}
