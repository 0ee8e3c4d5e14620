//! One exchange about a file: it may take an hour as long as bytes move.
//!
//! In: a request. Out: its answer, told to the tap. The method's name, sizes and time are told; addresses and files not.
//! Never: a second try, an answer larger than a few lines of text.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use reqwest::{
    Body, RequestBuilder,
    header::{AUTHORIZATION, ETAG},
};
use tokio::time::{Instant, sleep_until};

use super::Source;
use crate::site::{
    Call, CallRecord, Session, SiteError,
    http::{Head, head_of, read, refusal},
    trouble,
};

/// More than any of these answers has.
const ANSWER_BYTES: usize = 64 << 10;

/// Bytes that have left.
#[derive(Debug, Default)]
pub(super) struct Moved {
    bytes: AtomicU64,
    total: u64,
}

impl Moved {
    pub(super) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicU64::new(0),
            total,
        })
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn so_far(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A piece of a source as a body that counts.
pub(super) fn body(source: &dyn Source, from: u64, bytes: u64, moved: &Arc<Moved>) -> Body {
    let moved = moved.clone();
    let stream = source.read(from, bytes);
    Body::wrap_stream(stream.inspect_ok(move |chunk| moved.add(chunk.len())))
}

/// An answer with a 2xx.
pub(super) struct Answered {
    pub(super) body: Bytes,
    /// The storage's tag of a piece, with its quotes.
    pub(super) tag: Option<String>,
}

/// What is exchanged, for who is told of it.
pub(super) struct Exchange<'a> {
    pub(super) session: &'a Session,
    /// Who asks within which event.
    pub(super) call: &'a Call<'a>,
    /// Such as `api_link_file`.
    pub(super) method: &'a str,
    pub(super) attempt: u32,
    /// What is sent besides the file, without credentials.
    pub(super) payload: Option<&'a str>,
    pub(super) moved: &'a Moved,
    /// How long the answer may take when all has left; what moves may not stand still for longer than a call may take.
    pub(super) patience: Duration,
}

impl Exchange<'_> {
    /// To the site itself: with what user-info in its address asks for.
    pub(super) async fn with_site(&self, request: RequestBuilder) -> Result<Answered, SiteError> {
        let basic = self.session.site().http().address.basic();
        let request = match basic {
            Some(basic) => request.header(AUTHORIZATION, basic.clone()),
            None => request,
        };
        let host = self.session.site().http().address.host();
        self.with(request, &host).await
    }

    /// To any host.
    pub(super) async fn with(
        &self,
        request: RequestBuilder,
        host: &str,
    ) -> Result<Answered, SiteError> {
        let started = Instant::now();
        let mut head = Head::default();
        let result = self.watched(exchange(request, host, &mut head)).await;
        self.session.site().note_date(head.date);
        let call = self.call;
        self.session.site().tell(&CallRecord {
            method: self.method,
            script: Some(self.session.script()),
            plugin: call.plugin,
            event_id: call.event_id,
            attempt: self.attempt,
            sent_bytes: self.moved.so_far(),
            received_bytes: result.as_ref().map_or(0, |done| done.body.len() as u64),
            elapsed: started.elapsed(),
            status: head.status,
            request_id: head.request_id.as_deref(),
            error: result.as_ref().err(),
            payload: self.payload,
            result: None,
        });
        result
    }

    async fn watched<T>(
        &self,
        work: impl Future<Output = Result<T, SiteError>>,
    ) -> Result<T, SiteError> {
        let stall = self.session.site().http().timeout;
        let mut work = std::pin::pin!(work);
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let after = match seen >= self.moved.total {
                true => self.patience,
                false => stall,
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(since + after) => {}
            }
            let now = self.moved.so_far();
            if now == seen {
                return Err(SiteError::Timeout { after });
            }
            (seen, since) = (now, Instant::now());
        }
    }
}

async fn exchange(
    request: RequestBuilder,
    host: &str,
    head: &mut Head,
) -> Result<Answered, SiteError> {
    let sent = request.send().await;
    let response = sent.map_err(|error| trouble::of_request(&error, host))?;
    *head = head_of(&response);
    if !response.status().is_success() {
        return Err(refusal(response, head.date).await);
    }
    let tag = response
        .headers()
        .get(ETAG)
        .and_then(|tag| tag.to_str().ok());
    let tag = tag.map(str::to_owned);
    let body = read(response, ANSWER_BYTES).await?;
    Ok(Answered { body, tag })
}
