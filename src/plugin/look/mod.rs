//! Looks at plugin folders and files again and again, each folder on a thread of its own: a dead file server hangs that thread and nothing else.
//!
//! ```text
//!   folder thread ─┐
//!   folder thread ─┼─► collector: names them all ─► Seen
//!   command thread ┘   the last answer of a folder holds until the next one
//! ```
//! In: what to look at. Out: a [`Seen`] whenever it is another one.
//! Never: a folder's file system from another thread than its own.

mod place;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use self::place::Glance;
use super::{
    discovery::{Discovered, Found, discover, is_interpreter},
    names::name_them,
};
use crate::{config::Config, ident::PluginName};

/// A folder that has not answered for so long is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// The collector looks this often for folders that do not answer.
const ROUND: Duration = Duration::from_secs(1);
/// Words that may wait for the collector; it never waits itself, so who finds it full waits for a moment.
const WORDS: usize = 64;

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

impl Wanted {
    /// What a config wants.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let base = config.file.parent().unwrap_or(&config.file);
        let commands = config.plugin.iter().filter_map(|(name, layer)| {
            Some(Found {
                name: PluginName::new(name.as_str()),
                path_index: None,
                place: None,
                command: layer.command.clone().flatten()?,
                file: None,
                watch: Vec::new(),
                base: base.to_owned(),
                language: "",
            })
        });
        let folders = config.plugins.paths.iter();
        Self {
            folders: folders.map(|entry| entry.path.clone()).collect(),
            commands: commands.collect(),
            watch: BTreeMap::new(),
        }
    }

    /// One look at everything, on the caller's thread, as a daemon without a past would name it.
    #[must_use]
    pub fn survey(&self) -> Discovered {
        let (mut seen, mut all) = (Discovered::default(), Vec::new());
        for (index, folder) in self.folders.iter().enumerate() {
            match discover(folder, &mut BTreeMap::new()) {
                Ok((plugins, not_plugins)) => {
                    let plugins = plugins.into_iter();
                    all.extend(plugins.map(|one| Found {
                        path_index: Some(index),
                        ..one
                    }));
                    seen.not_plugins.extend(not_plugins);
                }
                Err(error) => {
                    let reason = error.kind().to_string();
                    seen.missing.insert(folder.clone(), reason);
                }
            }
        }
        name_them(all, &BTreeMap::new(), &mut seen);
        let commands = self.commands.iter().cloned();
        seen.plugins
            .extend(commands.map(|command| (command.name.clone(), command)));
        seen
    }
}

/// The hashes of a plugin's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Of its executable, its script and what it has itself watched.
    main: [u8; 32],
    /// Of what its manifest wants watched, by glob.
    globs: BTreeMap<String, [u8; 32]>,
}

impl Identity {
    /// True when a file of it is another one. Another set of watched files alone is no change.
    #[must_use]
    pub fn differs(&self, before: &Self) -> bool {
        let differs = |(glob, hash): (&String, &[u8; 32])| {
            before.globs.get(glob).is_some_and(|known| known != hash)
        };
        self.main != before.main || self.globs.iter().any(differs)
    }
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is there.
    pub found: Discovered,
    /// The hashes of each plugin's files.
    pub identity: BTreeMap<PluginName, Identity>,
}

/// Where one thread looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A plugin folder.
    Folder(PathBuf),
    /// Commands of the config whose programs are in this folder.
    Commands(PathBuf),
}

/// What threads and handle share.
#[derive(Default)]
struct Shared(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    wanted: Wanted,
    /// What each file is called.
    names: BTreeMap<PathBuf, PluginName>,
    /// Since when a thread is at its look.
    busy: BTreeMap<Place, Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the collector is told.
enum Word {
    /// Another thing is wanted.
    Wanted,
    /// A thread has seen something else.
    Glance(Place, Glance),
}

/// The threads' handle; they end when this is dropped.
pub struct Looker {
    shared: Arc<Shared>,
    words: SyncSender<Word>,
}

impl Looker {
    /// Starts looking. `had`: which file had which name. The first [`Seen`] comes when every folder was read or is given up for now.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        wanted: Wanted,
        had: BTreeMap<PluginName, PathBuf>,
    ) -> std::io::Result<(Self, mpsc::Receiver<Seen>)> {
        let (send, seen) = mpsc::channel(1);
        let (words, inbox) = sync_channel(WORDS);
        let shared = Arc::new(Shared::default());
        shared.lock().wanted = wanted;
        let mut collector = Collector {
            shared: Arc::downgrade(&shared),
            words: words.clone(),
            places: BTreeMap::new(),
            had,
            told: None,
        };
        thread::Builder::new()
            .name("look".into())
            .spawn(move || collector.run(&inbox, &send))?;
        Ok((Self { shared, words }, seen))
    }

    /// Changes what is looked at, and looks at once.
    pub fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.shared.lock().wanted);
        // Full: it has words to read, and looks at what is wanted with each.
        let _full = self.words.try_send(Word::Wanted);
    }
}

/// Puts together what the threads see.
struct Collector {
    shared: Weak<Shared>,
    words: SyncSender<Word>,
    places: BTreeMap<Place, Known>,
    had: BTreeMap<PluginName, PathBuf>,
    told: Option<Seen>,
}

/// What is known of a place.
struct Known {
    wake: SyncSender<()>,
    since: Instant,
    glance: Option<Glance>,
    is_away: bool,
}

