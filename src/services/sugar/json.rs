//! Raw JSON in the places where the official client builds dictionaries: order kept, values untouched.
//!
//! In: raw JSON of params. Out: members, values, payloads. Never: a number or a text rebuilt.

use std::{fmt, marker::PhantomData};

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::services::arguments;

/// The members of an object in their order; of a doubled name the last counts, at the place of the first.
#[derive(Debug, Clone, Default)]
pub(in crate::services) struct Members<'a>(IndexMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    pub(in crate::services) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    pub(in crate::services) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.shift_remove(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<(String, &'a RawValue)> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = (String, &'a RawValue)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reader<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.0.insert(name, value);
                }
                Ok(members)
            }
        }
        from.deserialize_map(Reader(PhantomData))
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

/// Reads params, or says what is wrong with them.
pub(super) fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, super::Bad> {
    arguments::read(raw.get())
}

/// Writes JSON.
pub(super) fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("names, numbers and raw JSON always encode")
}

/// A text as JSON.
pub(in crate::services) fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

pub(super) fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

/// As Python takes it.
pub(super) fn is_truthy(raw: &RawValue) -> bool {
    let text: String = raw.get().split_whitespace().collect();
    !matches!(
        &*text,
        "null" | "false" | "0" | "0.0" | "\"\"" | "[]" | "{}"
    )
}

/// The members of a link that the site needs; what else a plugin sends along is left out.
const LINK_MEMBERS: [&str; 8] = [
    "id",
    "type",
    "url",
    "name",
    "content_type",
    "local_path",
    "storage",
    "relative_path",
];

/// A value as it goes out.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    /// Untouched.
    Raw(&'a RawValue),
    /// A link with what the site needs.
    Link(Members<'a>),
    /// A list with links.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// `_optimize_filter_field`: links are trimmed, in a list too, one level deep.
    pub(super) fn trimmed(raw: &'a RawValue) -> Self {
        if is_list(raw)
            && let Ok(items) = read::<Vec<&RawValue>>(raw)
            && items.iter().any(|item| is_object(item))
        {
            return Self::List(items.into_iter().map(Self::link).collect());
        }
        Self::link(raw)
    }

    fn link(raw: &'a RawValue) -> Self {
        if is_object(raw)
            && let Ok(mut members) = read::<Members<'_>>(raw)
            && members.get("id").is_some()
            && members.get("type").is_some()
        {
            members.retain(|name| LINK_MEMBERS.contains(&name));
            return Self::Link(members);
        }
        Self::Raw(raw)
    }
}
