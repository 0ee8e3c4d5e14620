//! A changed version that is tried beside the running one: it takes over when it has passed `initialize`, else it is ended.

use super::{Task, fate::ending};
use crate::{
    journal::JournalError,
    plugin::{
        life::Input,
        run::{HANDSHAKE, Run},
    },
    process::{Exit, Ladder},
};

use sgeventd_protocol::message::Reason;

impl Task {
    /// The changed version does not work; the old one goes on.
    pub(super) fn invalid(&mut self, error: &str) {
        if self
            .candidate
            .as_ref()
            .is_some_and(|run| run.ladder.is_none())
        {
            self.tell_invalid(error);
        }
        self.step(Input::Invalid);
    }

    /// It is ended, as soon as it is there.
    pub(super) fn end_candidate(&mut self) {
        let now = self.shared.clock.now().mono;
        for spawning in &mut self.spawning {
            if spawning.is_candidate {
                spawning.is_doomed = true;
                spawning.gives_up.cancel();
            }
        }
        if let Some(run) = &mut self.candidate
            && run.ladder.is_none()
        {
            let mut ladder = Ladder::drain(now);
            ladder.drained(now);
            run.ladder = Some(ladder);
        }
    }

    /// Its process has ended; `broken`: its program's first line is why, in words.
    pub(super) fn candidate_over(&mut self, exit: Exit, run: &Run, broken: Option<String>) {
        if run.ladder.is_none() {
            let limits = self.setup_for(true).settings.limits.effective();
            self.tell_invalid(&broken.unwrap_or_else(|| ending(run, exit, &limits)));
        }
        self.step(Input::CandidateGone);
    }

    /// It takes over.
    pub(super) fn promote(&mut self) {
        if let Some(setup) = self.next_setup.take() {
            self.setup = setup;
        }
        let Some(run) = self.candidate.take() else {
            // It ended in this very moment: as if the changed file were started now.
            return self.spawn(Reason::Changed, false);
        };
        if let Some(machine) = &mut self.machine {
            machine.enable();
        }
        let both = (run.manifest.clone(), run.raw_manifest.clone());
        self.run = Some(run);
        crate::fail::at("spawn.swapped");
        if let (Some(manifest), Some(raw)) = both {
            self.promoted = Some((manifest, raw));
        }
    }

    /// A promoted version is started as soon as the journal may be asked.
    pub(super) async fn begin_promoted(&mut self) -> Result<(), JournalError> {
        match self.promoted.take() {
            Some((manifest, raw)) => {
                if let Some(run) = &mut self.run {
                    run.handshake_until = Some(self.shared.clock.now().mono + HANDSHAKE);
                }
                self.begin(manifest, raw).await
            }
            None => Ok(()),
        }
    }
}
