//! A studio whose daemon runs with `tests/proof/interpose.c` before it: its disk and clock are steered, or what it writes is recorded.

use std::path::{Path, PathBuf};

use super::{Daemon, Studio, interpose, proof::ask, steered::Control};

/// The environment that puts the library there.
pub(crate) struct Interposed {
    /// The studio's folder as the kernel names it.
    pub(crate) folder: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Interposed {
    /// Faults of the state's disk and of the clock, on demand.
    pub(crate) fn steered(studio: &Studio) -> (Self, Control) {
        let folder = folder(studio);
        let control = Control::new(studio.path("control"));
        let environment = control.environment(&folder.join("state"));
        let interposed = Self {
            folder,
            environment,
        };
        (interposed, control)
    }

    /// A record of all that is done to files of the studio.
    pub(crate) fn recorded(studio: &Studio, trace: &Path) -> Self {
        let folder = folder(studio);
        let environment = interpose::environment(&folder, trace).into_iter();
        let environment = environment
            .map(|(name, value)| (name, value.into_string().expect("plain paths")))
            .collect();
        Self {
            folder,
            environment,
        }
    }

    /// As a line of a plugin's section, which has it recorded as well.
    pub(crate) fn line(&self) -> String {
        let own = self.environment.iter();
        let own = own.map(|(name, value)| format!("{name} = {value:?}"));
        format!("env = {{ {} }}\n", own.collect::<Vec<_>>().join(", "))
    }

    /// Starts the daemon.
    pub(crate) fn spawn(&self, studio: &Studio) -> Daemon {
        Daemon::spawn_with(studio, &studio.config(), &[], &self.environment)
    }

    /// Starts it and waits until it answers.
    pub(crate) async fn start(&self, studio: &Studio) -> Daemon {
        let daemon = self.spawn(studio);
        daemon.status_when("it answers", |_| true).await;
        daemon
    }
}

fn folder(studio: &Studio) -> PathBuf {
    let folder = studio.path("").canonicalize();
    folder.expect("our own folder")
}

impl Studio {
    /// SQLite finds nothing wrong with the journal.
    pub(crate) fn is_whole(&self, when: &str) {
        let verdict = ask(&self.path("state/journal.db"), "PRAGMA quick_check(1)");
        let verdict = format!("{:?}", verdict.expect("a database"));
        assert_eq!(verdict, r#"[[Text("ok")]]"#, "{when}");
    }
}
