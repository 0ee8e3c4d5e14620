//! A site and its sessions: one try, or as many as are safe, behind the gate and the site's health.
//!
//! In: a [`Call`]. Out: a [`Reply`] or a typed error. The rules stand in `retry.rs`, `turns.rs` and `health.rs`.
//! Never: credentials that a caller chose, a panic because of an answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    address::Address,
    envelope::{self, Auth},
    error::SiteError,
    gate::Gate,
    health::Health,
    http::{Head, Http},
    info::{self, Capabilities},
    methods,
    retry::{self, Verdict},
    setup::{self, SetupError, SiteOptions},
    tap::{CallRecord, CallTap},
};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName},
    secret::Secret,
};

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
}

/// One script user of a site. Copies are cheap.
#[derive(Clone)]
pub struct Session {
    site: Site,
    script: Arc<str>,
    key: Secret,
}

/// One call to the site.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `method_name` of the rpc.
    pub method: &'a str,
    /// `params[1]`, as it goes out.
    pub payload: Option<&'a RawValue>,
    /// Of the event being handled: the site copies it to the events that this call causes.
    pub session_uuid: Option<&'a str>,
    /// The login to act as.
    pub sudo_as_login: Option<&'a str>,
    /// On whose behalf; none for the daemon itself.
    pub plugin: Option<&'a PluginName>,
    /// The event being handled.
    pub event_id: Option<EventId>,
}

impl<'a> Call<'a> {
    /// A call of the daemon itself.
    #[must_use]
    pub fn new(method: &'a str, payload: Option<&'a RawValue>) -> Self {
        Self {
            method,
            payload,
            session_uuid: None,
            sudo_as_login: None,
            plugin: None,
            event_id: None,
        }
    }
}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Unwrapped, as the site wrote it: valid JSON.
    pub result: Bytes,
    /// The site's clock (`Date` header).
    pub date: Option<Unix>,
    /// From connecting to the last byte, of the last try.
    pub elapsed: Duration,
    /// Size of the whole body after decompression.
    pub bytes: usize,
}

impl Reply {
    /// The result as raw JSON of its own.
    #[must_use]
    pub fn to_raw(&self) -> Box<RawValue> {
        serde_json::from_slice(&self.result).expect("checked when it was unwrapped")
    }
}

impl Site {
    /// Prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL, the proxy or the certificates cannot be read.
    pub fn new(options: &SiteOptions) -> Result<Self, SetupError> {
        let address = Address::parse(&options.url)?;
        let client = setup::client(options, &address)?;
        Ok(Self(Arc::new(Inner {
            http: Http {
                client,
                address,
                timeout: options.timeout,
                answer_bytes: options.answer_bytes,
            },
            gate: Gate::new(options.max_calls),
            health: watch::Sender::new(Health::Up),
            tap: options.tap.clone(),
            max_retry_wait: options.max_retry_wait,
            patience: options.patience,
            capabilities: Mutex::new(None),
        })))
    }

    /// A session of a script user.
    #[must_use]
    pub fn session(&self, script: &str, key: Secret) -> Session {
        Session {
            site: self.clone(),
            script: script.into(),
            key,
        }
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
        let reply = self.try_once(None, &Call::new("info", None), 1).await?;
        Ok((self.learn(&reply)?, reply))
    }

    /// What the site said of itself when it was last asked.
    #[must_use]
    pub fn known(&self) -> Option<Capabilities> {
        self.kept().map(|(_, capabilities)| capabilities)
    }

    fn kept(&self) -> Option<(Instant, Capabilities)> {
        let kept = self.0.capabilities.lock();
        *kept.unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, reply: &Reply) -> Result<Capabilities, SiteError> {
        let capabilities = info::read(&reply.result)?;
        let kept = self.0.capabilities.lock();
        *kept.unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), capabilities));
        Ok(capabilities)
    }

    async fn try_once(
        &self,
        session: Option<&Session>,
        call: &Call<'_>,
        attempt: u32,
    ) -> Result<Reply, SiteError> {
        let auth = session.map(|session| session.auth(call));
        let body = envelope::request(call.method, auth.as_ref(), call.payload);
        let script = session.map(|session| &*session.script);
        let (sent_bytes, started) = (body.len(), Instant::now());
        let answer = self.0.http.post(body).await;
        let elapsed = started.elapsed();
        let mut head = Head::default();
        let mut received_bytes = 0;
        let result = answer.and_then(|answer| {
            head = answer.head;
            received_bytes = answer.body.len();
            envelope::result(&answer.body, call.method, script.unwrap_or_default())
        });
        if let Some(tap) = &self.0.tap {
            tap.tried(&CallRecord {
                method: call.method,
                script,
                plugin: call.plugin,
                event_id: call.event_id,
                attempt,
                sent_bytes,
                received_bytes,
                elapsed,
                status: result
                    .as_ref()
                    .map_or_else(SiteError::status, |_| Some(200)),
                request_id: head.request_id.as_deref(),
                error: result.as_ref().err(),
                payload: call.payload.map(RawValue::get),
                result: result.as_ref().ok().map(|result| &**result),
            });
        }
        result.map(|result| Reply {
            result,
            date: head.date,
            elapsed,
            bytes: received_bytes,
        })
    }

    /// Waits until this script may call; the last reason to wait when the deadline comes first.
    async fn wait_until_fit(&self, script: &str, until: Instant) -> Result<bool, String> {
        let mut health = self.health();
        let mut waited = false;
        loop {
            let reason = health.borrow_and_update().blocks(script).map(str::to_owned);
            let Some(reason) = reason else {
                return Ok(waited);
            };
            waited = true;
            match timeout_at(until, health.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(reason),
            }
        }
    }
}

