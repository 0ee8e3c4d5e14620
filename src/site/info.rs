//! What the site says of itself: version, page size, which uploads go to its storage; asked again from time to time.
//!
//! In: the answer of `info`. Out: what we need of it. Never: a failure because a member is missing.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error::SiteError, files::Cloud};

/// After this the site is asked again: an upgrade may change the page size.
pub(super) const FRESH: Duration = Duration::from_secs(600);
/// What the official client assumes when a site announces nothing.
const PAGE: u32 = 500;

/// What a site announces by `info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Major, minor, patch; zeros when it says none.
    pub version: [u32; 3],
    /// `api_max_entities_per_page`: the largest page of a read.
    pub page_max: u32,
    /// `s3_direct_uploads_enabled`, `s3_enabled_upload_types`: which files go to the storage.
    pub cloud: Arc<Cloud>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
    #[serde(default)]
    api_max_entities_per_page: Option<i64>,
    #[serde(borrow, default)]
    s3_direct_uploads_enabled: Option<&'a RawValue>,
    #[serde(borrow, default)]
    s3_enabled_upload_types: Option<&'a RawValue>,
}

/// Reads the answer of `info`; a missing or zero page size is the official client's 500.
pub(super) fn read(result: &[u8]) -> Result<Capabilities, SiteError> {
    let wire: Wire<'_> = serde_json::from_slice(result).map_err(|error| SiteError::BadJson {
        what: format!("info: {error}"),
    })?;
    let page = wire.api_max_entities_per_page.unwrap_or(0);
    let page_max = u32::try_from(page).ok().filter(|&page| page > 0);
    let mut version = [0; 3];
    // A fourth element may be a number or the word "Dev".
    let parts = wire
        .version
        .and_then(|raw| serde_json::from_str::<Vec<serde_json::Value>>(raw.get()).ok());
    for (place, part) in version.iter_mut().zip(parts.iter().flatten()) {
        *place = part
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0);
    }
    Ok(Capabilities {
        version,
        page_max: page_max.unwrap_or(PAGE),
        cloud: Arc::new(Cloud::read(
            wire.s3_direct_uploads_enabled,
            wire.s3_enabled_upload_types,
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_assumed_as_the_official_client_does() {
        for (text, version, page_max) in [
            (
                r#"{"version":[8,89,0,"Dev"],"api_max_entities_per_page":5000}"#,
                [8, 89, 0],
                5000,
            ),
            (
                r#"{"version":[8,1],"api_max_entities_per_page":0}"#,
                [8, 1, 0],
                500,
            ),
            (
                r#"{"version":"8.1","api_max_entities_per_page":null}"#,
                [0, 0, 0],
                500,
            ),
            ("{}", [0, 0, 0], 500),
        ] {
            let read = read(text.as_bytes()).unwrap();
            assert_eq!((read.version, read.page_max), (version, page_max), "{text}");
        }
        assert!(read(b"nope").is_err());
    }
}