impl Known {
    fn is_settled(&self) -> bool {
        self.glance.is_some() || self.is_away
    }
}

impl Collector {
    fn run(&mut self, inbox: &Receiver<Word>, send: &mpsc::Sender<Seen>) {
        self.follow();
        loop {
            let word = inbox.recv_timeout(ROUND);
            let has_word = word.is_ok();
            match word {
                Ok(Word::Wanted) => {
                    self.follow();
                    for known in self.places.values() {
                        // One word is as good as a hundred.
                        let _full = known.wake.try_send(());
                    }
                }
                Ok(Word::Glance(place, glance)) => {
                    if let Some(known) = self.places.get_mut(&place) {
                        (known.glance, known.is_away) = (Some(glance), false);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let has_changed = self.find_away(&shared) || has_word || self.told.is_none();
            let is_too_early = self.told.is_none() && !self.places.values().all(Known::is_settled);
            if is_too_early || !has_changed {
                continue;
            }
            let seen = self.gather(&shared);
            drop(shared);
            if self.told.as_ref() != Some(&seen) {
                self.told = Some(seen.clone());
                if send.blocking_send(seen).is_err() {
                    return;
                }
            }
        }
    }

    /// A thread for each place that is wanted; those of others end by themselves.
    fn follow(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let wanted = shared.lock().wanted.clone();
        let folders = wanted.folders.into_iter().map(Place::Folder);
        let commands = wanted.commands.iter().map(place_of);
        let places: BTreeSet<Place> = folders.chain(commands).collect();
        self.places.retain(|place, _| places.contains(place));
        for place in places {
            if self.places.contains_key(&place) {
                continue;
            }
            let (wake, woken) = sync_channel(1);
            let started = place::start(
                place.clone(),
                self.shared.clone(),
                self.words.clone(),
                (wake.clone(), woken),
            );
            if let Err(error) = started {
                tracing::error!(?place, %error, "no thread can be started to look at plugin files");
            }
            let known = Known {
                wake,
                since: Instant::now(),
                glance: None,
                is_away: false,
            };
            self.places.insert(place, known);
        }
    }

    /// Places whose thread hangs; the last answer of one holds on. True when they are others than before.
    fn find_away(&mut self, shared: &Shared) -> bool {
        let busy = shared.lock().busy.clone();
        let mut has_changed = false;
        for (place, known) in &mut self.places {
            let since = busy.get(place);
            let is_late = since.is_some_and(|since| since.elapsed() >= PATIENCE);
            let is_absent = known.glance.is_none() && known.since.elapsed() >= PATIENCE;
            let is_away = is_late || is_absent;
            has_changed |= is_away != known.is_away;
            known.is_away = is_away;
        }
        has_changed
    }

    /// Everything that is known, by name.
    fn gather(&mut self, shared: &Shared) -> Seen {
        let wanted = shared.lock().wanted.clone();
        let mut seen = Seen::default();
        let (mut all, mut identities) = (Vec::new(), BTreeMap::new());
        for (index, folder) in wanted.folders.iter().enumerate() {
            let Some(known) = self.places.get(&Place::Folder(folder.clone())) else {
                continue;
            };
            if known.is_away {
                let reason = format!("it has not answered for {} s", PATIENCE.as_secs());
                seen.found.missing.insert(folder.clone(), reason);
            }
            let Some(glance) = &known.glance else {
                continue;
            };
            if let Some(reason) = &glance.missing {
                let missing = &mut seen.found.missing;
                missing.entry(folder.clone()).or_insert(reason.clone());
            }
            seen.found.not_plugins.extend(glance.not_plugins.clone());
            for (found, identity) in &glance.plugins {
                let mut found = found.clone();
                found.path_index = Some(index);
                identities.insert(found.place.clone(), identity.clone());
                all.push(found);
            }
        }
        name_them(all, &self.had, &mut seen.found);
        let mut names = BTreeMap::new();
        for (name, found) in &seen.found.plugins {
            if let Some(place) = &found.place {
                self.had.insert(name.clone(), place.clone());
                names.insert(place.clone(), name.clone());
            }
            let identity = identities.remove(&found.place).unwrap_or_default();
            seen.identity.insert(name.clone(), identity);
        }
        shared.lock().names = names;
        for wanted in &wanted.commands {
            let known = self.places.get(&place_of(wanted));
            let glance = known.and_then(|known| known.glance.as_ref());
            let mut commands = glance.iter().flat_map(|glance| &glance.commands);
            // One that was not looked at yet comes with the next look.
            if let Some((_, found, identity)) = commands.find(|(asked, ..)| asked == wanted) {
                seen.identity.insert(found.name.clone(), identity.clone());
                let plugins = &mut seen.found.plugins;
                plugins.insert(found.name.clone(), found.clone());
            }
        }
        seen
    }
}

/// Where a command's program or script is, as far as the config tells without a look at the disk.
fn place_of(command: &Found) -> Place {
    let words = &command.command;
    let script = words.iter().skip(1).map(Path::new);
    let script = script
        .filter(|word| word.is_absolute())
        .find(|_| words.first().is_some_and(|first| is_interpreter(first)));
    let program = words.first().map(Path::new);
    let program = program.filter(|word| word.is_absolute());
    let folder = script.or(program).and_then(Path::parent);
    Place::Commands(folder.unwrap_or(&command.base).to_owned())
}

#[cfg(test)]
mod tests;
