//! A plugin's own folders: there before its process, closed to everybody else.
//!
//! In: data and tmp of one plugin, whom it runs as. Out: both made, with the owner and mode that they need.
//! Never: what lies in them; a link in their place. Blocks on disk.

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path};

use nix::unistd::Uid;
use rustix::fs::{Gid, Mode, OFlags, fchmod, fchown, fstat, open};

use crate::account::Account;

/// Passed through by the plugins' users, listed by nobody.
const PASSAGE: u32 = 0o711;

/// Makes the folders of a plugin ready; their parents are passages.
///
/// # Errors
/// In words, with what a person can do.
pub(super) fn make(state: &Path, own: [&Path; 2], user: Option<&Account>) -> Result<(), String> {
    let user = user.filter(|user| !user.is_us());
    for folder in own {
        let below = folder.strip_prefix(state);
        let below = below.map_err(|_| no_folder(folder, &io::ErrorKind::InvalidInput.into()))?;
        let mut at = state.to_path_buf();
        for part in below.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            one(&at, PASSAGE, None).map_err(|error| no_folder(&at, &error))?;
        }
        // A group's folder is the daemon's, too: it must read what the plugin uploads.
        let mode = match user {
            Some(_) if !Uid::effective().is_root() => 0o770,
            _ => 0o700,
        };
        one(folder, mode, user).map_err(|error| match user {
            Some(user) if error.kind() == io::ErrorKind::PermissionDenied => {
                let (shown, name, gid) = (folder.display(), &user.name, user.gid);
                format!(
                    "{shown} cannot be handed to the user {name}: the daemon's user must be in its group {gid}: usermod -aG {gid} {}",
                    Account::find(&Uid::effective().to_string()).map_or_else(|_| "DAEMON".to_owned(), |us| us.name)
                )
            }
            _ => no_folder(folder, &error),
        })?;
    }
    Ok(())
}

fn no_folder(folder: &Path, error: &io::Error) -> String {
    format!(
        "its folder {} cannot be made: {}",
        folder.display(),
        error.kind()
    )
}

/// Makes a folder, or takes the one that is there when it is ours to give.
fn one(folder: &Path, mode: u32, user: Option<&Account>) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = open(folder, flags, Mode::empty())?;
    let stat = fstat(&there)?;
    let us = Uid::effective();
    let owner = match user {
        Some(user) if us.is_root() => user.uid,
        Some(_) => stat.st_uid,
        None if us.is_root() => 0,
        None => stat.st_uid,
    };
    let group = user.map_or(stat.st_gid, |user| user.gid);
    if (stat.st_uid, stat.st_gid) != (owner, group) {
        fchown(
            &there,
            Some(rustix::fs::Uid::from_raw(owner)),
            Some(Gid::from_raw(group)),
        )?;
    }
    // The mask of the daemon may have taken bits that the plugin's user needs; another's folder stays as it is.
    if stat.st_mode & 0o7777 != mode && (us.is_root() || stat.st_uid == us.as_raw()) {
        fchmod(&there, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn both_are_closed_and_their_parents_are_passages() {
        let state = tempfile::tempdir().unwrap();
        let root = state.path().join("plugins/shots/task");
        let (data, tmp) = (root.join("data"), root.join("tmp"));
        make(state.path(), [&data, &tmp], None).unwrap();
        for (path, expected) in [
            (&data, 0o700),
            (&tmp, 0o700),
            (&root, 0o711),
            (&state.path().join("plugins"), 0o711),
        ] {
            assert_eq!(mode(path), expected, "{}", path.display());
        }
        fs::write(data.join("kept"), "x").unwrap();
        make(state.path(), [&data, &tmp], None).unwrap();
        assert!(data.join("kept").exists());
    }

    #[test]
    fn another_user_gets_them_and_a_link_in_their_place_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let root = state.path().join("plugins/p");
        let (data, tmp) = (root.join("data"), root.join("tmp"));
        make(state.path(), [&data, &tmp], None).unwrap();
        if Uid::effective().is_root() {
            let nobody = Account::find("65534").unwrap();
            make(state.path(), [&data, &tmp], Some(&nobody)).unwrap();
            assert_eq!(
                (data.metadata().unwrap().uid(), mode(&data)),
                (65534, 0o700)
            );
            make(state.path(), [&data, &tmp], None).unwrap();
            assert_eq!(data.metadata().unwrap().uid(), 0);
        }
        fs::remove_dir(&tmp).unwrap();
        symlink("/etc", &tmp).unwrap();
        let elsewhere = make(&state.path().join("other"), [&data, &data], None);
        assert!(
            elsewhere.is_err(),
            "nothing is touched that is not below the state"
        );
        let error = make(state.path(), [&data, &tmp], None).unwrap_err();
        assert!(error.contains("plugins/p/tmp cannot be made"), "{error}");
        assert_eq!(mode(Path::new("/etc")) & 0o022, 0);
    }
}
