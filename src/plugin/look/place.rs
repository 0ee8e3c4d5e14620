//! One place with its thread: a plugin folder, or commands of the config whose programs stand together.
//!
//! A change counts when two looks in a row saw the same: an editor that saves ten times is one change.
//! In: what is wanted there. Out: a [`Glance`] whenever it is another one.
//! Never: a name beside those of other folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Weak,
        mpsc::{Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Identity, Place, Shared, Word, place_of, watch::Watch};
use crate::{
    ident::PluginName,
    plugin::{
        discovery::{Found, Judged, complete, discover, why},
        file::{self, HASH_MAX, Sample, sample},
    },
};

/// Between two looks that must see the same: quiet time enough for an editor.
const QUIET: Duration = Duration::from_millis(500);
/// A look may take this part of the thread's time.
const SHARE: u32 = 10;
/// Files below a glob are counted up to here.
const FILES_MAX: usize = 1000;

/// What one look saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// Plugins of the folder with the hashes of their files.
    pub(super) plugins: Vec<(Found, Identity)>,
    /// Commands: as they are wanted, as they are, with the hashes of their files.
    pub(super) commands: Vec<(Found, Found, Identity)>,
    /// Everything else, with the reason.
    pub(super) not_plugins: BTreeMap<PathBuf, String>,
    /// Why the folder cannot be read.
    pub(super) missing: Option<String>,
}

impl Glance {
    /// What of it was seen twice, and of the rest what was told before: a file that is another one at every look holds up no
    /// other plugin of its place.
    pub(super) fn steady(&self, last: &Self, told: &Self) -> Self {
        let (missing, before) = (&self.missing, &told.missing);
        Self {
            plugins: steady(
                [&self.plugins, &last.plugins, &told.plugins],
                |(found, _)| found.place.clone(),
            ),
            commands: steady(
                [&self.commands, &last.commands, &told.commands],
                |command| command.0.name.clone(),
            ),
            not_plugins: {
                let maps = [self, last, told].map(|one| Vec::from_iter(&one.not_plugins));
                let all = steady(maps.each_ref().map(Vec::as_slice), |(path, _)| {
                    path.as_path()
                });
                let all = all.into_iter();
                all.map(|(path, why)| (path.clone(), why.clone())).collect()
            },
            missing: if last.missing == *missing {
                missing
            } else {
                before
            }
            .clone(),
        }
    }
}

/// Of things that were seen now, last time, and told before: those of now that were the same last time, else those that were told.
fn steady<T: Clone + PartialEq, K: Ord>(seen: [&[T]; 3], key: impl Fn(&T) -> K) -> Vec<T> {
    let [now, last, told] = seen.map(|all| {
        let all = all.iter().map(|one| (key(one), one));
        all.collect::<BTreeMap<_, _>>()
    });
    let keys: BTreeSet<&K> = now.keys().chain(told.keys()).collect();
    let steady = keys.into_iter().filter_map(|key| {
        let is_steady = now.get(key) == last.get(key);
        if is_steady {
            now.get(key)
        } else {
            told.get(key)
        }
    });
    steady.map(|one| (*one).clone()).collect()
}

/// Starts the thread; it ends when its place is not wanted any more.
pub(super) fn start(
    place: Place,
    shared: Weak<Shared>,
    words: SyncSender<Word>,
    wake: (SyncSender<()>, Receiver<()>),
) -> io::Result<()> {
    let name = match &place {
        Place::Folder(_) => "look-folder",
        Place::Commands(_) => "look-commands",
    };
    thread::Builder::new().name(name.into()).spawn(move || {
        let mut watch = Watch::start(wake);
        let mut eye = Eye::default();
        loop {
            let begun = Instant::now();
            let Some(wish) = shared
                .upgrade()
                .and_then(|shared| Wish::of(&shared, &place))
            else {
                break;
            };
            let glance = eye.look(&wish);
            watch.follow(eye.folders(&wish));
            if let Some(shared) = shared.upgrade() {
                shared.lock().busy.remove(&place);
            }
            if let Some(glance) = glance
                && words.send(Word::Glance(place.clone(), glance)).is_err()
            {
                break;
            }
            let pause = pause(begun.elapsed());
            if eye.is_steady() {
                watch.wait(pause);
            } else {
                thread::sleep(pause);
            }
        }
        if let Some(shared) = shared.upgrade() {
            shared.lock().busy.remove(&place);
        }
    })?;
    Ok(())
}

