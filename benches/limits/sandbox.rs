//! The made-up site: what a page of a long log and a find by id cost it, writes a second, its memory, its start.
//!
//! Its own processor time by the kernel's count, HTTP and JSON included; the client is this process. A find is asked over as many
//! connections as keep the site busy, and once more over one, when the kernel puts it to sleep and wakes it for each. Writes are batches
//! of creates and updates with all the events that they make.

use std::time::Duration;

use serde_json::{Value, json};
use sgeventd::{
    event::FIELDS,
    site::{Call, Session},
};

use crate::{
    bench::{Bench, seconds},
    report::Row,
    stage::{KEY, SCRIPT, SiteProcess},
    wire::Wire,
};

const EVENTS: usize = 1_000_000;
const ENTITIES: usize = 100_000;
/// As the official client's users do it.
const BATCH: usize = 500;
/// Events of a page.
const PAGE: usize = 500;
const PAGES: usize = 400;
const FINDS: usize = 4_000;
/// So many rounds of them; the middle one counts.
const ROUNDS: usize = 7;
/// So many of them at once, as plugins ask.
const CLIENTS: usize = 8;
/// Where an answer says what it found.
const ID: &[u8] = b"\"id\":";

/// Measures all of it.
pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let (start, site) = seconds(|| SiteProcess::start_as("studio", Duration::ZERO));
    drop(site);
    let mut rows = vec![Row::at_most(
        "sandbox, start with a studio",
        (start, "s"),
        1.0,
    )];
    rows.extend(bench.runtime().block_on(big(bench)));
    rows
}

async fn big(bench: &Bench) -> Vec<Row> {
    let site = SiteProcess::start(Duration::ZERO);
    let session = &site.session();
    let (took, written) = creates(session).await;
    bench.say(&format!(
        "  {ENTITIES} shots: {took:.1} s, {written} events"
    ));
    site.bulk(EVENTS.saturating_sub(written)).await;
    let writes = writes(session).await;
    let memory = site.resident();

    let before = site.cpu();
    let last = newest(session).await;
    for page in 0..PAGES {
        // All over the log, never the same page twice.
        let above = last * page as i64 / (PAGES as i64 + 1);
        let rows = events(session, above).await;
        assert_eq!(rows, PAGE, "a full page above {above}");
    }
    let page = (site.cpu() - before) / PAGES as f64 * 1e3;

    let shots = shots(session).await;
    let busy = find(&site, &shots, CLIENTS);
    let alone = find(&site, &shots, 1);

    vec![
        Row::at_most(
            "sandbox, CPU for a page of 500 of 1 M events",
            (page, "ms"),
            4.0,
        ),
        Row::at_most(
            "sandbox, memory with 1 M events and 100 k entities",
            (memory, "MiB"),
            1536.0,
        ),
        Row::at_most("sandbox, CPU for a find by id", (busy, "µs"), 50.0),
        Row::shown(
            "sandbox, the same when it sleeps before each",
            (alone, "µs"),
        ),
        Row::at_least("sandbox, writes with their events", (writes, "/s"), 5000.0),
    ]
}

