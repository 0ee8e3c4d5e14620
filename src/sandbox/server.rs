//! The server: HTTP around the state.
//!
//! In: connections. Out: answers; resets and silence when trouble is ordered.
//! Never: a decision about an answer.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{
    ctl::Verb,
    raw,
    site::Shared,
    trouble::{Answer, Kind, Outcome},
};
use crate::clock::Clock;

/// More than any client sends.
const BODY_MAX: usize = 64 << 20;
/// After an accept that failed: usually too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
enum Abort {
    /// The site stops, or trouble was ordered.
    #[error("closed without an answer")]
    Closed,
    /// The request could not be read.
    #[error("cannot read the request")]
    Unreadable,
}

/// Accepts until it is stopped.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (shared, stop) = (shared.clone(), stop.clone());
                connections.spawn(connection(stream, shared, stop));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    // Small answers must not wait for each other; a socket that refuses this still works.
    let _nodelay = stream.set_nodelay(true);
    let Ok(handle) = dup(&stream) else { return };
    let service = service_fn(|request| {
        let (shared, stop, handle) = (shared.clone(), stop.clone(), &handle);
        async move {
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Abort::Closed),
                outcome = reply(&shared, request, handle) => outcome,
            };
            if matches!(outcome, Ok(None)) {
                let linger = nix::libc::linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                // If it fails the connection is closed politely, which is trouble enough.
                let _reset = setsockopt(handle, sockopt::Linger, &linger);
            }
            outcome?.ok_or(Abort::Closed)
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // Trouble with one connection is the client's to tell.
    tokio::select! {
        _ended = serving.as_mut() => {}
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
}

/// A second handle of the socket: the first belongs to hyper, and a reset needs one.
fn dup(stream: &TcpStream) -> io::Result<OwnedFd> {
    std::os::fd::AsFd::as_fd(stream).try_clone_to_owned()
}

/// The answer; nothing for a reset.
async fn reply(
    shared: &Shared,
    request: Request<Incoming>,
    socket: &OwnedFd,
) -> Result<Option<Response<Full<Bytes>>>, Abort> {
    match respond(shared, request).await? {
        Reply::Answer(answer) => Ok(Some(response(answer))),
        Reply::Reset => Ok(None),
        Reply::Raw(kind) => {
            if let Ok(socket) = socket.try_clone() {
                // The caller may go away at any byte, which is what most of these are for.
                let _gone = raw::write(kind, socket).await;
            }
            Err(Abort::Closed)
        }
    }
}

/// What is written to the caller.
enum Reply {
    Answer(Answer),
    Reset,
    Raw(Kind),
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Result<Reply, Abort> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_MAX).collect().await;
    let body = body.map_err(|_cause| Abort::Unreadable)?.to_bytes();
    let answer = match (head.method, head.uri.path()) {
        (Method::POST, "/_sandbox/ctl") => order(shared, &body),
        (Method::GET, "/_sandbox/truth") => {
            Answer::json(shared.state().truth(Clock::unix()).to_string())
        }
        (Method::GET, "/_sandbox/asked") => Answer::json(shared.asked_json().to_string()),
        (Method::POST, path) if path.ends_with("/api3/json") => return call(shared, &body).await,
        (_, path) => plain(
            404,
            &format!("nothing at {path}; this is the sandbox of sgeventd: POST /api3/json"),
        ),
    };
    Ok(Reply::Answer(answer))
}

fn plain(status: u16, text: &str) -> Answer {
    Answer {
        status,
        content_type: "text/plain; charset=utf-8",
        retry_after: None,
        body: format!("{text}\n"),
    }
}

fn order(shared: &Shared, body: &[u8]) -> Answer {
    let verb: Verb = match serde_json::from_slice(body) {
        Ok(verb) => verb,
        Err(error) => return plain(400, &format!("not an order: {error}")),
    };
    match shared.order(verb) {
        Ok(done) => Answer::json(done.to_string()),
        Err(refused) => plain(409, &refused),
    }
}

async fn call(shared: &Shared, body: &[u8]) -> Result<Reply, Abort> {
    let cleared = shared.cleared.notified();
    tokio::pin!(cleared);
    // From here on a clear is not missed, also while the call is under way.
    cleared.as_mut().enable();
    let (outcome, latency) = {
        let mut state = shared.state();
        let latency = state.troubles.latency;
        let outcome = state.call(body, Clock::unix());
        shared.note(state.method());
        (outcome, latency + shared.page_delay)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match outcome {
        Outcome::Answer(answer) => Ok(Reply::Answer(answer)),
        Outcome::Reset => Ok(Reply::Reset),
        Outcome::Raw(kind) => Ok(Reply::Raw(kind)),
        Outcome::Hang => {
            cleared.await;
            Err(Abort::Closed)
        }
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(CONTENT_TYPE, answer.content_type);
    if let Some(seconds) = answer.retry_after {
        builder = builder.header(RETRY_AFTER, seconds);
    }
    let body = Full::new(Bytes::from(answer.body));
    builder
        .body(body)
        .expect("a status and two plain headers make a response")
}
