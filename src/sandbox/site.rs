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

use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ctl::Verb, server::serve, state::State};
use crate::{clock::Clock, sandbox::Scenario, secret::Secret};

/// Calls that are remembered.
const ASKED_MAX: usize = 10_000;

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
    pub(super) fn order(&self, verb: Verb) -> Result<Value, String> {
        let is_clear = matches!(verb, Verb::Clear);
        let done = self.state().order(verb, Clock::unix());
        if is_clear {
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
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let state = State::new(
            options.scripts,
            options.scenario,
            options.seed,
            Clock::unix(),
        )
        .map_err(|fault| io::Error::other(fault.to_string()))?;
        let shared = Arc::new(Shared {
            cleared: Notify::new(),
            page_delay: options.page_delay,
            started: Instant::now(),
            asked: Mutex::default(),
            state: Mutex::new(state),
        });
        let tasks = TaskTracker::new();
        tasks.spawn(serve(listener, shared.clone(), stop.clone()));
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
        let mut state = self.shared.state();
        state.store.log.settle(Clock::unix());
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
        self.shared.state().store.bulk(count, Clock::unix());
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
        let verb = serde::Deserialize::deserialize(order);
        let verb = verb.map_err(|error: serde_json::Error| format!("not an order: {error}"))?;
        self.shared.order(verb)
    }

    /// Waits until everything has ended, after the token was cancelled.
    pub async fn closed(self) {
        self.tasks.wait().await;
    }
}

/// Artists work at a pace of so many event ids a second.
async fn artists(shared: Arc<Shared>, rate: f64, stop: CancellationToken) {
    loop {
        // A fault here means that there is nothing to work on, which may change.
        let ids = shared.state().artist(Clock::unix()).unwrap_or(0);
        let ids = f64::from(u32::try_from(ids.max(1)).unwrap_or(1));
        let pause = Duration::try_from_secs_f64(ids / rate).unwrap_or(Duration::MAX);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;

    async fn start(stop: &CancellationToken) -> Sandbox {
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            scripts: vec![("tests".into(), Secret::new("made-up-key"))],
            seed: 1,
            scenario: Scenario::Empty,
            rate: 0.0,
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

    #[tokio::test]
    async fn an_order_that_is_none_is_refused_in_words() {
        let stop = CancellationToken::new();
        let sandbox = start(&stop).await;
        for (order, words) in [
            (json!({"verb": "explode"}), "unknown variant `explode`"),
            (json!({"verb": "poison"}), "missing field `id`"),
            (
                json!({"verb": "revoke_key", "script": "x"}),
                "no script is called \"x\"",
            ),
            (json!({"verb": "work"}), "--scenario demo"),
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
