//! `state adopt`: the state of a site that has another address now, while no daemon runs.
//!
//! In: the config. Out: whose the state is and whose it would be; then that, written down.
//! Never: a state that is made, a state that a daemon has.

use super::DaemonError;
use crate::{
    config::Config,
    journal::{Engine as _, JournalError, Op, Sqlite, StateDir},
};

/// A state that is ours until this is dropped.
pub struct Adoption {
    // The lock goes last.
    engine: Sqlite,
    _state: StateDir,
    found: Option<Box<str>>,
    asked: Box<str>,
}

impl Adoption {
    /// Locks the state and looks whose it is; none when there is no journal.
    ///
    /// # Errors
    /// When a daemon has it, or it cannot be used.
    pub fn look(config: &Config) -> Result<Option<Self>, DaemonError> {
        let database = config.state.dir.join(crate::journal::DATABASE);
        if !database.exists() {
            return Ok(None);
        }
        let state = StateDir::open(&config.state.dir)?;
        let engine = Sqlite::open(&state.database())?;
        let found = engine.reader()?.site()?;
        Ok(Some(Self {
            engine,
            _state: state,
            found,
            asked: super::site_address(config),
        }))
    }

    /// Whose it is; none when no daemon ever ran with it.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Whose it would be.
    #[must_use]
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn adopt(mut self) -> Result<(), DaemonError> {
        let op = Op::AdoptSite {
            url: self.asked.clone(),
        };
        let answers = self.engine.commit(&[op])?;
        for answer in answers {
            answer.map_err(JournalError::Refused)?;
        }
        self.engine.housekeep(true)?;
        Ok(())
    }
}
