//! Links: where a file is read or put, good for an hour, signed.
//!
//! In: ids, the time. Out: addresses; whether one that comes back is ours.
//! Never: a file name that counts; it stands at the end of an address for people.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Files;
use crate::clock::Unix;

/// The storage, which a site has on another host.
pub(super) const STORAGE: &str = "/_storage/";
/// What a thumbnail in the making reads as; the client's manual names the folder.
pub(super) const TRANSIENT: &str = "/images/status/transient/thumbnail_pending.png";
/// One hour.
const GOOD_MS: i64 = 3_600_000;
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a link is refused, in the storage's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not one of ours.
    Signature,
    /// It was one of ours.
    Expired,
}

impl Refused {
    /// The body of the answer.
    pub(super) fn xml(self) -> String {
        let (code, message) = match self {
            Self::Signature => (
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            ),
            Self::Expired => ("AccessDenied", "Request has expired"),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
    }
}

impl Files {
    /// Where a part of an upload is put; a file in one piece is part 0.
    pub(super) fn put_link(&self, upload: &str, part: u32, name: &str, now: Unix) -> String {
        self.signed(&format!("uploads/{upload}/{part}"), name, now)
    }

    /// Where a file is read.
    pub(in crate::sandbox) fn get_link(&self, attachment: i64, now: Unix) -> String {
        let name = self.get(attachment).map_or("file", |file| &*file.name);
        self.signed(&format!("files/{attachment}"), name, now)
    }

    /// Where a thumbnail is read, if there is one.
    pub(in crate::sandbox) fn picture(&self, attachment: i64, now: Unix) -> Option<String> {
        let file = self.get(attachment)?;
        if now < file.ready_at {
            return Some(format!("{}{TRANSIENT}", self.base));
        }
        Some(self.get_link(attachment, now))
    }

    fn signed(&self, what: &str, name: &str, now: Unix) -> String {
        let until = now.0 + GOOD_MS;
        let signature = self.digest(&format!("{what} {until}"));
        let name = utf8_percent_encode(name, NAME);
        format!(
            "{}{STORAGE}{what}/{name}?expires={until}&signature={signature}",
            self.base
        )
    }

    /// Whether a link to something is ours and still good.
    pub(super) fn check(&self, what: &str, query: &str, now: Unix) -> Result<(), Refused> {
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            url::form_urlencoded::parse(query.as_bytes()).collect();
        let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| &**v);
        let until: i64 = value("expires")
            .and_then(|until| until.parse().ok())
            .ok_or(Refused::Signature)?;
        if value("signature") != Some(&*self.digest(&format!("{what} {until}"))) {
            return Err(Refused::Signature);
        }
        if now.0 > until {
            return Err(Refused::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_an_hour_and_for_one_file() {
        let files = Files::default();
        let link = files.get_link(7, Unix(0));
        let (_, query) = link.split_once('?').unwrap();
        assert_eq!(files.check("files/7", query, Unix(GOOD_MS)), Ok(()));
        let late = files.check("files/7", query, Unix(GOOD_MS + 1));
        assert_eq!(late, Err(Refused::Expired));
        for (what, query) in [
            ("files/8", query),
            ("files/7", ""),
            ("files/7", "expires=9"),
        ] {
            assert_eq!(files.check(what, query, Unix(0)), Err(Refused::Signature));
        }
        let longer = query.replace("expires=3", "expires=4");
        let longer = files.check("files/7", &longer, Unix(0));
        assert_eq!(longer, Err(Refused::Signature));
    }
}
