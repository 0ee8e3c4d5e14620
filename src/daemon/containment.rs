//! What holds plugins on this machine, and what cannot be had here: found once, at the start.
//!
//! In: the config. Out: our control groups, and words for `status` and the log.
//! Never: a refusal to start: a plugin without a control group is better than none.

use crate::{
    account::Account,
    admin::status::ContainmentReport,
    config::{Config, ControlGroups},
    process::{self, Controllers, GroupError, Tree},
};

/// What was found.
pub(super) struct Containment {
    /// Our control groups.
    pub(super) groups: Option<Tree>,
    /// For `status`.
    pub(super) report: ContainmentReport,
}

/// Takes our part of the tree of control groups, ends what a daemon that died left there, and says what is lacking.
pub(super) fn take(config: &Config, whose: &str) -> Containment {
    let mark = format!("{:08x}", process::number("", whose, false) as u32);
    let (groups, why) = match groups(&config.plugins.control_groups, &mark) {
        Ok(groups) => (groups, None),
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            (None, Some(format!("{error}{}", source.unwrap_or_default())))
        }
    };
    if let Some(tree) = &groups {
        let count = tree.end_left_behind();
        if count > 0 {
            tracing::warn!(count, "control groups of the last daemon were ended");
        }
    }
    let score = process::be_spared_by_oom().is_ok();
    let users = config.users();
    let is_one_user = users.is_empty();
    let controllers = groups.as_ref().map(|tree| tree.controllers);
    let mut lacks = lacks(controllers, why.as_deref(), score, is_one_user);
    lacks.extend(
        users
            .iter()
            .filter_map(|name| Account::find(name).err().map(|error| error.to_string())),
    );
    for lack in &lacks {
        tracing::info!(lack, "not all that can hold plugins is to be had here");
    }
    let held = held(controllers);
    Containment {
        groups,
        report: ContainmentReport { held, lacks },
    }
}

fn groups(wanted: &ControlGroups, mark: &str) -> Result<Option<Tree>, GroupError> {
    match wanted {
        ControlGroups::None => Ok(None),
        ControlGroups::Auto => Tree::own(mark).map(Some),
        ControlGroups::At(folder) => Tree::at(folder.clone(), mark).map(Some),
    }
}

/// What holds memory, processes, processors, and what a plugin leaves behind.
fn held(groups: Option<Controllers>) -> std::collections::BTreeMap<String, String> {
    let has = |one: fn(Controllers) -> bool| groups.is_some_and(one);
    let of = |is_group: bool, file: &str, else_by: &str| match is_group {
        true => format!("control group ({file})"),
        false => else_by.to_owned(),
    };
    let all = [
        (
            "memory",
            of(
                has(|c| c.memory),
                "memory.max",
                "RLIMIT_DATA, a bound for each process",
            ),
        ),
        (
            "processes",
            of(
                has(|c| c.pids),
                "pids.max",
                "RLIMIT_NPROC, which counts by user",
            ),
        ),
        ("cpu", of(has(|c| c.cpu), "cpu.weight, cpu.max", "nice")),
        (
            "left_behind",
            of(
                groups.is_some(),
                "cgroup.kill",
                "numbers, and what became the daemon's child",
            ),
        ),
    ];
    all.into_iter()
        .map(|(what, how)| (what.to_owned(), how))
        .collect()
}

/// What cannot be had, in sentences.
fn lacks(
    groups: Option<Controllers>,
    why: Option<&str>,
    has_score: bool,
    is_one_user: bool,
) -> Vec<String> {
    let mut lacks = Vec::new();
    if let Some(why) = why {
        lacks.push(format!("no control group per plugin: {why}"));
    }
    let missing = groups.map(Controllers::missing).unwrap_or_default();
    if !missing.is_empty() {
        lacks.push(format!(
            "control groups here do not bound: {}",
            missing.join(", ")
        ));
    }
    if !has_score {
        let words =
            "the daemon is not spared when memory runs out (OOMScoreAdjust=-200 in its unit)";
        lacks.push(words.to_owned());
    }
    if is_one_user {
        let words =
            "plugins run as the daemon's own user and could read the script key: set plugins.user";
        lacks.push(words.to_owned());
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_said_and_nothing_else() {
        let all = Controllers {
            memory: true,
            pids: true,
            cpu: true,
        };
        assert_eq!(lacks(Some(all), None, true, false), [""; 0]);
        assert!(held(Some(all))["memory"].contains("memory.max"));
        let none = lacks(None, Some("it was not handed to us"), false, true);
        assert_eq!(none.len(), 3, "{none:?}");
        assert!(held(None)["memory"].contains("RLIMIT_DATA"));
        let bare = lacks(Some(Controllers::default()), None, true, false);
        assert_eq!(
            bare,
            ["control groups here do not bound: memory, pids, cpu"]
        );
        assert!(held(Some(Controllers::default()))["left_behind"].contains("cgroup.kill"));
        // Off by config: asked for, so nothing is lacking.
        assert_eq!(lacks(None, None, true, false), [""; 0]);
    }
}
