//! A user of this machine by its name: its ids, its groups, its home; and its rights for one thread.
//!
//! In: a name or a number. Out: what a process that runs as it needs.
//! Never: a cache (who was added to a group has it at the next start); a change of more than the calling thread.

use std::{ffi::CString, io, path::PathBuf};

use nix::unistd::{Gid, Uid, User, getgrouplist, setfsgid, setfsuid};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// As it is called; its number when it has no name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// All its groups, the primary one too.
    pub groups: Vec<u32>,
    /// Its home; `/` for one without a name.
    pub home: PathBuf,
    /// Its shell.
    pub shell: PathBuf,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody is called so.
    #[error("there is no user \"{0}\" on this machine")]
    Unknown(String),
    /// The system's list of users cannot be asked.
    #[error("the user \"{name}\" cannot be looked up")]
    Lookup {
        /// Who.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl Account {
    /// Finds a user by name, or by number, which needs no entry. May wait for the network, where users are kept there.
    ///
    /// # Errors
    /// When there is none, or the list of users does not answer.
    pub fn find(name: &str) -> Result<Self, AccountError> {
        let failed = |error: nix::Error| AccountError::Lookup {
            name: name.to_owned(),
            source: error.into(),
        };
        let number = name.parse().ok().map(Uid::from_raw);
        let found = match number {
            Some(uid) => User::from_uid(uid),
            None => User::from_name(name),
        };
        let Some(user) = found.map_err(failed)? else {
            let uid = number.ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
            return Ok(Self {
                name: name.to_owned(),
                uid: uid.as_raw(),
                gid: uid.as_raw(),
                groups: vec![uid.as_raw()],
                home: "/".into(),
                shell: "/bin/sh".into(),
            });
        };
        let known =
            CString::new(user.name.as_str()).map_err(|_| AccountError::Unknown(name.to_owned()))?;
        let groups = getgrouplist(&known, user.gid).map_err(failed)?;
        Ok(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
            home: user.dir,
            shell: user.shell,
        })
    }

    /// True when it is whom this process runs as.
    #[must_use]
    pub fn is_us(&self) -> bool {
        Uid::effective().as_raw() == self.uid
    }

    /// Opens files with its rights on this thread, until the guard is dropped.
    ///
    /// # Errors
    /// When this process may not: it needs CAP_SETUID and CAP_SETGID, or to be that user.
    pub fn lend(&self) -> io::Result<Option<Lent>> {
        if self.is_us() {
            return Ok(None);
        }
        let before = Lent {
            uid: Uid::effective(),
            gid: Gid::effective(),
            groups: rustix_groups(&nix::unistd::getgroups()?),
        };
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|gid| rustix::process::Gid::from_raw(*gid))
            .collect();
        rustix::thread::set_thread_groups(&groups)?;
        setfsgid(Gid::from_raw(self.gid));
        setfsuid(Uid::from_raw(self.uid));
        // The calls say nothing of failure; a number that nobody can have changes nothing and tells what holds.
        let (uid, gid) = (Uid::from_raw(u32::MAX), Gid::from_raw(u32::MAX));
        let holds = setfsuid(uid).as_raw() == self.uid && setfsgid(gid).as_raw() == self.gid;
        if holds {
            return Ok(Some(before));
        }
        drop(before);
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

fn rustix_groups(groups: &[Gid]) -> Vec<rustix::process::Gid> {
    let groups = groups.iter().map(|gid| gid.as_raw());
    groups.map(rustix::process::Gid::from_raw).collect()
}

/// Gives this thread its own rights back.
#[derive(Debug)]
pub struct Lent {
    uid: Uid,
    gid: Gid,
    groups: Vec<rustix::process::Gid>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        // What could be left can be taken again.
        let _done = rustix::thread::set_thread_groups(&self.groups);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_user_by_name_by_number_or_none() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0) && root.home.is_absolute());
        assert_eq!(Account::find("0").unwrap(), root);
        let stranger = Account::find("3999999").unwrap();
        assert_eq!(
            (stranger.uid, &*stranger.groups),
            (3_999_999, &[3_999_999][..])
        );
        let error = Account::find("no-such-user-here").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no user \"no-such-user-here\" on this machine"
        );
    }

    #[test]
    fn lent_rights_end_where_the_user_has_none_and_are_given_back() {
        if !Uid::effective().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        for (path, mode) in [(&ours, 0o600), (&theirs, 0o644)] {
            fs::write(path, "x").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let lent = Account::find("65534").unwrap().lend().unwrap();
        assert!(fs::read(&ours).is_err() && fs::read(&theirs).is_ok());
        drop(lent);
        assert!(fs::read(&ours).is_ok());
        // Another thread that was there before never had them.
        let ours = &ours;
        std::thread::scope(|scope| {
            let (go, wait) = std::sync::mpsc::channel();
            let other = scope.spawn(move || wait.recv().is_ok() && fs::read(ours).is_ok());
            let lent = Account::find("65534").unwrap().lend().unwrap();
            assert!(fs::read(ours).is_err());
            go.send(()).unwrap();
            assert!(other.join().unwrap());
            drop(lent);
        });
    }
}
