//! Files of plugins against a real server on loopback: what is sent, what is repeated, what is left on the disk.

mod downloads;
mod uploads;

use std::{fs, path::PathBuf, sync::Arc};

use super::FileRoots;
use crate::{
    services::{Mode, tests::support::Bench},
    site::tests::server::{Move, Server},
};

/// A plugin with a folder, and a site that does what a list says.
struct Desk {
    dir: tempfile::TempDir,
    server: Server,
    bench: Bench,
}

impl Desk {
    async fn new(moves: impl IntoIterator<Item = Move>) -> Self {
        Self::with(moves, Mode::Live).await
    }

    async fn with(moves: impl IntoIterator<Item = Move>, mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.mov"), "the movie").unwrap();
        let server = Server::start(moves).await;
        let roots = FileRoots {
            user: None,
            base: folder.clone(),
            own: vec![folder],
            state: dir.path().join("state"),
            ..FileRoots::default()
        };
        let bench = Bench::new(&server.url, |setup| {
            setup.files = Arc::new(roots);
            setup.mode = mode;
        });
        Self { dir, server, bench }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    /// The first lines of what was asked.
    fn asked(&self) -> Vec<String> {
        let asked = self.server.asked();
        let lines = asked
            .iter()
            .map(|asked| asked.head.lines().next().unwrap_or_default().to_owned());
        lines
            .map(|line| line.split('?').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// The names in the plugin's folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
