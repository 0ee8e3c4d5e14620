//! Threads that read for whoever is behind or asks: each with a reader of its own, a question at a time.
//!
//! In: questions as closures. Out: their answers, elsewhere. When all are busy, who asks waits.
//! Never: a write, a transaction that outlives its question.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{Engine, Health, JournalError, Reader};

/// Questions that may wait. Each asker has one at a time, so this is some plugins and a few people.
const ROOM: usize = 256;

type Question = Box<dyn FnOnce(&mut dyn Reader) + Send>;

/// The reader threads. They end when this is dropped.
pub(super) struct Readers {
    health: watch::Sender<Health>,
    questions: SyncSender<(Question, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn start(
        engine: &dyn Engine,
        threads: usize,
        health: watch::Sender<Health>,
    ) -> Result<Self, JournalError> {
        let (questions, inbox) = sync_channel(ROOM);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 1..=threads.max(1) {
            let reader = engine.reader()?;
            let inbox = Arc::clone(&inbox);
            thread::Builder::new()
                .name(format!("journal-read-{number}"))
                .spawn(move || serve(&inbox, reader))
                .map_err(|error| {
                    JournalError::Broken(format!("cannot start a thread: {error}").into())
                })?;
        }
        Ok(Self {
            health,
            questions,
            room: Arc::new(Semaphore::new(ROOM)),
        })
    }

    /// Asks and waits for the answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| JournalError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |reader| {
            // Nobody waits any more: fine.
            drop(answer.send(question(reader)));
        });
        // A permit is a place in the channel, so this never finds it full.
        let sent = self.questions.try_send((question, room));
        sent.map_err(|_| JournalError::Closed)?;
        let lost = || JournalError::Broken("a question to the journal ended in a panic".into());
        let answer = answered.await.map_err(|_| lost())?;
        answer.inspect_err(|error| self.hear(error))
    }

    /// What cannot be read cannot be built on: nothing is written any more.
    fn hear(&self, error: &JournalError) {
        if matches!(error, JournalError::Broken(_) | JournalError::Corrupt(_)) {
            self.health.send_if_modified(|health| {
                let is_news = !matches!(health, Health::Broken(_));
                if is_news {
                    *health = Health::Broken(error.clone());
                }
                is_news
            });
        }
    }
}

fn serve(inbox: &Mutex<Receiver<(Question, OwnedSemaphorePermit)>>, mut reader: Box<dyn Reader>) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((question, room)) = next else {
            return;
        };
        drop(room);
        // The panic of one question is its asker's; the hook has written it down.
        drop(catch_unwind(AssertUnwindSafe(|| question(reader.as_mut()))));
    }
}
