//! Write sgeventd plugins in Rust: a handler for each kind of event, and calls to the site through the daemon.
//!
//! ```no_run
//! use sgeventd_plugin::{Outcome, Plugin};
//!
//! std::process::ExitCode::from(
//!     Plugin::new("task_status")
//!         .on("Shotgun_Task_Change", &["sg_status_list"], |event, context| {
//!             context.log("info", &format!("task changed: {}", event.text("attribute_name").unwrap_or_default()));
//!             Ok(Outcome::Ok)
//!         })
//!         .run(),
//! );
//! ```
//!
//! Blocking and single-threaded: events are handled one after the other, in the order they come.
//! Never: a print that breaks the pipe (descriptor 1 goes to the log), a key of the site.

mod context;
mod event;
mod pipe;

use std::{collections::BTreeMap, error::Error, panic::AssertUnwindSafe};

use serde_json::{Value, json};
use sgeventd_protocol::{ErrorCode, Item, PROTOCOL, RpcError};

pub use context::Context;
pub use event::Event;
pub use sgeventd_protocol::RpcError as CallError;

use pipe::Pipe;

/// How a handler ends, when it does not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Not for this plugin, because of this.
    Skip(String),
    /// Again, after so many milliseconds.
    Retry(u64, String),
    /// Never again, because of this.
    Dead(String),
}

/// What a handler returns; an error is a failed attempt, and the daemon decides what follows.
pub type Handled = Result<Outcome, Box<dyn Error>>;

