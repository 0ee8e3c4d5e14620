//! A site: its connections, its health, what it said of itself, and one try of one call.
//!
//! In: a [`Call`]. Out: a [`Reply`] or a typed error, noted by the tap.
//! Never: a second try (that is `session.rs`), a panic because of an answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    address::Address,
    envelope,
    error::SiteError,
    gate::{Gate, Turn},
    health::Health,
    http::Http,
    info::{self, Capabilities},
    methods,
    session::{Call, Reply, Session},
    setup::{self, Coding, SetupError, SiteOptions},
    tap::{CallRecord, CallTap},
};
use crate::{clock::Unix, ident::PluginName, secret::Secret};

/// One address and its connections. Copies share them.
#[derive(Clone)]
pub struct Site(Arc<Inner>);

struct Inner {
    http: Http,
    gate: Gate,
    health: watch::Sender<Health>,
    tap: Option<Arc<dyn CallTap>>,
    max_retry_wait: Duration,
    patience: Duration,
    capabilities: Mutex<Option<(Instant, Capabilities)>>,
    /// The site's clock, and when it said so.
    clock: Mutex<Option<(Unix, Instant)>>,
}

impl Site {
    /// Prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL, the proxy or the certificates cannot be read.
    pub fn new(options: &SiteOptions) -> Result<Self, SetupError> {
        let address = Address::parse(&options.url)?;
        let client = setup::client(options, &address, Coding::Gzip)?;
        Ok(Self(Arc::new(Inner {
            http: Http {
                client,
                files: setup::client(options, &address, Coding::AsItIs)?,
                address,
                timeout: options.timeout,
                answer_bytes: options.answer_bytes,
                result_bytes: options.result_bytes,
            },
            gate: Gate::new(options.max_calls),
            health: watch::Sender::new(Health::Up),
            tap: options.tap.clone(),
            max_retry_wait: options.max_retry_wait,
            patience: options.patience,
            capabilities: Mutex::new(None),
            clock: Mutex::new(None),
        })))
    }

    /// The site's clock, once an answer told it: ours may be wrong, and jump.
    #[must_use]
    pub fn time(&self) -> Option<Unix> {
        let clock = *self.0.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.map(|(time, at)| time + at.elapsed())
    }

    /// A session of a script user.
    #[must_use]
    pub fn session(&self, script: &str, key: Secret) -> Session {
        Session::new(self.clone(), script, key)
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.http.address.origin()
    }

    /// How the site is, now and later.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// Says how the site is: ingest's to call. An equal value wakes nobody.
    pub fn set_health(&self, health: Health) {
        self.0.health.send_if_modified(|current| {
            let is_new = *current != health;
            *current = health;
            is_new
        });
    }

    /// Asks the site about itself, once, without credentials; the answer is kept for [`Self::known`].
    ///
    /// # Errors
    /// As every call.
    pub async fn info(&self) -> Result<(Capabilities, Reply), SiteError> {
        let limit = self.0.http.answer_bytes;
        let info = Call::new("info", None);
        let reply = self.try_once(None, &info, 1, limit).await?;
        Ok((self.learn(&reply)?, reply))
    }

    /// What the site said of itself when it was last asked.
    #[must_use]
    pub fn known(&self) -> Option<Capabilities> {
        self.kept().map(|(_, capabilities)| capabilities)
    }

    /// One try, noted by the tap, for a result of about `limit` bytes at most. `info` goes without credentials, whoever asks.
    pub(super) async fn try_once(
        &self,
        session: Option<&Session>,
        call: &Call<'_>,
        attempt: u32,
        limit: usize,
    ) -> Result<Reply, SiteError> {
        let session = session.filter(|_| call.method != "info");
        let auth = session.map(|session| session.auth(call));
        let body = envelope::request(call.method, auth.as_ref(), call.payload);
        let script = session.map(Session::script);
        let (sent_bytes, started) = (body.len(), Instant::now());
        let (head, answer) = self.0.http.post(body, limit).await;
        let elapsed = started.elapsed();
        self.note_date(head.date);
        let received_bytes = answer.as_ref().map_or(0, Bytes::len);
        let result = answer
            .and_then(|body| envelope::result(&body, call.method, script.unwrap_or_default()));
        // What hands out a credential is seen by nobody, not even in a log with bodies.
        let shown = result
            .as_ref()
            .ok()
            .filter(|_| !methods::is_refused(call.method));
        self.tell(&CallRecord {
            method: call.method,
            script,
            plugin: call.plugin,
            event_id: call.event_id,
            attempt,
            sent_bytes: sent_bytes as u64,
            received_bytes: received_bytes as u64,
            elapsed,
            status: head.status,
            request_id: head.request_id.as_deref(),
            error: result.as_ref().err(),
            payload: call.payload.map(RawValue::get),
            result: shown.map(|result| &**result),
        });
        result.map(|result| Reply {
            result,
            date: head.date,
            elapsed,
            bytes: received_bytes,
        })
    }

    /// The connections.
    pub(super) fn http(&self) -> &Http {
        &self.0.http
    }

    /// Tells whoever listens of a try.
    pub(super) fn tell(&self, record: &CallRecord<'_>) {
        if let Some(tap) = &self.0.tap {
            tap.tried(record);
        }
    }

    /// An answer told the site's time.
    pub(super) fn note_date(&self, date: Option<Unix>) {
        if let Some(date) = date {
            let mut clock = self.0.clock.lock().unwrap_or_else(PoisonError::into_inner);
            *clock = Some((date, Instant::now()));
        }
    }

    /// Waits until this script may call, and says whether it had to wait.
    ///
    /// # Errors
    /// The last reason to wait, when the deadline comes first.
    pub(super) async fn wait_until_fit(
        &self,
        script: &str,
        until: Instant,
    ) -> Result<bool, String> {
        let mut health = self.health();
        let mut has_waited = false;
        loop {
            let reason = health.borrow_and_update().blocks(script).map(str::to_owned);
            let Some(reason) = reason else {
                return Ok(has_waited);
            };
            has_waited = true;
            match timeout_at(until, health.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(reason),
            }
        }
    }

    /// Waits for a place among the calls of all plugins.
    pub(super) async fn turn(&self, plugin: Option<&PluginName>) -> Turn {
        self.0.gate.take(plugin.cloned()).await
    }

    pub(super) fn max_retry_wait(&self) -> Duration {
        self.0.max_retry_wait
    }

    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// What the site said of itself, and when.
    pub(super) fn kept(&self) -> Option<(Instant, Capabilities)> {
        let kept = self.0.capabilities.lock();
        kept.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, reply: &Reply) -> Result<Capabilities, SiteError> {
        let capabilities = info::read(&reply.result)?;
        let kept = self.0.capabilities.lock();
        *kept.unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), capabilities.clone()));
        Ok(capabilities)
    }
}
