//! `Plugin`: what an author writes against.
//!
//! In: handlers and options. Out: the manifest; [`Plugin::run`] joins it to the daemon.
//! Never: anything opened, moved or sent before `run`.

use std::{collections::BTreeMap, error::Error, io::IsTerminal as _, time::Duration};

use serde_json::{Map, Value, json};

use crate::{Context, Event, pipe::Pipe, serve};

/// How a handler ends, when it does not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Not for this plugin, because of this.
    Skip(String),
    /// Again, after so long (an hour at most), or as the plugin's schedule says; costs an attempt.
    Retry(Option<Duration>, String),
    /// Never again, because of this: it becomes a dead letter.
    Dead(String),
}

/// What a handler returns; an error is a failed attempt, and the daemon decides what follows.
pub type Handled = Result<Outcome, Box<dyn Error>>;

pub(crate) type Handler = Box<dyn FnMut(&Event<'_>, &mut Context<'_>) -> Handled>;
pub(crate) type OnStart = Box<dyn FnMut(&Value) -> Result<(), String>>;

/// A plugin: its name and its handlers.
pub struct Plugin {
    pub(crate) name: String,
    pub(crate) manifest: Map<String, Value>,
    pub(crate) handlers: Vec<(Value, Handler)>,
    pub(crate) on_start: Option<OnStart>,
    pub(crate) config: Value,
}

impl Plugin {
    /// A plugin without handlers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            manifest: Map::new(),
            handlers: Vec::new(),
            on_start: None,
            config: json!({}),
        }
    }

    /// Yours, for people.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.member("version", version.into())
    }

    /// One sentence, for people.
    #[must_use]
    pub fn description(self, description: &str) -> Self {
        self.member("description", description.into())
    }

    /// How events are to be handed out: the manifest's `delivery`, such as `{"timeout_ms": 5000}`.
    ///
    /// With `max_in_flight` above 1 the daemon hands over many events at once and waits for none; they are still
    /// handled one after the other, and a call of one waits for nobody else's.
    #[must_use]
    pub fn delivery(self, delivery: Value) -> Self {
        self.member("delivery", delivery)
    }

    /// What it needs, such as `{"sg": ["find", "update:Task.sg_status_list"]}`.
    #[must_use]
    pub fn permissions(self, permissions: Value) -> Self {
        self.member("permissions", permissions)
    }

    /// Any member of the manifest.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.manifest.insert(name.to_owned(), value);
        self
    }

    /// Runs before the first event, with the operator's config; an error is why the plugin must not run here.
    #[must_use]
    pub fn on_start(
        mut self,
        function: impl FnMut(&Value) -> Result<(), String> + 'static,
    ) -> Self {
        self.on_start = Some(Box::new(function));
        self
    }

    /// Handles events of one type; no attributes: any.
    #[must_use]
    pub fn on(
        self,
        event_type: &str,
        attributes: &[&str],
        handler: impl FnMut(&Event<'_>, &mut Context<'_>) -> Handled + 'static,
    ) -> Self {
        let attributes = if attributes.is_empty() {
            Value::Null
        } else {
            json!(attributes)
        };
        let events: BTreeMap<&str, Value> = [(event_type, attributes)].into();
        self.on_matching(json!({ "events": events }), handler)
    }

    /// Handles what a subscription of the manifest matches: `{"events": {type: [attributes]}, "where": […]}`.
    #[must_use]
    pub fn on_matching(
        mut self,
        mut subscription: Value,
        handler: impl FnMut(&Event<'_>, &mut Context<'_>) -> Handled + 'static,
    ) -> Self {
        subscription["id"] = json!(self.handlers.len().to_string());
        self.handlers.push((subscription, Box::new(handler)));
        self
    }

    /// Serves the daemon until it ends the plugin; returns the exit code.
    pub fn run(mut self) -> u8 {
        if std::env::var_os("SGEVENTD_PLUGIN").is_none() || std::io::stdin().is_terminal() {
            help(&self.name);
            return 64;
        }
        match Pipe::take_over() {
            Ok(mut pipe) => serve::serve(&mut self, &mut pipe),
            Err(_) => 74,
        }
    }

    pub(crate) fn manifest(&self) -> Value {
        let mut manifest = self.manifest.clone();
        let subscriptions = self.handlers.iter().map(|(one, _)| one.clone());
        manifest.insert("name".into(), self.name.as_str().into());
        manifest.insert("subscriptions".into(), subscriptions.collect());
        manifest.into()
    }
}

#[expect(clippy::print_stderr, reason = "a person runs it by hand")]
fn help(name: &str) {
    eprintln!(
        "{name} is a plugin of sgeventd, which starts it and talks to it through a pipe: nobody types to it.
  check it:  sgeventd check FOLDER, with the plugin.toml that names it
  run it:    [plugins] paths = [\"the folder above\"] in sgeventd.toml, then sgeventd run -c sgeventd.toml"
    );
}