/// How long to rest after a look that took so long.
fn pause(took: Duration) -> Duration {
    QUIET.max(took.saturating_mul(SHARE - 1))
}

/// What is wanted of a place.
struct Wish {
    folder: Option<PathBuf>,
    commands: Vec<Found>,
    names: BTreeMap<PathBuf, PluginName>,
    globs: BTreeMap<PluginName, Vec<String>>,
}

impl Wish {
    /// None when nothing is. From now on the thread is at its look.
    fn of(shared: &Shared, place: &Place) -> Option<Self> {
        let mut inner = shared.lock();
        let wanted = &inner.wanted;
        let commands = wanted.commands.iter();
        let commands = commands.filter(|command| place_of(command) == *place);
        let commands: Vec<Found> = commands.cloned().collect();
        let folder = match place {
            Place::Folder(folder) => Some(folder).filter(|one| wanted.folders.contains(one)),
            Place::Commands(_) => None,
        };
        if folder.is_none() && commands.is_empty() {
            return None;
        }
        let wish = Self {
            folder: folder.cloned(),
            commands,
            names: inner.names.clone(),
            globs: wanted.watch.clone(),
        };
        inner.busy.insert(place.clone(), Instant::now());
        Some(wish)
    }

    /// What the manifest of a plugin wants watched.
    fn globs(&self, found: &Found) -> &[String] {
        let name = match &found.place {
            Some(place) => self.names.get(place),
            None => Some(&found.name),
        };
        name.and_then(|name| self.globs.get(name))
            .map_or(&[], Vec::as_slice)
    }
}

/// What is remembered between two looks.
#[derive(Default)]
struct Eye {
    told: Option<Glance>,
    last: Option<Glance>,
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
    fn folders(&self, wish: &Wish) -> BTreeSet<PathBuf> {
        let files = self.hashes.keys();
        let files = files.filter_map(|file| file.parent().map(Path::to_owned));
        wish.folder.iter().cloned().chain(files).collect()
    }

    /// What there is to tell: the first look at once, later what was seen twice.
    fn look(&mut self, wish: &Wish) -> Option<Glance> {
        let glance = self.see(wish);
        let steady = match (&self.last, &self.told) {
            (Some(last), Some(told)) if *last != glance => glance.steady(last, told),
            _ => glance.clone(),
        };
        self.last = Some(glance);
        if self.told.as_ref() == Some(&steady) {
            return None;
        }
        self.told = Some(steady.clone());
        Some(steady)
    }

    fn see(&mut self, wish: &Wish) -> Glance {
        let mut glance = Glance::default();
        let mut known = std::mem::take(&mut self.hashes);
        for wanted in &wish.commands {
            let mut found = wanted.clone();
            complete(&mut found);
            let identity = self.identity(&found, wish.globs(&found), &mut known);
            glance.commands.push((wanted.clone(), found, identity));
        }
        let inside = wish.folder.as_ref();
        match inside.map(|folder| discover(folder, &mut self.judged)) {
            None => {}
            Some(Ok((plugins, not_plugins))) => {
                glance.not_plugins = not_plugins;
                for found in plugins {
                    let identity = self.identity(&found, wish.globs(&found), &mut known);
                    glance.plugins.push((found, identity));
                }
            }
            Some(Err(error)) => glance.missing = Some(why(&error)),
        }
        glance
    }

