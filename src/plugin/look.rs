//! Looks at plugin folders and files again and again, on a thread of its own: a dead file server hangs this thread and nothing else.
//!
//! A change counts when two looks in a row saw the same: an editor that saves ten times is one change.
//! In: what to look at. Out: a [`Seen`] whenever it is another one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::discovery::{Discovered, Found, Judged, Sample, discover, sample};
use crate::ident::PluginName;

/// Between two looks that must see the same: quiet time enough for an editor.
const QUIET: Duration = Duration::from_millis(500);
/// Without a word of the kernel: on a network file system it has none to say.
const POLL: Duration = Duration::from_secs(5);
/// Files below a glob are counted up to here.
const FILES_MAX: usize = 1000;

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The plugin folders, in order.
    pub folders: Vec<PathBuf>,
    /// Plugins that the config makes by `command`.
    pub commands: Vec<Found>,
    /// Globs that manifests want watched.
    pub watch: BTreeMap<PluginName, Vec<String>>,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is there.
    pub found: Discovered,
    /// A hash of each plugin's files.
    pub identity: BTreeMap<PluginName, [u8; 32]>,
    /// The globs that each hash was made with.
    pub watched: BTreeMap<PluginName, Vec<String>>,
}

/// The thread's handle; it ends when this is dropped.
pub struct Looker {
    wanted: Arc<Mutex<Wanted>>,
    wake: SyncSender<()>,
}

impl Looker {
    /// Starts looking; the first [`Seen`] comes at once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(wanted: Wanted) -> io::Result<(Self, mpsc::Receiver<Seen>)> {
        let (send, seen) = mpsc::channel(1);
        let shared = Arc::new(Mutex::new(wanted));
        let weak = Arc::downgrade(&shared);
        // One word is as good as a hundred: what does not fit is dropped.
        let (wake, events) = sync_channel(1);
        let waker = wake.clone();
        thread::Builder::new().name("look".into()).spawn(move || {
            let mut eye = Eye::default();
            let mut watch = Watch::start(waker, events);
            while let Some(wanted) = weak.upgrade() {
                let wanted = wanted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if let Some(seen) = eye.look(&wanted)
                    && send.blocking_send(seen).is_err()
                {
                    return;
                }
                watch.follow(eye.folders(&wanted));
                if eye.is_steady() {
                    watch.wait();
                } else {
                    thread::sleep(QUIET);
                }
            }
        })?;
        let looker = Self {
            wanted: shared,
            wake,
        };
        Ok((looker, seen))
    }

    /// Changes what is looked at, and looks at once.
    pub fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        let _full = self.wake.try_send(());
    }
}

/// The kernel's word that something changed; without it the poll finds it later.
struct Watch {
    watcher: Option<notify::RecommendedWatcher>,
    events: Receiver<()>,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    fn start(wake: SyncSender<()>, events: Receiver<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _full = wake.try_send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the kernel tells of no changes of plugin files; they are looked at every 5 s");
        }
        Self {
            watcher: watcher.ok(),
            events,
            folders: BTreeSet::new(),
        }
    }

    fn follow(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        use notify::{RecursiveMode, Watcher as _};
        for gone in self.folders.difference(&folders) {
            let _gone = watcher.unwatch(gone);
        }
        for new in folders.difference(&self.folders) {
            // A folder that is not there yet is found by the poll.
            let _missing = watcher.watch(new, RecursiveMode::NonRecursive);
        }
        self.folders = folders;
    }

    fn wait(&self) {
        if self.watcher.is_none() {
            return thread::sleep(POLL);
        }
        let _nothing = self.events.recv_timeout(POLL);
    }
}

/// What is remembered between two looks.
#[derive(Default)]
struct Eye {
    told: Option<Seen>,
    last: Option<Seen>,
    had: BTreeMap<PathBuf, PluginName>,
    judged: Judged,
    /// Hashes by path and the sample they were made at.
    hashes: BTreeMap<PathBuf, (Sample, [u8; 32])>,
}

impl Eye {
    /// True when the last two looks saw the same.
    fn is_steady(&self) -> bool {
        self.last == self.told
    }

    /// The folders in which a change matters.
    fn folders(&self, wanted: &Wanted) -> BTreeSet<PathBuf> {
        let last = self
            .last
            .iter()
            .flat_map(|seen| seen.found.plugins.values());
        let files = last.filter_map(|found| found.file.as_deref()?.parent().map(Path::to_owned));
        let watched = self.hashes.keys();
        let watched = watched.filter_map(|file| file.parent().map(Path::to_owned));
        let folders = wanted.folders.iter().cloned();
        folders.chain(files).chain(watched).collect()
    }

