//! Names of people, shows and things. All of them are in the JSON file beside this one.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

const NAMES: &str = include_str!("names.json");

/// Names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    /// First names, and what of them is in a login.
    pub(super) first: Vec<(String, String)>,
    /// Last names likewise.
    pub(super) last: Vec<(String, String)>,
    /// Name, code, type.
    pub(super) projects: Vec<(String, String, String)>,
    /// Code and description.
    pub(super) sequences: Vec<(String, String)>,
    /// By type.
    pub(super) assets: BTreeMap<String, Vec<String>>,
    /// What people do, and how many of them there are.
    pub(super) roles: Vec<Role>,
    /// The tasks of a shot and of an asset.
    pub(super) templates: Vec<Template>,
}

/// What somebody does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// On the door.
    pub(super) title: String,
    /// By name.
    pub(super) department: String,
    /// By code.
    pub(super) group: String,
    /// The code of the permission group.
    pub(super) permission: String,
    /// Of a hundred people.
    pub(super) share: usize,
}

/// Tasks that a new entity gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    /// Its name.
    pub(super) code: String,
    /// For which type.
    pub(super) entity_type: String,
    /// Name, step, minutes; each waits for the one before it.
    pub(super) tasks: Vec<(String, String, i64)>,
}

impl Names {
    /// The names that come with the program.
    pub(super) fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Names> = LazyLock::new(|| {
            serde_json::from_str(NAMES).expect("a test builds a studio out of this file")
        });
        &BUILTIN
    }
}

/// The element at a place; behind the end it begins anew with a number: `HRB`, `HRB2`.
pub(super) fn nth<T>(list: &[T], index: usize) -> (&T, String) {
    let round = index / list.len();
    let number = if round == 0 {
        String::new()
    } else {
        (round + 1).to_string()
    };
    (&list[index % list.len()], number)
}
