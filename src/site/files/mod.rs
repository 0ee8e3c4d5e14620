//! Files to and from the site: uploads by form or by way of its storage, thumbnails, downloads.
//!
//! ```text
//!  upload ─► route ─┬─ form: one post with the file in it ───────────────────────► /upload/…
//!                   └─ cloud: ask for a link ─► PUT, in parts when large ─► link ─► /upload/api_link_file
//!  download ─► /file_serve/attachment/ID ─► (redirect) ─► the storage ─► chunks
//! ```
//! In: a [`Source`] of bytes with a name, who calls. Out: the id of the attachment; chunks of a file.
//! Never: a path on this machine, a whole file in memory, a credential for another host than the site, a signed address
//! in a text.

mod answer;
mod cloud;
mod download;
mod exchange;
mod token;
mod upload;

use std::io;

use bytes::Bytes;
use futures::stream::BoxStream;

pub use cloud::Cloud;
pub use download::{Download, Wanted};
pub(super) use token::Tokens;

/// A piece of an upload to the storage: the official client's.
pub(super) const PART_BYTES: u64 = 20_000_000;
/// The most pieces that a storage takes.
const PARTS_MAX: u64 = 10_000;
/// The largest file that can be uploaded.
pub const UPLOAD_BYTES: u64 = PART_BYTES * PARTS_MAX;

/// A file on its way to the site.
pub trait Source: Send + Sync {
    /// Its name, without a folder.
    fn name(&self) -> &str;

    /// How many bytes it has.
    fn size(&self) -> u64;

    /// So many bytes of it from a place on; asked for again when a try failed.
    fn read(&self, from: u64, bytes: u64) -> BoxStream<'static, io::Result<Bytes>>;

    /// Why it cannot be read, once that was seen.
    fn trouble(&self) -> Option<String>;
}

/// What is uploaded, and to where.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The type of the entity that gets the file.
    pub entity_type: &'a str,
    /// Its id.
    pub entity_id: i64,
    /// The field that gets it; none: it is only linked to the entity.
    pub field_name: Option<&'a str>,
    /// How people see it; none: its name.
    pub display_name: Option<&'a str>,
    /// Tags, by commas.
    pub tag_list: Option<&'a str>,
    /// When it counts as made, as text.
    pub created_at: Option<&'a str>,
}

impl Upload<'_> {
    /// The official client's names of the fields that are pictures.
    fn is_thumbnail(&self) -> bool {
        matches!(self.field_name, Some("thumb_image" | "image")) || self.is_filmstrip()
    }

    fn is_filmstrip(&self) -> bool {
        matches!(
            self.field_name,
            Some("filmstrip_thumb_image" | "filmstrip_image")
        )
    }
}

/// Who shares whose thumbnail; each as `Version_12`.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    /// Those who get it, by commas.
    pub entities: &'a str,
    /// Whose it is.
    pub source_entity: &'a str,
    /// Its filmstrip instead.
    pub is_filmstrip: bool,
}
