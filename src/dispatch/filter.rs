//! Subscriptions compiled: which of them an event matches.
//!
//! In: facts of an event, its body when a condition on `meta` needs it. Out: the subscriptions that match.
//! An event type that nobody asked for costs one look into a hash map. Never: the wire, the site.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use sgeventd_protocol::manifest::{
    Attributes, Clause, LinkPart, Manifest, Path, Relation, Subscription,
};

use crate::event::{Facts, Link};

/// Who the plugin is on the site, for `user is_not self`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfIdentity {
    /// Names of its script users.
    pub scripts: Vec<String>,
}

/// What a filter says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody wants it.
    No,
    /// These subscriptions match, by their index.
    Match(Vec<u16>),
    /// A condition on `meta` decides: ask again with the body.
    NeedsBody,
}

/// The subscriptions of one plugin.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    subscriptions: Vec<Compiled>,
    /// Subscriptions by the event type they name.
    by_type: FxHashMap<Box<str>, Vec<u16>>,
    /// Subscriptions to every type.
    to_all: Vec<u16>,
    identity: SelfIdentity,
}

#[derive(Debug, Clone)]
struct Compiled {
    id: Arc<str>,
    events: FxHashMap<Box<str>, Attributes>,
    /// Attributes for every type; none when types are named.
    any_type: Option<Attributes>,
    clauses: Vec<Clause>,
}

impl Filter {
    /// Compiles a manifest's subscriptions.
    #[must_use]
    pub fn new(manifest: &Manifest, identity: SelfIdentity) -> Self {
        let mut filter = Self {
            identity,
            ..Self::default()
        };
        for (index, subscription) in manifest.subscriptions.iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let compiled = compile(subscription);
            if compiled.any_type.is_some() {
                filter.to_all.push(index);
            }
            for kind in compiled.events.keys() {
                filter.by_type.entry(kind.clone()).or_default().push(index);
            }
            filter.subscriptions.push(compiled);
        }
        filter
    }

    /// The names of subscriptions, as `delivery.match` shows them.
    #[must_use]
    pub fn names(&self, matched: &[u16]) -> Vec<Arc<str>> {
        matched
            .iter()
            .filter_map(|index| Some(self.subscriptions.get(usize::from(*index))?.id.clone()))
            .collect()
    }

    /// What the subscriptions say; `body` is looked at only when a condition on `meta` decides.
    #[must_use]
    pub fn judge(&self, facts: &Facts, body: Option<&[u8]>) -> Verdict {
        let named = self.by_type.get(&*facts.event_type);
        if named.is_none() && self.to_all.is_empty() {
            return Verdict::No;
        }
        let mut candidates: Vec<u16> = named
            .into_iter()
            .flatten()
            .chain(&self.to_all)
            .copied()
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let mut meta = None;
        let mut matched = Vec::new();
        for index in candidates {
            match self.judge_one(index, facts, body, &mut meta) {
                Some(true) => matched.push(index),
                Some(false) => {}
                None => return Verdict::NeedsBody,
            }
        }
        if matched.is_empty() {
            Verdict::No
        } else {
            Verdict::Match(matched)
        }
    }

    /// None: the body is needed.
    fn judge_one(
        &self,
        index: u16,
        facts: &Facts,
        body: Option<&[u8]>,
        meta: &mut Option<Value>,
    ) -> Option<bool> {
        let subscription = self.subscriptions.get(usize::from(index))?;
        let attributes = subscription
            .any_type
            .as_ref()
            .or_else(|| subscription.events.get(&*facts.event_type));
        if !attributes.is_some_and(|wanted| has_attribute(wanted, facts)) {
            return Some(false);
        }
        let mut needs_body = false;
        for clause in &subscription.clauses {
            let holds = match &clause.path {
                Path::Meta(key) => match (meta.as_ref(), body) {
                    (None, None) => {
                        needs_body = true;
                        continue;
                    }
                    (None, Some(body)) => holds(clause, meta.insert(read_meta(body)).get(key)),
                    (Some(meta), _) => holds(clause, meta.get(key)),
                },
                _ => self.holds_on_facts(clause, facts),
            };
            if !holds {
                return Some(false);
            }
        }
        (!needs_body).then_some(true)
    }

    fn holds_on_facts(&self, clause: &Clause, facts: &Facts) -> bool {
        let text = |text: &Option<Box<str>>| text.as_deref().map(Value::from);
        let value = match &clause.path {
            Path::Id => Some(Value::from(facts.event_id.0)),
            Path::EventType => Some(Value::from(&*facts.event_type)),
            Path::AttributeName => text(&facts.attribute_name),
            Path::CreatedAt => facts.created_at.map(|at| Value::from(write_time(at))),
            Path::SessionUuid => text(&facts.session_uuid),
            Path::Project(part) => part_of(facts.project.as_ref(), *part),
            Path::Entity(part) => part_of(facts.entity_or_subject(), *part),
            Path::User(part) => {
                if clause.value == "self" && *part == LinkPart::Whole {
                    let is_self = self.is_self(facts);
                    return is_self == matches!(clause.relation, Relation::Is);
                }
                part_of(facts.user.as_ref(), *part)
            }
            Path::Meta(_) => None,
        };
        holds(clause, value.as_ref())
    }

    /// True when the plugin's own script wrote it, under sudo too.
    fn is_self(&self, facts: &Facts) -> bool {
        let is_ours = |link: &Link| {
            let name = link.name.as_deref().unwrap_or_default();
            &*link.kind == "ApiUser" && self.identity.scripts.iter().any(|script| script == name)
        };
        facts.user.as_ref().is_some_and(is_ours) || facts.sudo_user.as_ref().is_some_and(is_ours)
    }
}

