//! The plugins of all measurements, and the other ends of bare loops: this executable, started with a word of its own.

use std::process::ExitCode;

use serde_json::json;
use sgeventd_plugin::{Outcome, Plugin};

use crate::{crowd, deliveries, latency, starts};

/// A plugin that takes events of one type and does nothing: then come its name and the type.
pub(crate) const WORD: &str = "__plugin";
/// A plugin that takes every event and says how long they took: then come its folder and how many.
pub(crate) const TIMED: &str = "__timed";
/// A plugin that writes down when it was handed each event: then comes its file.
pub(crate) const STAMPS: &str = "__stamps";
/// The same for events of one type: then come the type and its file.
pub(crate) const CROWD: &str = "__crowd";
/// An animal of the zoo: then comes its vice.
pub(crate) const BEAST: &str = "__beast";
/// A plugin that dies once: then come the number of that event and its file.
pub(crate) const MORTAL: &str = "__mortal";
/// The other end of a bare loop.
pub(crate) const ECHO: &str = "__echo";

/// Runs one; nothing when this executable was not started as one.
pub(crate) fn run() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let plugin = match words.as_slice() {
        [WORD, name, kind] => Plugin::new(name).on(kind, &[], |_event, _context| Ok(Outcome::Ok)),
        [TIMED, folder, count] => {
            let mut timed = deliveries::Timed::new(folder, count);
            Plugin::new("timed").on_matching(json!({}), move |_event, _context| {
                timed.event();
                Ok(Outcome::Ok)
            })
        }
        [STAMPS, file] => {
            let mut stamps = latency::Stamps::new(file);
            Plugin::new("stamps").on_matching(json!({}), move |event, _context| {
                stamps.event(event.id())?;
                Ok(Outcome::Ok)
            })
        }
        [CROWD, kind, file] => {
            let mut stamps = latency::Stamps::new(file);
            Plugin::new("crowd").on(kind, &[], move |event, _context| {
                stamps.event(event.id())?;
                Ok(Outcome::Ok)
            })
        }
        [MORTAL, turn, file] => starts::mortal(turn, file),
        [BEAST, vice] => return Some(crowd::beast(vice)),
        [ECHO, _] => {
            deliveries::echo();
            return Some(ExitCode::SUCCESS);
        }
        _ => return None,
    };
    Some(ExitCode::from(plugin.run()))
}
