//! The plugin of all measurements: takes events of one type and does nothing.

use std::process::ExitCode;

use sgeventd_plugin::{Outcome, Plugin};

/// The word by which this executable is a plugin: then come its name and the event type it wants.
pub(crate) const WORD: &str = "__plugin";

/// Runs it; nothing when this executable was not started as one.
pub(crate) fn run() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    let [_, word, name, kind] = words.as_slice() else {
        return None;
    };
    if word != WORD {
        return None;
    }
    let plugin = Plugin::new(name).on(kind, &[], |_event, _context| Ok(Outcome::Ok));
    Some(ExitCode::from(plugin.run()))
}
