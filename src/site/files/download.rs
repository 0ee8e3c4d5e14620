//! Downloads: an attachment by its id, or by a link that the site gave.
//!
//! In: what is wanted, who calls. Out: the file in chunks.
//! Never: the site's cookie for another host, a page for people in the place of a file, more redirects than a few.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    RequestBuilder, Response,
    header::{AUTHORIZATION, CONTENT_DISPOSITION, COOKIE, HeaderValue, LOCATION},
};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    ident::{EventId, PluginName},
    site::{
        Call, CallRecord, Kind, Session, Site, SiteError,
        attempts::{Attempts, Way},
        http::{Head, head_of, is_html, refusal, title_of},
        trouble,
    },
};

/// From the site to its storage is one.
const REDIRECTS_MAX: usize = 5;
/// How much of a page is read for its title.
const PAGE_BYTES: usize = 16 << 10;
const METHOD: &str = "download";

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// An attachment by its id.
    Attachment(i64),
    /// What a link leads to, as a field with a file holds it.
    Link(&'a str),
}

/// A file on its way here.
pub struct Download {
    response: Response,
    site: Site,
    script: String,
    plugin: Option<PluginName>,
    event_id: Option<EventId>,
    attempt: u32,
    started: Instant,
    received: u64,
    is_told: bool,
}

impl Session {
    /// Begins a download.
    ///
    /// # Errors
    /// As [`Session::call`]; `Http` with 400 when there is no such attachment or it is no file, 403 when a link is old.
    pub async fn download(
        &self,
        call: &Call<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Download, SiteError> {
        let url = self.address_of(wanted)?;
        let login = call.sudo_as_login;
        let mut attempts = Attempts::new(self, Kind::Read, Way::File, call.plugin);
        loop {
            drop(attempts.begin().await?);
            let started = Instant::now();
            let error = match self.follow(call, url.clone()).await {
                Ok(response) => {
                    return Ok(Download {
                        response,
                        site: self.site().clone(),
                        script: self.script().to_owned(),
                        plugin: call.plugin.cloned(),
                        event_id: call.event_id,
                        attempt: attempts.attempt(),
                        started,
                        received: 0,
                        is_told: false,
                    });
                }
                Err(error) => error,
            };
            self.site().tell(&CallRecord {
                method: METHOD,
                script: Some(self.script()),
                plugin: call.plugin,
                event_id: call.event_id,
                attempt: attempts.attempt(),
                sent_bytes: 0,
                received_bytes: 0,
                elapsed: started.elapsed(),
                status: error.status(),
                request_id: None,
                error: Some(&error),
                payload: None,
                result: None,
            });
            let is_about_token = matches!(
                error,
                SiteError::Html { .. }
                    | SiteError::Http {
                        status: 401 | 403,
                        ..
                    }
            );
            // The token may have ended since it was asked for; a new one is asked for once.
            if is_about_token && attempts.attempt() == 1 && self.tokens().forget(login) {
                continue;
            }
            attempts.failed(error).await?;
        }
    }

    fn address_of(&self, wanted: Wanted<'_>) -> Result<Url, SiteError> {
        let text = match wanted {
            Wanted::Attachment(id) => {
                let origin = self.site().origin();
                format!("{origin}/file_serve/attachment/{id}")
            }
            Wanted::Link(link) => link.to_owned(),
        };
        let url = Url::parse(&text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| SiteError::Fault {
            method: METHOD.to_owned(),
            code: None,
            message: "the link is no address that begins with https:// or http://".to_owned(),
        })
    }

    /// Asks for a file, and where it is sent to for it.
    async fn follow(&self, call: &Call<'_>, mut url: Url) -> Result<Response, SiteError> {
        let http = self.site().http();
        for _ in 0..=REDIRECTS_MAX {
            let host = url.host_str().unwrap_or_default().to_owned();
            let is_ours = url.origin() == http.address.endpoint().origin();
            let mut request = http.files.get(url.clone());
            if is_ours {
                request = self.as_ours(call, request).await?;
            }
            let sent = timeout(http.timeout, request.send()).await;
            let sent = sent.map_err(|_| late(http.timeout))?;
            let response = sent.map_err(|error| trouble::of_request(&error, &host))?;
            let Head { date, .. } = head_of(&response);
            let status = response.status();
            let to = response.headers().get(LOCATION);
            if let (true, Some(to)) = (status.is_redirection(), to) {
                let to = to.to_str().ok().and_then(|to| url.join(to).ok());
                let to = to.filter(|to| matches!(to.scheme(), "http" | "https"));
                match to {
                    Some(to) => url = to,
                    None => return Err(refusal(response, date).await),
                }
                continue;
            }
            if !status.is_success() {
                return Err(refusal(response, date).await);
            }
            // A file that is a page comes with a name; the page to sign in on does not.
            let headers = response.headers();
            if is_ours && is_html(headers) && !headers.contains_key(CONTENT_DISPOSITION) {
                return Err(page(response, http.timeout).await);
            }
            return Ok(response);
        }
        Err(SiteError::Redirect {
            status: 302,
            to: format!("another after {REDIRECTS_MAX}"),
        })
    }

    /// With the cookie of a web session, and with what user-info in the site's address asks for.
    async fn as_ours(
        &self,
        call: &Call<'_>,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, SiteError> {
        let token = self.token(call).await?;
        let cookie = HeaderValue::from_str(&format!("_session_id={}", token.expose()));
        let mut cookie = cookie.map_err(|_| SiteError::BadJson {
            what: "get_session_token: a token that fits into no header".to_owned(),
        })?;
        cookie.set_sensitive(true);
        let request = request.header(COOKIE, cookie);
        Ok(match self.site().http().address.basic() {
            Some(basic) => request.header(AUTHORIZATION, basic.clone()),
            None => request,
        })
    }
}

fn late(after: Duration) -> SiteError {
    SiteError::Timeout { after }
}

async fn page(mut response: Response, patience: Duration) -> SiteError {
    let mut body = Vec::new();
    while body.len() < PAGE_BYTES
        && let Ok(Ok(Some(chunk))) = timeout(patience, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    let title = title_of(&String::from_utf8_lossy(&body)).unwrap_or_default();
    SiteError::Html { title }
}

impl Download {
    /// How large the file is, if that was said.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// `Truncated` when it broke off, `Timeout` when it stood still.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SiteError> {
        let patience = self.site.http().timeout;
        let next = match timeout(patience, self.response.chunk()).await {
            Ok(next) => next.map_err(|error| {
                let received = usize::try_from(self.received).unwrap_or(usize::MAX);
                trouble::of_body(&error, received)
            }),
            Err(_) => Err(late(patience)),
        };
        match &next {
            Ok(Some(chunk)) => self.received += chunk.len() as u64,
            Ok(None) => self.tell(None),
            Err(error) => self.tell(Some(error)),
        }
        next
    }

    fn tell(&mut self, error: Option<&SiteError>) {
        self.is_told = true;
        self.site.tell(&CallRecord {
            method: METHOD,
            script: Some(&self.script),
            plugin: self.plugin.as_ref(),
            event_id: self.event_id,
            attempt: self.attempt,
            sent_bytes: 0,
            received_bytes: self.received,
            elapsed: self.started.elapsed(),
            status: Some(self.response.status().as_u16()),
            request_id: None,
            error,
            payload: None,
            result: None,
        });
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(None);
        }
    }
}