    fn identity(&mut self, found: &Found, globs: &[String], known: &mut Hashes) -> Identity {
        let program = found.command.first().filter(|first| first.contains('/'));
        let program = program.map(|first| found.base.join(first));
        let mut files: BTreeSet<PathBuf> = found.file.iter().cloned().chain(program).collect();
        for glob in &found.watch {
            files.extend(matching(&found.base, glob));
        }
        let globs = globs.iter().map(|glob| {
            let files = matching(&found.base, glob).into_iter().collect();
            (glob.clone(), self.hash_all(&files, known))
        });
        Identity {
            globs: globs.collect(),
            main: self.hash_all(&files, known),
        }
    }

    fn hash_all(&mut self, files: &BTreeSet<PathBuf>, known: &mut Hashes) -> [u8; 32] {
        let mut all = Sha256::new();
        for file in files {
            all.update(file.as_os_str().as_encoded_bytes());
            if let Some(hash) = self.hash(file, known) {
                all.update(hash);
            }
        }
        all.finalize().into()
    }

    /// The content's hash, made again only when the sample moved.
    fn hash(&mut self, file: &Path, known: &mut Hashes) -> Option<[u8; 32]> {
        let now = sample(file).ok()?;
        let then = self
            .hashes
            .get(file)
            .copied()
            .or_else(|| known.remove(file));
        let hash = match then {
            Some((then, hash)) if then == now => hash,
            _ => file::hash(file, HASH_MAX).ok()?,
        };
        self.hashes.insert(file.to_owned(), (now, hash));
        Some(hash)
    }
}

type Hashes = BTreeMap<PathBuf, (Sample, [u8; 32])>;

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

    fn put(file: &Path, text: &str) {
        fs::write(file, text).expect("a file");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn wish(folder: &Path, globs: &[&str]) -> Wish {
        let globs = globs.iter().map(|&glob| glob.to_owned()).collect();
        Wish {
            folder: Some(folder.to_owned()),
            commands: Vec::new(),
            names: BTreeMap::from([(folder.join("p.sh"), PluginName::new("p"))]),
            globs: BTreeMap::from([(PluginName::new("p"), globs)]),
        }
    }

    #[test]
    fn a_change_counts_when_it_was_seen_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("p.sh");
        put(&file, "#!/bin/sh\n");
        let wish = wish(dir.path(), &[]);
        let mut eye = Eye::default();
        let first = eye.look(&wish).expect("the first look");
        assert_eq!(first.plugins[0].0.language, "shell");
        assert_eq!(eye.look(&wish), None);
        put(&file, "#!/bin/sh\n# half\n");
        assert_eq!(eye.look(&wish), None, "it may be half written");
        put(&file, "#!/bin/sh\n# half, and the rest\n");
        assert_eq!(eye.look(&wish), None);
        let changed = eye.look(&wish).expect("a change that lasts");
        assert!(changed.plugins[0].1.differs(&first.plugins[0].1));
        put(&file, "#!/bin/sh\n# half, and the rest\n");
        eye.look(&wish);
        assert_eq!(eye.look(&wish), None, "the same content is no change");
        fs::remove_file(&file).expect("gone");
        eye.look(&wish);
        assert!(eye.look(&wish).expect("gone").plugins.is_empty());
    }

    #[test]
    fn another_set_of_watched_files_is_no_change_but_a_change_beside_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        put(&at("p.sh"), "#!/bin/sh\n");
        put(&at("a.py"), "1");
        let seen = |globs: &[&str]| {
            let glance = Eye::default().look(&wish(dir.path(), globs));
            let (_, identity) = glance.expect("the first look").plugins.remove(0);
            identity
        };
        let without = seen(&[]);
        let with = seen(&["a.py", "*.txt"]);
        assert!(with != without && !with.differs(&without));
        put(&at("p.sh"), "#!/bin/sh\n# another\n");
        let with_another = seen(&["a.py", "*.txt"]);
        assert!(with_another.differs(&without), "both at once");
        put(&at("a.py"), "2");
        assert!(seen(&["a.py"]).differs(&with_another));
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

    #[test]
    fn a_folder_that_never_rests_is_looked_at_now_and_then() {
        assert_eq!(pause(Duration::ZERO), QUIET);
        assert_eq!(pause(Duration::from_secs(2)), Duration::from_secs(18));
    }
}