type Handler = Box<dyn FnMut(&Event, &mut Context<'_>) -> Handled>;

/// A plugin: its name and its handlers.
pub struct Plugin {
    name: String,
    delivery: Value,
    handlers: Vec<(Value, Handler)>,
}

impl Plugin {
    /// A plugin without handlers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            delivery: json!({}),
            handlers: Vec::new(),
        }
    }

    /// How events are to be handed out: the manifest's `delivery`.
    #[must_use]
    pub fn delivery(mut self, delivery: Value) -> Self {
        self.delivery = delivery;
        self
    }

    /// Handles events of one type; no attributes: any.
    #[must_use]
    pub fn on(
        self,
        event_type: &str,
        attributes: &[&str],
        handler: impl FnMut(&Event, &mut Context<'_>) -> Handled + 'static,
    ) -> Self {
        let attributes = if attributes.is_empty() {
            Value::Null
        } else {
            json!(attributes)
        };
        let events: BTreeMap<&str, Value> = [(event_type, attributes)].into();
        self.on_matching(json!({ "events": events }), handler)
    }

    /// Handles what a subscription of the manifest matches.
    #[must_use]
    pub fn on_matching(
        mut self,
        mut subscription: Value,
        handler: impl FnMut(&Event, &mut Context<'_>) -> Handled + 'static,
    ) -> Self {
        subscription["id"] = json!(self.handlers.len().to_string());
        self.handlers.push((subscription, Box::new(handler)));
        self
    }

    /// Serves the daemon until it closes our input; returns the exit code.
    pub fn run(mut self) -> u8 {
        if std::env::var_os("SGEVENTD_PLUGIN").is_none() {
            help(&self.name);
            return 64;
        }
        match Pipe::take_over() {
            Ok(mut pipe) => self.serve(&mut pipe),
            Err(_) => 74,
        }
    }

    fn serve(&mut self, pipe: &mut Pipe) -> u8 {
        while let Some(item) = pipe.next_item() {
            if let Item::Request { id, method, params } = item {
                let params = params.as_ref().map_or("{}", |raw| raw.get());
                let result = self.answer(pipe, id.get(), &method, params);
                match result {
                    Ok(result) => pipe.answer(&id, &result),
                    Err(error) => pipe.refuse(&id, &error),
                }
            }
        }
        0
    }

    fn answer(
        &mut self,
        pipe: &mut Pipe,
        id: &str,
        method: &str,
        params: &str,
    ) -> Result<Value, RpcError> {
        match method {
            "initialize" => Ok(json!({ "protocol": PROTOCOL, "manifest": self.manifest() })),
            "start" | "shutdown" => Ok(json!({})),
            "event" => self.handle(pipe, id, params),
            _ => Err(RpcError::new(
                ErrorCode::MethodNotFound,
                format!("this plugin knows no {method}"),
            )),
        }
    }

    fn manifest(&self) -> Value {
        let subscriptions: Vec<&Value> = self
            .handlers
            .iter()
            .map(|(subscription, _)| subscription)
            .collect();
        json!({ "name": self.name, "subscriptions": subscriptions, "delivery": self.delivery })
    }

    /// Runs the handlers that match, in their order, but for those that an earlier attempt has done.
    fn handle(&mut self, pipe: &mut Pipe, id: &str, params: &str) -> Result<Value, RpcError> {
        let event = Event::read(params)
            .map_err(|error| RpcError::new(ErrorCode::InvalidParams, error.to_string()))?;
        let mut done = event.done();
        let mut skipped = None;
        for name in event.matched() {
            let handler = name
                .parse::<usize>()
                .ok()
                .and_then(|index| self.handlers.get_mut(index));
            let Some((_, handler)) = handler.filter(|_| !done.contains(&name)) else {
                continue;
            };
            let mut context = Context::new(pipe, id);
            let ended =
                std::panic::catch_unwind(AssertUnwindSafe(|| handler(&event, &mut context)));
            match ended {
                Ok(Ok(Outcome::Ok)) => done.push(name),
                Ok(Ok(Outcome::Skip(reason))) => skipped = Some(reason),
                Ok(Ok(Outcome::Retry(after_ms, reason))) => {
                    return Ok(
                        json!({ "status": "retry", "after_ms": after_ms, "reason": reason }),
                    );
                }
                Ok(Ok(Outcome::Dead(reason))) => {
                    return Ok(json!({ "status": "dead", "reason": reason }));
                }
                Ok(Err(error)) => return Err(failed(&error.to_string(), "error", &done)),
                Err(panic) => return Err(failed(&panic_words(panic.as_ref()), "panic", &done)),
            }
        }
        Ok(match skipped {
            Some(reason) if done.is_empty() => json!({ "status": "skip", "reason": reason }),
            _ => json!({ "status": "ok" }),
        })
    }
}

fn failed(message: &str, kind: &str, done: &[String]) -> RpcError {
    RpcError::new(ErrorCode::Handler, message)
        .with(&json!({ "type": kind, "progress": { "done": done } }))
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the handler panicked".to_owned())
}

#[expect(clippy::print_stderr, reason = "a person runs it by hand")]
fn help(name: &str) {
    eprintln!(
        "{name} is a plugin of sgeventd, which starts it by itself. Put it into a folder of [plugins] paths."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Plugin {
        Plugin::new("p")
            .on("A", &[], |event, context| {
                context.log("info", "seen");
                match event.id() {
                    1 => Ok(Outcome::Ok),
                    2 => Ok(Outcome::Skip("no".into())),
                    3 => Err("broken".into()),
                    4 => panic!("boom"),
                    _ => {
                        let found =
                            context.call("sg.find_one", json!({ "entity_type": "Shot" }))?;
                        Ok(Outcome::Dead(found.get().to_owned()))
                    }
                }
            })
            .on("A", &["x"], |_, _| Err("the second fails".into()))
    }

    fn talk(lines: &[Value]) -> Vec<Value> {
        let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (mut pipe, out) = Pipe::over(input.into_bytes());
        assert_eq!(plugin().serve(&mut pipe), 0);
        drop(pipe);
        let out = out.lock().expect("a lock");
        String::from_utf8_lossy(&out)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
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
        assert_eq!(
            answer(1, &["0"], &Value::Null)["result"],
            json!({ "status": "ok" })
        );
        assert_eq!(answer(2, &["0"], &Value::Null)["result"]["status"], "skip");
        assert_eq!(
            answer(3, &["0"], &Value::Null)["error"]["message"],
            "broken"
        );
        assert_eq!(answer(4, &["0"], &Value::Null)["error"]["message"], "boom");
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        let failed = answer(1, &["0", "1"], &Value::Null);
        assert_eq!(
            failed["error"]["data"]["progress"],
            json!({ "done": ["0"] })
        );
        let again = answer(3, &["0"], &json!({ "done": ["0"] }));
        assert_eq!(
            again["result"]["status"], "ok",
            "the handler that would fail is passed over"
        );
    }

    #[test]
    fn a_call_takes_its_own_answer_and_keeps_what_comes_between() {
        let lines = [
            event(9, &["0"], &Value::Null),
            json!({ "id": 1_000_002, "method": "shutdown" }),
            json!({ "id": 1, "result": { "id": 860 } }),
        ];
        let said = talk(&lines);
        let call = said
            .iter()
            .find(|line| line["method"] == "sg.find_one")
            .expect("a call");
        assert_eq!(call["params"]["_meta"]["parent"], 1_000_001);
        let last: Vec<&Value> = said
            .iter()
            .filter(|line| line["id"].as_u64() > Some(1_000_000))
            .collect();
        assert_eq!(last[0]["result"]["status"], "dead");
        assert_eq!(last[1]["id"], 1_000_002);
    }
}
