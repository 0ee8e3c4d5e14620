//! The SDKs inside of the binary, so that neither plugin nor test needs an installation of its own.
//!
//! In: a folder. Out: the package's files in it, as this binary has them. Never: a file that is as it should be written again.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// The Python package, by names below the folder for `PYTHONPATH`.
const PYTHON: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk_python.rs"));
/// The crates `sdk-rust` and `protocol` with a manifest above them.
const RUST: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk_rust.rs"));

/// A language with an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `import sgeventd`, from the folder on `PYTHONPATH`.
    Python,
    /// `sgeventd-plugin = { path = "FOLDER/sdk-rust" }`.
    Rust,
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct UnpackError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Writes the files of an SDK that are not in a folder as they should be; other users may read what is below it.
///
/// # Errors
/// The first file that cannot be written.
pub fn unpack(sdk: Sdk, folder: &Path) -> Result<(), UnpackError> {
    let files = match sdk {
        Sdk::Python => PYTHON,
        Sdk::Rust => RUST,
    };
    for (name, text) in files {
        let path = folder.join(name);
        if !fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            let parent = path.parent().unwrap_or(folder);
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, text));
            written.map_err(failed(&path))?;
        }
        // A plugin may run as another user, whatever our own mask is.
        permit(&path, 0o644)?;
        let folders = path.ancestors().skip(1);
        for inside in folders.take_while(|inside| *inside != folder) {
            open(inside)?;
        }
    }
    Ok(())
}

/// Lets other users look into a folder of ours.
///
/// # Errors
/// It is not ours.
pub fn open(folder: &Path) -> Result<(), UnpackError> {
    permit(folder, 0o755)
}

/// Gives a path a mode, unless what it has allows as much already: it may be another user's then.
fn permit(path: &Path, mode: u32) -> Result<(), UnpackError> {
    let has = |found: fs::Metadata| found.permissions().mode() & mode == mode;
    if fs::metadata(path).is_ok_and(has) {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_owned();
    move |source| UnpackError { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn what_was_changed_is_as_it_should_be_again() {
        let dir = tempfile::tempdir().expect("a folder");
        for (sdk, file, words) in [
            (Sdk::Python, "sgeventd/__init__.py", "import"),
            (Sdk::Python, "sgeventd/py.typed", ""),
            (Sdk::Rust, "sdk-rust/src/lib.rs", "pub use plugin"),
            (Sdk::Rust, "protocol/Cargo.toml", "sgeventd-protocol"),
            (Sdk::Rust, "Cargo.toml", "[workspace.lints.rust]"),
        ] {
            unpack(sdk, dir.path()).expect("it can be written");
            let path = dir.path().join(file);
            let text = fs::read_to_string(&path).expect("it is there");
            assert!(text.contains(words), "{file}: {text}");
            fs::write(&path, "changed").expect("a file");
            for (path, mode) in [(&*path, 0o600), (path.parent().expect("a folder"), 0o700)] {
                fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
            }
            unpack(sdk, dir.path()).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("a file"), text, "{file}");
            let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
            assert_eq!(mode(&path), 0o644, "{file}");
            let parent = path.parent().filter(|parent| *parent != dir.path());
            assert!(parent.is_none_or(|parent| mode(parent) == 0o755), "{file}");
        }
        let blocked = dir.path().join("blocked");
        fs::write(&blocked, "").expect("a file");
        let error = unpack(Sdk::Python, &blocked).expect_err("a file is no folder");
        assert!(error.path.starts_with(&blocked), "{error}");
    }
}
