//! Ingest against a site that answers over HTTP: what it commits, late ids too, stands in the journal once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use sgeventd::{
    alert::{Alerts, Context},
    clock::Clock,
    config::Config,
    ident::{EventId, Seq},
    ingest::{
        Machine, Policy, SiteReport, StartFrom,
        task::{Parts, run},
    },
    journal::{IngestState, Journal, Options, Sqlite, StateDir},
    secret::Secret,
    site::{Site, SiteOptions},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

type Log = Arc<Mutex<BTreeMap<i64, Value>>>;

fn commit(log: &Log, id: i64) {
    let row = json!({"type": "EventLogEntry", "id": id, "event_type": "Shotgun_Shot_Change", "created_at": "2026-07-09T19:33:37Z"});
    log.lock().expect("a lock").insert(id, row);
}

/// A site that knows one table: enough of `read` for ids.
async fn serve(stream: TcpStream, log: Log) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a body");
        let answer = answer(&serde_json::from_slice(&body).expect("JSON"), &log).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(request: &Value, log: &Log) -> Value {
    if request["method_name"] == "info" {
        return json!({"version": [8, 89, 0], "api_max_entities_per_page": 500});
    }
    let payload = &request["params"][1];
    let log = log.lock().expect("a lock");
    let mut rows: Vec<&Value> = log
        .iter()
        .filter(|(id, _)| matches(&payload["filters"], **id))
        .map(|(_, row)| row)
        .collect();
    if payload["sorts"][0]["direction"] == "desc" {
        rows.reverse();
    }
    rows.truncate(
        payload["paging"]["entities_per_page"]
            .as_u64()
            .unwrap_or(500) as usize,
    );
    json!({"results": {"entities": rows, "paging_info": {"has_next_page": false}}})
}

fn matches(filter: &Value, id: i64) -> bool {
    if let Some(conditions) = filter["conditions"].as_array() {
        let mut each = conditions.iter().map(|condition| matches(condition, id));
        return if filter["logical_operator"] == "or" {
            each.any(|m| m)
        } else {
            each.all(|m| m)
        };
    }
    let value = |at: usize| filter["values"][at].as_i64().unwrap_or(i64::MIN);
    match filter["relation"].as_str() {
        Some("greater_than") => id > value(0),
        Some("between") => (value(0)..=value(1)).contains(&id),
        Some("in") => filter["values"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one.as_i64() == Some(id))),
        Some("is") => id == value(0),
        other => panic!("the site does not know {other:?}"),
    }
}

#[tokio::test]
async fn late_ids_are_journaled_once_and_a_restart_goes_on() {
    let log = Log::default();
    [10, 11, 13].into_iter().for_each(|id| commit(&log, id));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&served)));
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    let found = follow(&url, dir.path(), 3, || ()).await;
    assert_eq!(found, [10, 11, 13]);
    let late = Arc::clone(&log);
    let found = follow(&url, dir.path(), 6, move || {
        [12, 14, 15].into_iter().for_each(|id| commit(&late, id));
    })
    .await;
    assert_eq!(found[..3], [10, 11, 13]);
    let mut rest = found[3..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, [12, 14, 15]);
}

/// Runs ingest on a state directory until so many events are journaled; returns their ids in order.
async fn follow(url: &str, dir: &std::path::Path, events: u64, then: impl FnOnce()) -> Vec<i64> {
    let state = StateDir::open(dir).expect("a state directory");
    let engine = Sqlite::open(&state.database()).expect("a database");
    let journal =
        Journal::start(Box::new(engine), Some(state), Options::default()).expect("a journal");
    let kept: IngestState = journal
        .query(|reader| reader.ingest())
        .await
        .expect("its state");
    let site = Site::new(&SiteOptions::new(url)).expect("a site");
    let clock = Clock::start();
    let policy = Policy {
        interval: Duration::from_millis(20),
        max_interval: Duration::from_millis(50),
        page: 500,
        start_from: StartFrom::Id(EventId(10)),
        gap_timeout: Duration::from_secs(300),
        gap_give_up: Duration::from_secs(86_400),
        gap_hold: Duration::ZERO,
        max_retry_wait: Duration::from_secs(1),
    };
    let (_orders, inbox) = mpsc::channel(1);
    let parts = Parts {
        machine: Machine::new(policy, kept, Vec::new()),
        session: site.session("daemon", Secret::new("a-key-of-the-test")),
        journal: journal.clone(),
        alerts: Alerts::log_only(Context::new(&Config::default(), "host"), clock),
        clock,
        report: watch::channel(SiteReport::default()).0,
        orders: inbox,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(parts, stop.clone()));
    then();
    let mut head = journal.head();
    let reached = head.wait_for(|seq| *seq >= Seq(events));
    drop(
        tokio::time::timeout(Duration::from_secs(20), reached)
            .await
            .expect("in time")
            .expect("a journal"),
    );
    stop.cancel();
    running.await.expect("no panic").expect("no error");
    let read = journal.read(Seq(0), 100).await.expect("events");
    journal.close().await;
    read.iter().map(|event| event.facts.event_id.0).collect()
}
