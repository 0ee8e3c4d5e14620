//! The handshake: who the plugin is, what it may do, where its dispatcher stands.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use sgeventd_protocol::{
    Manifest, PROTOCOL, RpcError, handshake,
    message::{self, Reason},
};

use super::{Task, fate::with_last_words, messages::clean, words::step_of};
use crate::{
    clock::Mono,
    dispatch::{Filter, Machine, SelfIdentity, machine::resume},
    ident::{Generation, PluginName},
    journal::{JournalError, When},
    plugin::{
        life::{Cause, Input},
        run::{Asked, HANDSHAKE},
        setup::Setup,
    },
    services::{AT_WORK, BothSides, Caller, CallerSetup, Mode, Phase, WAITING},
    site::{RESULT_BYTES, permissions::Granted},
};

/// A handshake whose call waits for the site is looked at again after this.
const PATIENCE: Duration = Duration::from_secs(1);

impl Task {
    pub(super) fn initialize(
        &self,
        generation: Generation,
        reason: Reason,
        is_candidate: bool,
    ) -> message::Initialize {
        let limits = self.setup_for(is_candidate).settings.limits.effective();
        hello(&self.name, generation, reason, limits.line)
    }

    /// The answer to `initialize`: the manifest is read, the dispatcher made, `start` sent.
    pub(super) async fn initialized(
        &mut self,
        outcome: Result<Box<RawValue>, RpcError>,
        is_candidate: bool,
    ) -> Result<(), JournalError> {
        match handshake::initialized(outcome) {
            Ok((manifest, raw)) if is_candidate => {
                if let Some(run) = &mut self.candidate {
                    run.manifest = Some(Arc::new(manifest));
                    run.raw_manifest = Some(raw.into());
                    run.handshake_until = None;
                    run.turn = None;
                }
                self.step(Input::Validated);
                Ok(())
            }
            Ok((manifest, raw)) => self.begin(Arc::new(manifest), raw.into()).await,
            Err(error) if is_candidate => {
                self.invalid(&error);
                Ok(())
            }
            Err(error) => {
                self.last_error = Some(error.clone());
                self.step(Input::Refused(Cause::Manifest(error)));
                Ok(())
            }
        }
    }

    /// The process may work: its dispatcher stands where the journal says.
    pub(super) async fn begin(
        &mut self,
        manifest: Arc<Manifest>,
        raw: Arc<RawValue>,
    ) -> Result<(), JournalError> {
        let (caller, granted) = match caller(&self.name, &self.setup, &manifest) {
            Ok(both) => both,
            Err(error) => {
                self.step(Input::Refused(Cause::Manifest(error)));
                return Ok(());
            }
        };
        self.subscriptions = manifest
            .subscriptions
            .iter()
            .map(tell_subscription)
            .collect();
        self.version.clone_from(&manifest.version);
        self.emails.clone_from(&manifest.emails);
        self.watch.send_if_modified(|watch| {
            let has_changed = *watch != manifest.watch;
            watch.clone_from(&manifest.watch);
            has_changed
        });
        self.make_machine(&manifest, &raw).await?;
        if let Some(machine) = &mut self.machine {
            machine.set_version(self.version.as_deref());
        }
        let start = message::Start {
            config: self.setup.settings.config.clone().into(),
            granted,
            paths: message::Paths {
                data: self.setup.paths.0.display().to_string(),
                tmp: self.setup.paths.1.display().to_string(),
            },
            site: message::SiteInfo {
                url: self.shared.site.origin(),
            },
            log_level: log_level(),
        };
        if let Some(run) = &mut self.run {
            run.manifest = Some(manifest);
            run.caller = Some(caller);
            run.phase = Phase::Starting;
            run.ask(Asked::Start, "start", &start);
        }
        Ok(())
    }