/// Microseconds of the site's processor time for a find by id, asked over so many connections.
fn find(site: &SiteProcess, shots: &[i64], connections: usize) -> f64 {
    let mut wires: Vec<Wire> = (0..connections).map(|_| Wire::open(site.url())).collect();
    let requests: Vec<Vec<u8>> = shots
        .iter()
        .map(|id| wires[0].request(&asked(*id)))
        .collect();
    let shot = |round: usize, find: usize| (round + find) * 7919 % shots.len();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let before = site.cpu();
            // Each wire asks again when its answer was read; until its turn comes round, the others' calls wait at the site.
            for find in 0..FINDS + connections {
                let wire = &mut wires[find % connections];
                if let Some(answered) = find.checked_sub(connections) {
                    let id = shots[shot(round, answered)];
                    let answer = wire.answer();
                    let found = answer.windows(ID.len()).position(|bytes| bytes == ID);
                    let found = found.map(|at| &answer[at + ID.len()..]);
                    let found =
                        found.is_some_and(|rest| rest.starts_with(id.to_string().as_bytes()));
                    assert!(found, "{id}: {}", String::from_utf8_lossy(answer));
                }
                if find < FINDS {
                    wire.ask(&requests[shot(round, find)]);
                }
            }
            (site.cpu() - before) / FINDS as f64 * 1e6
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// A find by id as a script sends it.
fn asked(id: i64) -> Vec<u8> {
    let who = json!({"script_name": SCRIPT, "script_key": KEY});
    let call = json!({"method_name": "read", "params": [who, by_id(id)]});
    serde_json::to_vec(&call).expect("plain JSON")
}

/// A site full of shots: how long it took, and how many events there are.
async fn creates(session: &Session) -> (f64, usize) {
    let began = tokio::time::Instant::now();
    let project = create(session, "Project", json!({"name": "Bench"})).await;
    for batch in 0..ENTITIES / BATCH {
        let requests = (0..BATCH).map(|number| {
            let code = format!("shot_{:06}", batch * BATCH + number);
            let fields = json!({"project": project, "code": code});
            json!({"request_type": "create", "type": "Shot", "fields": list(&fields), "return_fields": ["id"]})
        });
        let requests: Vec<Value> = requests.collect();
        call(session, "batch", &requests.into()).await;
    }
    let took = began.elapsed().as_secs_f64();
    let summary = json!({
        "type": "EventLogEntry", "filters": {"logical_operator": "and", "conditions": []},
        "summaries": [{"field": "id", "type": "count"}],
    });
    let counted = call(session, "summarize", &summary).await;
    let events = counted["summaries"]["id"].as_u64().expect("a count");
    (took, events as usize)
}

/// Updates of a status and creates of a version, in turns; how many a second.
async fn writes(session: &Session) -> f64 {
    let shots = shots(session).await;
    let began = tokio::time::Instant::now();
    let mut done = 0;
    while began.elapsed() < Duration::from_secs(4) {
        let requests = (0..BATCH).map(|number| {
            let shot = shots[(done + number) % shots.len()];
            let status = ["ip", "fin", "hld"][(done / BATCH) % 3];
            let fields = json!({"sg_status_list": status});
            json!({"request_type": "update", "type": "Shot", "id": shot, "fields": list(&fields), "return_fields": ["id"]})
        });
        let requests: Vec<Value> = requests.collect();
        call(session, "batch", &requests.into()).await;
        done += BATCH;
    }
    done as f64 / began.elapsed().as_secs_f64()
}

async fn create(session: &Session, kind: &str, fields: Value) -> Value {
    let wire = json!({"type": kind, "fields": list(&fields), "return_fields": ["id"]});
    let made = call(session, "create", &wire).await;
    json!({"type": kind, "id": made["id"]})
}

/// `{a: 1}` as writes have it: `[{field_name: a, value: 1}]`.
fn list(fields: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| json!({"field_name": name, "value": value}))
        .collect()
}

async fn newest(session: &Session) -> i64 {
    let found = call(
        session,
        "read",
        &read("EventLogEntry", json!([]), "desc", 1),
    )
    .await;
    found["entities"][0]["id"].as_i64().expect("an event")
}

/// How many of the page above an id come.
async fn events(session: &Session, above: i64) -> usize {
    let above = json!([{"path": "id", "relation": "greater_than", "values": [above]}]);
    let found = call(session, "read", &read("EventLogEntry", above, "asc", PAGE)).await;
    found["entities"].as_array().map_or(0, Vec::len)
}

async fn shots(session: &Session) -> Vec<i64> {
    let found = call(session, "read", &read("Shot", json!([]), "asc", BATCH)).await;
    let all = found["entities"].as_array().expect("shots");
    all.iter().filter_map(|row| row["id"].as_i64()).collect()
}

fn by_id(id: i64) -> Value {
    read(
        "Shot",
        json!([{"path": "id", "relation": "is", "values": [id]}]),
        "asc",
        1,
    )
}

fn read(kind: &str, conditions: Value, direction: &str, page: usize) -> Value {
    let fields = match kind {
        // What the daemon asks for.
        "EventLogEntry" => json!(FIELDS),
        _ => json!(["id", "code", "sg_status_list", "project"]),
    };
    json!({
        "type": kind, "return_fields": fields, "return_only": "active", "return_paging_info_without_counts": true,
        "filters": {"logical_operator": "and", "conditions": conditions},
        "paging": {"entities_per_page": page, "current_page": 1},
        "sorts": [{"field_name": "id", "direction": direction}],
    })
}

async fn call(session: &Session, method: &str, payload: &Value) -> Value {
    let payload = serde_json::value::to_raw_value(payload).expect("plain JSON");
    let reply = session.call(&Call::new(method, Some(&payload))).await;
    let reply = reply.unwrap_or_else(|error| panic!("{method}: {error}"));
    serde_json::from_slice(&reply.result).expect("JSON")
}
