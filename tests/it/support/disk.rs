//! A small disk of its own for a state directory: a tmpfs in a mount namespace that ends with the test.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::unistd::Uid;

/// What is in the way when the disk is full.
const FILLER: &str = "filler";

/// The disk, and the process that holds its namespace.
pub(crate) struct Disk {
    holder: Child,
    /// Where it is mounted, in its namespace.
    at: PathBuf,
}

impl Disk {
    /// Mounts one of so many MiB at a path, for those alone who enter its namespace.
    pub(crate) fn mount(at: &Path, size: u32) -> Self {
        fs::create_dir_all(at).expect("a folder");
        let script =
            "mount -t tmpfs -o size=$1m,mode=0711 small \"$2\" && echo mounted && exec cat";
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !Uid::effective().is_root() {
            // In a user namespace of its own every user may mount.
            command.arg("--map-root-user");
        }
        let holder = command
            .args(["sh", "-c", script, "sh", &size.to_string()])
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut disk = Self {
            holder: holder.expect("unshare, of util-linux"),
            at: at.to_owned(),
        };
        let out = disk.holder.stdout.take().expect("its pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(
            line, "mounted\n",
            "this user may mount in a namespace of its own"
        );
        disk
    }

    /// The words that run what stands behind them in its namespace.
    pub(crate) fn enter(&self) -> Vec<String> {
        let mut words = vec!["nsenter".to_owned(), "--mount".to_owned()];
        if !Uid::effective().is_root() {
            words.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        words.extend(["--target".to_owned(), self.holder.id().to_string()]);
        words
    }

    /// A file on it, as seen from outside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let inside = self.at.strip_prefix("/").expect("an absolute path");
        Path::new(&root).join(inside).join(name)
    }

    /// Copies its files to the folder that it hides, where those outside its namespace find them.
    pub(crate) fn copy_out(&self) {
        for entry in fs::read_dir(self.path("")).expect("a folder").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::copy(entry.path(), self.at.join(entry.file_name())).expect("room");
            }
        }
    }

    /// Writes until nothing fits any more.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.path(FILLER)).expect("a file");
        for size in [1 << 16, 1 << 10, 1] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    /// Gives the space back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.path(FILLER)).expect("it was full");
    }

    /// Mounts it again with other options: `ro` lets nobody write to it any more.
    pub(crate) fn remount(&self, how: &str) {
        let words = self.enter();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let options = format!("remount,{how}");
        command.args(["mount", "-o", &options]).arg(&self.at);
        assert!(command.status().expect("mount").success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It ends with its pipe as well; this is sooner, and leaves no zombie.
        let _ended = self.holder.kill();
        let _reaped = self.holder.wait();
    }
}
