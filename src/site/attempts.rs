//! The attempts of one call: when the first goes, whether there is another, and after which wait.
//!
//! In: how a try failed. Out: a turn for the next one, or the error for the caller. The rules stand in `retry.rs`.
//! Never: a try itself.

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Kind, Session,
    error::SiteError,
    gate::Turn,
    retry::{self, Verdict},
};
use crate::ident::PluginName;

/// What the attempts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A call: it waits for the site to be up and for its turn.
    Call,
    /// A file to or from the site: it may take an hour, so it takes nobody's turn.
    File,
    /// A piece of a file to the storage, which is another host and has its own health.
    Storage,
}

/// The attempts of one call.
pub(super) struct Attempts<'a> {
    session: &'a Session,
    kind: Kind,
    way: Way,
    plugin: Option<&'a PluginName>,
    started: Instant,
    attempt: u32,
    failures: u32,
    last: String,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        session: &'a Session,
        kind: Kind,
        way: Way,
        plugin: Option<&'a PluginName>,
    ) -> Self {
        Self {
            session,
            kind,
            way,
            plugin,
            started: Instant::now(),
            attempt: 0,
            failures: 0,
            last: "no free place".to_owned(),
        }
    }

    /// 1 for the first try.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Waits until a try may be made; the turn is held while it lasts.
    ///
    /// # Errors
    /// When the site stays away, or refused the key lately.
    pub(super) async fn begin(&mut self) -> Result<Option<Turn>, SiteError> {
        self.attempt += 1;
        if self.way == Way::Storage {
            return Ok(None);
        }
        let site = self.session.site();
        let until = self.started + site.patience();
        let has_waited = site.wait_until_fit(self.session.script(), until).await;
        if has_waited.map_err(|last| self.away(last))? {
            // The site was away and came back: what failed before was its outage.
            self.failures = 0;
        }
        if let Some(error) = self.session.refused() {
            return Err(error);
        }
        if self.way == Way::File {
            return Ok(None);
        }
        match timeout_at(until, site.turn(self.plugin)).await {
            Ok(turn) => Ok(Some(turn)),
            Err(_) => Err(self.away(self.last.clone())),
        }
    }

    /// A try failed: waits before the next one.
    ///
    /// # Errors
    /// The error for the caller when there is no next one.
    pub(super) async fn failed(&mut self, error: SiteError) -> Result<(), SiteError> {
        self.failures += 1;
        self.last = error.to_string();
        let site = self.session.site();
        let (wait_max, chance) = (site.max_retry_wait(), fastrand::f64());
        let verdict = match self.way {
            Way::Storage => retry::judge_storage(error, self.failures, wait_max, chance),
            Way::Call | Way::File => {
                retry::judge(error, self.kind, self.failures, wait_max, chance)
            }
        };
        match verdict {
            Verdict::Return(error) => Err(error),
            Verdict::Again(pause) if Instant::now() + pause >= self.started + site.patience() => {
                Err(self.away(self.last.clone()))
            }
            Verdict::Again(pause) => {
                sleep(pause).await;
                Ok(())
            }
        }
    }

    fn away(&self, last: String) -> SiteError {
        SiteError::Away {
            waited: self.started.elapsed(),
            last,
        }
    }
}
