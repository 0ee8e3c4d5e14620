//! Files: what was uploaded, kept in memory, and the links by which it is reached for a while.
//!
//! In: bytes with a name, the time. Out: signed links, the bytes behind them.
//! Never: disk; a name of a file is a word to show and no path to write to.

mod form;
mod http;
mod kinds;
mod link;
mod upload;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

pub(super) use form::Form;
pub(super) use http::{Reply, is_ours, respond};
pub(super) use upload::{ROUTES, upload};

use super::cell::Cell;
use crate::clock::Unix;

/// All files together; more than a test suite uploads, less than a small machine has.
const HELD_MAX: usize = 512 << 20;
/// Uploads that were begun and not linked; the oldest is forgotten.
const PENDING_MAX: usize = 64;
/// The longest name that is kept.
const NAME_MAX: usize = 200;

/// One file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
    /// Without a folder.
    pub(super) name: String,
    /// A thumbnail is a placeholder until then.
    pub(super) ready_at: Unix,
}

/// An upload to the storage that is under way.
#[derive(Debug)]
struct Pending {
    /// The whole answer with which it began; who links it must show it.
    ticket: String,
    name: String,
    upload_type: String,
    timestamp: String,
    is_multipart: bool,
    is_complete: bool,
    parts: BTreeMap<u32, (Bytes, String)>,
}

/// Everything that was uploaded.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// How callers reach the site: `http://127.0.0.1:4000`.
    base: String,
    key: u128,
    /// How long a thumbnail is in the making.
    pub(super) processing_ms: i64,
    files: HashMap<i64, File>,
    pending: BTreeMap<String, Pending>,
    begun: u64,
    held: usize,
}

impl Files {
    /// The secret of the signatures.
    pub(super) fn sign_with(&mut self, key: u128) {
        self.key = key;
    }

    /// How callers reach the site.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Under which name the site was called last; links are made under it.
    pub(super) fn called(&mut self, host: &str) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        let known = self.base.strip_prefix("http://");
        if known != Some(host) && !host.is_empty() && host.bytes().all(is_plain) {
            self.base = format!("http://{host}");
        }
    }

    /// A file by the id of its attachment.
    pub(super) fn get(&self, attachment: i64) -> Option<&File> {
        self.files.get(&attachment)
    }

    /// All files by the ids of their attachments.
    pub(super) fn all(&self) -> impl Iterator<Item = (i64, &File)> {
        let all: BTreeMap<i64, &File> = self.files.iter().map(|(id, file)| (*id, file)).collect();
        all.into_iter()
    }

    /// Takes a file that was here before.
    pub(super) fn put_back(
        &mut self,
        attachment: i64,
        [name, content_type]: [&str; 2],
        bytes: Bytes,
        ready_at: Unix,
    ) -> Result<(), String> {
        self.hold(bytes.len())?;
        let file = File {
            bytes,
            content_type: content_type.to_owned(),
            name: clean(name),
            ready_at,
        };
        self.keep(attachment, file);
        Ok(())
    }

    fn hold(&mut self, size: usize) -> Result<(), String> {
        let held = self.held.saturating_add(size);
        if held > HELD_MAX {
            return Err(format!(
                "the files of this sandbox have {} bytes already; at most {HELD_MAX} are kept",
                self.held
            ));
        }
        self.held = held;
        Ok(())
    }

    /// Keeps a file that was held when its parts came.
    fn keep(&mut self, attachment: i64, file: File) {
        if let Some(old) = self.files.insert(attachment, file) {
            self.held = self.held.saturating_sub(old.bytes.len());
        }
    }

    /// Begins an upload to the storage; returns the answer that the caller must show when it links the file.
    fn begin(
        &mut self,
        [upload_type, name, timestamp]: [&str; 3],
        is_multipart: bool,
        now: Unix,
    ) -> String {
        self.begun += 1;
        let id = self.digest(&format!("upload {}", self.begun));
        // In the order of their beginning.
        let id = format!("{:08x}{}", self.begun, &id[..24]);
        let name = clean(name);
        let url = self.put_link(&id, u32::from(is_multipart), &name, now);
        let ticket = format!("1\n{url}\n{timestamp}\n{upload_type}\n{id}\n{name}");
        if self.pending.len() >= PENDING_MAX
            && let Some((_, old)) = self.pending.pop_first()
        {
            self.release(&old);
        }
        let pending = Pending {
            ticket: ticket.clone(),
            name,
            upload_type: upload_type.to_owned(),
            timestamp: timestamp.to_owned(),
            is_multipart,
            is_complete: false,
            parts: BTreeMap::new(),
        };
        self.pending.insert(id, pending);
        ticket
    }

    /// The answer with which an upload to the storage began.
    pub(super) fn ticket(&self, id: &str) -> Option<&str> {
        self.pending.get(id).map(|pending| &*pending.ticket)
    }

    /// Forgets an upload to the storage; false when there is none.
    pub(super) fn abandon(&mut self, id: &str) -> bool {
        let pending = self.pending.remove(id);
        if let Some(pending) = &pending {
            self.release(pending);
        }
        pending.is_some()
    }

    fn release(&mut self, pending: &Pending) {
        let size: usize = pending.parts.values().map(|(bytes, _)| bytes.len()).sum();
        self.held = self.held.saturating_sub(size);
    }

    /// Takes a part into the storage; returns its tag.
    fn put(&mut self, id: &str, part: u32, bytes: Bytes) -> Result<String, String> {
        if !self.pending.contains_key(id) {
            return Err("no such upload".into());
        }
        self.hold(bytes.len())?;
        let digest = Sha256::digest(&bytes);
        let tag = format!("\"{}\"", &hex(&digest)[..32]);
        let pending = self.pending.get_mut(id).expect("it was there above");
        let old = pending.parts.insert(part, (bytes, tag.clone()));
        self.held -= old.map_or(0, |(bytes, _)| bytes.len());
        Ok(tag)
    }

    /// Ends an upload in parts, if the tags are those of its parts in order.
    fn complete(&mut self, id: &str, tags: &str) -> Result<(), String> {
        let pending = self.pending.get_mut(id).ok_or("no such upload")?;
        let known: Vec<&str> = pending.parts.values().map(|(_, tag)| &**tag).collect();
        if known.is_empty() {
            return Err("no part of the file came".into());
        }
        if known.join(",") != tags {
            return Err("the tags are not those of the parts".into());
        }
        pending.is_complete = true;
        Ok(())
    }

    /// A file in the storage, whole; it stays until it is attached.
    fn collect(&self, ticket: &str) -> Result<(String, String, Bytes), String> {
        let id = ticket.lines().nth(4).unwrap_or_default();
        let pending = self.pending.get(id).filter(|p| p.ticket == ticket);
        let pending = pending.ok_or("upload_link_info is not one of this site, or was used")?;
        if pending.parts.is_empty() || (pending.is_multipart && !pending.is_complete) {
            return Err("no file came to the storage".into());
        }
        let mut parts = pending.parts.values().map(|(bytes, _)| bytes.clone());
        let first = parts.next().unwrap_or_default();
        let rest: Vec<Bytes> = parts.collect();
        let bytes = if rest.is_empty() {
            first
        } else {
            let mut whole = first.to_vec();
            rest.iter().for_each(|part| whole.extend_from_slice(part));
            whole.into()
        };
        Ok((pending.name.clone(), pending.upload_type.clone(), bytes))
    }

    /// An upload belongs to an entity now, and no more to the storage.
    fn attached(&mut self, ticket: &str) {
        let id = ticket.lines().nth(4).unwrap_or_default();
        self.pending.remove(id);
    }

    /// Gives back what was held for a file that is not kept.
    fn drop_held(&mut self, size: usize) {
        self.held = self.held.saturating_sub(size);
    }

    /// The value of a field with a file or a picture as it is read now.
    pub(super) fn seen(&self, value: Cell<'static>, now: Unix) -> Cell<'static> {
        match value {
            Cell::Int(attachment) => self.picture(attachment, now).map_or(Cell::Null, Cell::text),
            Cell::Json(mut file) if file["link_type"] == "upload" => {
                let id = file["id"].as_i64().unwrap_or_default();
                let url = self.get_link(id, now);
                std::sync::Arc::make_mut(&mut file)["url"] = url.into();
                Cell::Json(file)
            }
            value => value,
        }
    }

    fn digest(&self, text: &str) -> String {
        // The key on both sides: what follows the text cannot be guessed by who knows the digest.
        let mut digest = Sha256::new();
        digest.update(self.key.to_be_bytes());
        digest.update(text);
        digest.update(self.key.to_be_bytes());
        hex(&digest.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let written = write!(out, "{byte:02x}");
        debug_assert!(written.is_ok(), "a string takes everything");
        out
    })
}

