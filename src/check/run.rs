//! Carries out a plan: one process, one transcript.
//!
//! In: a plan. Out: what was said, in order. Never: a judgement, a process that outlives its run.

use std::time::Duration;

use serde_json::{Value, json};
use sgeventd_protocol::{
    message::{self, Reason},
    write,
};
use tokio::{net::unix::pipe, time::Instant};

use super::{
    judge::greeting,
    live::{Live, kept},
    plan::{self, Delivered, Hello, Plan, Step},
    stage::Stage,
    transcript::{Said, Transcript, Waiting, What},
};
use crate::{
    clock::millis,
    event,
    ident::{EventId, Generation, Timeline},
    plugin::{
        diagnose::explain,
        ground::Ground,
        setup::{Launch, Setup, run_mark},
        task::{caller, hello},
    },
    process::{self, Child},
    services::{OpenEvent, Phase},
};

/// The version that a daemon of `Hello::OtherVersion` speaks.
pub(super) const NO_VERSION: u32 = 99;
/// A method that no daemon asks for.
pub(super) const UNKNOWN: &str = "a_later_request";
/// What is said within so long after the answer of an event is said outside of events.
const REST: Duration = Duration::from_millis(20);
/// After its input is closed a plugin has so long: twice what the daemon gives it, for a check keeps the machine busy.
const EXIT: Duration = Duration::from_secs(4);

/// Runs plans on a stage.
pub(super) struct Runner<'a> {
    pub(super) stage: &'a Stage,
    pub(super) timeout: Duration,
    /// For `initialize` and `start`.
    pub(super) start_timeout: Duration,
}

impl<'a> Runner<'a> {
    /// Waits `timeout` for each answer.
    pub(super) fn new(stage: &'a Stage, timeout: Duration) -> Self {
        Self {
            stage,
            timeout,
            start_timeout: timeout,
        }
    }

    /// The same for many at once: each of them may start so much more slowly than the first one did alone.
    pub(super) fn beside(self, first_ms: u64, at_once: usize) -> Self {
        let crowded = Duration::from_millis(first_ms) * u32::try_from(at_once).unwrap_or(1);
        Self {
            start_timeout: self.timeout + crowded,
            ..self
        }
    }

    /// Runs a plan in a process of its own.
    pub(super) async fn run(&self, number: u32, plan: &Plan) -> Transcript {
        let setup = self.stage.setup(number);
        let whose = self.stage.dir.to_string_lossy();
        let mark = run_mark(&self.stage.name, Generation(number));
        let mark = process::number(&whose, &mark, false);
        match self.start(&setup, mark).await {
            Ok((child, (reader, writer))) => {
                let mut live = Live::new(self, setup, child, reader, writer, plan.calls);
                for step in &plan.steps {
                    if !live.step(step).await {
                        break;
                    }
                }
                live.end(mark).await
            }
            Err(why) => Transcript {
                entries: vec![What::NotStarted(why)],
                elapsed_ms: 0,
            },
        }
    }

    async fn start(
        &self,
        setup: &Setup,
        number: u64,
    ) -> Result<(Child, (pipe::Receiver, pipe::Sender)), String> {
        let spec = match &setup.launch {
            Launch::Spec(spec) => spec.clone(),
            Launch::Impossible(why) => return Err(why.clone()),
        };
        let ground = Ground {
            state: self.stage.dir.clone(),
            name: self.stage.name.to_string(),
            generation: number,
            paths: setup.paths.clone(),
            is_fresh: true,
            user: setup.settings.user.clone(),
            limits: setup.settings.limits.effective(),
            spares: false,
            number,
            // A check has no unit of its own to get control groups from.
            groups: None,
            marks: self.stage.marks.clone(),
        };
        // The list of users may be in the network.
        let prepared = tokio::task::spawn_blocking(move || {
            let mut spec = spec;
            ground.prepare(&mut spec).map(|()| spec)
        });
        let spec = prepared.await.map_err(|error| error.to_string())??;
        let child = self.stage.spawner.spawn(*spec).await;
        let mut child = child.map_err(|error| explain(&error))?;
        let pipes = child.pipes.take().ok_or("it has no pipes")?;
        Ok((child, pipes))
    }
}

