//! Was anything lost, doubled or out of order? What the site committed against what the journal and the traffic log hold.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::admin::Status;

/// The demo's last word.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// Events in the journal.
    pub(super) journaled: usize,
    /// Ids that were missing for a while.
    pub(super) gaps: Gaps,
    /// Events that the site committed and the journal does not have.
    pub(super) lost: usize,
    /// Events journaled twice, and events that a plugin settled twice.
    pub(super) duplicates: usize,
    /// First deliveries to a plugin against the order of the journal.
    pub(super) out_of_order: usize,
    /// Per plugin.
    pub(super) plugins: Vec<PluginVerdict>,
}

/// Gaps.
#[derive(Debug, Serialize)]
pub(super) struct Gaps {
    /// Ids that came after all.
    pub(super) filled: u64,
    /// Ids that never came.
    pub(super) given_up: u64,
}

/// One plugin.
#[derive(Debug, Serialize)]
pub(super) struct PluginVerdict {
    pub(super) name: String,
    pub(super) language: String,
    pub(super) delivered: u64,
    pub(super) ok: u64,
    pub(super) retried: u64,
    pub(super) dead: u64,
    pub(super) writes: u64,
    pub(super) restarts: u32,
}

/// A line of the traffic log, as far as we look.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    plugin: Option<String>,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    event_id: Option<i64>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    status: Option<String>,
}

/// Judges a run: `committed` are the ids that became readable, `journaled` those in the journal, in its order.
pub(super) fn judge(
    committed: &[i64],
    journaled: &[i64],
    status: &Status,
    traffic: &Path,
) -> io::Result<Verdict> {
    let kept: BTreeSet<i64> = journaled.iter().copied().collect();
    let lost = committed.iter().filter(|id| !kept.contains(id)).count();
    let doubled = journaled.len() - kept.len();
    let (settled_twice, out_of_order) = of_traffic(&fs::read_to_string(traffic)?, journaled);
    let plugins = status.plugins.iter().map(|plugin| PluginVerdict {
        name: plugin.name.to_string(),
        language: plugin.language.clone(),
        delivered: plugin.counts.delivered,
        ok: plugin.counts.ok,
        retried: plugin.counts.retried,
        dead: plugin.counts.dead,
        writes: plugin.writes,
        restarts: plugin.restarts,
    });
    Ok(Verdict {
        journaled: journaled.len(),
        gaps: Gaps {
            filled: status.site.filled,
            given_up: status.site.given_up,
        },
        lost,
        duplicates: doubled + settled_twice,
        out_of_order,
        plugins: plugins.collect(),
    })
}

/// Events that were settled twice, and first deliveries that came after a later one.
fn of_traffic(text: &str, journaled: &[i64]) -> (usize, usize) {
    let order: HashMap<i64, usize> = journaled
        .iter()
        .zip(0..)
        .map(|(id, at)| (*id, at))
        .collect();
    let mut seen: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let mut settled: BTreeSet<(String, i64)> = BTreeSet::new();
    let (mut twice, mut inversions) = (0, 0);
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        let (Some(plugin), Some(id), "event") = (line.plugin, line.event_id, &*line.method) else {
            continue;
        };
        if line.direction == "to_plugin" {
            let is_first = seen.entry(plugin.clone()).or_default().insert(id);
            let at = order.get(&id).copied().unwrap_or_default();
            if is_first {
                let before = last.insert(plugin, at);
                inversions += usize::from(before.is_some_and(|before| before > at));
            }
        } else if line.status.as_deref() == Some("ok") && !settled.insert((plugin, id)) {
            twice += 1;
        }
    }
    (twice, inversions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(direction: &str, id: i64, status: &str) -> String {
        format!(
            r#"{{"plugin":"p","direction":"{direction}","event_id":{id},"method":"event","status":"{status}"}}"#
        )
    }

    #[test]
    fn it_sees_what_is_doubled_and_what_is_out_of_order() {
        let good = [
            line("to_plugin", 1, ""),
            line("from_plugin", 1, "ok"),
            line("to_plugin", 3, ""),
        ];
        assert_eq!(of_traffic(&good.join("\n"), &[1, 3, 2]), (0, 0));
        let again = [
            line("to_plugin", 1, ""),
            line("to_plugin", 3, ""),
            line("to_plugin", 1, ""),
        ];
        assert_eq!(
            of_traffic(&again.join("\n"), &[1, 3]),
            (0, 0),
            "a redelivery is no inversion"
        );
        let bad = [line("to_plugin", 3, ""), line("to_plugin", 1, "")];
        assert_eq!(of_traffic(&bad.join("\n"), &[1, 3]), (0, 1));
        let twice = [line("from_plugin", 1, "ok"), line("from_plugin", 1, "ok")];
        assert_eq!(of_traffic(&twice.join("\n"), &[1]), (1, 0));
    }
}
