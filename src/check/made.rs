//! Events that a plugin asked for, made up from its manifest. Pure.
//!
//! In: a manifest, what the made-up site has. Out: rows of the event log that match, and which subscriptions got none, with the reason.
//! Never: an event that the daemon's own filter would not hand to the plugin.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};
use sgeventd_protocol::{
    Manifest,
    manifest::{Attributes, Order, Path, Relation, Subscription},
};

use super::{bend::bent, stage::SCRIPT};
use crate::{
    dispatch::{Filter, SelfIdentity, Verdict},
    event,
    ident::Timeline,
};

/// Ids of made-up events begin here: above those of the site.
const FIRST_ID: i64 = 9_000_001;
/// Of one subscription so many event types are tried.
const TYPES_MAX: usize = 5;

/// Rows of the made-up site, by entity type: links that a plugin can follow.
#[derive(Debug, Clone, Default)]
pub(super) struct Ground(pub(super) BTreeMap<String, Vec<Value>>);

impl Ground {
    /// The entity types that events of a manifest are about.
    pub(super) fn types(manifest: &Manifest) -> BTreeSet<String> {
        let all = manifest.subscriptions.iter().flat_map(wanted);
        let mut types: BTreeSet<String> = all.map(|(kind, _)| subject(&kind).to_owned()).collect();
        types.extend(["Project", "HumanUser", "Task"].map(str::to_owned));
        types
    }

    /// A row of this type; one that is not there otherwise: it was deleted since.
    fn link(&self, kind: &str, nth: usize) -> Value {
        let rows = self.0.get(kind).filter(|rows| !rows.is_empty());
        match rows {
            Some(rows) => rows[nth % rows.len()].clone(),
            None => {
                let id = 1 + i64::try_from(nth).unwrap_or_default();
                json!({ "type": kind, "id": id, "name": format!("{kind} {id}") })
            }
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    /// The row.
    pub(super) row: Value,
    /// Ids of the subscriptions that match.
    pub(super) matched: Vec<Arc<str>>,
}

/// What can be sent to a plugin.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    /// Each with an id of its own.
    pub(super) made: Vec<Made>,
    /// Events that may be open at once: each of another lane; fewer than two when there are no such.
    pub(super) lanes: Vec<Made>,
    /// Subscriptions for which there is none, with the reason.
    pub(super) unmade: Vec<(String, String)>,
    /// Events at once, as the manifest asks.
    pub(super) window: usize,
}

impl Events {
    /// Events for a manifest; `own` are used instead of made-up ones where there are any.
    pub(super) fn of(manifest: &Manifest, ground: &Ground, own: &[Value]) -> Self {
        let identity = SelfIdentity {
            scripts: vec![SCRIPT.to_owned()],
        };
        let filter = Filter::new(manifest, identity);
        let mut events = Self {
            window: window(manifest),
            ..Self::default()
        };
        for (row, number) in own.iter().zip(1..) {
            match fitting(&filter, row.clone()) {
                Some(made) => events.made.push(made),
                None => events.unmade.push((
                    format!("your event {number}"),
                    "no subscription matches it, so the daemon would not send it".to_owned(),
                )),
            }
        }
        if own.is_empty() {
            for subscription in &manifest.subscriptions {
                events.add(subscription, ground, &filter);
            }
        }
        events.lanes = events.apart(manifest, ground, &filter);
        for (made, id) in events.made.iter_mut().zip(FIRST_ID..) {
            if own.is_empty() && filter_free_of_id(manifest) {
                made.row["id"] = id.into();
            }
        }
        events
    }

    fn add(&mut self, subscription: &Subscription, ground: &Ground, filter: &Filter) {
        let before = self.made.len();
        for (kind, attribute) in wanted(subscription) {
            let row = row(&kind, attribute.as_deref(), ground, 0);
            let row = bent(row, &subscription.conditions);
            let fits = |made: &Made| made.matched.iter().any(|id| **id == *subscription.id);
            self.made.extend(fitting(filter, row).filter(fits));
        }
        if self.made.len() == before {
            let all = subscription.conditions.iter();
            let clauses: Vec<String> = all.map(|clause| format!("{:?}", clause.path)).collect();
            let why = if clauses.is_empty() {
                "no event type is named".to_owned()
            } else {
                format!(
                    "its conditions on {} could not be met; name an event with --event FILE",
                    clauses.join(", ")
                )
            };
            self.unmade.push((subscription.id.clone(), why));
        }
    }

