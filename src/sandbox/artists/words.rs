//! What people write: notes, answers, names of publishes. All of it is in the JSON file beside this one.

use std::sync::LazyLock;

use fastrand::Rng;
use serde::Deserialize;

const WORDS: &str = include_str!("words.json");

/// What people write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// With a yes.
    pub(super) praise: Vec<String>,
    /// With a no.
    pub(super) remarks: Vec<String>,
    /// To a note.
    pub(super) answers: Vec<String>,
    /// In time logs.
    pub(super) logs: Vec<String>,
    /// Types of files with their endings.
    pub(super) publishes: Vec<(String, String)>,
    /// Of new assets.
    pub(super) asset_types: Vec<String>,
}

impl Words {
    /// The words that come with the program.
    pub(super) fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Words> = LazyLock::new(|| {
            serde_json::from_str(WORDS).expect("every artist's first word is read from this file")
        });
        &BUILTIN
    }
}

/// One of them.
pub(super) fn any<'a, T>(chance: &mut Rng, list: &'a [T]) -> Option<&'a T> {
    chance.choice(list)
}
