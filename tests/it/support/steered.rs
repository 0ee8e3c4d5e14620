//! Faults of the disk and of the clocks, switched on and off while a program runs: the control file of `interpose.c`.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::interpose;

/// What can be steered and counted, as `interpose.c` numbers it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    /// Added to the wall clock.
    ClockMs = 0,
    /// From this write on there is no space.
    FullFrom = 1,
    /// This sync fails.
    SyncFails = 3,
    /// This read and all later ones fail.
    ReadFails = 4,
    /// Added to the clock that timers run by; it may only grow.
    TimersMs = 5,
    Writes = 8,
    Syncs = 9,
    Reads = 10,
    Faults = 11,
}

/// The control file, which the steered program shares.
pub(crate) struct Control {
    path: PathBuf,
    file: File,
}

impl Control {
    /// With nothing switched on.
    pub(crate) fn new(path: PathBuf) -> Self {
        const WORDS: usize = 16;
        fs::write(&path, [0; 8 * WORDS]).expect("a file");
        let file = File::options().read(true).write(true).open(&path);
        Self {
            file: file.expect("a file"),
            path,
        }
    }

    /// What puts the library before a program: only files below the folder count.
    pub(crate) fn environment(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![
            ("LD_PRELOAD", text(interpose::library())),
            ("INTERPOSE_FOLDER", text(folder)),
            ("INTERPOSE_CONTROL", text(&self.path)),
        ]
    }

    pub(crate) fn set(&self, word: Word, value: i64) {
        let bytes = value.to_le_bytes();
        let at = 8 * word as u64;
        self.file.write_all_at(&bytes, at).expect("a word");
    }

    pub(crate) fn get(&self, word: Word) -> i64 {
        let mut bytes = [0; 8];
        let at = 8 * word as u64;
        self.file.read_exact_at(&mut bytes, at).expect("a word");
        i64::from_le_bytes(bytes)
    }
}
