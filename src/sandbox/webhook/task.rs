//! The task that sends: takes what is ready, sends it, and tells what came of it.
//!
//! In: requests of the hooks. Out: answers of receivers.
//! Never: the state held while something is sent.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, redirect::Policy};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Outcome, Sending};
use crate::{clock::millis, sandbox::site::Shared};

/// An answer that is longer is not read to its end; no more than its beginning is kept anyway.
const ANSWER_MAX: usize = 64 << 10;

/// One for receivers whose certificates count, one for the others.
struct Clients {
    strict: Client,
    lenient: Client,
}

impl Clients {
    fn new() -> reqwest::Result<Self> {
        // In tests nobody else has done it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = || Client::builder().no_proxy().redirect(Policy::none());
        Ok(Self {
            strict: builder().build()?,
            lenient: builder().danger_accept_invalid_certs(true).build()?,
        })
    }
}

/// Sends until the site stops.
pub(in crate::sandbox) async fn deliver(shared: Arc<Shared>, stop: CancellationToken) {
    let mut clients = None;
    let mut sending = JoinSet::new();
    loop {
        let (ready, pause) = {
            let (mut state, now) = shared.enter();
            let (ready, wake) = state.deliveries(now);
            (ready, wake.map(|wake| wake - now))
        };
        if !ready.is_empty() && clients.is_none() {
            // Without a client nothing can be sent; the next look tries again.
            clients = Clients::new().ok().map(Arc::new);
        }
        for request in ready {
            let clients = clients.clone();
            sending.spawn(async move {
                let outcome = match &clients {
                    Some(clients) => send(clients, &request).await,
                    None => Outcome::default(),
                };
                (request, outcome)
            });
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(done) = sending.join_next() => {
                // One that ended badly is not told of; its hook waits for ever, which a test sees.
                if let Ok((request, outcome)) = done {
                    let (mut state, now) = shared.enter();
                    state.delivered(&request, &outcome, now);
                }
            }
            () = shared.changed.notified() => {}
            () = after(pause), if pause.is_some() => {}
        }
    }
}

async fn after(pause: Option<Duration>) {
    // A hair late rather than early, or it would be asked again at once.
    tokio::time::sleep(pause.unwrap_or_default() + Duration::from_millis(1)).await;
}

async fn send(clients: &Clients, sending: &Sending) -> Outcome {
    let client = if sending.validates_certificates {
        &clients.strict
    } else {
        &clients.lenient
    };
    let started = Instant::now();
    let timeout = Duration::from_millis(u64::try_from(sending.timeout_ms).unwrap_or(0));
    let mut request = client.post(&sending.url).timeout(timeout);
    for (name, value) in &sending.headers {
        request = request.header(*name, value);
    }
    let answered = answer(request.body(sending.body.clone())).await;
    let took_ms = i64::try_from(millis(started.elapsed())).unwrap_or(i64::MAX);
    // Whoever does not answer, or not to the end, has not got it.
    Outcome {
        took_ms,
        ..answered.unwrap_or_default()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Outcome> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    Ok(Outcome {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        took_ms: 0,
    })
}
