//! What a plugin declares of itself, and every mistake in it at once.
//!
//! A manifest is read from JSON member by member, so that one mistake does not hide the next.

mod clause;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use clause::{Clause, LinkPart, Path, Relation};

/// So many mistakes are told; a person mends the first ones first.
const MISTAKES_MAX: usize = 20;

/// What a plugin declares.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Manifest {
    /// For display; the identity is the daemon's.
    pub name: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// In a sentence.
    pub description: Option<String>,
    /// Which events it wants; none: it runs and gets nothing.
    pub subscriptions: Vec<Subscription>,
    /// How it wants them.
    pub delivery: Delivery,
    /// What it asks to be allowed.
    pub permissions: Permissions,
    /// `alerts.emails`: whether, or to whom, mails about it go; as written.
    pub emails: Option<Value>,
    /// Files besides the executable whose change restarts it.
    pub watch: Vec<String>,
    /// As it came.
    pub raw: Value,
}

/// Events of some types, attributes and conditions.
#[derive(Debug, Clone, Default)]
pub struct Subscription {
    /// How `match` names it.
    pub id: String,
    /// Event type to attributes; none: every event.
    pub events: Option<BTreeMap<String, Attributes>>,
    /// All must hold.
    pub conditions: Vec<Clause>,
}

/// Attributes of one event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// Any, and none.
    Any,
    /// These.
    These(Vec<String>),
}

/// How events are handed out, as far as the manifest says.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(rename = "DeliveryWanted")
)]
pub struct Delivery {
    /// Lanes at work at once, 1 to 256; with `order: "all"` it is 1 whatever is asked.
    #[cfg_attr(test, schemars(range(min = 1, max = 256)))]
    pub max_in_flight: Option<u16>,
    /// What keeps its order.
    pub order: Option<Order>,
    /// The time to answer.
    #[cfg_attr(test, schemars(range(min = 1, max = 86_400_000)))]
    pub timeout_ms: Option<u64>,
    /// Attempts until a dead letter.
    #[cfg_attr(test, schemars(range(min = 1, max = 1000)))]
    pub max_attempts: Option<u32>,
    /// What a failure means.
    pub on_error: Option<OnError>,
}

/// What keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
pub enum Order {
    /// Everything.
    #[default]
    All,
    /// The events of one entity.
    Entity,
    /// The events of one project.
    Project,
    /// Nothing.
    None,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
pub enum OnError {
    /// Again, a few times.
    #[default]
    Retry,
    /// The plugin is disabled at this event.
    Stop,
    /// A dead letter at once.
    Skip,
}

/// What the plugin asks to be allowed.
#[derive(Debug, Clone, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Permissions {
    /// Grants such as `find` or `update:Task.sg_status_list`; none: all but sudo.
    pub sg: Option<Vec<String>>,
    /// Upload and download; none: yes.
    pub upload: Option<bool>,
    /// Calls outside an event; none: no.
    pub background: Option<bool>,
}

/// All mistakes of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest has mistakes: {}", .0.join("; "))]
pub struct ManifestError(pub Vec<String>);

impl TryFrom<Value> for Manifest {
    type Error = ManifestError;

    fn try_from(value: Value) -> Result<Self, ManifestError> {
        let mut reader = Reader::default();
        let manifest = reader.manifest(&value);
        if reader.mistakes.is_empty() {
            return Ok(manifest);
        }
        if reader.untold > 0 {
            reader.mistakes.push(format!("and {} more", reader.untold));
        }
        Err(ManifestError(reader.mistakes))
    }
}

impl From<Manifest> for Value {
    fn from(manifest: Manifest) -> Self {
        manifest.raw
    }
}

#[derive(Default)]
struct Reader {
    mistakes: Vec<String>,
    /// Mistakes beyond those that are told.
    untold: usize,
}

impl Reader {
    fn manifest(&mut self, value: &Value) -> Manifest {
        let Some(map) = self.object(value, "manifest") else {
            return Manifest::default();
        };
        let delivery = map
            .get("delivery")
            .and_then(|value| self.object(value, "delivery"));
        let permissions = map
            .get("permissions")
            .and_then(|value| self.object(value, "permissions"));
        let alerts = map
            .get("alerts")
            .and_then(|value| self.object(value, "alerts"));
        if let Some(schema) = map.get("config_schema") {
            self.object(schema, "config_schema");
        }
        Manifest {
            name: self.text(map, "", "name"),
            version: self.text(map, "", "version"),
            description: self.text(map, "", "description"),
            subscriptions: self.subscriptions(map),
            delivery: delivery.map(|map| self.delivery(map)).unwrap_or_default(),
            permissions: permissions
                .map(|map| self.permissions(map))
                .unwrap_or_default(),
            emails: alerts.and_then(|alerts| self.emails(alerts)),
            watch: self.texts(map, "", "watch").unwrap_or_default(),
            raw: value.clone(),
        }
    }

