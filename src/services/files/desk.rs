//! Places for files: how many of one plugin are open at once, and threads for what may wait for a disk.
//!
//! In: a plugin's name. Out: a place, after a wait in order. A thread that hangs on a dead file server keeps its place, over
//! restarts of the plugin: so many threads are lost at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use super::error::{FileError, Kind};
use crate::ident::PluginName;

/// Files of one plugin that are on their way at once: others want the line, too.
const AT_ONCE: usize = 4;
/// A file system that has not answered for so long is away.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A place; who works for it holds it.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// The places of all plugins.
#[derive(Debug, Default)]
pub(in crate::services) struct Desk(Mutex<HashMap<PluginName, Arc<Semaphore>>>);

impl Desk {
    /// Waits for a place.
    pub(super) async fn enter(&self, plugin: &PluginName) -> Result<Place, FileError> {
        let places = {
            let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(AT_ONCE));
            desks.entry(plugin.clone()).or_insert_with(new).clone()
        };
        let place = places.acquire_owned().await;
        // The semaphore is never closed.
        place
            .map(Arc::new)
            .map_err(|_| FileError::new("", Kind::NoPath))
    }
}

/// Does what may wait for a disk on a thread of its own, which holds the place while it lasts.
pub(super) async fn on_thread<T: Send + 'static>(
    path: &str,
    place: &Place,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let (done, is_done) = oneshot::channel();
    let held = place.clone();
    let thread = thread::Builder::new().name("file".into());
    thread
        .spawn(move || {
            // Nobody may be left to be told.
            let _gone = done.send(work());
            drop(held);
        })
        .map_err(|error| FileError::new(path, Kind::Io(error)))?;
    match timeout(PATIENCE, is_done).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            let error = std::io::Error::other("the thread that looked at it has ended");
            Err(FileError::new(path, Kind::Io(error)))
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(FileError::new(path, Kind::Silent { seconds }))
        }
    }
}
