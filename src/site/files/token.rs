//! Tokens of web sessions, with which the site hands out files.
//!
//! In: a session. Out: a token, remembered until the site refuses it.
//! Never: a token outside of a cookie for the site itself, more of them than there are logins.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    secret::Secret,
    site::{Call, Session, SiteError},
};

/// A web session ends after a day without use.
const FRESH: Duration = Duration::from_secs(3600);

/// The tokens of one script, by the login that it acts for.
#[derive(Default)]
pub(in crate::site) struct Tokens(Mutex<HashMap<Option<String>, (Instant, Secret)>>);

impl Tokens {
    fn kept(&self, login: Option<&str>) -> Option<Secret> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, token) = kept.get(&login.map(str::to_owned))?;
        (made.elapsed() < FRESH).then(|| token.clone())
    }

    fn keep(&self, login: Option<&str>, token: Secret) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(login.map(str::to_owned), (Instant::now(), token));
    }

    /// Forgets one that the site refused; false when there was none.
    pub(super) fn forget(&self, login: Option<&str>) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&login.map(str::to_owned)).is_some()
    }
}

impl Session {
    /// A token for whoever calls.
    pub(super) async fn token(&self, call: &Call<'_>) -> Result<Secret, SiteError> {
        #[derive(Deserialize)]
        struct Wire {
            session_id: String,
        }
        let login = call.sudo_as_login;
        if let Some(token) = self.tokens().kept(login) {
            return Ok(token);
        }
        let asked = Call {
            method: "get_session_token",
            payload: None,
            ..*call
        };
        let reply = self.call(&asked).await?;
        let wire: Wire = serde_json::from_slice(&reply.result).map_err(|_| SiteError::BadJson {
            what: "get_session_token: no `session_id`".to_owned(),
        })?;
        let token = Secret::new(wire.session_id);
        self.tokens().keep(login, token.clone());
        Ok(token)
    }
}