    fn subscriptions(&mut self, map: &Map<String, Value>) -> Vec<Subscription> {
        let list = match map.get("subscriptions") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong("subscriptions", other, "a list of objects");
                return Vec::new();
            }
        };
        list.iter()
            .enumerate()
            .filter_map(|(at, value)| self.subscription(at, value))
            .collect()
    }

    fn subscription(&mut self, at: usize, value: &Value) -> Option<Subscription> {
        let prefix = format!("subscriptions[{at}]");
        let map = self.object(value, &prefix)?;
        let id = self
            .text(map, &prefix, "id")
            .unwrap_or_else(|| at.to_string());
        let events = match map.get("events") {
            None | Some(Value::Null) => None,
            Some(events) => self
                .object(events, &format!("{prefix}.events"))
                .map(|events| {
                    let read = |(kind, value): (&String, &Value)| {
                        let shown: String = kind.chars().take(80).collect();
                        let place = format!("{prefix}.events.{shown}");
                        (kind.clone(), self.attributes(value, &place))
                    };
                    events.iter().map(read).collect()
                }),
        };
        let conditions = self.conditions(map.get("where"), &prefix);
        Some(Subscription {
            id,
            events,
            conditions,
        })
    }

    fn attributes(&mut self, value: &Value, place: &str) -> Attributes {
        let Value::Array(list) = value else {
            if !value.is_null() {
                self.wrong(
                    place,
                    value,
                    "null (any attribute) or a list of attribute names",
                );
            }
            return Attributes::Any;
        };
        let names = list.iter().map(|name| name.as_str().map(str::to_owned));
        let Some(names) = names.collect::<Option<Vec<String>>>() else {
            self.wrong(
                place,
                value,
                "null (any attribute) or a list of attribute names",
            );
            return Attributes::Any;
        };
        if names.iter().any(|name| name == "*") {
            Attributes::Any
        } else {
            Attributes::These(names)
        }
    }

    fn conditions(&mut self, value: Option<&Value>, prefix: &str) -> Vec<Clause> {
        let list = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong(
                    &format!("{prefix}.where"),
                    other,
                    "a list of [path, relation, value]",
                );
                return Vec::new();
            }
        };
        let mut clauses = Vec::new();
        for (at, value) in list.iter().enumerate() {
            match Clause::read(value) {
                Ok(clause) => clauses.push(clause),
                Err(mistake) => self.mistake(format!("{prefix}.where[{at}]: {mistake}")),
            }
        }
        clauses
    }

    fn delivery(&mut self, map: &Map<String, Value>) -> Delivery {
        let order = [
            ("all", Order::All),
            ("entity", Order::Entity),
            ("project", Order::Project),
            ("none", Order::None),
        ];
        let on_error = [
            ("retry", OnError::Retry),
            ("stop", OnError::Stop),
            ("skip", OnError::Skip),
        ];
        Delivery {
            max_in_flight: self
                .whole(map, "delivery", "max_in_flight", 1..=256)
                .and_then(|n| n.try_into().ok()),
            order: self.word(map, "delivery", "order", &order),
            timeout_ms: self.whole(map, "delivery", "timeout_ms", 1..=86_400_000),
            max_attempts: self
                .whole(map, "delivery", "max_attempts", 1..=1000)
                .and_then(|n| n.try_into().ok()),
            on_error: self.word(map, "delivery", "on_error", &on_error),
        }
    }

    fn emails(&mut self, alerts: &Map<String, Value>) -> Option<Value> {
        let words = "true, false, or a list of mail addresses";
        self.read(alerts, "alerts", "emails", words, |value| match value {
            Value::Bool(_) => Some(value.clone()),
            Value::Array(all) if all.iter().all(Value::is_string) => Some(value.clone()),
            _ => None,
        })
    }

    fn permissions(&mut self, map: &Map<String, Value>) -> Permissions {
        Permissions {
            sg: self.texts(map, "permissions", "sg"),
            upload: self.flag(map, "permissions", "upload"),
            background: self.flag(map, "permissions", "background"),
        }
    }

    fn object<'v>(&mut self, value: &'v Value, place: &str) -> Option<&'v Map<String, Value>> {
        if !value.is_object() && !value.is_null() {
            self.wrong(place, value, "an object");
        }
        value.as_object()
    }

    fn text(&mut self, map: &Map<String, Value>, prefix: &str, key: &str) -> Option<String> {
        self.read(map, prefix, key, "text", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    fn flag(&mut self, map: &Map<String, Value>, prefix: &str, key: &str) -> Option<bool> {
        self.read(map, prefix, key, "true or false", Value::as_bool)
    }

    fn texts(&mut self, map: &Map<String, Value>, prefix: &str, key: &str) -> Option<Vec<String>> {
        self.read(map, prefix, key, "a list of texts", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
    }

    fn whole(
        &mut self,
        map: &Map<String, Value>,
        prefix: &str,
        key: &str,
        allowed: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let words = format!(
            "a whole number from {} to {}",
            allowed.start(),
            allowed.end()
        );
        self.read(map, prefix, key, &words, |value| {
            value.as_u64().filter(|number| allowed.contains(number))
        })
    }

    fn word<T: Copy>(
        &mut self,
        map: &Map<String, Value>,
        prefix: &str,
        key: &str,
        allowed: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<String> = allowed
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        self.read(map, prefix, key, &words.join(", "), |value| {
            let word = value.as_str()?;
            allowed
                .iter()
                .find(|(known, _)| *known == word)
                .map(|(_, meant)| *meant)
        })
    }

    fn read<T>(
        &mut self,
        map: &Map<String, Value>,
        prefix: &str,
        key: &str,
        allowed: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            let place = if prefix.is_empty() {
                key.to_owned()
            } else {
                format!("{prefix}.{key}")
            };
            self.wrong(&place, value, allowed);
        }
        read
    }

    fn mistake(&mut self, told: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(told);
        } else {
            self.untold += 1;
        }
    }

    fn wrong(&mut self, place: &str, found: &Value, allowed: &str) {
        let found = clause::shown(found);
        self.mistake(format!("`{place}` is {found}; allowed: {allowed}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_of_the_design_is_read() {
        let manifest: Manifest = serde_json::from_str(
            r#"{"name":"task_status","version":"2.1.0","subscriptions":[
              {"id":"on_status","events":{"Shotgun_Task_Change":["sg_status_list"],"A":null,"B":["x","*"]},
               "where":[["project.id","in",[122,130]],["user","is_not","self"]]}],
             "delivery":{"max_in_flight":1,"order":"all","timeout_ms":120000,"max_attempts":5,"on_error":"retry"},
             "permissions":{"sg":["find","update:Task.sg_status_list"],"upload":true,"background":false},
             "alerts":{"emails":true},"config_schema":{},"watch":["lib/**/*.py"],"unknown":1}"#,
        )
        .expect("a manifest");
        let events = manifest.subscriptions[0].events.as_ref().expect("events");
        assert_eq!(
            events["Shotgun_Task_Change"],
            Attributes::These(vec!["sg_status_list".into()])
        );
        assert_eq!(
            (&events["A"], &events["B"]),
            (&Attributes::Any, &Attributes::Any)
        );
        assert_eq!(manifest.subscriptions[0].conditions.len(), 2);
        assert_eq!(manifest.permissions.background, Some(false));
    }

    #[test]
    fn of_many_mistakes_the_first_are_told_and_the_rest_are_counted() {
        let long = "x".repeat(100_000);
        let condition = serde_json::json!([long, "is", 1]);
        let manifest = serde_json::json!({ "subscriptions": [{ "where": vec![condition; 100] }] });
        let told = Manifest::try_from(manifest)
            .expect_err("mistakes")
            .to_string();
        assert!(
            told.ends_with("and 80 more") && told.len() < 16 * 1024,
            "{told}"
        );
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let error = serde_json::from_str::<Manifest>(
            r#"{"version":2,"subscriptions":[{"events":{"A":"sg_status_list"},"where":[["nope","is",1],["id","like",1],["id"]]}],
              "delivery":{"order":"random","max_in_flight":0},"alerts":{"emails":"td@studio.example"}}"#,
        )
        .expect_err("mistakes")
        .to_string();
        for part in [
            "`version` is 2",
            "subscriptions[0].events.A",
            "where[0]",
            "where[1]",
            "where[2]",
            "delivery.order",
            "max_in_flight",
            "`alerts.emails` is \"td@studio.example\"; allowed: true, false, or a list of mail addresses",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
