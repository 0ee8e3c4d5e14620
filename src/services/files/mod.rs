//! `sg.upload`, its kin and `sg.download`: a plugin names a path, the daemon moves the bytes.
//!
//! ```text
//!  path ─► roots.rs (granted? regular?) ─► reader.rs ─► site::Session::upload
//!          roots.rs (folder granted?)   ◄─ writer.rs ◄─ site::Session::download
//! ```
//! In: a plan with a path, who calls. Out: the id of an attachment; the path of a file that is whole.
//! Never: a key or a signed address for the plugin, a file of the daemon's own, a task that waits for a disk.

mod desk;
mod error;
mod reader;
mod roots;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};

pub(super) use desk::Desk;
pub use roots::FileRoots;

use self::{
    error::{FileError, Kind},
    reader::Reader,
    writer::Writer,
};
use super::{
    broker::{Broker, Origin},
    caller::Mode,
    error::RpcError,
    sugar::files::{Incoming, Outgoing, Plan, Sharing},
};
use crate::site::{Call, Share, SiteError, UPLOAD_BYTES, Upload, Wanted};

/// The largest file that is taken in; the same as out.
const DOWNLOAD_BYTES: u64 = UPLOAD_BYTES;
/// How often a download that breaks off begins anew.
const DOWNLOADS: u32 = 3;

/// Carries out a plan that was admitted.
pub(super) async fn perform(
    desk: &Desk,
    broker: &Broker,
    origin: &Origin<'_>,
    method: &str,
    plan: &Plan,
) -> Result<Box<RawValue>, RpcError> {
    origin.caller.check_files()?;
    let work = Work {
        desk,
        broker,
        origin,
        method,
    };
    match plan {
        Plan::Send(send) => work.send(send).await.map(|id| number(Some(id))),
        Plan::Share(share) => work.share(share).await.map(number),
        Plan::Fetch(fetch) => work.fetch(fetch).await,
    }
}

fn number(id: Option<i64>) -> Box<RawValue> {
    to_raw_value(&id).expect("a number always encodes")
}

struct Work<'a> {
    desk: &'a Desk,
    broker: &'a Broker,
    origin: &'a Origin<'a>,
    method: &'a str,
}