    /// Events of different lanes, as many as the window takes and the ground gives, up to four.
    fn apart(&self, manifest: &Manifest, ground: &Ground, filter: &Filter) -> Vec<Made> {
        let order = manifest.delivery.order.unwrap_or_default();
        if self.window < 2 {
            return Vec::new();
        }
        let mut lanes: Vec<Made> = Vec::new();
        let is_new = |lanes: &[Made], made: &Made| {
            lanes.iter().all(|other| match order {
                Order::All => false,
                Order::Entity => other.row["entity"] != made.row["entity"],
                Order::Project => other.row["project"] != made.row["project"],
                Order::None => true,
            })
        };
        for subscription in &manifest.subscriptions {
            for (kind, attribute) in wanted(subscription) {
                for nth in 0..4 {
                    let row = row(&kind, attribute.as_deref(), ground, nth);
                    let made = fitting(filter, bent(row, &subscription.conditions));
                    if let Some(made) = made.filter(|made| is_new(&lanes, made)) {
                        lanes.push(made);
                    }
                    if lanes.len() == self.window.min(4) {
                        break;
                    }
                }
            }
        }
        lanes.truncate(self.window.min(4));
        for (made, id) in lanes.iter_mut().zip(FIRST_ID + 1000..) {
            if filter_free_of_id(manifest) {
                made.row["id"] = id.into();
            }
        }
        lanes
    }