    /// What it may call before its manifest is known: reads, as far as the operator allows them.
    pub(super) fn first_caller(&self, is_candidate: bool) -> Option<Arc<Caller>> {
        let setup = self.setup_for(is_candidate);
        let made = caller(&self.name, setup, &Manifest::default());
        made.ok().map(|(caller, _)| caller)
    }

    /// Keeps the dispatcher when nothing that it was made from changed, else makes it anew from the journal.
    async fn make_machine(
        &mut self,
        manifest: &Manifest,
        raw: &Arc<RawValue>,
    ) -> Result<(), JournalError> {
        let policy = self.setup.policy(&manifest.delivery, self.shared.settle);
        let scripts = self.setup.sessions.iter();
        let identity = SelfIdentity {
            scripts: scripts.map(|session| session.script().to_owned()).collect(),
        };
        let made_from = format!("{raw}{policy:?}{identity:?}");
        if self.machine.is_some() && self.made_from.as_deref() == Some(&made_from) {
            return Ok(());
        }
        self.settle_all().await?;
        let journal = self.shared.journal.clone();
        self.reading = None;
        self.record = journal.register(&self.name, self.setup.start, None).await?;
        let cursor = self.record.cursor.clone();
        let seqs: Vec<_> = cursor.open.iter().map(|entry| entry.seq).collect();
        let events = journal.events(&seqs).await?;
        let filter = Filter::new(manifest, identity);
        let machine = Machine::new(self.name.clone(), policy, filter, cursor.position);
        let now = self.shared.clock.now();
        self.machine = Some(resume(machine, &cursor, &self.record.replays, &events, now));
        self.made_from = Some(made_from);
        Ok(())
    }

    /// Writes everything that the dispatcher has not written yet.
    pub(super) async fn settle_all(&mut self) -> Result<(), JournalError> {
        if let Some(ticket) = self.ticket.take() {
            let done = ticket.await?;
            self.committed(done);
        }
        let journal = self.shared.journal.clone();
        if let Some(change) = self.unsent.take() {
            journal.settle(change, When::Now).await?;
        }
        if let Some(machine) = &mut self.machine {
            let change = machine.take_rest(self.shared.clock.now());
            self.counts.add(&change.counts);
            self.tell_dead(&change);
            journal.settle(change, When::Now).await?;
        }
        Ok(())
    }

    /// The answer to `start`.
    pub(super) fn started(&mut self, outcome: Result<Box<RawValue>, RpcError>) {
        let Some(run) = &mut self.run else { return };
        match handshake::started(outcome) {
            Ok(Some(reason)) => {
                run.handshake_until = None;
                run.turn = None;
                let reason = clean(Some(reason), "");
                self.step(Input::Refused(Cause::Itself(reason)));
            }
            Ok(None) => {
                run.handshake_until = None;
                run.turn = None;
                crate::fail::at("spawn.handshaken");
                run.phase = Phase::Running;
                tracing::info!(plugin = %self.name, generation = run.generation.0, "ready");
                self.step(Input::Ready);
            }
            Err(error) => self.failed(Input::HandshakeFailed, error),
        }
    }

    pub(super) fn check_handshakes(&mut self, now: Mono) {
        for is_candidate in [false, true] {
            let run = if is_candidate {
                &mut self.candidate
            } else {
                &mut self.run
            };
            let Some(run) = run else { continue };
            run.turn.take_if(|turn| now >= turn.until);
            if run.ladder.is_some() || run.handshake_until.is_none_or(|until| now < until) {
                continue;
            }
            if !run.calls.is_empty() {
                run.handshake_until = Some(now + PATIENCE);
                continue;
            }
            run.handshake_until = None;
            let (step, within) = (step_of(run), HANDSHAKE.as_secs());
            let what = format!("sent no answer to {step} within {within} s");
            let error = with_last_words(run, &what);
            if is_candidate {
                self.invalid(&error);
            } else {
                self.failed(Input::HandshakeFailed, error);
            }
        }
    }
}

