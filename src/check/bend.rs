//! Bends a made-up row of the event log until the conditions of a subscription hold. Pure.
//!
//! In: a row, conditions. Out: the row with other members, as far as that goes: whether they hold now is the filter's to say.

use serde_json::{Value, json};
use sgeventd_protocol::manifest::{Clause, LinkPart, Path, Relation};

use super::stage::SCRIPT;

/// The row with its members as the conditions want them, as far as that goes.
pub(super) fn bent(mut row: Value, conditions: &[Clause]) -> Value {
    for clause in conditions {
        let Some(value) = wish(clause, current(&row, &clause.path)) else {
            continue;
        };
        put(&mut row, &clause.path, value);
    }
    row
}

fn current<'a>(row: &'a Value, path: &Path) -> &'a Value {
    let link = |name: &str, part: LinkPart| match part {
        LinkPart::Whole => &row[name],
        LinkPart::Id => &row[name]["id"],
        LinkPart::Type => &row[name]["type"],
        LinkPart::Name => &row[name]["name"],
    };
    match path {
        Path::Id => &row["id"],
        Path::EventType => &row["event_type"],
        Path::AttributeName => &row["attribute_name"],
        Path::CreatedAt => &row["created_at"],
        Path::SessionUuid => &row["session_uuid"],
        Path::Project(part) => link("project", *part),
        Path::Entity(part) => link("entity", *part),
        Path::User(part) => link("user", *part),
        Path::Meta(key) => &row["meta"][key.as_str()],
    }
}

/// What a member should be so that the condition holds; none: as it is.
fn wish(clause: &Clause, now: &Value) -> Option<Value> {
    let value = &clause.value;
    let text = || value.as_str().unwrap_or_default();
    let now_text = now.as_str().unwrap_or_default();
    match clause.relation {
        // `user is self` cannot be wished for by a name alone: the script's user.
        Relation::Is if *value == "self" && matches!(clause.path, Path::User(LinkPart::Whole)) => {
            Some(json!({ "type": "ApiUser", "id": 1, "name": SCRIPT }))
        }
        Relation::IsNot if *value == "self" => None,
        Relation::Is => (now != value).then(|| value.clone()),
        Relation::In => {
            let list = value.as_array()?;
            (!list.contains(now)).then(|| list.first().cloned())?
        }
        Relation::IsNot => (now == value).then(|| other_than(value)),
        Relation::NotIn => {
            let list = value.as_array()?;
            list.contains(now)
                .then(|| other_than(list.iter().max_by_key(|one| one.as_i64())?).into())?
        }
        Relation::StartsWith => {
            (!now_text.starts_with(text())).then(|| format!("{}{now_text}", text()).into())
        }
        Relation::EndsWith => {
            (!now_text.ends_with(text())).then(|| format!("{now_text}{}", text()).into())
        }
        Relation::Contains => {
            (!now_text.contains(text())).then(|| format!("{now_text}{}", text()).into())
        }
        Relation::Exists => match (value.as_bool()?, now.is_null()) {
            (true, true) => Some("something".into()),
            (false, false) => Some(Value::Null),
            _ => None,
        },
    }
}

fn other_than(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_i64().map_or(Value::Null, |n| (n + 1).into()),
        Value::String(text) => format!("{text} no more").into(),
        Value::Bool(flag) => (!flag).into(),
        _ => Value::Null,
    }
}

fn put(row: &mut Value, path: &Path, value: Value) {
    let link = |row: &mut Value, name: &str, part: LinkPart, value: Value| {
        let key = match part {
            LinkPart::Whole => {
                row[name] = value;
                return;
            }
            LinkPart::Id => "id",
            LinkPart::Type => "type",
            LinkPart::Name => "name",
        };
        if !row[name].is_object() {
            row[name] = json!({ "type": "Shot", "id": 1, "name": "made up" });
        }
        row[name][key] = value;
    };
    match path {
        Path::Id => row["id"] = value,
        Path::EventType => row["event_type"] = value,
        Path::AttributeName => row["attribute_name"] = value,
        Path::CreatedAt => row["created_at"] = value,
        Path::SessionUuid => row["session_uuid"] = value,
        Path::Project(part) => link(row, "project", *part, value),
        Path::Entity(part) => link(row, "entity", *part, value),
        Path::User(part) => link(row, "user", *part, value),
        Path::Meta(key) => row["meta"][key.as_str()] = value,
    }
}
