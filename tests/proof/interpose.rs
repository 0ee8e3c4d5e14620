//! Builds `interpose.c`, and reads and extends what it writes down.
//!
//! Never: a fault. Those are steered by who needs them; `interpose.c` says how.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What the library does, as C.
const SOURCE: &str = include_str!("interpose.c");

/// The built library; it is built once a process.
pub(crate) fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let own = std::env::current_exe().expect("our own binary");
    let folder = own.parent().expect("a folder");
    let name = format!("interpose-{}", std::process::id());
    let (source, built) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("{name}.so")),
    );
    fs::write(&source, SOURCE).expect("a file");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-o"]);
    let status = command.arg(&built).arg(&source).arg("-ldl").status();
    let is_built = status
        .expect("cc, with which SQLite was built as well")
        .success();
    assert!(is_built, "{} does not compile", source.display());
    fs::remove_file(&source).expect("it was written");
    // One name for all: who is first or last makes no difference.
    let shared = folder.join("interpose.so");
    fs::rename(&built, &shared).expect("the same folder");
    shared
}

/// What puts the library before a program: only files below the folder count.
pub(crate) fn environment(folder: &Path, trace: &Path) -> Vec<(&'static str, OsString)> {
    vec![
        ("LD_PRELOAD", library().into()),
        ("INTERPOSE_FOLDER", folder.into()),
        ("INTERPOSE_TRACE", trace.into()),
    ]
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Write,
    Truncate,
    Sync,
    /// What it should have saved is never saved.
    SyncFailed,
    Create,
    Unlink,
    Rename,
    MakeFolder,
    /// Something that the test itself wrote between.
    Note,
}

const LETTERS: [(u8, What); 9] = [
    (b'w', What::Write),
    (b't', What::Truncate),
    (b's', What::Sync),
    (b'f', What::SyncFailed),
    (b'c', What::Create),
    (b'u', What::Unlink),
    (b'r', What::Rename),
    (b'd', What::MakeFolder),
    (b'n', What::Note),
];

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) what: What,
    pub(crate) path: PathBuf,
    /// Where it was written, or how long the file is now.
    pub(crate) offset: u64,
    /// Where the bytes stand in the trace.
    pub(crate) data: Range<usize>,
}

/// A whole trace.
pub(crate) struct Trace {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

impl Trace {
    /// Reads a trace that nobody writes any more; the last record may be cut short by a kill.
    pub(crate) fn read(file: &Path) -> Self {
        const HEAD: usize = 16;
        let bytes = fs::read(file).expect("a trace");
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(head) = bytes.get(at..at + HEAD) {
            let number = |range: Range<usize>| {
                let bytes = head[range].iter().rev();
                bytes.fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
            };
            let path = at + HEAD..at + HEAD + number(12..14);
            let data = path.end..path.end + number(8..12);
            at = data.end;
            let Some(path) = bytes.get(path).filter(|_| at <= bytes.len()) else {
                break;
            };
            let known = LETTERS.iter().find(|(letter, _)| *letter == head[14]);
            records.push(Record {
                what: known.expect("a letter of interpose.c").1,
                path: String::from_utf8_lossy(path).into_owned().into(),
                offset: number(0..8) as u64,
                data,
            });
        }
        Self { bytes, records }
    }

    /// The bytes of a record.
    pub(crate) fn data(&self, record: &Record) -> &[u8] {
        &self.bytes[record.data.clone()]
    }

    /// Writes something between the records; all that it tells of is recorded before it.
    pub(crate) fn note(file: &Path, text: &str) {
        let mut record = vec![0; 8];
        let length = u32::try_from(text.len()).expect("a short text");
        record.extend(length.to_le_bytes());
        record.extend([0, 0, b'n', 0]);
        record.extend(text.as_bytes());
        let mut options = File::options();
        let mut file = options.append(true).open(file).expect("a trace");
        file.write_all(&record).expect("a note");
    }
}
