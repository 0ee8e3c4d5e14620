//! A file that is written by a thread of its own, under another name until it is whole.
//!
//! In: chunks. Out: the file under its name, all of it, or nothing.
//! Never: half a file under its name; what was there before stays until the new one is on disk.

use std::{
    fs::{File, Permissions},
    io::{self, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, OnceLock},
    thread,
};

use bytes::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    desk::{PATIENCE, Place},
    error::{FileError, Kind},
    roots::{FileRoots, Target},
};

/// Chunks that wait to be written.
const CHUNKS: usize = 4;

enum Order {
    Chunk(Bytes),
    /// The download begins anew.
    Restart,
    Finish(oneshot::Sender<()>),
}

/// The way to the thread; dropped before the end, nothing stays of the file.
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    trouble: Arc<OnceLock<io::Error>>,
    ended: oneshot::Receiver<()>,
    path: String,
}

impl Writer {
    /// Begins a file; on a thread that may wait for a disk.
    pub(super) fn begin(
        target: Target,
        path: &str,
        roots: Arc<FileRoots>,
        place: Place,
    ) -> Result<Self, FileError> {
        let fail = |error: io::Error| FileError::new(path, error.into());
        let draft = {
            let _rights = roots.rights().map_err(fail)?;
            Draft::new(target, roots.umask).map_err(fail)?
        };
        let (orders, inbox) = mpsc::channel(CHUNKS);
        let trouble = Arc::new(OnceLock::new());
        let told = trouble.clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("file".into());
        thread
            .spawn(move || {
                let place = place;
                // The thread ends with them.
                let written = roots.rights().and_then(|_rights| draft.write(inbox));
                if let Err(error) = written {
                    let _only_one = told.set(error);
                }
                drop(place);
                // Nobody may be left to be told.
                let _gone = end.send(());
            })
            .map_err(fail)?;
        Ok(Self {
            orders,
            trouble,
            ended,
            path: path.to_owned(),
        })
    }

    pub(super) async fn chunk(&self, chunk: Bytes) -> Result<(), FileError> {
        let sent = self.orders.send(Order::Chunk(chunk)).await;
        sent.map_err(|_| self.failed())
    }

    /// Forgets what came so far.
    pub(super) async fn restart(&self) -> Result<(), FileError> {
        let sent = self.orders.send(Order::Restart).await;
        sent.map_err(|_| self.failed())
    }

    /// Gives the file its name.
    pub(super) async fn finish(self) -> Result<(), FileError> {
        let (done, is_done) = oneshot::channel();
        let sent = self.orders.send(Order::Finish(done)).await;
        sent.map_err(|_| self.failed())?;
        is_done.await.map_err(|_| self.failed())
    }

    /// Leaves nothing of the file; waits for that as long as for any answer of a disk.
    pub(super) async fn discard(self) {
        let Self { orders, ended, .. } = self;
        drop(orders);
        // A disk that does not answer takes it away when it does.
        let _late = timeout(PATIENCE, ended).await;
    }

    fn failed(&self) -> FileError {
        let error = self.trouble.get();
        let error = error.map_or_else(
            || io::Error::other("it cannot be written"),
            |error| io::Error::new(error.kind(), error.to_string()),
        );
        FileError::new(&self.path, Kind::Io(error))
    }
}

/// The file under its other name.
struct Draft {
    target: Target,
    name: String,
    file: File,
    has_its_name: bool,
}

impl Draft {
    fn new(target: Target, umask: u32) -> io::Result<Self> {
        let name = format!(".sgeventd-{:016x}.part", fastrand::u64(..));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = openat(
            &target.folder,
            &name,
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )?;
        let draft = Self {
            target,
            name,
            file: file.into(),
            has_its_name: false,
        };
        let mode = Permissions::from_mode(0o666 & !umask);
        draft.file.set_permissions(mode)?;
        Ok(draft)
    }

    fn write(mut self, mut inbox: mpsc::Receiver<Order>) -> io::Result<()> {
        while let Some(order) = inbox.blocking_recv() {
            match order {
                Order::Chunk(chunk) => self.file.write_all(&chunk)?,
                Order::Restart => {
                    self.file.set_len(0)?;
                    self.file.rewind()?;
                }
                Order::Finish(done) => {
                    self.file.sync_all()?;
                    let folder = &self.target.folder;
                    renameat(folder, &self.name, folder, &self.target.name)?;
                    self.has_its_name = true;
                    // Whoever asked may have been cancelled meanwhile: the file is whole all the same.
                    let _gone = done.send(());
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.has_its_name {
            // A folder that went away took it along.
            let _gone = unlinkat(&self.target.folder, &self.name, AtFlags::empty());
        }
    }
}
