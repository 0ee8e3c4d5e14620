//! A disk whose power is cut: what a trace of `interpose.c` leaves on it at some point.
//!
//! Of a file, everything up to its last sync lasts; of what was written later nothing, all, the first part, or every sector of
//! 512 bytes by the toss of a coin. Names last from the sync of their folder on, later ones none, all or the first part.
//! A sync that failed saves nothing, and what it should have saved is not saved by a later one either.
//!
//! Never: shared memory (`-shm`), which a start makes anew.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use super::interpose::{Trace, What};

const SECTOR: usize = 512;

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Survives {
    Nothing,
    All,
    Prefix,
    Sectors,
}

fn toss(random: &mut fastrand::Rng) -> Survives {
    use Survives::{All, Nothing, Prefix, Sectors};
    [Nothing, All, Prefix, Sectors][random.usize(..4)]
}

impl Survives {
    /// How many of so many steps, from the first on.
    fn count(self, random: &mut fastrand::Rng, of: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::All => of,
            Self::Prefix | Self::Sectors => random.usize(..=of),
        }
    }
}

/// A change of a file that is not synced.
#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Range<usize> },
    Truncate(usize),
}

/// A file, whatever its names are.
#[derive(Debug, Default)]
struct Inode {
    is_folder: bool,
    lasting: Vec<u8>,
    pending: Vec<Change>,
}

/// A change of the names in a folder.
#[derive(Debug, Clone)]
enum Naming {
    Put(PathBuf, usize),
    Remove(PathBuf),
}

/// The names in a folder.
#[derive(Debug, Default)]
struct Folder {
    lasting: BTreeMap<PathBuf, usize>,
    /// Each step is whole: a rename takes one name and gives another.
    pending: Vec<Vec<Naming>>,
}

/// Files and names while a trace is played.
pub(crate) struct Disk<'a> {
    trace: &'a Trace,
    played: usize,
    inodes: Vec<Inode>,
    /// What a program would see.
    seen: BTreeMap<PathBuf, usize>,
    folders: BTreeMap<PathBuf, Folder>,
    /// Whose syncs do nothing: what a disk would be that lies.
    lies: fn(&Path) -> bool,
}

impl<'a> Disk<'a> {
    /// An empty disk, with the one folder that was there.
    pub(crate) fn new(trace: &'a Trace, lies: fn(&Path) -> bool) -> Self {
        Self {
            trace,
            played: 0,
            inodes: Vec::new(),
            seen: BTreeMap::new(),
            folders: BTreeMap::new(),
            lies,
        }
    }

    /// Plays the records up to a place.
    pub(crate) fn play(&mut self, up_to: usize) {
        while self.played < up_to {
            self.step(self.played);
            self.played += 1;
        }
    }

    fn step(&mut self, index: usize) {
        let trace = self.trace;
        let record = &trace.records[index];
        let path = record.path.as_path();
        // What has no name any more is nobody's.
        if path.to_string_lossy().ends_with(" (deleted)") {
            return;
        }
        let offset = usize::try_from(record.offset).expect("a small file");
        match record.what {
            What::Write => {
                let data = record.data.clone();
                self.inode(path)
                    .pending
                    .push(Change::Write { offset, data });
            }
            What::Truncate => self.inode(path).pending.push(Change::Truncate(offset)),
            What::Sync => self.sync(path),
            What::SyncFailed => self.inode(path).pending.clear(),
            What::Create | What::MakeFolder => {
                let id = self.inodes.len();
                self.inodes.push(Inode {
                    is_folder: record.what == What::MakeFolder,
                    ..Inode::default()
                });
                self.name(path, vec![Naming::Put(path.to_owned(), id)]);
            }
            What::Unlink => self.name(path, vec![Naming::Remove(path.to_owned())]),
            What::Rename => {
                let to = String::from_utf8_lossy(trace.data(record)).into_owned();
                if let Some(id) = self.seen.get(path).copied() {
                    let steps = vec![Naming::Remove(path.to_owned()), Naming::Put(to.into(), id)];
                    self.name(path, steps);
                }
            }
            What::Note => {}
        }
    }

