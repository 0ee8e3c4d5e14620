//! The site's URL, read by the official client's rules.
//!
//! In: what the operator wrote. Out: the endpoint of every rpc, the origin for people, the header that user-info becomes.
//! Never: user-info in anything that can be printed.

use base64::Engine as _;
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

use crate::secret::Secret;

/// Where every rpc goes, relative to the site's URL.
const ENDPOINT: &str = "api3/json";

/// A site's address, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    endpoint: Url,
    basic: Option<HeaderValue>,
}

/// Why a URL cannot be a site.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// Neither http nor https.
    #[error("the site's URL begins with {found:?}; allowed: https:// and http://")]
    Scheme {
        /// What stands before the colon.
        found: String,
    },
    /// No URL at all.
    #[error(
        "the site's URL cannot be read ({reason}); it looks like https://studio.shotgrid.autodesk.com"
    )]
    Unreadable {
        /// What the parser found.
        reason: String,
    },
}

impl Address {
    /// Reads a site's URL. Host and path are lower-cased, the path is resolved as a link would be: `https://h/sub` asks
    /// `/api3/json`, `https://h/sub/` asks `/sub/api3/json`. User-info becomes Basic authorization.
    ///
    /// # Errors
    /// When it is no URL, or neither http nor https.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let unreadable = |reason: &dyn ToString| AddressError::Unreadable {
            reason: reason.to_string(),
        };
        let mut url = Url::parse(text.trim()).map_err(|error| unreadable(&error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressError::Scheme {
                found: url.scheme().to_owned(),
            });
        }
        let basic = basic_of(&url).map_err(|error| unreadable(&error))?;
        // These two fail only for a URL without a host, which http and https always have.
        let no_host = |()| unreadable(&"it has no host");
        url.set_username("").map_err(no_host)?;
        url.set_password(None).map_err(no_host)?;
        url.set_path(&url.path().to_ascii_lowercase());
        url.set_query(None);
        url.set_fragment(None);
        let endpoint = url.join(ENDPOINT).map_err(|error| unreadable(&error))?;
        Ok(Self { endpoint, basic })
    }

    /// Where every rpc is posted.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Scheme, host and port: what uploads and downloads are built from, and what people read.
    #[must_use]
    pub fn origin(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        match self.endpoint.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// True when the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.endpoint.scheme() == "https"
    }

    /// The authorization header that user-info in the URL asks for; independent of the API's own credentials.
    #[must_use]
    pub fn basic(&self) -> Option<&HeaderValue> {
        self.basic.as_ref()
    }
}

fn basic_of(url: &Url) -> Result<Option<HeaderValue>, reqwest::header::InvalidHeaderValue> {
    if url.username().is_empty() {
        return Ok(None);
    }
    let mut pair = decode(url.username());
    if let Some(password) = url.password() {
        // Made known, so that it is cut out of every text.
        let password = Secret::new(decode(password));
        pair = format!("{pair}:{}", password.expose());
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut header = HeaderValue::from_str(&format!("Basic {encoded}"))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_follows_the_official_rules() {
        for (text, endpoint) in [
            ("https://Studio.Example", "https://studio.example/api3/json"),
            ("https://h/sub", "https://h/api3/json"),
            ("https://h/sub/", "https://h/sub/api3/json"),
            ("https://h/Sub/x?q=1#f", "https://h/sub/api3/json"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api3/json"),
            (" https://h:443/ ", "https://h/api3/json"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.endpoint().as_str(), endpoint, "{text}");
        }
    }

    #[test]
    fn user_info_becomes_a_header_and_is_seen_nowhere() {
        let address = Address::parse("https://User:Pa%20ss-word@H/").unwrap();
        let header = address.basic().unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic VXNlcjpQYSBzcy13b3Jk");
        let shown = format!("{address:?} {} {}", address.origin(), address.host());
        assert!(
            !shown.contains("User") && !shown.contains("VXNl"),
            "{shown}"
        );
        let alone = Address::parse("https://User@h").unwrap();
        assert_eq!(alone.basic().unwrap().to_str().unwrap(), "Basic VXNlcg==");
    }

    #[test]
    fn what_is_no_site_says_what_is_allowed() {
        assert_eq!(
            Address::parse("ftp://h").unwrap_err().to_string(),
            "the site's URL begins with \"ftp\"; allowed: https:// and http://"
        );
        assert!(Address::parse("studio.example").is_err());
        assert!(Address::parse("https://").is_err());
    }
}
