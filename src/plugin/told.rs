//! What is said of a plugin that does not work, as alerts: what happened, what happens by itself, what a person can do.

use super::life::Cause;
use crate::{
    alert::{Alert, CauseKey, Grade},
    ident::PluginName,
};

/// The alerts that end when a plugin works again, by the last part of their keys.
pub const LASTING: [&str; 4] = ["start", "disabled", "invalid", "unkillable"];

/// It gets no events until somebody acts, or until it is tried again.
#[must_use]
pub fn disabled(plugin: &PluginName, cause: &Cause) -> Alert {
    let by_itself = match cause {
        Cause::Manifest(_) | Cause::OnError(_) | Cause::Operator => {
            "It starts again when its file changes; it goes on where it stopped, and no event is lost."
        }
        Cause::Itself(_) | Cause::CrashLoop(_) | Cause::Failing(_) => {
            "It starts again when its file changes, and is tried once an hour; no event is lost."
        }
    };
    let sentence = format!("{plugin} is disabled: {}", first_line(&cause.sentence()));
    lasting(plugin, "disabled", sentence, by_itself)
}

/// What the kernel refuses to start is not mended by a second try.
#[must_use]
pub fn no_start(plugin: &PluginName, error: &str) -> Alert {
    let sentence = format!("{plugin} cannot be started: {}", first_line(error));
    let by_itself = "It is tried again, and at once when its file changes; no event is lost.";
    lasting(plugin, "start", sentence, by_itself)
}

/// A changed file does not work.
#[must_use]
pub fn invalid(plugin: &PluginName, file: &str, error: &str) -> Alert {
    let first = first_line(error);
    let sentence = format!("the changed {file} does not work, the old one goes on: {first}");
    let by_itself = "The next change of the file is tried again.";
    lasting(plugin, "invalid", sentence, by_itself)
}

/// Its process is not to be ended.
#[must_use]
pub fn unkillable(plugin: &PluginName) -> Alert {
    let sentence = format!("{plugin} does not die, not even by SIGKILL");
    let by_itself = "No new process is started before the old one is gone.";
    lasting(plugin, "unkillable", sentence, by_itself)
}

fn lasting(plugin: &PluginName, kind: &'static str, sentence: String, by_itself: &str) -> Alert {
    let key = CauseKey::of_plugin(plugin, kind);
    Alert {
        plugin: Some(plugin.clone()),
        by_itself: by_itself.to_owned(),
        ..Alert::new(key, kind, Grade::Error, sentence)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
