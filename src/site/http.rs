//! One POST: out with a body, back with a whole answer or the reason, within one deadline and one size.
//!
//! Never: a second try, a redirect followed, more of a body in memory than allowed.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER},
};

use super::{address::Address, error::SiteError, trouble};
use crate::{
    clock::{Clock, Unix},
    secret::redact,
};

/// Of the body of a refusal, this much is read for the message.
const DETAIL_BYTES: usize = 16 * 1024;
/// What may stand around a result in the body of an answer.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// And this much is shown.
const DETAIL_CHARS: usize = 300;

/// The connections to one site.
pub(super) struct Http {
    pub(super) client: Client,
    /// For files: nothing is decompressed.
    pub(super) files: Client,
    pub(super) address: Address,
    pub(super) timeout: Duration,
    /// The largest result for the daemon itself, and for a plugin.
    pub(super) answer_bytes: usize,
    pub(super) result_bytes: usize,
}

/// What the headers of an answer tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) status: Option<u16>,
    pub(super) date: Option<Unix>,
    pub(super) request_id: Option<String>,
}

impl Http {
    /// Sends one request and reads the whole answer: what its headers tell, and the body of a 2xx, which may have
    /// `limit` bytes and what stands around a result.
    pub(super) async fn post(
        &self,
        body: Vec<u8>,
        limit: usize,
    ) -> (Head, Result<Bytes, SiteError>) {
        let mut head = Head::default();
        let exchange = self.exchange(body, limit, &mut head);
        let answer = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(SiteError::Timeout {
                after: self.timeout,
            }),
        };
        (head, answer)
    }

    async fn exchange(
        &self,
        body: Vec<u8>,
        limit: usize,
        head: &mut Head,
    ) -> Result<Bytes, SiteError> {
        let mut request = self
            .client
            .post(self.address.endpoint().clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body);
        if let Some(basic) = self.address.basic() {
            request = request.header(AUTHORIZATION, basic.clone());
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| trouble::of_request(&error, &self.address.host()))?;
        *head = head_of(&response);
        if !response.status().is_success() {
            return Err(refusal(response, head.date).await);
        }
        let says_html = is_html(response.headers());
        let body = read(response, limit + ENVELOPE_BYTES).await;
        let body = body.map_err(|error| match error {
            SiteError::TooLarge { .. } => SiteError::TooLarge { limit },
            error => error,
        })?;
        if says_html || body.trim_ascii_start().starts_with(b"<") {
            let beginning = &body[..body.len().min(DETAIL_BYTES)];
            let title = title_of(&String::from_utf8_lossy(beginning)).unwrap_or_default();
            return Err(SiteError::Html { title });
        }
        Ok(body)
    }
}

/// Reads a body of at most `limit` bytes after decompression.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Bytes, SiteError> {
    let expected = response.content_length().unwrap_or(0);
    if expected > limit as u64 {
        return Err(SiteError::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(SiteError::TooLarge { limit });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Bytes::from(body)),
            Err(error) => return Err(trouble::of_body(&error, body.len())),
        }
    }
}

pub(super) async fn refusal(mut response: Response, date: Option<Unix>) -> SiteError {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION);
        let to = to.and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        return SiteError::Redirect {
            status: status.as_u16(),
            to: redact(&without_query(to)).into_owned(),
        };
    }
    let retry_after = retry_after(response.headers(), date);
    let mut body = Vec::new();
    while body.len() < DETAIL_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    SiteError::Http {
        status: status.as_u16(),
        retry_after,
        detail: detail(status, &String::from_utf8_lossy(&body)),
    }
}

/// What of a refusal's body is worth showing: the title of a page, else its beginning on one line.
fn detail(status: StatusCode, body: &str) -> String {
    let text = match title_of(body).or_else(|| between(body, "<message>", "</message")) {
        Some(title) => title,
        None if body.trim_start().starts_with('<') => String::new(),
        None => {
            let words: Vec<&str> = body.split_whitespace().collect();
            words.join(" ").chars().take(DETAIL_CHARS).collect()
        }
    };
    let text = match (status.as_u16(), text.is_empty()) {
        (_, false) => text,
        (407, true) => "the proxy wants a user and a password".to_owned(),
        (_, true) => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    redact(&text).into_owned()
}

pub(super) fn title_of(page: &str) -> Option<String> {
    between(page, "<title", "</title")
}

/// What stands in a tag of a page, or of a storage's XML.
fn between(page: &str, open: &str, close: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let open = lower.find(open)?;
    let from = open + lower[open..].find('>')? + 1;
    let to = from + lower[from..].find(close)?;
    let words: Vec<&str> = page[from..to].split_whitespace().collect();
    let title: String = words.join(" ").chars().take(DETAIL_CHARS).collect();
    Some(redact(&title).into_owned()).filter(|title| !title.is_empty())
}

/// A target for people: its query may hold a token.
fn without_query(target: &str) -> String {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    target[..end].to_owned()
}

pub(super) fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

pub(super) fn head_of(response: &Response) -> Head {
    let text = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let request_id = text("x-request-id").or_else(|| text("x-sg-correlation-id"));
    Head {
        status: Some(response.status().as_u16()),
        date: text(DATE.as_str()).and_then(http_date),
        request_id: request_id.map(str::to_owned),
    }
}

/// Seconds, or a time: that one against the site's own clock, else ours.
fn retry_after(headers: &HeaderMap, date: Option<Unix>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let now = date.unwrap_or_else(Clock::unix);
    http_date(text).map(|until| until - now)
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Unix> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    at.ok().map(|at| Unix(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_time_by_the_sites_clock() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date, Some(Unix(784_111_777_000)));
        for (text, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(
                retry_after(&headers, date).map(|d| d.as_secs()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_page_shows_its_title_and_text_its_beginning() {
        let page = "<html><head><TITLE>\n Sign  in </TITLE>";
        assert_eq!(detail(StatusCode::FORBIDDEN, page), "Sign in");
        assert_eq!(detail(StatusCode::FORBIDDEN, "<html>x"), "Forbidden");
        assert_eq!(detail(StatusCode::FORBIDDEN, "not\nfor you"), "not for you");
        let xml = "<?xml version=\"1.0\"?><Error><Message>Request has expired</Message></Error>";
        assert_eq!(detail(StatusCode::FORBIDDEN, xml), "Request has expired");
        assert_eq!(without_query("https://sso/x?token=1"), "https://sso/x");
    }
}