    fn inode(&mut self, path: &Path) -> &mut Inode {
        let id = self.seen.get(path).copied();
        let id = id.unwrap_or_else(|| panic!("{} was never made", path.display()));
        &mut self.inodes[id]
    }

    fn name(&mut self, path: &Path, steps: Vec<Naming>) {
        for step in &steps {
            apply(&mut self.seen, step);
        }
        let folder = path.parent().expect("below a folder").to_owned();
        self.folders.entry(folder).or_default().pending.push(steps);
    }

    fn sync(&mut self, path: &Path) {
        if (self.lies)(path) {
            return;
        }
        if let Some(folder) = self.folders.get_mut(path) {
            for step in folder.pending.drain(..).flatten() {
                apply(&mut folder.lasting, &step);
            }
        } else if self.seen.contains_key(path) {
            let bytes = &self.trace.bytes;
            let inode = self.inode(path);
            let pending = std::mem::take(&mut inode.pending);
            for change in &pending {
                change.apply(bytes, &mut inode.lasting, |_| true);
            }
        }
    }

    /// Cuts the power here: writes what is left of the files below `from` to the folder `to`.
    pub(crate) fn cut(&self, random: &mut fastrand::Rng, from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        // Now and then it is no power cut but a kill, which leaves everything.
        let fate = (random.u8(..8) == 0).then_some(Survives::All);
        let parent = from.parent().expect("it is no root");
        // One that was there before the trace began lasts.
        if self.seen.contains_key(from) && !self.names(random, parent, fate).contains_key(from) {
            return;
        }
        for (path, id) in self.names(random, from, fate) {
            let name = path.file_name().expect("a name").to_string_lossy();
            let inode = &self.inodes[id];
            if !inode.is_folder && !name.ends_with("-shm") {
                let bytes = self.content(random, inode, fate);
                fs::write(to.join(&*name), bytes).expect("a file");
            }
        }
    }

    fn names(
        &self,
        random: &mut fastrand::Rng,
        folder: &Path,
        fate: Option<Survives>,
    ) -> BTreeMap<PathBuf, usize> {
        let Some(folder) = self.folders.get(folder) else {
            return BTreeMap::new();
        };
        let mut names = folder.lasting.clone();
        let count = folder.pending.len();
        let count = fate.unwrap_or_else(|| toss(random)).count(random, count);
        for step in folder.pending[..count].iter().flatten() {
            apply(&mut names, step);
        }
        names
    }

    fn content(
        &self,
        random: &mut fastrand::Rng,
        inode: &Inode,
        fate: Option<Survives>,
    ) -> Vec<u8> {
        let survives = fate.unwrap_or_else(|| toss(random));
        let count = match survives {
            Survives::Sectors => inode.pending.len(),
            survives => survives.count(random, inode.pending.len()),
        };
        let mut content = inode.lasting.clone();
        for change in &inode.pending[..count] {
            let survives = |_| survives != Survives::Sectors || random.bool();
            change.apply(&self.trace.bytes, &mut content, survives);
        }
        content
    }
}

impl Change {
    /// Carries it out, sector by sector.
    fn apply(&self, trace: &[u8], file: &mut Vec<u8>, mut survives: impl FnMut(usize) -> bool) {
        match self {
            Self::Truncate(length) => {
                if survives(*length) {
                    file.resize(*length, 0);
                }
            }
            Self::Write { offset, data } => {
                let mut at = *offset;
                let mut rest = &trace[data.clone()];
                while !rest.is_empty() {
                    let (part, later) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                    if survives(at) {
                        file.resize(file.len().max(at + part.len()), 0);
                        file[at..at + part.len()].copy_from_slice(part);
                    }
                    at += part.len();
                    rest = later;
                }
            }
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, step: &Naming) {
    match step {
        Naming::Put(path, id) => names.insert(path.clone(), *id),
        Naming::Remove(path) => names.remove(path),
    };
}