    /// What there is to tell: the first look at once, a later one when it was seen twice.
    fn look(&mut self, wanted: &Wanted) -> Option<Seen> {
        let seen = self.see(wanted);
        let is_steady = self.told.is_none() || self.last.as_ref() == Some(&seen);
        let is_new = self.told.as_ref() != Some(&seen);
        self.last = Some(seen.clone());
        if is_steady && is_new {
            self.told = Some(seen.clone());
            return Some(seen);
        }
        None
    }

    fn see(&mut self, wanted: &Wanted) -> Seen {
        let mut found = discover(&wanted.folders, &self.had, &mut self.judged);
        for one in &wanted.commands {
            let file = found.plugins.insert(one.name.clone(), one.clone());
            // The config is nearer to the operator's will than what lies in a folder.
            if let Some(file) = file.and_then(|file| file.file) {
                let name = &one.name;
                let reason = format!(
                    "the name {name} belongs to the `command` of [plugin.{name}]; rename the file or the section"
                );
                found.not_plugins.insert(file, reason);
            }
        }
        let mut seen = Seen::default();
        for (name, one) in &found.plugins {
            if let Some(file) = &one.file {
                self.had.entry(file.clone()).or_insert_with(|| name.clone());
            }
            let more = wanted.watch.get(name).map_or(&[][..], Vec::as_slice);
            seen.identity.insert(name.clone(), self.identity(one, more));
            seen.watched.insert(name.clone(), more.to_vec());
        }
        seen.found = found;
        seen
    }

    fn identity(&mut self, found: &Found, more: &[String]) -> [u8; 32] {
        let mut all = Sha256::new();
        let mut files: Vec<PathBuf> = found.file.iter().cloned().collect();
        for glob in found.watch.iter().chain(more) {
            files.extend(matching(&found.base, glob));
        }
        for file in files {
            all.update(file.as_os_str().as_encoded_bytes());
            if let Some(hash) = self.hash(&file) {
                all.update(hash);
            }
        }
        all.finalize().into()
    }

    /// The content's hash, made again only when the sample moved.
    fn hash(&mut self, file: &Path) -> Option<[u8; 32]> {
        let sample = sample(file).ok()?;
        if let Some((known, hash)) = self.hashes.get(file)
            && *known == sample
        {
            return Some(*hash);
        }
        let mode = sample.2 & 0o111;
        let mut hash = Sha256::new_with_prefix(mode.to_le_bytes());
        // In pieces: a program can be as big as it likes.
        io::copy(&mut fs::File::open(file).ok()?, &mut hash).ok()?;
        let hash = hash.finalize().into();
        self.hashes.insert(file.to_owned(), (sample, hash));
        Some(hash)
    }
}

/// The files that a glob names; an absolute path names itself.
fn matching(base: &Path, glob: &str) -> Vec<PathBuf> {
    if !glob.contains(['*', '?', '[', '{']) {
        return vec![base.join(glob)];
    }
    let Ok(matcher) = globset::Glob::new(&base.join(glob).to_string_lossy()) else {
        return Vec::new();
    };
    let matcher = matcher.compile_matcher();
    let mut found = Vec::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if matcher.is_match(&path) {
                found.push(path);
            }
            if found.len() + folders.len() > FILES_MAX {
                return found;
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_change_counts_when_it_was_seen_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("p.sh");
        let write = |text: &str| {
            fs::write(&file, text).expect("a file");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&file, mode).expect("a mode");
        };
        write("#!/bin/sh\n");
        let wanted = Wanted {
            folders: vec![dir.path().to_owned()],
            ..Wanted::default()
        };
        let mut eye = Eye::default();
        let name = PluginName::new("p");
        let first = eye.look(&wanted).expect("the first look");
        assert_eq!(first.found.plugins[&name].language, "shell");
        assert_eq!(eye.look(&wanted), None);
        write("#!/bin/sh\n# half\n");
        assert_eq!(eye.look(&wanted), None, "it may be half written");
        write("#!/bin/sh\n# half, and the rest\n");
        assert_eq!(eye.look(&wanted), None);
        let changed = eye.look(&wanted).expect("a change that lasts");
        assert_ne!(changed.identity[&name], first.identity[&name]);
        write("#!/bin/sh\n# half, and the rest\n");
        eye.look(&wanted);
        assert_eq!(eye.look(&wanted), None, "the same content is no change");
        fs::remove_file(&file).expect("gone");
        eye.look(&wanted);
        assert!(eye.look(&wanted).expect("gone").found.plugins.is_empty());
    }

    #[test]
    fn globs_name_files_below_the_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("lib/deep")).expect("a folder");
        for name in ["lib/a.py", "lib/deep/b.py", "lib/c.txt"] {
            fs::write(dir.path().join(name), "x").expect("a file");
        }
        assert_eq!(matching(dir.path(), "lib/**/*.py").len(), 2);
        assert_eq!(matching(dir.path(), "lib/c.txt").len(), 1);
    }
}
