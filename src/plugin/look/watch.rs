//! The kernel's word that something in a folder changed; without it the poll finds it later.
//!
//! In: folders. Out: a wake-up. Never: what changed; on a network file system the kernel has nothing to say.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Once,
        mpsc::{Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use notify::{RecursiveMode, Watcher as _};

/// Looked at this often without a word of the kernel.
const POLL: Duration = Duration::from_secs(5);

/// Said once, however many folders there are: the poll does what the kernel does not.
static SAID: Once = Once::new();

fn say(error: &notify::Error) {
    SAID.call_once(|| {
        tracing::warn!(
            %error,
            hint = "more watches: sysctl fs.inotify.max_user_watches, max_user_instances",
            "the kernel tells of no changes of plugin files; they are looked at every 5 s"
        );
    });
}

/// True when the kernel has no watch left for us.
fn is_full(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(error) => error.raw_os_error() == Some(nix::libc::ENOSPC),
        _ => false,
    }
}

/// See the module.
pub(super) struct Watch {
    watcher: Option<notify::RecommendedWatcher>,
    woken: Receiver<()>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    pub(super) fn start((wake, woken): (SyncSender<()>, Receiver<()>)) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // One word is as good as a hundred: what does not fit is dropped.
                let _full = wake.try_send(());
            }
        });
        if let Err(error) = &watcher {
            say(error);
        }
        Self {
            watcher: watcher.ok(),
            woken,
            folders: BTreeSet::new(),
        }
    }

    /// Watches these folders and no others.
    pub(super) fn follow(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        self.folders.retain(|folder| {
            let is_wanted = folders.contains(folder);
            if !is_wanted {
                let _gone = watcher.unwatch(folder);
            }
            is_wanted
        });
        for new in folders {
            if self.folders.contains(&new) {
                continue;
            }
            match watcher.watch(&new, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(new);
                }
                Err(error) if is_full(&error) => say(&error),
                // A folder that is not there yet is found by the poll, and tried again with each look.
                Err(_) => {}
            }
        }
    }

    /// Waits for a word, but at least `pause`: a folder that never rests is looked at now and then, not all the time.
    pub(super) fn wait(&self, pause: Duration) {
        thread::sleep(pause);
        let _nothing = self.woken.recv_timeout(POLL.saturating_sub(pause));
    }
}
