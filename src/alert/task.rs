//! The handle that everybody holds, and the tasks behind it.
//!
//! The machine stands behind a lock instead of in a task: an `end` must never be lost to a full queue, and `status` must
//! answer at once. No step waits for anything, and what leaves goes through bounded queues.
//!
//! In: causes. Out: log lines at once; mails and posts by the outboxes.
//! Never: a wait for a caller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    cause::{Alert, CauseKey, Grade, PluginError},
    letter::Context,
    machine::{Action, Input, Machine, OpenAlert, Policy, Shown},
    outbox::{self, Carrier, OutboxStatus, Parcel, Slot},
    setup::Options,
    webhook,
};
use crate::clock::Clock;

/// How the ways out do, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertStatus {
    /// Mail; none: not configured.
    pub mail: Option<OutboxStatus>,
    /// The webhook; none: not configured.
    pub webhook: Option<OutboxStatus>,
    /// Mails that the daily limit kept back.
    pub suppressed: u64,
}

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    clock: Clock,
    context: Context,
    mail: Option<Slot>,
    webhook: Option<Slot>,
    changed: Notify,
}

/// Says what a person must know. Cheap to clone; no call waits.
#[derive(Debug, Clone)]
pub struct Alerts(Arc<Shared>);

/// Starts the tasks behind the handle; they end when `stop` is cancelled, after a last try of what is queued.
#[must_use]
pub fn start(
    options: Options,
    clock: Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Alerts {
    let mail = options
        .mailer
        .map(|mailer| spawn(Carrier::Mail(mailer), tasks, stop));
    let webhook = options
        .webhook
        .map(|webhook| spawn(Carrier::Webhook(webhook), tasks, stop));
    let policy = Policy {
        has_mail: mail.is_some(),
        ..options.policy
    };
    let shared = Shared {
        machine: Mutex::new(Machine::new(policy, options.context.clone())),
        clock,
        context: options.context,
        mail,
        webhook,
        changed: Notify::new(),
    };
    let alerts = Alerts(Arc::new(shared));
    tasks.spawn(keep_time(alerts.clone(), stop.clone()));
    alerts
}

fn spawn(carrier: Carrier, tasks: &TaskTracker, stop: &CancellationToken) -> Slot {
    let (slot, queue) = Slot::new();
    tasks.spawn(outbox::run(
        carrier,
        queue,
        slot.status.clone(),
        stop.clone(),
    ));
    slot
}

/// Ticks the machine when it has something to do.
async fn keep_time(alerts: Alerts, stop: CancellationToken) {
    loop {
        let wake = alerts
            .machine()
            .next_wake()
            .map(|at| alerts.0.clock.instant(at));
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = alerts.0.changed.notified() => {}
            () = sleep => alerts.step(Input::Tick),
        }
    }
}

impl Alerts {
    /// A handle that shows alerts in the log and `open`, and sends nothing.
    #[must_use]
    pub fn log_only(context: Context, clock: Clock) -> Self {
        let policy = Policy::default();
        Self(Arc::new(Shared {
            machine: Mutex::new(Machine::new(policy, context.clone())),
            clock,
            context,
            mail: None,
            webhook: None,
            changed: Notify::new(),
        }))
    }

    /// A cause began, or is still so: said once.
    pub fn begin(&self, alert: Alert) {
        self.step(Input::Begin(alert));
    }

    /// A cause is over; nothing happens when it never began.
    pub fn end(&self, key: &CauseKey) {
        self.step(Input::End(key.clone()));
    }

    /// Something happened that does not last.
    pub fn once(&self, alert: Alert) {
        self.step(Input::Once(alert));
    }

    /// A plugin logged an error; the log has it already.
    pub fn plugin_error(&self, error: PluginError) {
        self.step(Input::PluginError(error));
    }

    /// Other recipients and limits of mail hold from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.machine().set_policy(policy);
        self.0.changed.notify_one();
    }

    /// What lasts, the worst and then the oldest first.
    #[must_use]
    pub fn open(&self) -> Vec<OpenAlert> {
        self.machine().open()
    }

    /// How mail and webhook do.
    #[must_use]
    pub fn status(&self) -> AlertStatus {
        AlertStatus {
            mail: self.0.mail.as_ref().map(|slot| slot.status.get()),
            webhook: self.0.webhook.as_ref().map(|slot| slot.status.get()),
            suppressed: self.machine().suppressed(),
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0
            .machine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, input: Input) {
        let now = self.0.clock.now();
        let (actions, is_sooner) = {
            let mut machine = self.machine();
            let before = machine.next_wake();
            let actions = machine.step(input, now);
            (actions, machine.next_wake() != before)
        };
        for action in actions {
            match action {
                Action::Show(shown) => self.show(&shown),
                Action::Mail(letter) => {
                    if let Some(slot) = &self.0.mail {
                        slot.put(Parcel::Letter(Box::new(letter)));
                    }
                }
            }
        }
        if is_sooner {
            self.0.changed.notify_one();
        }
    }

    fn show(&self, shown: &Shown) {
        log(shown);
        if let Some(slot) = &self.0.webhook {
            let (context, now) = (&self.0.context, Clock::unix());
            slot.put(Parcel::Post(webhook::body(
                shown,
                &context.site,
                &context.host,
                now,
            )));
        }
    }
}

/// One line; the sentence is a field, so that the message stays the same for programs.
fn log(shown: &Shown) {
    let alert = match shown {
        Shown::Begun(alert) | Shown::Happened(alert) => alert,
        Shown::Ended { alert, lasted } => {
            let plugin = alert.plugin.as_ref().map(tracing::field::display);
            info!(plugin, kind = alert.kind, cause = %alert.key, was = %alert.sentence, elapsed_ms = crate::clock::millis(*lasted), "alert over");
            return;
        }
    };
    let plugin = alert.plugin.as_ref().map(tracing::field::display);
    let (kind, cause, what, remedy) = (alert.kind, &alert.key, &alert.sentence, &alert.remedy);
    match alert.grade {
        Grade::Error => error!(plugin, kind, %cause, %what, %remedy, "alert"),
        Grade::Warning => warn!(plugin, kind, %cause, %what, %remedy, "alert"),
    }
}
