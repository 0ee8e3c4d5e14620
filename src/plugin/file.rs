//! Reads files that somebody else names: regular ones only, a bounded part of them. Blocks on disk.
//!
//! Never: a device, a pipe that waits for its other end, a file as a whole in memory.

use std::{
    fs::{File, Metadata, OpenOptions, metadata},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::libc;
use sha2::{Digest as _, Sha256};

/// Longer settings files are none.
const TEXT_MAX: u64 = 1 << 20;
/// Of a longer file only its size and times are looked at: its content would keep a disk busy at every change.
pub(super) const HASH_MAX: u64 = 256 << 20;

/// Inode, size, mode, and the times of the last change of the content and of the inode.
pub(super) type Sample = (u64, u64, u32, (i64, i64), (i64, i64));

/// The sample of a file.
pub(super) fn sample(path: &Path) -> io::Result<Sample> {
    Ok(sample_of(&metadata(path)?))
}

fn sample_of(meta: &Metadata) -> Sample {
    (
        meta.ino(),
        meta.size(),
        meta.mode(),
        (meta.mtime(), meta.mtime_nsec()),
        (meta.ctime(), meta.ctime_nsec()),
    )
}

/// Opens a regular file; anything else is an error.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let irregular = || io::Error::other("not a regular file");
    // Looked at first: opening a device may do things.
    if !metadata(path)?.is_file() {
        return Err(irregular());
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let meta = file.metadata()?;
    // It may be another one by now.
    if meta.is_file() {
        Ok((file, meta))
    } else {
        Err(irregular())
    }
}

/// The first bytes of a file.
pub(super) fn head(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    open(path)?.0.take(bytes).read_to_end(&mut head)?;
    Ok(head)
}

/// A short text.
pub(super) fn text(path: &Path) -> io::Result<String> {
    let bytes = head(path, TEXT_MAX)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The hash of a file's content and of whether it can be executed. Beyond `max` bytes it is one of its size and times.
///
/// # Errors
/// When it cannot be read, or is no regular file.
pub(super) fn hash(path: &Path, max: u64) -> io::Result<[u8; 32]> {
    let (mut file, meta) = open(path)?;
    let mut hash = Sha256::new_with_prefix((meta.mode() & 0o111).to_le_bytes());
    if meta.len() > max {
        let (inode, size, _, (seconds, nanos), _) = sample_of(&meta);
        tracing::warn!(path = %path.display(), bytes = size, allowed = max, "a watched file is too long to be read: its size and times stand for its content");
        for number in [inode, size, seconds.unsigned_abs(), nanos.unsigned_abs()] {
            hash.update(number.to_le_bytes());
        }
        return Ok(hash.finalize().into());
    }
    let mut chunk = vec![0; 64 << 10];
    let mut left = max;
    // It may grow while it is read.
    while left > 0 {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                hash.update(&chunk[..read]);
                left = left.saturating_sub(read as u64);
            }
        }
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().expect("a folder");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        for path in [pipe.as_path(), Path::new("/dev/zero"), dir.path()] {
            assert!(hash(path, HASH_MAX).is_err(), "{}", path.display());
            assert!(head(path, 16).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_long_file_is_known_by_its_size_and_times() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("long");
        std::fs::write(&path, "0123456789").expect("a file");
        let (whole, short) = (hash(&path, 10), hash(&path, 9));
        assert_ne!(whole.expect("a hash"), short.expect("a hash"));
        let before = hash(&path, 9).expect("a hash");
        std::fs::write(&path, "0123456789a").expect("a file");
        assert_ne!(hash(&path, 9).expect("a hash"), before, "it has grown");
    }
}
