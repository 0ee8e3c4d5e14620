//! The handle: starts the site, its server and its artists, and stops them.
//!
//! In: options, a token to stop. Out: the address, the truth.
//! Never: what an answer says.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpListener, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{server::serve, state::State};
use crate::{clock::Clock, sandbox::Scenario, secret::Secret};

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
    /// Woken by every order.
    pub(super) changed: Notify,
    /// What every answer takes.
    pub(super) page_delay: Duration,
    state: Mutex<State>,
}

impl Shared {
    /// The state, for a moment without waiting.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            changed: Notify::new(),
            page_delay: options.page_delay,
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
    pub fn order(&self, order: &serde_json::Value) -> Result<serde_json::Value, String> {
        let verb = serde::Deserialize::deserialize(order);
        let verb = verb.map_err(|error: serde_json::Error| format!("not an order: {error}"))?;
        let done = self.shared.state().order(verb, Clock::unix());
        self.shared.changed.notify_waiters();
        done
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
