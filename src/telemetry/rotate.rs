//! A file that is rotated by size and by age: `x.log`, `x.log.1` … `x.log.N`, the oldest goes.
//!
//! Time is handed in with each line. A disk that is full or gone costs lines, which are counted, and is tried again.
//! Never: a file that others can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::{clock::Unix, config::Rotate};

/// After a failure the file is opened again, but not for every line.
const RETRY_MS: i64 = 5_000;

/// One file of ours.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    rotate: Rotate,
    open: Option<Open>,
    /// When opening failed last.
    failed_at: Option<Unix>,
    /// Lines that could not be written.
    pub(super) lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    since: Unix,
}

impl RotatedFile {
    /// Opens the file to append to it, and makes its folder when that is missing.
    pub(super) fn open(path: &Path, rotate: &Rotate, now: Unix) -> io::Result<Self> {
        let mut file = Self {
            path: path.to_owned(),
            rotate: rotate.clone(),
            open: None,
            failed_at: None,
            lost: 0,
        };
        file.open = Some(open(&file.path, now)?);
        Ok(file)
    }

    /// As [`RotatedFile::open`], but on the first line.
    pub(super) fn lazy(path: PathBuf, rotate: &Rotate) -> Self {
        Self {
            path,
            rotate: rotate.clone(),
            open: None,
            failed_at: None,
            lost: 0,
        }
    }

    /// Appends a line, after turning over when it is time.
    pub(super) fn write(&mut self, line: &str, now: Unix) {
        if self.try_write(line, now).is_err() {
            self.open = None;
            self.failed_at = Some(now);
            self.lost += 1;
        }
    }

    /// Opens the file again with the next line: somebody has moved it.
    pub(super) fn reopen(&mut self) {
        self.open = None;
        self.failed_at = None;
    }

    fn try_write(&mut self, line: &str, now: Unix) -> io::Result<()> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| self.is_due(open, line, now))
        {
            self.open = None;
            self.shift()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None if self.failed_at.is_some_and(|at| now.0 - at.0 < RETRY_MS) => {
                return Err(io::ErrorKind::NotConnected.into());
            }
            none => none.insert(open(&self.path, now)?),
        };
        open.file.write_all(line.as_bytes())?;
        open.bytes += line.len() as u64;
        Ok(())
    }

    fn is_due(&self, open: &Open, line: &str, now: Unix) -> bool {
        let is_full = open.bytes > 0 && open.bytes + line.len() as u64 > self.rotate.size;
        is_full || (open.bytes > 0 && now - open.since >= self.rotate.age)
    }

    /// Moves every kept file one number up; the last one goes.
    fn shift(&self) -> io::Result<()> {
        let keep = self.rotate.keep;
        if keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..keep).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                fs::rename(from, numbered(&self.path, number + 1))?;
            }
        }
        fs::rename(&self.path, numbered(&self.path, 1))
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path, now: Unix) -> io::Result<Open> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)?;
    let meta = file.metadata()?;
    // A file from before a restart has the age of its first line, as near as the file system knows it.
    let born = meta.created().or_else(|_| meta.modified()).ok();
    let since = born
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map(|at| Unix(i64::try_from(at.as_millis()).unwrap_or(i64::MAX)));
    let since = if meta.len() == 0 {
        now
    } else {
        since.unwrap_or(now)
    };
    Ok(Open {
        file,
        bytes: meta.len(),
        since,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names(dir: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut all: Vec<_> = entries
            .map(|p| {
                (
                    p.file_name().unwrap().to_string_lossy().into_owned(),
                    fs::read_to_string(&p).unwrap(),
                )
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn files_turn_over_by_size_and_age_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let rotate = Rotate {
            size: 4,
            age: Duration::from_secs(10),
            keep: 2,
        };
        let mut file = RotatedFile::open(&dir.path().join("a"), &rotate, Unix(0)).unwrap();
        for (line, at) in [
            ("1\n", 0),
            ("2\n", 1),
            ("3\n", 2),
            ("4\n", 10_002),
            ("5\n", 10_003),
            ("6\n", 10_004),
        ] {
            file.write(line, Unix(at));
        }
        let expected = [("a", "6\n"), ("a.1", "4\n5\n"), ("a.2", "3\n")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(names(dir.path()), expected);
        assert_eq!(file.lost, 0);
    }

    #[test]
    fn a_folder_that_vanished_costs_lines_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in/a");
        let rotate = Rotate {
            size: 1,
            ..Rotate::default()
        };
        let mut file = RotatedFile::open(&path, &rotate, Unix(0)).unwrap();
        file.write("1\n", Unix(0));
        fs::remove_dir_all(dir.path().join("in")).unwrap();
        fs::write(dir.path().join("in"), "in the way").unwrap();
        file.write("2\n", Unix(1));
        file.write("3\n", Unix(2));
        assert_eq!(file.lost, 2);
        fs::remove_file(dir.path().join("in")).unwrap();
        file.write("4\n", Unix(RETRY_MS + 2));
        assert_eq!(fs::read_to_string(path).unwrap(), "4\n");
    }
}
