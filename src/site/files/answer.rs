//! The texts that `/upload/…` answers: `1`, then lines. Pure.
//!
//! In: a body. Out: an id, addresses, or the site's own words as a fault.
//! Never: an address in an error.

use bytes::Bytes;
use url::Url;

use crate::{
    secret::redact,
    site::{SiteError, envelope},
};

/// Of a refusal, this much is shown.
const SHOWN: usize = 300;

/// The text of an answer that says yes.
///
/// # Errors
/// `Fault` with the site's words when it does not begin with `1`.
pub(super) fn good(body: &Bytes, method: &str, script: &str) -> Result<String, SiteError> {
    let text = String::from_utf8_lossy(body);
    if text.starts_with('1') {
        return Ok(text.into_owned());
    }
    if body.trim_ascii_start().starts_with(b"{") {
        // A site may answer a fault as it does to other calls.
        envelope::result(body, method, script)?;
    }
    Err(fault(method, &text))
}

/// The site's refusal, in its own words.
pub(super) fn fault(method: &str, text: &str) -> SiteError {
    let words = text.trim_start_matches('0').split_whitespace();
    let words: Vec<&str> = words.collect();
    let message: String = words.join(" ").chars().take(SHOWN).collect();
    let message = match message.is_empty() {
        true => "no reason given".to_owned(),
        false => redact(&message).into_owned(),
    };
    SiteError::Fault {
        method: method.to_owned(),
        code: None,
        message,
    }
}

/// The id in `1:12:…`, or in `1:12` and a new line; none when no number stands there.
pub(super) fn id(text: &str) -> Option<i64> {
    let after = text.split_once(':')?.1;
    after.split([':', '\n']).next()?.trim().parse().ok()
}

/// Where and how a file goes to the storage.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: Url,
    pub(super) timestamp: String,
    pub(super) upload_type: String,
    pub(super) upload_id: String,
    /// The whole text, which the last step shows.
    pub(super) whole: String,
}

impl Link {
    pub(super) fn read(text: String, method: &str) -> Result<Self, SiteError> {
        let mut lines = text.lines().skip(1).map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        let (url, timestamp, upload_type, upload_id) = (next(), next(), next(), next());
        Ok(Self {
            url: address(&url, method)?,
            timestamp,
            upload_type,
            upload_id,
            whole: text,
        })
    }
}

/// The second line of an answer as an address.
pub(super) fn second_line(text: &str, method: &str) -> Result<Url, SiteError> {
    address(text.lines().nth(1).unwrap_or_default(), method)
}

fn address(text: &str, method: &str) -> Result<Url, SiteError> {
    let url = Url::parse(text.trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| SiteError::BadJson {
        what: format!("the answer to {method} has no address in its second line"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stands_between_the_colons() {
        for (text, expected) in [
            ("1:12:x", Some(12)),
            ("1:12\nmore: 3", Some(12)),
            ("1:", None),
            ("1:none\n", None),
            ("1", None),
        ] {
            assert_eq!(id(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_refusal_has_the_sites_words() {
        let said = |text: &'static str| {
            let error = good(&Bytes::from_static(text.as_bytes()), "upload_file", "bot");
            error.unwrap_err().to_string()
        };
        assert_eq!(
            said("0\nAPI upload() no file\n"),
            "the site refused upload_file: API upload() no file"
        );
        assert_eq!(said(""), "the site refused upload_file: no reason given");
        let json =
            r#"{"exception":true,"message":"Can't authenticate script 'bot'","error_code":102}"#;
        assert_eq!(
            said(json),
            "the site does not accept the credentials of script `bot`: Can't authenticate script 'bot'"
        );
    }

    #[test]
    fn a_link_needs_an_address_and_shows_none() {
        let text = "1\nhttps://store/x?signature=abc\n2026\nAttachment\nid7\nname".to_owned();
        let link = Link::read(text.clone(), "m").unwrap();
        assert_eq!(
            (link.url.path(), &*link.upload_id, &*link.whole),
            ("/x", "id7", &*text)
        );
        for bad in ["1", "1\nfile:///etc/passwd", "1\n/relative?signature=abc"] {
            let error = Link::read(bad.to_owned(), "m").unwrap_err().to_string();
            assert_eq!(
                error,
                "the site's answer is not JSON: the answer to m has no address in its second line"
            );
        }
    }
}
