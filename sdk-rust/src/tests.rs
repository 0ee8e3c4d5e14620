//! A plugin on a pipe that a test has written beforehand, and what it wrote to it.

use std::{
    io::{self, Cursor, Write},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    ErrorKind, Outcome, Plugin,
    outlet::Outlet,
    pipe::{Input, Pipe},
    serve::serve,
};

impl Input for Cursor<Vec<u8>> {
    fn is_ready(&self) -> bool {
        self.position() < self.get_ref().len() as u64
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plugin() -> Plugin {
    Plugin::new("p")
        .on("A", &[], |event, context| {
            context.log("info", "seen");
            match event.id() {
                1 => Ok(Outcome::Ok),
                2 => Ok(Outcome::Skip("no".into())),
                3 => Err("broken".into()),
                4 => panic!("boom"),
                5 => Ok(Outcome::Retry(Some(Duration::from_secs(2)), "later".into())),
                6 if context.is_cancelled() => Ok(Outcome::Dead("cancelled".into())),
                7 => {
                    context.sg().delete("Shot", 3)?;
                    Ok(Outcome::Ok)
                }
                _ => {
                    let found = context.sg().as_user("ann").find_one(
                        "Shot",
                        json!([["id", "is", 860]]),
                        &["code"],
                    )?;
                    Ok(Outcome::Dead(found.unwrap_or_default()["code"].to_string()))
                }
            }
        })
        .on("A", &["x"], |event, _| match event.id() {
            5 => Ok(Outcome::Retry(None, "soon".into())),
            _ => Err("the second fails".into()),
        })
}

fn talk_with(mut plugin: Plugin, lines: &[Value]) -> Vec<Value> {
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let written = Written::default();
    let outlet = Outlet::new(Box::new(written.clone()));
    let mut pipe = Pipe::new(Box::new(Cursor::new(input.into_bytes())), outlet);
    assert_eq!(serve(&mut plugin, &mut pipe), 0);
    let out = written.0.lock().expect("a lock");
    String::from_utf8_lossy(&out)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn talk(lines: &[Value]) -> Vec<Value> {
    talk_with(plugin(), lines)
}

fn event(id: i64, matched: &[&str], progress: &Value) -> Value {
    let delivery = json!({ "attempt": 1, "match": matched, "progress": progress });
    json!({ "id": 1_000_001, "method": "event", "params": { "delivery": delivery, "event": { "id": id } } })
}

fn answer(id: i64, matched: &[&str], progress: &Value) -> Value {
    talk(&[event(id, matched, progress)])
        .into_iter()
        .find(|line| line["id"] == 1_000_001)
        .expect("an answer")
}

#[test]
fn each_end_has_its_answer() {
    let of = |id| answer(id, &["0"], &Value::Null);
    assert_eq!(of(1)["result"], json!({ "status": "ok" }));
    assert_eq!(of(2)["result"]["status"], "skip");
    assert_eq!(of(3)["error"]["message"], "broken");
    assert_eq!(of(4)["error"]["message"], "boom");
    assert_eq!(
        of(5)["result"],
        json!({ "status": "retry", "after_ms": 2000, "reason": "later" })
    );
}

#[test]
fn what_was_done_is_not_done_again() {
    let failed = answer(1, &["0", "1"], &Value::Null);
    let done = json!({ "done": ["0"] });
    assert_eq!(failed["error"]["data"]["progress"], done);
    let again = answer(3, &["0"], &done);
    assert_eq!(
        again["result"]["status"], "ok",
        "the handler that would fail is passed over"
    );
    let later = answer(5, &["0", "1"], &done);
    assert_eq!(
        later["result"],
        json!({ "status": "retry", "reason": "soon", "progress": done })
    );
}

#[test]
fn a_call_takes_its_own_answer_and_keeps_what_comes_between() {
    let lines = [
        event(9, &["0"], &Value::Null),
        json!({ "id": 1_000_002, "method": "nonsense" }),
        json!({ "id": 1, "result": { "id": 860, "code": "sh010" } }),
    ];
    let said = talk(&lines);
    let call = said
        .iter()
        .find(|line| line["method"] == "sg.find_one")
        .expect("a call");
    assert_eq!(
        call["params"],
        json!({
            "entity_type": "Shot", "filters": [["id", "is", 860]], "fields": ["code"],
            "_meta": { "parent": 1_000_001, "sudo_as_login": "ann" },
        })
    );
    let last: Vec<&Value> = said
        .iter()
        .filter(|line| line["id"].as_u64() > Some(1_000_000))
        .collect();
    assert_eq!(last[0]["result"]["reason"], "\"sh010\"");
    assert_eq!(last[1]["error"]["code"], -32601);
}

#[test]
fn an_error_of_the_daemon_has_its_kind_and_fails_the_handler() {
    let refused = json!({ "id": 1, "error": {
        "code": -32012, "message": "no", "data": { "needed": "sg = [\"delete\"]" } } });
    let said = talk(&[event(7, &["0"], &Value::Null), refused]);
    let answer = said
        .iter()
        .find(|line| line["id"] == 1_000_001)
        .expect("it");
    assert_eq!(answer["error"]["message"], "no; needed: sg = [\"delete\"]");
    assert_eq!(answer["error"]["data"], json!({ "type": "Permission" }));
}

#[test]
fn codes_of_the_protocol_are_kinds() {
    let fault = sgeventd_protocol::RpcError {
        code: -32010,
        message: "no such field".into(),
        data: serde_json::value::to_raw_value(&json!({ "fault": { "code": 103 } })).ok(),
    };
    let error = crate::CallError::from(fault);
    assert_eq!(
        (error.kind(), error.fault_code()),
        (ErrorKind::Fault, Some(103))
    );
    let sent = sgeventd_protocol::RpcError {
        code: -32015,
        message: "away".into(),
        data: serde_json::value::to_raw_value(&json!({ "sent": true })).ok(),
    };
    let error = crate::CallError::from(sent);
    assert_eq!(error.kind(), ErrorKind::SiteUnavailable);
    assert!(error.maybe_done());
    // The daemon's own words say it already, on one line.
    let refused = sgeventd_protocol::RpcError {
        code: -32012,
        message: "no; needed: a = 1 in [b]".into(),
        data: serde_json::value::to_raw_value(&json!({ "needed": "[b]\na = 1" })).ok(),
    };
    let error = crate::CallError::from(refused);
    assert_eq!(error.to_string(), "no; needed: a = 1 in [b]");
}

#[test]
fn a_handler_sees_that_its_event_was_withdrawn() {
    let cancel = json!({ "method": "$/cancel", "params": { "id": 1_000_001 } });
    let said = talk(&[event(6, &["0"], &Value::Null), cancel]);
    assert_eq!(
        said.last().expect("an answer")["result"]["reason"],
        "cancelled"
    );
}

#[test]
fn the_handshake_tells_the_manifest_and_a_start_may_refuse() {
    let plugin = Plugin::new("p")
        .version("2")
        .permissions(json!({ "sg": ["find"] }))
        .on_start(|config| match config["licence"].as_str() {
            Some(_) => Ok(()),
            None => Err("no licence".to_owned()),
        })
        .on("A", &["x"], |_, _| Ok(Outcome::Ok));
    let start = |id: u64, config: Value| json!({ "id": id, "method": "start", "params": { "config": config } });
    let said = talk_with(
        plugin,
        &[
            json!({ "id": 1, "method": "initialize", "params": {} }),
            start(2, json!({})),
            start(3, json!({ "licence": "x" })),
            json!({ "id": 4, "method": "shutdown" }),
            json!({ "id": 5, "method": "start" }),
        ],
    );
    assert_eq!(
        said[0]["result"]["manifest"],
        json!({
            "name": "p", "version": "2", "permissions": { "sg": ["find"] },
            "subscriptions": [{ "id": "0", "events": { "A": ["x"] } }],
        })
    );
    assert_eq!(said[1]["result"], json!({ "disable": "no licence" }));
    assert_eq!(said[2]["result"], json!({}));
    assert_eq!(
        (&said[3]["id"], said.len()),
        (&json!(4), 4),
        "shutdown is the end"
    );
}

#[test]
fn an_answer_goes_out_while_the_next_handler_works() {
    struct Wire(mpsc::Sender<Vec<u8>>);
    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, wire) = mpsc::channel();
    let mut outlet = Outlet::new(Box::new(Wire(sender)));
    for _ in 0..3 {
        outlet.hold(|out| out.extend_from_slice(b"{}\n"));
        assert!(wire.try_recv().is_err(), "it waits for company");
        // From here on the main thread is in a handler, and never flushes.
        outlet.linger();
        let seen = wire.recv_timeout(Duration::from_secs(10));
        assert_eq!(seen.expect("it went out"), b"{}\n");
        // Longer than the thread looks in vain: it sleeps, and must be called.
        assert!(wire.recv_timeout(Duration::from_millis(150)).is_err());
    }
}
