//! A script user of a site: calls as often as is safe, behind the gate and the site's health.
//!
//! In: a [`Call`]. Out: a [`Reply`] or a typed error. The rules stand in `retry.rs`, `turns.rs` and `health.rs`.
//! Never: credentials that a caller chose, refused credentials tried more than once a minute by plugins.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    attempts::{Attempts, Way},
    client::Site,
    envelope::Auth,
    error::SiteError,
    files::Tokens,
    health::Health,
    info::{self, Capabilities},
    methods,
};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName},
    secret::Secret,
};

/// After the site refused a script's key, its calls are refused here for so long: a site locks out who hammers.
const REFUSED: Duration = Duration::from_secs(60);

/// One script user of a site. Copies are cheap and share what is known of the key.
#[derive(Clone)]
pub struct Session {
    site: Site,
    script: Arc<str>,
    key: Secret,
    refused: Arc<Mutex<Option<(Instant, SiteError)>>>,
    tokens: Arc<Tokens>,
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

impl Session {
    pub(super) fn new(site: Site, script: &str, key: Secret) -> Self {
        Self {
            site,
            script: script.into(),
            key,
            refused: Arc::default(),
            tokens: Arc::default(),
        }
    }

    /// The script user's name.
    #[must_use]
    pub fn script(&self) -> &str {
        &self.script
    }

    /// What downloads are asked for with.
    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
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
        let limit = self.site.http().answer_bytes;
        self.attempt(call, 1, limit).await
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
        let limit = self.site.http().result_bytes;
        let mut attempts = Attempts::new(self, kind, Way::Call, call.plugin);
        loop {
            let turn = attempts.begin().await?;
            let result = self.attempt(call, attempts.attempt(), limit).await;
            drop(turn);
            match result {
                Ok(reply) => return Ok(reply),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// What the site said of itself in the last minutes; asked when that is older, the older answer when asking fails.
    ///
    /// # Errors
    /// When it was never known and cannot be asked now.
    pub async fn capabilities(&self) -> Result<Capabilities, SiteError> {
        let kept = self.site.kept();
        if let Some((asked, capabilities)) = &kept
            && asked.elapsed() < info::FRESH
        {
            return Ok(capabilities.clone());
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

    pub(super) fn auth<'a>(&'a self, call: &Call<'a>) -> Auth<'a> {
        Auth {
            script_name: &self.script,
            script_key: self.key.expose(),
            session_uuid: call.session_uuid,
            sudo_as_login: call.sudo_as_login,
        }
    }

    /// One try, and what it tells of the key.
    async fn attempt(
        &self,
        call: &Call<'_>,
        attempt: u32,
        limit: usize,
    ) -> Result<Reply, SiteError> {
        let tried = self.site.try_once(Some(self), call, attempt, limit);
        let result = tried.await;
        let refused = match &result {
            Err(error @ SiteError::Auth { .. }) => Some((Instant::now(), error.clone())),
            // Any other answer of the site but `info` proves that the key is good; trouble proves nothing.
            Ok(_) | Err(SiteError::Fault { .. }) if call.method != "info" => None,
            _ => return result,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        result
    }

    /// Why the site refused the key, when that is the last it said of it.
    #[must_use]
    pub fn refusal(&self) -> Option<SiteError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().map(|(_, error)| error.clone())
    }

    pub(super) fn refused(&self) -> Option<SiteError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, error) = refused.as_ref()?;
        (when.elapsed() < REFUSED).then(|| error.clone())
    }
}