    /// The first one, for scenarios that need just one.
    pub(super) fn first(&self) -> Result<&Made, String> {
        self.made.first().ok_or_else(|| {
            if self.unmade.is_empty() {
                "the manifest has no subscriptions: no event comes".to_owned()
            } else {
                "no event could be made for its subscriptions; name one with --event FILE"
                    .to_owned()
            }
        })
    }
}

/// Events that may be open at once.
fn window(manifest: &Manifest) -> usize {
    let delivery = &manifest.delivery;
    match delivery.order.unwrap_or_default() {
        Order::All => 1,
        _ => delivery.max_in_flight.map_or(1, usize::from),
    }
}

/// False when a condition names ids of events: then they must stay as they are.
fn filter_free_of_id(manifest: &Manifest) -> bool {
    let mut all = manifest.subscriptions.iter();
    all.all(|one| one.conditions.iter().all(|clause| clause.path != Path::Id))
}

fn fitting(filter: &Filter, row: Value) -> Option<Made> {
    let text = row.to_string();
    let (facts, body) = event::parse(Timeline(0), &text).ok()?;
    match filter.judge(&facts, Some(&body)) {
        Verdict::Match(matched) => Some(Made {
            matched: filter.names(&matched),
            row,
        }),
        Verdict::No | Verdict::NeedsBody => None,
    }
}

/// Event types with an attribute that a subscription asks for.
fn wanted(subscription: &Subscription) -> Vec<(String, Option<String>)> {
    let usual = || vec![("Shotgun_Task_Change".to_owned(), Attributes::Any)];
    let mut kinds = match &subscription.events {
        None => usual(),
        Some(events) => match events.get("*") {
            Some(attributes) => vec![("Shotgun_Task_Change".to_owned(), attributes.clone())],
            None => {
                let all = events.iter().take(TYPES_MAX);
                all.map(|(kind, attributes)| (kind.clone(), attributes.clone()))
                    .collect()
            }
        },
    };
    // A condition on the type of an event says more than a made-up choice.
    for clause in &subscription.conditions {
        let named = clause.value.as_str().or(clause.value[0].as_str());
        if clause.path == Path::EventType
            && matches!(clause.relation, Relation::Is | Relation::In)
            && subscription.events.is_none()
            && let Some(named) = named
        {
            kinds = vec![(named.to_owned(), Attributes::Any)];
        }
    }
    let one = |(kind, attributes): (String, Attributes)| {
        let attribute = match attributes {
            Attributes::These(names) => names.first().cloned(),
            Attributes::Any if kind.ends_with("_Change") => Some("description".to_owned()),
            Attributes::Any => None,
        };
        (kind, attribute)
    };
    kinds.into_iter().map(one).collect()
}

/// The entity type that an event type names: `Task` of `Shotgun_Task_Change`.
fn subject(kind: &str) -> &str {
    match kind.split('_').nth(1) {
        Some("User") | None => "HumanUser",
        Some(word) => word,
    }
}

/// A row as the site writes it, about the `nth` entity of the type that the event type names.
fn row(kind: &str, attribute: Option<&str>, ground: &Ground, nth: usize) -> Value {
    let subject = subject(kind);
    let entity = ground.link(subject, nth);
    let id = &entity["id"];
    let action = kind.rsplit('_').next().unwrap_or_default();
    let meta = match action {
        "New" => json!({ "type": "new_entity", "entity_type": subject, "entity_id": id }),
        "Retirement" => {
            json!({ "type": "entity_retirement", "entity_type": subject, "entity_id": id, "display_name": entity["name"] })
        }
        _ => {
            let (data_type, old, new) = match attribute {
                Some(name) if name.contains("status") => ("status_list", "rdy", "ip"),
                _ => ("text", "before", "after"),
            };
            json!({
                "type": "attribute_change", "attribute_name": attribute, "entity_type": subject, "entity_id": id,
                "field_data_type": data_type, "old_value": old, "new_value": new,
            })
        }
    };
    json!({
        "type": "EventLogEntry",
        "id": FIRST_ID,
        "event_type": kind,
        "attribute_name": attribute,
        "meta": meta,
        "entity": entity,
        "project": ground.link("Project", nth),
        "user": ground.link("HumanUser", 0),
        "session_uuid": "0b9e3a52-5f8e-4b0e-9f39-6d1c3d6fb2c1",
        "created_at": "2026-07-09T19:33:37Z",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(subscriptions: &Value) -> Events {
        let manifest = json!({ "subscriptions": subscriptions });
        let manifest = serde_json::from_value(manifest).expect("a manifest");
        Events::of(&manifest, &Ground::default(), &[])
    }

    #[test]
    fn each_subscription_gets_an_event_that_the_daemons_filter_hands_out() {
        for (subscription, member, expected) in [
            (json!({}), "event_type", json!("Shotgun_Task_Change")),
            (
                json!({"events": {"*": ["code"]}}),
                "attribute_name",
                json!("code"),
            ),
            (
                json!({"events": {"Studio_Shot_New": null}}),
                "event_type",
                json!("Studio_Shot_New"),
            ),
            (
                json!({"events": {"Shotgun_Task_Change": ["sg_status_list"]}}),
                "attribute_name",
                json!("sg_status_list"),
            ),
            (
                json!({"where": [["event_type", "in", ["A_Shot_New", "B"]]]}),
                "event_type",
                json!("A_Shot_New"),
            ),
            (
                json!({"where": [["project.id", "in", [122, 130]]]}),
                "event_type",
                json!("Shotgun_Task_Change"),
            ),
            (
                json!({"where": [["project", "exists", false]]}),
                "project",
                Value::Null,
            ),
            (json!({"where": [["id", "is", 77]]}), "id", json!(77)),
            (
                json!({"where": [["session_uuid", "starts_with", "abc"]]}),
                "type",
                json!("EventLogEntry"),
            ),
            (
                json!({"where": [["user.name", "contains", "render"], ["user", "is_not", "self"]]}),
                "type",
                json!("EventLogEntry"),
            ),
            (
                json!({"where": [["user", "is", "self"]]}),
                "user",
                json!({"type": "ApiUser", "id": 1, "name": SCRIPT}),
            ),
            (
                json!({"where": [["entity.type", "is_not", "Task"]]}),
                "type",
                json!("EventLogEntry"),
            ),
            (
                json!({"where": [["meta.new_value", "is", "fin"], ["meta.in_create", "is_not", true]]}),
                "type",
                json!("EventLogEntry"),
            ),
            (
                json!({"where": [["project.id", "not_in", [1, 2, 3]]]}),
                "type",
                json!("EventLogEntry"),
            ),
        ] {
            let events = events(&json!([subscription]));
            let [made] = events.made.as_slice() else {
                panic!("{subscription}: {events:?}");
            };
            assert_eq!(made.row[member], expected, "{subscription}");
            assert_eq!(made.matched.len(), 1, "{subscription}");
            assert!(events.unmade.is_empty(), "{subscription}");
        }
    }

    #[test]
    fn what_cannot_be_met_is_said() {
        let events = events(&json!([
            {"id": "odd", "where": [["id", "is", 5], ["id", "is", 6]]},
            {"id": "even", "events": {}},
        ]));
        assert!(events.made.is_empty());
        let ids: Vec<_> = events.unmade.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["odd", "even"]);
        assert!(events.first().is_err_and(|why| why.contains("--event")));
    }

    #[test]
    fn events_of_different_lanes_are_made_when_the_manifest_asks_for_several() {
        for (delivery, count) in [
            (json!({}), 0),
            (json!({"max_in_flight": 8}), 0),
            (json!({"max_in_flight": 8, "order": "entity"}), 4),
            (json!({"max_in_flight": 2, "order": "none"}), 2),
        ] {
            let manifest = json!({"delivery": delivery, "subscriptions": [{"events": {"Shotgun_Shot_New": null}}]});
            let manifest = serde_json::from_value(manifest).expect("a manifest");
            let events = Events::of(&manifest, &Ground::default(), &[]);
            assert_eq!(events.lanes.len(), count, "{delivery}");
        }
    }

    #[test]
    fn an_event_of_ones_own_must_match() {
        let manifest = json!({"subscriptions": [{"events": {"Shotgun_Shot_New": null}}]});
        let manifest = serde_json::from_value(manifest).expect("a manifest");
        let own = [
            json!({"id": 3, "event_type": "Shotgun_Shot_New"}),
            json!({"id": 4, "event_type": "Shotgun_Task_New"}),
            json!({"event_type": "Shotgun_Shot_New"}),
        ];
        let events = Events::of(&manifest, &Ground::default(), &own);
        assert_eq!(events.made.len(), 1);
        assert_eq!(events.made[0].row["id"], 3);
        assert_eq!(events.unmade.len(), 2);
    }
}