fn compile(subscription: &Subscription) -> Compiled {
    let events = subscription.events.clone();
    // The type `*`, where it is present, alone counts.
    let any_type = match &events {
        None => Some(Attributes::Any),
        Some(events) => events.get("*").cloned(),
    };
    let named = events.filter(|_| any_type.is_none()).unwrap_or_default();
    Compiled {
        id: subscription.id.as_str().into(),
        events: named
            .into_iter()
            .map(|(kind, wanted)| (kind.into_boxed_str(), wanted))
            .collect(),
        any_type,
        clauses: subscription.conditions.clone(),
    }
}

fn has_attribute(wanted: &Attributes, facts: &Facts) -> bool {
    match wanted {
        Attributes::Any => true,
        Attributes::These(names) => facts
            .attribute_name
            .as_deref()
            .is_some_and(|found| names.iter().any(|name| name == found)),
    }
}

fn part_of(link: Option<&Link>, part: LinkPart) -> Option<Value> {
    let link = link?;
    match part {
        LinkPart::Id => Some(Value::from(link.id)),
        LinkPart::Type => Some(Value::from(&*link.kind)),
        LinkPart::Name => link.name.as_deref().map(Value::from),
        LinkPart::Whole => Some(serde_json::json!({"type": &*link.kind, "id": link.id})),
    }
}

fn write_time(at: crate::clock::Unix) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The `meta` of a row; one that arrived as a JSON string is read through.
fn read_meta(body: &[u8]) -> Value {
    let row: Value = serde_json::from_slice(body).unwrap_or_default();
    match row.get("meta") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(meta) => meta.clone(),
        None => Value::Null,
    }
}

/// Whether a value, null when absent, satisfies a condition: exact and case-sensitive.
fn holds(clause: &Clause, found: Option<&Value>) -> bool {
    let found = found.filter(|value| !value.is_null());
    let text = || found.and_then(Value::as_str).zip(clause.value.as_str());
    let is_in = || {
        clause
            .value
            .as_array()
            .is_some_and(|list| list.iter().any(|item| same(item, found)))
    };
    match clause.relation {
        Relation::Is => same(&clause.value, found),
        Relation::IsNot => !same(&clause.value, found),
        Relation::In => is_in(),
        Relation::NotIn => !is_in(),
        Relation::StartsWith => text().is_some_and(|(found, wanted)| found.starts_with(wanted)),
        Relation::EndsWith => text().is_some_and(|(found, wanted)| found.ends_with(wanted)),
        Relation::Contains => text().is_some_and(|(found, wanted)| found.contains(wanted)),
        Relation::Exists => clause.value.as_bool() == Some(found.is_some()),
    }
}

