//! The client against real servers on loopback: whole answers, broken ones, wrong TLS.

mod answers;
mod repeats;
pub(crate) mod server;
mod tls;

use std::time::Duration;

use super::{Session, Site, SiteOptions};
use crate::secret::Secret;

/// A session with short waits.
pub(crate) fn session(url: &str) -> Session {
    session_with(SiteOptions::new(url))
}

/// A session with these options, but short waits.
pub(crate) fn session_with(options: SiteOptions) -> Session {
    let options = SiteOptions {
        max_retry_wait: Duration::from_millis(2),
        ..options
    };
    let site = Site::new(&options).expect("a good address");
    site.session("daemon", Secret::new("canary-key-of-the-daemon"))
}