impl Live<'_> {
    /// Carries out a step; false when what it waits for did not come.
    async fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Initialize(hello) => self.initialize(*hello).await,
            Step::Start(hello) => self.start(*hello).await,
            Step::Unknown => {
                let id = self.ask(UNKNOWN, &json!({ "some": ["thing"] }));
                self.answered(UNKNOWN, &[id]).await
            }
            Step::Notify(method, params) => {
                self.notify(method, params);
                true
            }
            Step::Event(event) => {
                let id = self.event(event);
                self.answered("event", &[id]).await && self.rest().await
            }
            Step::Cancelled(event) => {
                let id = self.event(event);
                self.notify("$/cancel", &json!({ "id": id }));
                self.answered("event", &[id]).await
            }
            Step::Together(events) => {
                let ids: Vec<u64> = events.iter().map(|event| self.event(event)).collect();
                self.answered("event", &ids).await
            }
            Step::Quiet(pause) => {
                let until = Instant::now() + *pause;
                while self.exit.is_none() && self.turn(until).await {}
                self.exit.is_none()
            }
            Step::Shutdown => {
                self.phase = Phase::ShuttingDown;
                let id = self.ask("shutdown", &json!({}));
                // One that ends instead has understood.
                self.answered("shutdown", &[id]).await || self.exit.is_some()
            }
            Step::Eof => {
                self.close();
                let until = Instant::now() + EXIT;
                while self.exit.is_none() && self.turn(until).await {}
                if self.exit.is_none() {
                    self.write_down(What::GaveUp(Waiting::Exit, millis(EXIT)));
                }
                self.exit.is_some()
            }
        }
    }

    async fn initialize(&mut self, how: Hello) -> bool {
        let line = self.setup.settings.limits.effective().line;
        let plain = hello(&self.stage.name, Generation(1), Reason::Check, line);
        let mut params = serde_json::to_value(plain).unwrap_or_default();
        match how {
            Hello::Plain => {}
            Hello::Newer => {
                params["protocol"]["supported"] = json!([1, 2]);
                params["features"]["a_later_feature"] = json!({ "of": ["any", "kind"] });
                params["a_later_member"] = json!(null);
                params["_meta"] = json!({ "a_later_member": 1 });
            }
            Hello::OtherVersion => params["protocol"]["supported"] = json!([NO_VERSION]),
        }
        let id = self.ask("initialize", &params);
        if !self.answered("initialize", &[id]).await {
            return false;
        }
        let Some(Ok(greeting)) = self.log.greeting().map(greeting) else {
            return false;
        };
        let caller = caller(&self.stage.name, &self.setup, &greeting.manifest);
        self.caller = caller.ok().map(|(caller, _)| caller);
        self.caller.is_some()
    }

    async fn start(&mut self, how: Hello) -> bool {
        let granted = self.log.greeting().map(greeting).and_then(Result::ok);
        let granted = granted
            .and_then(|greeting| caller(&self.stage.name, &self.setup, &greeting.manifest).ok());
        let start = message::Start {
            config: self.setup.settings.config.clone().into(),
            granted: granted.map(|(_, granted)| granted).unwrap_or_default(),
            paths: message::Paths {
                data: self.setup.paths.0.display().to_string(),
                tmp: self.setup.paths.1.display().to_string(),
            },
            site: message::SiteInfo {
                url: self.stage.url.clone(),
            },
            log_level: "info".to_owned(),
        };
        let mut params = serde_json::to_value(start).unwrap_or_default();
        if how == Hello::Newer {
            params["a_later_member"] = json!(["of", "any", "kind"]);
        }
        self.phase = Phase::Starting;
        let id = self.ask("start", &params);
        let is_answered = self.answered("start", &[id]).await;
        self.phase = Phase::Running;
        is_answered && self.log.has_started()
    }

    fn ask(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.pending.ask(());
        self.last_id = id;
        self.peer
            .queue(|out| write::request(out, id, method, params));
        let (id_text, method, params) =
            (id.to_string(), method.to_owned(), kept(&params.to_string()));
        self.write_down(What::Sent(Said::Request {
            id: id_text,
            method,
            params,
        }));
        id
    }

    pub(super) fn notify(&mut self, method: &str, params: &Value) {
        self.peer
            .queue(|out| write::notification(out, method, params));
        let (method, params) = (method.to_owned(), params.to_string());
        self.write_down(What::Sent(Said::Notification { method, params }));
    }

    fn event(&mut self, event: &Delivered) -> u64 {
        let text = String::from_utf8_lossy(&event.body);
        let facts = event::parse(Timeline(0), &text).ok();
        let id = if event.is_newer {
            self.ask("event", &event.newer_params())
        } else {
            let id = self.pending.ask(());
            self.last_id = id;
            let (delivery, body) = (&event.delivery, &event.body);
            let meta = plan::meta();
            self.peer
                .queue(|out| write::event(out, id, delivery, &meta, body));
            let delivery = serde_json::to_string(delivery).unwrap_or_default();
            let meta = serde_json::to_string(&meta).unwrap_or_default();
            let params = kept(&format!(
                r#"{{"delivery":{delivery},"_meta":{meta},"event":{text}}}"#
            ));
            let method = "event".to_owned();
            self.write_down(What::Sent(Said::Request {
                id: id.to_string(),
                method,
                params,
            }));
            id
        };
        self.open.push(OpenEvent {
            request_id: id,
            event_id: facts
                .as_ref()
                .map_or(EventId(0), |(facts, _)| facts.event_id),
            session_uuid: facts.and_then(|(facts, _)| facts.session_uuid),
        });
        id
    }

    /// Lets it say what it says between two events; else the next one would be taken for the cause.
    async fn rest(&mut self) -> bool {
        let until = Instant::now() + REST;
        while self.exit.is_none() && self.turn(until).await {}
        self.exit.is_none()
    }

    /// Waits for the answers to these requests.
    async fn answered(&mut self, method: &'static str, ids: &[u64]) -> bool {
        let wait = match method {
            "initialize" | "start" => self.start_timeout,
            _ => self.timeout,
        };
        let until = Instant::now() + wait;
        loop {
            let missing = ids.iter().find(|id| self.pending.get(**id).is_some());
            let Some(&missing) = missing else { return true };
            if self.exit.is_some() || self.is_clogged {
                return false;
            }
            if !self.turn(until).await {
                self.take_half();
                let waited = millis(wait);
                self.write_down(What::GaveUp(Waiting::Answer(missing, method), waited));
                return false;
            }
        }
    }
}
