//! Alerts: the product's machine, and whether it says each thing once.

use std::{collections::BTreeSet, time::Duration};

use sgeventd::{
    alert::{Action, Alert, CauseKey, Context, Grade, Input, Machine, Policy, Shown},
    clock::Mono,
    config::Config,
    journal::CursorChange,
    plugin::{
        life::{Cause, State},
        told,
    },
};

use super::World;
use crate::queue::Due;

/// Mails to one recipient in a day.
const MAILS_MAX: u32 = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The site was restored, and nothing is followed until an operator accepts it.
const REWOUND: &str = "site/rewound";

/// See the module.
pub(super) struct Alerts {
    machine: Machine,
    /// What lasts, as it was shown.
    shown: BTreeSet<String>,
    /// The same of plugins: whose, and what.
    said: BTreeSet<(usize, &'static str)>,
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
            said: BTreeSet::new(),
            mails: Vec::new(),
            armed: None,
        }
    }

    /// Those that last.
    pub(super) fn open(&self) -> impl Iterator<Item = Alert> {
        self.machine.open().into_iter().map(|open| open.alert)
    }

    /// It stands, of a plugin.
    pub(super) fn says(&self, who: usize, kind: &'static str) -> bool {
        self.said.contains(&(who, kind))
    }

    /// It stands that the site was restored.
    pub(super) fn says_rewound(&self) -> bool {
        self.shown.contains(REWOUND)
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
                if alert.remedy.is_empty() || alert.by_itself.is_empty() {
                    self.check
                        .fail(|| format!("the alert {} leaves a person alone", alert.key));
                }
                self.alerts.said.extend(self.about(&alert));
            }
            Action::Show(Shown::Ended { alert, .. }) => {
                self.cover.note("alert", "known", what, "shown as over");
                if let Some(said) = self.about(&alert) {
                    self.alerts.said.remove(&said);
                }
                if !self.alerts.shown.remove(alert.key.as_str()) {
                    self.check
                        .fail(|| format!("the alert {} ends and never began", alert.key));
                }
            }
            Action::Show(Shown::Happened(_)) => self.cover.note("alert", "new", what, "shown once"),
            Action::Mail(_) => {
                self.cover.note("alert", "known", what, "mailed");
                self.alerts.mails.retain(|at| now - *at < DAY);
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

    /// Which plugin an alert is about.
    fn about(&self, alert: &Alert) -> Option<(usize, &'static str)> {
        let plugin = alert.plugin.as_ref()?;
        let who = self.names.iter().position(|name| name == plugin)?;
        Some((who, alert.kind))
    }

    pub(super) fn tell_disabled(&mut self, who: usize) {
        if let State::Disabled { cause, .. } = self.tasks[who].life.state() {
            let alert = told::disabled(&self.names[who], cause, "file");
            self.alert(Input::Begin(alert));
        }
    }

    pub(super) fn tell_invalid(&mut self, who: usize) {
        let alert = told::invalid(&self.names[who], "file", "error");
        self.alert(Input::Begin(alert));
    }

    pub(super) fn tell_recovered(&mut self, who: usize) {
        for kind in told::LASTING {
            self.alert(Input::End(CauseKey::of_plugin(&self.names[who], kind)));
        }
    }

    /// Who gets nothing is said to, and who works is not said to be stuck.
    pub(super) fn judge_alerts(&mut self) {
        for who in 0..self.tasks.len() {
            let is_said = self.alerts.says(who, "disabled");
            let wrong = match self.tasks[who].life.state() {
                State::Disabled {
                    cause: Cause::Operator,
                    ..
                } => None,
                State::Disabled { .. } if !is_said => Some("is disabled, and nobody is told"),
                State::Ready { .. } if is_said => Some("works, and is said to be disabled"),
                _ => None,
            };
            if let Some(wrong) = wrong {
                self.check.fail(|| format!("plugin {who} {wrong}"));
            }
        }
        let (is_halted, is_said) = (self.ingest.machine.is_halted(), self.alerts.says_rewound());
        if is_halted && !is_said {
            self.check
                .fail(|| "the log is not followed, and nobody is told".to_owned());
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