impl Session {
    /// The script user's name.
    #[must_use]
    pub fn script(&self) -> &str {
        &self.script
    }

    /// Its site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// One try, at once, past the gate and whatever the site's health: for ingest, which has its own pace.
    ///
    /// # Errors
    /// Whatever went wrong, as it is.
    pub async fn call_once(&self, call: &Call<'_>) -> Result<Reply, SiteError> {
        self.site.try_once(Some(self), call, 1).await
    }

    /// Calls the site for a plugin: in turns, waiting while the site is away, repeated where that is safe.
    ///
    /// # Errors
    /// `Fault` and `Auth` are the site's own answer; `MaybeDone` is a write whose end is not known; `Away` says that the
    /// site did not come back in time.
    ///
    /// # Cancel safety
    /// Dropping the future gives its turn back; a request under way may still be carried out by the site.
    pub async fn call(&self, call: &Call<'_>) -> Result<Reply, SiteError> {
        let kind = methods::kind(call.method);
        let started = Instant::now();
        let until = started + self.site.0.patience;
        let (mut failures, mut attempt, mut last) = (0, 0, None);
        loop {
            let away = |last: String| SiteError::Away {
                waited: started.elapsed(),
                last,
            };
            let fit = self.site.wait_until_fit(&self.script, until).await;
            if fit.map_err(&away)? {
                // The site was away and came back: what failed before was its outage.
                failures = 0;
            }
            let taking = self.site.0.gate.take(call.plugin.cloned());
            let Ok(turn) = timeout_at(until, taking).await else {
                let last = last.map(|error: SiteError| error.to_string());
                return Err(away(last.unwrap_or_else(|| "no free place".to_owned())));
            };
            attempt += 1;
            let result = self.site.try_once(Some(self), call, attempt).await;
            drop(turn);
            let error = match result {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            failures += 1;
            last = Some(error.clone());
            let wait_max = self.site.0.max_retry_wait;
            match retry::judge(error, kind, failures, wait_max, fastrand::f64()) {
                Verdict::Return(error) => return Err(error),
                Verdict::Again(pause) if Instant::now() + pause >= until => {
                    let last = last.map_or_else(String::new, |error| error.to_string());
                    return Err(away(last));
                }
                Verdict::Again(pause) => sleep(pause).await,
            }
        }
    }

    /// What the site said of itself in the last minutes; asked when that is older, the older answer when asking fails.
    ///
    /// # Errors
    /// When it was never known and cannot be asked now.
    pub async fn capabilities(&self) -> Result<Capabilities, SiteError> {
        let kept = self.site.kept();
        if let Some((asked, capabilities)) = kept
            && asked.elapsed() < info::FRESH
        {
            return Ok(capabilities);
        }
        let health = self.site.health().borrow().clone();
        let asked = match health {
            // It would be asked in vain, for the whole of a deadline.
            Health::Down { reason, .. } => Err(SiteError::Away {
                waited: Duration::ZERO,
                last: reason.to_string(),
            }),
            Health::Up | Health::AuthFailed { .. } => self.site.info().await.map(|(new, _)| new),
        };
        match (asked, kept) {
            (Ok(capabilities), _) | (Err(_), Some((_, capabilities))) => Ok(capabilities),
            (Err(error), None) => Err(error),
        }
    }

    fn auth<'a>(&'a self, call: &Call<'a>) -> Auth<'a> {
        Auth {
            script_name: &self.script,
            script_key: self.key.expose(),
            session_uuid: call.session_uuid,
            sudo_as_login: call.sudo_as_login,
        }
    }
}
