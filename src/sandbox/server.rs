//! The server: HTTP around the state.
//!
//! In: connections. Out: answers; resets and silence when trouble is ordered.
//! Never: a decision about an answer.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header::{CONTENT_TYPE, DATE, HOST, HeaderValue, RETRY_AFTER},
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
    files, raw, rest,
    site::Shared,
    trouble::{Answer, Kind, Outcome},
    web,
};
use crate::clock::Unix;

/// More than any client sends.
const BODY_MAX: usize = 64 << 20;
/// A file is bigger than a call.
const FILE_MAX: usize = 256 << 20;
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
    let serving = http1::Builder::new()
        // Most answers are small: one buffer is cheaper for the kernel than a list of them.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
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
) -> Result<Option<Response<Either<Full<Bytes>, Pieces>>>, Abort> {
    match respond(shared, request).await? {
        Reply::Answer(answer) => Ok(Some(dated(shared, response(answer)).map(Either::Left))),
        Reply::File(file) => Ok(Some(dated(shared, file).map(Either::Left))),
        Reply::Pieces(pieces) => Ok(Some(Response::new(Either::Right(pieces)))),
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

/// A long body, one piece after the other.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// What is written to the caller.
enum Reply {
    Answer(Answer),
    File(Response<Full<Bytes>>),
    Pieces(Pieces),
    Reset,
    Raw(Kind),
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Result<Reply, Abort> {
    let (head, body) = request.into_parts();
    let is_file = files::is_ours(head.uri.path());
    let body_max = if is_file { FILE_MAX } else { BODY_MAX };
    let body = whole(body, body_max).await?;
    let path = head.uri.path();
    let is_own = path.starts_with("/_sandbox/") || web::file(path).is_some();
    if !is_own {
        let mut state = shared.state();
        if let Some(closed) = state.turn_away(path) {
            shared.note(state.method());
            return Ok(Reply::Answer(closed));
        }
    }
    if rest::is_ours(path) {
        return rest_call(shared, &head, body.as_deref()).await;
    }
    let Some(body) = body else {
        let text = format!("a body of more than {} MiB", body_max >> 20);
        // Clients of uploads try again after every error of HTTP.
        let answer = match path.starts_with("/upload/") {
            true => plain(200, &format!("0\n{text}")),
            false => plain(413, &text),
        };
        return Ok(Reply::Answer(answer));
    };
    let text_of = |name| {
        head.headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    shared
        .state()
        .store
        .files
        .called(text_of(HOST).unwrap_or_default());
    if is_file {
        // Before the state is locked: a form may be big.
        let form = files::Form::read(text_of(CONTENT_TYPE).unwrap_or_default(), &body);
        return file(shared, &head, form, body).await;
    }
    if let (&Method::GET, Some(page)) = (&head.method, web::file(head.uri.path())) {
        return Ok(Reply::File(page));
    }
    if (&head.method, head.uri.path()) == (&Method::GET, "/_sandbox/dump") {
        // Whole at one moment, and sent while the site goes on.
        let pieces = shared.enter().0.dump();
        return Ok(Reply::Pieces(Pieces(pieces.into())));
    }
    let answer = match (head.method, head.uri.path()) {
        (Method::GET, "/_sandbox/summary") => Answer::json(summary(shared)),
        (Method::GET, "/_sandbox/about") => {
            Answer::json(web::about(&shared.state().store).to_string())
        }
        (Method::POST, "/_sandbox/call") if web::is_own(&head.headers) => {
            let told = {
                let (mut state, now) = shared.enter();
                web::call(&mut state, &body, now)
            };
            shared.changed.notify_one();
            Answer::json(told)
        }
        (Method::POST, "/_sandbox/ctl") => order(shared, &body),
        (Method::GET, "/_sandbox/ctl") => Answer::json(shared.enter().0.armed().to_string()),
        (Method::GET, "/_sandbox/truth") => Answer::json(shared.enter().0.truth().to_string()),
        (Method::GET, "/_sandbox/asked") => Answer::json(shared.asked_json().to_string()),
        (Method::POST, path) if path.ends_with("/api3/json") => return call(shared, &body).await,
        (_, path) => plain(
            404,
            &format!("nothing at {path}; this is the sandbox of sgeventd: POST /api3/json"),
        ),
    };
    Ok(Reply::Answer(answer))
}

/// The body; nothing when it is too big. It is read to its end all the same, or the caller would never see the answer.
async fn whole(mut body: Incoming, body_max: usize) -> Result<Option<Bytes>, Abort> {
    let mut whole = BytesMut::new();
    let mut is_too_big = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_cause| Abort::Unreadable)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        is_too_big |= whole.len() + data.len() > body_max;
        if whole.is_empty() && !is_too_big && body.is_end_stream() {
            // Most calls come in one piece.
            return Ok(Some(data));
        }
        if is_too_big {
            whole = BytesMut::new();
        } else {
            whole.extend_from_slice(&data);
        }
    }
    Ok((!is_too_big).then(|| whole.freeze()))
}

fn plain(status: u16, text: &str) -> Answer {
    Answer {
        status,
        content_type: "text/plain; charset=utf-8",
        retry_after: None,
        body: format!("{text}\n"),
        headers: Vec::new(),
    }
}

fn summary(shared: &Shared) -> String {
    shared.enter().0.summary().to_string()
}

fn order(shared: &Shared, body: &[u8]) -> Answer {
    let order = serde_json::from_slice(body);
    let order = order.map_err(|error| format!("not JSON: {error}"));
    let verb = match order.and_then(|order| Verb::read(&order)) {
        Ok(verb) => verb,
        Err(wrong) => return plain(400, &wrong),
    };
    match shared.order(&verb) {
        Ok(done) => Answer::json(done.to_string()),
        Err(refused) => plain(409, &refused),
    }
}

/// A request of REST; one that is too big comes without its body.
async fn rest_call(
    shared: &Shared,
    head: &hyper::http::request::Parts,
    body: Option<&[u8]>,
) -> Result<Reply, Abort> {
    let cleared = shared.cleared.notified();
    tokio::pin!(cleared);
    cleared.as_mut().enable();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let request = rest::Request {
        verb: &head.method,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body,
    };
    let (outcome, latency) = {
        let (mut state, now) = shared.enter();
        state.store.files.called(host.unwrap_or_default());
        let latency = state.troubles.delay();
        let outcome = state.rest(&request, now);
        shared.note(state.method());
        shared.changed.notify_one();
        (outcome, latency + shared.page_delay)
    };
    finish(outcome, latency, cleared).await
}

async fn file(
    shared: &Shared,
    head: &hyper::http::request::Parts,
    form: Result<files::Form, String>,
    body: Bytes,
) -> Result<Reply, Abort> {
    let cleared = shared.cleared.notified();
    tokio::pin!(cleared);
    cleared.as_mut().enable();
    let (reply, latency) = {
        let (mut state, now) = shared.enter();
        let latency = state.troubles.delay();
        let reply = files::respond(&mut state, head, form, body, now);
        if matches!(reply, files::Reply::Outcome(_)) {
            shared.note(state.method());
            shared.changed.notify_one();
        }
        (reply, latency)
    };
    match reply {
        files::Reply::File(file) => Ok(Reply::File(file)),
        files::Reply::Outcome(outcome) => finish(outcome, latency, cleared).await,
    }
}

async fn call(shared: &Shared, body: &[u8]) -> Result<Reply, Abort> {
    let cleared = shared.cleared.notified();
    tokio::pin!(cleared);
    // From here on a clear is not missed, also while the call is under way.
    cleared.as_mut().enable();
    let (outcome, latency) = {
        let (mut state, now) = shared.enter();
        let latency = state.troubles.delay();
        let ids = state.store.log.next();
        let outcome = state.call(body, now);
        shared.note(state.method());
        // Reads, which are most of all calls, wake nobody.
        if state.store.log.next() != ids {
            shared.changed.notify_one();
        }
        (outcome, latency + shared.page_delay)
    };
    finish(outcome, latency, cleared).await
}

/// Carries out what was decided, after the latency that was ordered.
async fn finish(
    outcome: Outcome,
    latency: Duration,
    cleared: impl Future<Output = ()> + Unpin,
) -> Result<Reply, Abort> {
    let mut cleared = cleared;
    let mut is_cleared = false;
    if !latency.is_zero() {
        tokio::select! {
            biased;
            () = &mut cleared => is_cleared = true,
            () = tokio::time::sleep(latency) => {}
        }
    }
    match outcome {
        Outcome::Answer(answer) => Ok(Reply::Answer(answer)),
        Outcome::Reset => Ok(Reply::Reset),
        Outcome::Raw(kind) => Ok(Reply::Raw(kind)),
        Outcome::Closed => Err(Abort::Closed),
        Outcome::Hang => {
            if !is_cleared {
                cleared.await;
            }
            Err(Abort::Closed)
        }
    }
}

/// With the date of a clock that is off, if it is; a right one is hyper's to tell.
fn dated(shared: &Shared, mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    if shared.state().troubles.skew_ms() != 0
        && let Some(date) = http_date(shared.enter().1)
    {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn http_date(at: Unix) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new();
    let text = date.timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::from_str(&text).ok()
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut builder = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(CONTENT_TYPE, answer.content_type);
    if let Some(seconds) = answer.retry_after {
        builder = builder.header(RETRY_AFTER, seconds);
    }
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(answer.body));
    builder
        .body(body)
        .expect("a status and two plain headers make a response")
}
