//! Alerts: the product's machine, and whether it says each thing once.

use std::{collections::BTreeSet, time::Duration};

use sgeventd::{
    alert::{Action, Alert, CauseKey, Context, Grade, Input, Machine, Policy, Shown},
    clock::Mono,
    config::Config,
    journal::CursorChange,
};

use super::World;
use crate::queue::Due;

/// Mails to one recipient in a day.
const MAILS_MAX: u32 = 20;

/// See the module.
pub(super) struct Alerts {
    machine: Machine,
    /// What lasts, as it was shown.
    shown: BTreeSet<String>,
    mails: Vec<Mono>,
    armed: Option<Mono>,
}

impl Alerts {
    pub(super) fn new() -> Self {
        let policy = Policy {
            to: vec!["ops@studio.example".into()],
            has_mail: true,
            gather: Duration::from_secs(10),
            digest: Duration::from_secs(300),
            max_per_day: MAILS_MAX,
        };
        Self {
            machine: Machine::new(policy, Context::new(&Config::default(), "host")),
            shown: BTreeSet::new(),
            mails: Vec::new(),
            armed: None,
        }
    }

    /// One that lasts, if any.
    pub(super) fn open(&self) -> Option<String> {
        let open = self.machine.open();
        open.first().map(|open| open.alert.key.to_string())
    }
}

impl World<'_> {
    pub(super) fn alert(&mut self, input: Input) {
        let now = self.now();
        let what = match &input {
            Input::Begin(_) => "begins",
            Input::End(_) => "ends",
            Input::Once(_) => "happens",
            Input::PluginError(_) => "is logged",
            Input::Tick => "time",
        };
        let actions = self.alerts.machine.step(input, now);
        if actions.is_empty() && what != "time" {
            self.cover.note("alert", "known", what, "silence");
        }
        for action in actions {
            self.alert_acts(what, action);
        }
        let wake = self.alerts.machine.next_wake();
        if let Some(wake) = wake
            && self.alerts.armed != Some(wake)
        {
            self.alerts.armed = Some(wake);
            self.at(wake, Due::Alert);
        }
    }

    fn alert_acts(&mut self, what: &'static str, action: Action) {
        let now = self.mono();
        match action {
            Action::Show(Shown::Begun(alert)) => {
                self.cover.note("alert", "new", what, "shown");
                if !self.alerts.shown.insert(alert.key.to_string()) {
                    self.check
                        .fail(|| format!("the alert {} begins twice", alert.key));
                }
            }
            Action::Show(Shown::Ended { alert, .. }) => {
                self.cover.note("alert", "known", what, "shown as over");
                if !self.alerts.shown.remove(alert.key.as_str()) {
                    self.check
                        .fail(|| format!("the alert {} ends and never began", alert.key));
                }
            }
            Action::Show(Shown::Happened(_)) => self.cover.note("alert", "new", what, "shown once"),
            Action::Mail(_) => {
                self.cover.note("alert", "known", what, "mailed");
                self.alerts.mails.push(now);
                if self.alerts.mails.len() > MAILS_MAX as usize {
                    self.check
                        .fail(|| format!("more than {MAILS_MAX} mails in a day"));
                }
            }
        }
    }

    pub(super) fn alert_tick(&mut self) {
        self.alerts.armed = None;
        self.alert(Input::Tick);
    }

    fn begin_alert(&mut self, who: usize, kind: &'static str) {
        let key = CauseKey::of_plugin(&self.names[who], kind);
        self.alert(Input::Begin(Alert::new(key, kind, Grade::Error, kind)));
    }

    pub(super) fn tell_disabled(&mut self, who: usize) {
        self.begin_alert(who, "disabled");
    }

    pub(super) fn tell_invalid(&mut self, who: usize) {
        self.begin_alert(who, "invalid");
    }

    pub(super) fn tell_recovered(&mut self, who: usize) {
        for kind in ["disabled", "invalid"] {
            self.alert(Input::End(CauseKey::of_plugin(&self.names[who], kind)));
        }
    }

    pub(super) fn tell_dead(&mut self, who: usize, change: &CursorChange) {
        for _ in &change.dead {
            let key = CauseKey::of_plugin(&self.names[who], "dead_letter");
            self.alert(Input::Once(Alert::new(
                key,
                "dead_letter",
                Grade::Error,
                "dead",
            )));
        }
    }
}
