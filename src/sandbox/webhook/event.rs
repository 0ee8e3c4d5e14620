//! Events as hooks hear of them: which hook wants one, and what is sent.
//!
//! Never: a name of a link; whoever wants it reads the entity.

use serde_json::{Value, json};

use super::{EVENT_LOG, Hook, Subscription, Unix, seconds};
use crate::sandbox::{log::EventRow, store::Store};

/// What is more than this is sent without the values.
const SIZE_MAX: usize = 1 << 20;
/// What there are no hooks for, besides rows that stand for links.
const NEVER: [&str; 2] = ["ApiUser", EVENT_LOG];

/// What an event is called by hooks.
fn operation(row: &EventRow) -> Option<&'static str> {
    match row.event_type.rsplit('_').next()? {
        "New" => Some("create"),
        "Change" => Some("update"),
        "Retirement" => Some("delete"),
        "Revival" => Some("revive"),
        _ => None,
    }
}

/// Whether a hook wants to hear of an event.
pub(super) fn is_wanted(store: &Store, hook: &Hook, row: &EventRow) -> bool {
    let project = row.project.map(|link| link.id);
    let is_in = |projects: &Vec<i64>| project.is_some_and(|id| projects.contains(&id));
    if !hook.projects.as_ref().is_none_or(is_in) {
        return false;
    }
    let types = match &hook.subscription {
        Subscription::Event(name) => return **name == *row.event_type,
        Subscription::Entities(types) => types,
    };
    let Some((link, operation)) = row.entity.zip(operation(row)) else {
        return false;
    };
    let is_of_kind = *row.event_type == *format!("Shotgun_{}_{}", link.kind, last(row));
    let is_excluded = NEVER.contains(&link.kind) || store.schema.connection(link.kind).is_some();
    let actions = types.get(link.kind).filter(|_| is_of_kind && !is_excluded);
    let fields = actions.and_then(|actions| actions.get(operation));
    fields.is_some_and(|fields| operation != "update" || is_change(row, fields))
}

fn last(row: &EventRow) -> &str {
    row.event_type.rsplit('_').next().unwrap_or_default()
}

/// Fields that are filled when an entity is made, and the date of its retirement, are told with those.
fn is_change(row: &EventRow, fields: &[String]) -> bool {
    let Some(field) = row.attribute.as_deref() else {
        return false;
    };
    let meta: Value = serde_json::from_str(&row.meta).unwrap_or_default();
    let is_named = fields.iter().any(|name| name == field);
    let is_plain = meta["in_create"] != true && field != "retirement_date";
    is_plain && (fields.is_empty() || is_named)
}

/// What is told of an event.
pub(super) fn item(row: &EventRow) -> Value {
    let bare =
        |link: &Option<crate::sandbox::cell::Link>| link.map_or(Value::Null, |link| link.bare());
    let meta: Value = serde_json::from_str(&row.meta).unwrap_or_default();
    json!({
        "id": format!("{}.{}.0", row.id, row.order), "event_log_entry_id": row.id,
        "event_type": &*row.event_type, "operation": operation(row), "user": bare(&row.user),
        "entity": bare(&row.entity), "project": bare(&row.project), "meta": meta,
        "created_at": seconds(row.created_at).replace('T', " ").replace('Z', ".000000"),
        "attribute_name": row.attribute.as_deref(), "session_uuid": row.session_uuid.as_deref(),
    })
}

/// The same, without its values if it is too big.
pub(super) fn within_limit(mut item: Value) -> Value {
    if item.to_string().len() <= SIZE_MAX {
        return item;
    }
    if let Value::Object(meta) = &mut item["meta"] {
        meta.remove("old_value");
        meta.remove("new_value");
    }
    item["warning"] =
        "The payload is more than 1 MB: old_value and new_value were removed from meta.".into();
    item
}

/// The body of a request.
pub(super) fn body(items: &[&Value], is_batched: bool, now: Unix) -> Value {
    let at = seconds(now.0.div_euclid(1000));
    if !is_batched {
        return json!({"data": items.first(), "timestamp": at});
    }
    let at = at.replace('Z', &format!(".{:03}Z", now.0.rem_euclid(1000)));
    json!({"timestamp": at, "data": {"deliveries": items}})
}
