//! Latency: from the moment at which the site's answer with a new event passes the wire until the plugin's handler has the event.
//!
//! A relay between site and daemon notes when the answer that holds the event passes; so the wait for the next poll does not count,
//! and everything behind it does: parsing, the commit, the dispatcher, the pipe. The limit is what cannot be avoided: one commit of
//! one row by rusqlite with the journal's settings on the same disk, between the events of the same run.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use nix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    bench::Bench,
    plugin::STAMPS,
    report::Row,
    stage::{DaemonProcess, SiteProcess},
};

// Each waits for a poll, up to five seconds apart while the site is idle.
const EVENTS: usize = 120;
/// No answer of the site is compressed: the relay must find ids in it.
const ASKED: &[u8] = b"accept-encoding";
const REPLACED: &[u8] = b"x-not-compresse";

/// Milliseconds on the clock that all processes share.
pub(crate) fn now_ms() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has one");
    now.tv_sec() as f64 * 1e3 + now.tv_nsec() as f64 / 1e6
}

/// A plugin's notes: one line per event.
pub(crate) struct Stamps(Option<File>);

impl Stamps {
    pub(crate) fn new(file: &str) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(file).ok())
    }

    pub(crate) fn event(&mut self, id: i64) -> io::Result<()> {
        let line = format!("{id} {}\n", now_ms());
        match &mut self.0 {
            Some(file) => file.write_all(line.as_bytes()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// When the first answer that holds an id passed.
pub(crate) type Passed = Arc<Mutex<BTreeMap<i64, f64>>>;

/// Measures.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let runtime = bench.runtime();
    let folder = bench.folder();
    let (latencies, commits) = runtime.block_on(measure(folder.path()));
    let row = |name: &str, share: f64, beyond: f64| {
        let value = (percentile(&latencies, share), "ms");
        Row::at_most_beyond(name, value, percentile(&commits, share), beyond)
    };
    vec![
        row("site to handler, p50", 0.5, 2.0),
        row("site to handler, p99", 0.99, 10.0),
    ]
}

/// The value below which a share of them lies.
pub(crate) fn percentile(all: &[f64], share: f64) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small index"
    )]
    let index = ((all.len() - 1) as f64 * share).round() as usize;
    all[index]
}

async fn measure(folder: &Path) -> (Vec<f64>, Vec<f64>) {
    let mut site = SiteProcess::start(std::time::Duration::ZERO);
    site.bulk(1).await;
    let passed = Passed::default();
    let url = relay(site.url(), Arc::clone(&passed)).await;
    let direct = site.redirect(&url);
    let stamps = folder.join("stamps");
    let own = std::env::current_exe().expect("this executable");
    let command = serde_json::json!([own, STAMPS, stamps]);
    let section = format!("[plugin.stamps]\ncommand = {command}\n");
    let mut daemon = DaemonProcess::start(folder, &site, &[], &section);
    daemon.ready(1).await;
    site.redirect(&direct);
    let bare = Commits::new(&folder.join("bare.db"));
    let mut commits = Vec::new();
    let seen = |lines: usize| {
        let text = fs::read_to_string(&stamps).unwrap_or_default();
        text.matches('\n').count() >= lines
    };
    for event in 1..=EVENTS {
        site.bulk(1).await;
        // The first event was there before.
        while !seen(event + 1) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        commits.push(bare.commit());
    }
    daemon.stop();
    let passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(&stamps).expect("its notes");
    let latency = |line: &str| {
        let (id, at) = line.split_once(' ')?;
        let at: f64 = at.parse().ok()?;
        Some(at - passed.get(&id.parse().ok()?)?)
    };
    let latencies: Vec<f64> = text.lines().skip(1).filter_map(latency).collect();
    assert_eq!(latencies.len(), EVENTS, "each answer passed the relay");
    (latencies, commits)
}

/// A relay to the site: returns its address.
pub(crate) async fn relay(site: &str, passed: Passed) -> String {
    let target = site.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.expect("the site listens");
            tokio::spawn(pass(client, server, Arc::clone(&passed)));
        }
    });
    url
}

async fn pass(client: TcpStream, server: TcpStream, passed: Passed) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket");
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut chunk).await {
            let text = &mut chunk[..read];
            let at = text.windows(ASKED.len()).position(|part| part == ASKED);
            if let Some(at) = at {
                text[at..at + ASKED.len()].copy_from_slice(REPLACED);
            }
            if to_server.write_all(text).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut chunk).await {
        if answer.ends_with(b"}") {
            answer.clear();
        }
        answer.extend_from_slice(&chunk[..read]);
        let now = now_ms();
        if to_client.write_all(&chunk[..read]).await.is_err() {
            return;
        }
        let text = String::from_utf8_lossy(&answer);
        let ids = text.split("\"EventLogEntry\"").filter_map(id_in);
        let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            passed.entry(id).or_insert(now);
        }
    }
}

/// The `id` of a row whose `type` has just been cut off, whichever of the two comes first.
fn id_in(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("\"id\":")?;
    let digits = rest.trim_start();
    let end = digits.find(|letter: char| !letter.is_ascii_digit())?;
    digits[..end].parse().ok()
}

/// A database with one table and the journal's settings.
struct Commits(rusqlite::Connection);

impl Commits {
    fn new(file: &Path) -> Self {
        let db = rusqlite::Connection::open(file).expect("a file");
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE row (seq INTEGER PRIMARY KEY, body BLOB);",
        )
        .expect("SQL");
        Self(db)
    }

    /// Milliseconds for one row.
    fn commit(&self) -> f64 {
        let began = now_ms();
        let body = vec![7u8; 1200];
        self.0
            .execute("INSERT INTO row (body) VALUES (?1)", [body])
            .expect("SQL");
        now_ms() - began
    }
}