/// The last part of a name, without what no name should have.
fn clean(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    match name.trim() {
        "" | "." | ".." => "file".into(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_and_no_path() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            (r"C:\temp\a.mov", "a.mov"),
            ("..", "file"),
            ("", "file"),
            ("a\r\nSet-Cookie: b\0", "aSet-Cookie: b"),
            ("Größe 1.png", "Größe 1.png"),
        ] {
            assert_eq!(clean(given), kept, "{given:?}");
        }
    }

    #[test]
    fn an_upload_in_parts_is_whole_when_its_tags_are_right() {
        let (mut files, now) = (Files::default(), Unix(0));
        let ticket = files.begin(["Attachment", "a.bin", "0"], true, now);
        let id = ticket.lines().nth(4).unwrap().to_owned();
        let second = files.put(&id, 2, Bytes::from_static(b"two")).unwrap();
        let first = files.put(&id, 1, Bytes::from_static(b"one")).unwrap();
        assert!(files.collect(&ticket).is_err(), "not complete");
        assert!(files.complete(&id, &format!("{second},{first}")).is_err());
        files.complete(&id, &format!("{first},{second}")).unwrap();
        assert!(files.collect(&format!("{ticket}x")).is_err());
        let (_, _, bytes) = files.collect(&ticket).unwrap();
        assert_eq!((&bytes[..], files.held), (&b"onetwo"[..], 6));
        files.attached(&ticket);
        assert!(files.collect(&ticket).is_err(), "only once");
    }

    #[test]
    fn what_is_begun_and_not_ended_is_forgotten() {
        let mut files = Files::default();
        for _ in 0..=PENDING_MAX {
            let ticket = files.begin(["Attachment", "a", "0"], false, Unix(0));
            let id = ticket.lines().nth(4).unwrap().to_owned();
            files.put(&id, 0, Bytes::from_static(b"12345678")).unwrap();
        }
        assert_eq!(
            (files.pending.len(), files.held),
            (PENDING_MAX, 8 * PENDING_MAX)
        );
    }
}
