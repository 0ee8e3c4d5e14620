//! The schema, remembered for a minute and shared by all plugins.
//!
//! In: a key (who asks what) and a way to ask the site. Out: the answer, one question to the site for all who wait.
//! Never: a failed answer kept, more than a bounded number of answers or bytes.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::{sync::OnceCell, time::Instant};

use super::error::RpcError;

/// How long an answer counts, when no event says that the schema changed.
const FRESH: Duration = Duration::from_secs(60);
/// More questions than a site has entity types.
const ENTRIES: usize = 1024;
/// A whole schema has a few MiB.
const BYTES: usize = 128 << 20;

/// Who asks what: what one script may see, another may not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) script: String,
    pub(super) login: Option<String>,
    pub(super) method: String,
    pub(super) payload: String,
}

#[derive(Clone)]
struct Entry {
    asked: Instant,
    answer: Arc<OnceCell<Box<RawValue>>>,
}

/// The answers.
#[derive(Default)]
pub(super) struct SchemaCache {
    entries: Mutex<HashMap<Question, Entry>>,
}

impl SchemaCache {
    /// The answer to a question: a fresh one, or what `ask` brings. Those who ask the same meanwhile wait for it.
    pub(super) async fn get<F>(
        &self,
        question: Question,
        ask: impl FnOnce() -> F,
    ) -> Result<Box<RawValue>, RpcError>
    where
        F: Future<Output = Result<Box<RawValue>, RpcError>>,
    {
        let entry = self.entry(question);
        entry.answer.get_or_try_init(ask).await.cloned()
    }

    /// Forgets everything: the schema changed. An answer under way is not kept either.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn entry(&self, question: Question) -> Entry {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&question)
            && entry.asked.elapsed() < FRESH
        {
            return entry.clone();
        }
        entries.retain(|_, entry| entry.asked.elapsed() < FRESH);
        let held = |entry: &Entry| entry.answer.get().map_or(0, |answer| answer.get().len());
        if entries.len() >= ENTRIES || entries.values().map(held).sum::<usize>() > BYTES {
            entries.clear();
        }
        let entry = Entry {
            asked: Instant::now(),
            answer: Arc::default(),
        };
        entries.insert(question, entry.clone());
        entry
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use sgeventd_protocol::ErrorCode;

    use super::*;

    fn question(payload: &str) -> Question {
        Question {
            script: "daemon".into(),
            login: None,
            method: "schema_read".into(),
            payload: payload.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_minute_or_until_the_schema_changes() {
        let cache = SchemaCache::default();
        let asked = Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            Ok(RawValue::from_string(asked.get().to_string()).unwrap())
        };
        let get = async |payload| {
            cache
                .get(question(payload), ask)
                .await
                .unwrap()
                .get()
                .to_owned()
        };
        assert_eq!((get("a").await, get("a").await), ("1".into(), "1".into()));
        assert_eq!(get("b").await, "2");
        tokio::time::advance(FRESH).await;
        assert_eq!(get("a").await, "3");
        cache.clear();
        assert_eq!(get("a").await, "4");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cache = SchemaCache::default();
        let fails = || async {
            Err(RpcError::new(
                ErrorCode::Internal,
                "no",
                &serde_json::json!({}),
            ))
        };
        assert!(cache.get(question("a"), fails).await.is_err());
        let works = || async { Ok(RawValue::from_string("1".into()).unwrap()) };
        assert_eq!(cache.get(question("a"), works).await.unwrap().get(), "1");
    }
}
