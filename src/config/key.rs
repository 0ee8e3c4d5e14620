//! Keys: where one is, and the reading of it, late and never twice into text.
//!
//! In: a place (file, environment, systemd credential). Out: a [`Secret`].
//! Never: a key that came over a command line, a key file that others can read, a key in an error.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::secret::Secret;

/// A key is one line; what is longer is another file, named by mistake.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    place: KeyUse,
}

/// The three places of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// A file that only its owner can read.
    File(PathBuf),
    /// A variable of the daemon's environment.
    Env(String),
    /// A credential that systemd hands to the unit.
    Credential(String),
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file {path}: {}", reason(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("the key file {path} is not a regular file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Its group or everybody can read or change it.
    #[error(
        "others than its owner can read or change the key file {path} (mode {mode:04o}); mend it: chmod 600 {path}"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody who is neither root nor the daemon's user.
    #[error(
        "the key file {path} belongs to user {owner}, not to root or to user {user}, who runs this; mend it: chown {user} {path}"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Our user.
        user: u32,
    },
    /// It holds nothing, or nothing but blank.
    #[error("{place} is empty; a key is one line of text")]
    Empty {
        /// Where, in words.
        place: String,
    },
    /// It is no key: too long, several lines, not UTF-8.
    #[error("{place} holds no key: a key is one line of text")]
    NotAKey {
        /// Where, in words.
        place: String,
    },
    /// The variable is not set.
    #[error("the environment variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// We were not started with credentials.
    #[error(
        "the credential {name} is not there: CREDENTIALS_DIRECTORY is not set, so this was not started by systemd with LoadCredential={name}:…"
    )]
    NoCredentials {
        /// Its name.
        name: String,
    },
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => error
            .to_string()
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

impl KeySource {
    /// A key at a place.
    #[must_use]
    pub fn new(place: KeyUse) -> Self {
        Self { place }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &KeyUse {
        &self.place
    }

    /// The file that it is in, if it is in one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match &self.place {
            KeyUse::File(path) => Some(path.clone()),
            KeyUse::Env(_) => None,
            KeyUse::Credential(name) => {
                let dir = std::env::var_os("CREDENTIALS_DIRECTORY")?;
                Some(Path::new(&dir).join(name))
            }
        }
    }

    /// Reads the key; a newline at its end does not belong to it.
    ///
    /// # Errors
    /// When it is not there, empty, or not kept from others.
    pub fn load(&self) -> Result<Secret, KeyError> {
        let (text, place) = match &self.place {
            KeyUse::File(path) => (
                read_key_file(path, true)?,
                format!("the key file {}", path.display()),
            ),
            KeyUse::Env(name) => {
                let value =
                    std::env::var(name).map_err(|_| KeyError::NoVariable { name: name.clone() })?;
                (value, format!("the environment variable {name}"))
            }
            KeyUse::Credential(name) => {
                let dir = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| KeyError::NoCredentials { name: name.clone() })?;
                // systemd guards that folder itself, with modes that differ between its versions.
                (
                    read_key_file(&Path::new(&dir).join(name), false)?,
                    format!("the credential {name}"),
                )
            }
        };
        let key = text.trim_end_matches(['\n', '\r']);
        if key.trim().is_empty() {
            return Err(KeyError::Empty { place });
        }
        if key.contains(['\n', '\0']) {
            return Err(KeyError::NotAKey { place });
        }
        Ok(Secret::new(key))
    }
}

fn read_key_file(path: &Path, is_guarded_by_mode: bool) -> Result<String, KeyError> {
    let unreadable = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(KeyError::NotAFile {
            path: path.to_owned(),
        });
    }
    let file = File::open(path).map_err(unreadable)?;
    if is_guarded_by_mode {
        check_guard(path, &file.metadata().map_err(unreadable)?)?;
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(MAX_KEY_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let is_short = bytes.len() as u64 <= MAX_KEY_BYTES;
    let text = std::str::from_utf8(&bytes).ok().filter(|_| is_short);
    let not_a_key = || KeyError::NotAKey {
        place: format!("the key file {}", path.display()),
    };
    text.map(str::to_owned).ok_or_else(not_a_key)
}

fn check_guard(path: &Path, found: &std::fs::Metadata) -> Result<(), KeyError> {
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let user = nix::unistd::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != user {
        return Err(KeyError::Owner {
            path: path.to_owned(),
            owner: found.uid(),
            user,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key_file(content: &[u8], mode: u32) -> (tempfile::TempDir, KeySource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, KeySource::new(KeyUse::File(path)))
    }

    fn refusal(content: &[u8], mode: u32) -> String {
        let (dir, key) = key_file(content, mode);
        let text = key.load().expect_err("refused").to_string();
        text.replace(&dir.path().display().to_string(), "DIR")
    }

    #[test]
    fn a_guarded_file_gives_its_line() {
        let (_dir, key) = key_file(b"can ary-key-file\r\n", 0o600);
        assert_eq!(key.load().unwrap().expose(), "can ary-key-file");
        let (_dir, key) = key_file(b"canary-key-read-only", 0o400);
        assert_eq!(key.load().unwrap().expose(), "canary-key-read-only");
    }

    #[test]
    fn what_is_no_guarded_key_is_refused_with_the_remedy() {
        for (content, mode, text) in [
            (
                &b"k"[..],
                0o640,
                "others than its owner can read or change the key file DIR/site.key (mode 0640); mend it: chmod 600 DIR/site.key",
            ),
            (
                b"k",
                0o604,
                "others than its owner can read or change the key file DIR/site.key (mode 0604); mend it: chmod 600 DIR/site.key",
            ),
            (
                b"\n",
                0o600,
                "the key file DIR/site.key is empty; a key is one line of text",
            ),
            (
                b"a\nb\n",
                0o600,
                "the key file DIR/site.key holds no key: a key is one line of text",
            ),
            (
                b"\xff\xfe",
                0o600,
                "the key file DIR/site.key holds no key: a key is one line of text",
            ),
        ] {
            assert_eq!(refusal(content, mode), text);
        }
        let missing = KeySource::new(KeyUse::File("/nowhere/site.key".into()))
            .load()
            .unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cannot read the key file /nowhere/site.key: there is no such file"
        );
        let folder = KeySource::new(KeyUse::File("/".into())).load().unwrap_err();
        assert_eq!(folder.to_string(), "the key file / is not a regular file");
        let unset = KeySource::new(KeyUse::Env("SGEVENTD_NEVER_SET".into()))
            .load()
            .unwrap_err();
        assert_eq!(
            unset.to_string(),
            "the environment variable SGEVENTD_NEVER_SET is not set"
        );
    }
}
