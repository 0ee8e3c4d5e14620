//! The trace context of a delivery, as W3C writes it: one trace for each event of the site, one span for each attempt of a plugin.
//!
//! In: the event, the plugin, the attempt. Out: `traceparent`. The same delivery has the same one in every run.
//! Never: chance, a clock.

use sgeventd_protocol::message::EventMeta;
use sha2::{Digest as _, Sha256};

use crate::{event::Facts, ident::PluginName};

/// `_meta` of the event request.
#[must_use]
pub(crate) fn meta(facts: &Facts, plugin: &PluginName, attempt: u32, is_replay: bool) -> EventMeta {
    // Ids alone are not enough: those of a restored site come again.
    let trace = Sha256::new()
        .chain_update(facts.event_id.0.to_be_bytes())
        .chain_update(facts.timeline.0.to_be_bytes())
        .chain_update(facts.created_at.map_or(0, |at| at.0).to_be_bytes())
        .finalize();
    let span = Sha256::new()
        .chain_update(trace)
        .chain_update(attempt.to_be_bytes())
        .chain_update([u8::from(is_replay)])
        .chain_update(plugin.as_str())
        .finalize();
    let hex = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    };
    EventMeta {
        traceparent: format!("00-{}-{}-01", hex(&trace[..16]), hex(&span[..8])),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{event::parse, ident::Timeline};

    fn facts(timeline: u32, row: &str) -> Facts {
        let (facts, _) = parse(Timeline(timeline), row).expect("a row");
        facts
    }

    #[test]
    fn an_event_is_one_trace_and_each_attempt_of_a_plugin_a_span_of_it() {
        let row = r#"{"id":7,"created_at":"2026-01-31T12:00:00Z"}"#;
        let (first, other) = (PluginName::new("a"), PluginName::new("b"));
        let of = |facts: &Facts, plugin: &PluginName, attempt, is_replay| {
            let meta = meta(facts, plugin, attempt, is_replay).traceparent;
            let parts: Vec<String> = meta.split('-').map(str::to_owned).collect();
            let [version, trace, span, flags] = &parts[..] else {
                panic!("{meta}");
            };
            assert_eq!((&**version, &**flags), ("00", "01"));
            assert_eq!((trace.len(), span.len()), (32, 16), "{meta}");
            (trace.clone(), span.clone())
        };
        let event = facts(0, row);
        let all = [
            of(&event, &first, 1, false),
            of(&event, &first, 2, false),
            of(&event, &first, 1, true),
            of(&event, &other, 1, false),
        ];
        assert!(all.iter().all(|(trace, _)| *trace == all[0].0), "{all:?}");
        let spans: BTreeSet<&String> = all.iter().map(|(_, span)| span).collect();
        assert_eq!(spans.len(), all.len(), "{all:?}");
        assert_eq!(of(&event, &first, 1, false), all[0], "nothing of chance");
        for next in [facts(1, row), facts(0, &row.replace('7', "8"))] {
            assert_ne!(of(&next, &first, 1, false).0, all[0].0);
        }
    }
}