impl Work<'_> {
    fn call(&self) -> Call<'_> {
        self.origin.call(self.method, None)
    }

    fn failed(&self, error: &FileError) -> RpcError {
        error.rpc(self.method, self.origin.caller.plugin())
    }

    fn at_site(&self, error: &SiteError) -> RpcError {
        match error {
            SiteError::Source { reason } => RpcError::params(self.method, reason),
            other => RpcError::site(other, self.method),
        }
    }

    async fn send(&self, send: &Outgoing) -> Result<i64, RpcError> {
        let source = self.open(&send.path).await;
        let source = source.map_err(|error| self.failed(&error))?;
        if self.origin.caller.setup.mode != Mode::Live {
            let id = self.broker.ids.next();
            self.withheld(send, id);
            return Ok(id);
        }
        let upload = Upload {
            entity_type: &send.entity_type,
            entity_id: send.entity_id,
            field_name: send.field_name.as_deref(),
            display_name: send.display_name.as_deref(),
            tag_list: send.tag_list.as_deref(),
            created_at: send.created_at.as_deref(),
        };
        let session = self.origin.session;
        let sent = session.upload(&self.call(), &upload, &source).await;
        sent.map_err(|error| self.at_site(&error))
    }

    async fn open(&self, path: &str) -> Result<Reader, FileError> {
        let place = self.desk.enter(self.origin.caller.plugin()).await?;
        let (roots, asked) = (self.roots(), path.to_owned());
        let opened = desk::on_thread(path, &place, move || roots.open(&asked));
        let (file, size) = opened.await?;
        let fail = |kind| Err(FileError::new(path, kind));
        match size {
            0 => fail(Kind::Empty),
            bytes if bytes > UPLOAD_BYTES => fail(Kind::TooLarge {
                bytes,
                limit: UPLOAD_BYTES,
            }),
            size => Ok(Reader::new(file, size, path, place)),
        }
    }

    fn roots(&self) -> Arc<FileRoots> {
        self.origin.caller.setup.files.clone()
    }

    async fn share(&self, share: &Sharing) -> Result<Option<i64>, RpcError> {
        let mut id = None;
        if let Some(send) = &share.first {
            id = Some(self.send(send).await?);
        }
        if share.entities.is_empty() {
            return Ok(id);
        }
        if self.origin.caller.setup.mode != Mode::Live {
            let id = self.broker.ids.next();
            self.withheld(share, id);
            return Ok(Some(id));
        }
        let asked = Share {
            entities: &share.entities,
            source_entity: &share.source_entity,
            is_filmstrip: share.is_filmstrip,
        };
        let session = self.origin.session;
        let shared = session.share_thumbnail(&self.call(), &asked).await;
        shared.map_err(|error| self.at_site(&error))
    }

    fn withheld(&self, what: &impl serde::Serialize, id: i64) {
        let payload = to_raw_value(what).expect("texts and numbers always encode");
        let method = self.method.trim_start_matches("sg.");
        self.broker
            .note(self.origin, method, Some(&payload), &number(Some(id)));
    }

    /// Answers with the path as the plugin wrote it.
    async fn fetch(&self, fetch: &Incoming) -> Result<Box<RawValue>, RpcError> {
        let path = &*fetch.path;
        let writer = self.begin(path).await;
        let writer = writer.map_err(|error| self.failed(&error))?;
        if let Err(error) = self.whole(fetch, &writer).await {
            writer.discard().await;
            return Err(match error {
                Stopped::Here(error) => self.failed(&error),
                Stopped::Site(error) => self.at_site(&error),
            });
        }
        let finished = writer.finish().await;
        finished.map_err(|error| self.failed(&error))?;
        Ok(to_raw_value(path).expect("a text always encodes"))
    }

    /// Takes a file to its end, from the beginning again when it breaks off.
    async fn whole(&self, fetch: &Incoming, writer: &Writer) -> Result<(), Stopped> {
        let wanted = match &fetch.link {
            Some(link) => Wanted::Link(link),
            None => Wanted::Attachment(fetch.id),
        };
        let mut downloads = 1;
        loop {
            match self.take(wanted, writer, &fetch.path).await {
                Err(Stopped::Site(error)) if downloads < DOWNLOADS && is_broken(&error) => {
                    downloads += 1;
                    writer.restart().await.map_err(Stopped::Here)?;
                }
                other => return other,
            }
        }
    }

    async fn begin(&self, path: &str) -> Result<Writer, FileError> {
        let place = self.desk.enter(self.origin.caller.plugin()).await?;
        let (roots, asked) = (self.roots(), path.to_owned());
        let held = place.clone();
        desk::on_thread(path, &place, move || {
            let target = roots.target(&asked)?;
            Writer::begin(target, &asked, roots, held)
        })
        .await
    }

    async fn take(&self, wanted: Wanted<'_>, writer: &Writer, path: &str) -> Result<(), Stopped> {
        let session = self.origin.session;
        let download = session.download(&self.call(), wanted).await;
        let mut download = download.map_err(Stopped::Site)?;
        let mut bytes = download.size().unwrap_or(0);
        let check = |bytes| match bytes > DOWNLOAD_BYTES {
            true => Err(Stopped::Here(FileError::new(
                path,
                Kind::TooLarge {
                    bytes,
                    limit: DOWNLOAD_BYTES,
                },
            ))),
            false => Ok(()),
        };
        check(bytes)?;
        bytes = 0;
        while let Some(chunk) = download.chunk().await.map_err(Stopped::Site)? {
            bytes += chunk.len() as u64;
            check(bytes)?;
            writer.chunk(chunk).await.map_err(Stopped::Here)?;
        }
        Ok(())
    }
}

/// Where a download stopped.
enum Stopped {
    /// On this machine.
    Here(FileError),
    /// On the way from the site.
    Site(SiteError),
}

/// What was on its way and broke off; all else was repeated already where that helps.
fn is_broken(error: &SiteError) -> bool {
    matches!(
        error,
        SiteError::Truncated { .. } | SiteError::Timeout { .. } | SiteError::Lost { .. }
    )
}
