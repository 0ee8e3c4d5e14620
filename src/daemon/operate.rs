//! What operators ask of plugins and dead letters.
//!
//! In: a plugin's name, numbers of letters. Out: what became of it, once it is on disk; or in words why not.
//! Never: a decision about an event (`dispatch`), a process.

use tokio::sync::oneshot;

use super::{herd, status::Desk};
use crate::{
    admin::{Enabled, Letter},
    ident::{EventId, PluginName},
    journal::{DeadLetter, DeadQuery, Op, Outcome},
    plugin::setup::Operation,
    text::instead,
};

/// Letters that are read at once: each may have a body of megabytes.
const LETTERS: usize = 20;

impl Desk {
    /// Has a plugin do something.
    pub(super) async fn operate(
        &self,
        plugin: PluginName,
        what: Operation,
    ) -> Result<Enabled, String> {
        let (done, answer) = oneshot::channel();
        let order = herd::Order::Operate(plugin, what, done);
        let stops = || "the daemon stops".to_owned();
        self.orders.send(order).await.map_err(|_| stops())?;
        answer.await.map_err(|_| stops())?
    }

    /// Has a plugin work again; says which letter an event became that is skipped.
    pub(super) async fn enable(
        &self,
        plugin: PluginName,
        skip_event: bool,
    ) -> Result<Enabled, String> {
        let what = Operation::Enable { skip_event };
        let mut enabled = self.operate(plugin.clone(), what).await?;
        if let Some(event_id) = enabled.skipped {
            enabled.dead_letter = self.letter_of(&plugin, event_id).await;
        }
        Ok(enabled)
    }

    /// The number of the letter that an event of a plugin is; none when it cannot be read.
    async fn letter_of(&self, plugin: &PluginName, event_id: EventId) -> Option<i64> {
        let mut query = DeadQuery {
            plugin: Some(plugin.clone()),
            after: 0,
            rows: LETTERS,
        };
        let mut found = None;
        loop {
            let letters = self.journal.dead(query.clone()).await.ok()?;
            let its = letters.iter().filter(|one| one.facts.event_id == event_id);
            found = its.map(|one| one.id).next_back().or(found);
            match letters.last() {
                Some(last) if letters.len() == LETTERS => query.after = last.id,
                _ => return found,
            }
        }
    }

    /// That a name is none, with what there is instead.
    async fn must_be_known(&self, plugin: &PluginName) -> Result<(), String> {
        let asked = plugin.clone();
        let known = self.journal.query(move |reader| {
            let is_known = reader.plugin(&asked)?.is_some();
            let all = if is_known {
                Vec::new()
            } else {
                reader.plugins()?
            };
            Ok((!is_known).then_some(all))
        });
        let Some(known) = known.await.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let all: Vec<&str> = known.iter().map(|record| record.name.as_str()).collect();
        let instead = instead(plugin.as_str(), &all);
        Err(format!("there is no plugin {plugin}; {instead}"))
    }

    /// Dead letters after a number.
    pub(super) async fn dead(
        &self,
        plugin: Option<PluginName>,
        after: i64,
        rows: usize,
    ) -> Result<Vec<Letter>, String> {
        if let Some(plugin) = &plugin {
            self.must_be_known(plugin).await?;
        }
        let query = DeadQuery {
            plugin,
            after,
            rows,
        };
        let letters = self.journal.dead(query).await;
        let letters = letters.map_err(|error| error.to_string())?;
        Ok(letters.into_iter().map(letter).collect())
    }

    /// Opens the events of letters again, and tells their plugins.
    pub(super) async fn redrive(&self, ids: Vec<i64>) -> Result<usize, String> {
        match self.journal.write(Op::Redrive { ids }).await {
            Ok(Outcome::Redriven(all)) => {
                let count = all.len();
                // The daemon stops: they are in the journal, and are handed out after the next start.
                let _gone = self.orders.send(herd::Order::Reopened(all)).await;
                Ok(count)
            }
            Ok(other) => Err(format!("an odd answer of the journal: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Forgets letters.
    pub(super) async fn drop_dead(&self, ids: Vec<i64>) -> Result<u64, String> {
        match self.journal.write(Op::DropDead { ids }).await {
            Ok(Outcome::Removed(count)) => Ok(count),
            Ok(other) => Err(format!("an odd answer of the journal: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn letter(found: DeadLetter) -> Letter {
    let DeadLetter {
        id,
        plugin,
        facts,
        body,
        dead,
    } = found;
    Letter {
        id,
        plugin,
        event_id: facts.event_id,
        seq: dead.seq,
        event_type: facts.event_type.into(),
        reason: dead.reason.into(),
        error: dead.error.into(),
        attempts: dead.attempts,
        at: dead.at,
        version: dead.version.map(Into::into),
        event: body.and_then(|body| serde_json::from_slice(&body).ok()),
    }
}
