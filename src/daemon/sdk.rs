//! The Python SDK inside the binary: unpacked into the state directory, so that a plugin needs no installation.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::DaemonError;

/// The package's files.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk_python.rs"));

/// Writes the package below the state directory, when it is not there as it should be; returns the folder for `PYTHONPATH`.
pub(crate) fn unpack(state: &Path) -> Result<PathBuf, DaemonError> {
    let root = state.join("sdk-python");
    for (name, text) in FILES {
        let path = root.join("sgeventd").join(name);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            continue;
        }
        let written = std::fs::create_dir_all(path.parent().unwrap_or(&root))
            .and_then(|()| std::fs::write(&path, text));
        let open = |mode| Permissions::from_mode(mode);
        // Another user reads it, whatever our own mask is.
        let written = written
            .and_then(|()| std::fs::set_permissions(&root, open(0o755)))
            .and_then(|()| std::fs::set_permissions(root.join("sgeventd"), open(0o755)))
            .and_then(|()| std::fs::set_permissions(&path, open(0o644)));
        written.map_err(|source| DaemonError::Make { path, source })?;
    }
    Ok(root)
}