/// Params of `initialize`; `line`: the longest line, bytes.
pub(crate) fn hello(
    name: &PluginName,
    generation: Generation,
    reason: Reason,
    line: u64,
) -> message::Initialize {
    let features = ["cancel", "progress"].map(|name| (name.to_owned(), true.into()));
    message::Initialize {
        protocol: message::Supported {
            supported: vec![PROTOCOL],
        },
        daemon: message::Program {
            name: "sgeventd".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        plugin: message::PluginInfo {
            name: name.to_string(),
            generation: generation.0,
            reason,
        },
        limits: message::Limits {
            line_bytes: line,
            result_bytes: RESULT_BYTES as u64,
            calls: u32::try_from(AT_WORK).unwrap_or(u32::MAX),
            queued_calls: u32::try_from(WAITING).unwrap_or(u32::MAX),
        },
        features: features.into_iter().collect(),
    }
}

/// Who calls, as manifest and operator allow it; and what the plugin is told of it.
///
/// # Errors
/// When a grant of either side cannot be read.
pub(crate) fn caller(
    name: &PluginName,
    setup: &Setup,
    manifest: &Manifest,
) -> Result<(Arc<Caller>, message::Granted), String> {
    let permissions = &setup.settings.permissions;
    let granted = Granted::new(
        manifest.permissions.sg.as_deref(),
        permissions.sg.as_deref(),
    )
    .map_err(|error| error.to_string())?;
    let effective = granted.effective();
    let background = BothSides {
        manifest: manifest.permissions.background.unwrap_or(false),
        operator: permissions.background.unwrap_or(false),
    };
    let upload = BothSides {
        manifest: manifest.permissions.upload.unwrap_or(true),
        operator: permissions.effective().upload,
    };
    let settings = &setup.settings;
    let caller = Caller::new(CallerSetup {
        plugin: name.clone(),
        sessions: setup.sessions.clone(),
        granted,
        background,
        upload,
        files: setup.files.clone(),
        sudo: settings
            .sudo
            .iter()
            .map(|login| login.as_str().into())
            .collect(),
        mode: match settings.mode {
            crate::config::Mode::Live => Mode::Live,
            crate::config::Mode::DryRun => Mode::DryRun,
            crate::config::Mode::Shadow => Mode::Shadow,
        },
        uses_session_uuid: setup.uses_session_uuid,
    });
    let told = message::Granted {
        sg: effective,
        upload: upload.manifest && upload.operator,
        background: background.manifest && background.operator,
    };
    Ok((Arc::new(caller), told))
}

/// Below it the daemon's log takes nothing, so the plugin need not send it.
fn log_level() -> String {
    let level = tracing::level_filters::LevelFilter::current().into_level();
    level_word(level).to_owned()
}

/// The word of the protocol for the daemon's own level; a plugin is always heard from `info` on.
fn level_word(level: Option<tracing::Level>) -> &'static str {
    match level {
        Some(tracing::Level::TRACE | tracing::Level::DEBUG) => "debug",
        _ => "info",
    }
}

/// `Shotgun_Task_Change(sg_status_list)`, as `status` shows it.
fn tell_subscription(subscription: &sgeventd_protocol::manifest::Subscription) -> String {
    use sgeventd_protocol::manifest::Attributes;
    let Some(events) = &subscription.events else {
        return "every event".to_owned();
    };
    let one = |(kind, wanted): (&String, &Attributes)| match wanted {
        Attributes::Any => kind.clone(),
        Attributes::These(names) => format!("{kind}({})", names.join(", ")),
    };
    events.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::level_word;

    #[test]
    fn a_plugin_is_told_a_level_that_the_protocol_has() {
        for (level, word) in [
            (None, "info"),
            (Some(Level::ERROR), "info"),
            (Some(Level::INFO), "info"),
            (Some(Level::DEBUG), "debug"),
            (Some(Level::TRACE), "debug"),
        ] {
            assert_eq!(level_word(level), word, "{level:?}");
        }
    }
}