/// Equal; a link is the same by type and id, whatever else it holds.
fn same(wanted: &Value, found: Option<&Value>) -> bool {
    match (wanted, found) {
        (Value::Null, None) => true,
        (Value::Object(wanted), Some(Value::Object(found))) if wanted.contains_key("id") => {
            wanted.get("type") == found.get("type") && wanted.get("id") == found.get("id")
        }
        (wanted, Some(found)) => wanted == found,
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::parse, ident::Timeline};

    const ROW: &str = r#"{"id":7,"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","entity":null,
        "meta":{"entity_type":"Task","entity_id":3,"new_value":"fin"},"user":{"type":"ApiUser","id":1,"name":"bot"},
        "project":{"type":"Project","id":122,"name":"Bunny"},"session_uuid":null,"created_at":"2026-07-09T19:33:37Z"}"#;

    fn judge(subscriptions: &str) -> Verdict {
        let manifest: Manifest =
            serde_json::from_str(&format!("{{\"subscriptions\":[{subscriptions}]}}"))
                .expect("a manifest");
        let identity = SelfIdentity {
            scripts: vec!["bot".into()],
        };
        let (facts, body) = parse(Timeline(0), ROW).expect("a row");
        let filter = Filter::new(&manifest, identity);
        match filter.judge(&facts, None) {
            Verdict::NeedsBody => filter.judge(&facts, Some(&body)),
            decided => decided,
        }
    }

    #[test]
    fn which_subscriptions_match() {
        for (subscription, is_match) in [
            ("{}", true),
            (r#"{"events":{}}"#, false),
            (r#"{"events":{"Shotgun_Task_Change":null}}"#, true),
            (
                r#"{"events":{"Shotgun_Task_Change":["sg_status_list"]}}"#,
                true,
            ),
            (r#"{"events":{"Shotgun_Task_Change":["status"]}}"#, false),
            (r#"{"events":{"Shotgun_Task_Change":[]}}"#, false),
            (r#"{"events":{"shotgun_task_change":null}}"#, false),
            (
                r#"{"events":{"*":["other"],"Shotgun_Task_Change":null}}"#,
                false,
            ),
            (r#"{"events":{"*":null,"Nothing":null}}"#, true),
            (r#"{"where":[["project.id","in",[122,130]]]}"#, true),
            (r#"{"where":[["project.id","not_in",[122]]]}"#, false),
            (
                r#"{"where":[["project","is",{"type":"Project","id":122,"name":"x"}]]}"#,
                true,
            ),
            (
                r#"{"where":[["entity.type","is","Task"],["entity.id","is",3]]}"#,
                true,
            ),
            (r#"{"where":[["entity.name","exists",false]]}"#, true),
            (r#"{"where":[["session_uuid","is_not","x"]]}"#, true),
            (r#"{"where":[["session_uuid","not_in",["x"]]]}"#, true),
            (r#"{"where":[["session_uuid","is","x"]]}"#, false),
            (r#"{"where":[["user","is_not","self"]]}"#, false),
            (r#"{"where":[["user","is","self"]]}"#, true),
            (r#"{"where":[["meta.new_value","is","fin"]]}"#, true),
            (r#"{"where":[["meta.new_value","is","FIN"]]}"#, false),
            (r#"{"where":[["meta.in_create","exists",true]]}"#, false),
            (
                r#"{"where":[["event_type","starts_with","Shotgun_"],["event_type","ends_with","_Change"]]}"#,
                true,
            ),
            (r#"{"where":[["created_at","contains","2026-07"]]}"#, true),
        ] {
            assert_eq!(
                judge(subscription) != Verdict::No,
                is_match,
                "{subscription}"
            );
        }
    }

    #[test]
    fn an_event_is_one_match_however_many_subscriptions_want_it() {
        let both =
            r#"{"id":"a"},{"events":{"Nothing":null}},{"events":{"Shotgun_Task_Change":null}}"#;
        assert_eq!(judge(both), Verdict::Match(vec![0, 2]));
    }
}
