//! Which uploads go to the site's storage: pure.
//!
//! In: what `info` says. Out: yes or no for a type and a field, as the official client decides.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

/// What goes to the storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cloud {
    is_enabled: bool,
    /// By entity type, `*` for all: fields, `*` for all.
    fields: BTreeMap<String, Vec<String>>,
}

impl Cloud {
    /// Reads the two members of `info`; what cannot be read counts as not there.
    pub(in crate::site) fn read(enabled: Option<&RawValue>, types: Option<&RawValue>) -> Self {
        let value = |raw: Option<&RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
                .unwrap_or_default()
        };
        let mut fields = BTreeMap::new();
        if let Value::Object(types) = value(types) {
            for (kind, names) in types {
                let names = match names {
                    Value::String(name) => vec![name],
                    Value::Array(names) => {
                        let names = names.iter().filter_map(Value::as_str);
                        names.map(str::to_owned).collect()
                    }
                    _ => continue,
                };
                fields.insert(kind, names);
            }
        }
        Self {
            is_enabled: value(enabled) == Value::Bool(true),
            fields,
        }
    }

    /// Whether a file for this field goes there.
    #[must_use]
    pub fn takes(&self, entity_type: &str, field_name: Option<&str>) -> bool {
        let lists = [entity_type, "*"];
        let mut names = lists
            .iter()
            .filter_map(|kind| self.fields.get(*kind))
            .flatten();
        let is_listed = names.any(|name| name == "*" || Some(&**name) == field_name);
        // Sites of old take this one without saying so.
        let is_movie = entity_type == "Version" && field_name == Some("sg_uploaded_movie");
        self.is_enabled && (is_listed || is_movie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_is_the_official_clients() {
        let movie = ("Version", Some("sg_uploaded_movie"));
        for (enabled, types, (kind, field), expected) in [
            ("true", r#"{"Version":["sg_uploaded_movie"]}"#, movie, true),
            (
                "false",
                r#"{"Version":["sg_uploaded_movie"]}"#,
                movie,
                false,
            ),
            ("null", r#"{"Version":["*"]}"#, movie, false),
            ("true", "{}", movie, true),
            ("true", "null", movie, true),
            ("true", "{}", ("Version", Some("sg_other")), false),
            (
                "true",
                r#"{"*":["this_file"]}"#,
                ("Note", Some("this_file")),
                true,
            ),
            ("true", r#"{"*":["this_file"]}"#, ("Note", None), false),
            ("true", r#"{"Attachment":"*"}"#, ("Attachment", None), true),
            ("true", r#"{"*":"*"}"#, ("Shot", Some("image")), true),
            ("true", r#"{"Shot":["*"]}"#, ("Shot", None), true),
            ("true", r#"{"Shot":5,"*":["*"]}"#, ("Shot", None), true),
        ] {
            let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
            let cloud = Cloud::read(Some(&raw(enabled)), Some(&raw(types)));
            assert_eq!(
                cloud.takes(kind, field),
                expected,
                "{enabled} {types} {kind} {field:?}"
            );
        }
        assert!(!Cloud::read(None, None).takes("Version", Some("sg_uploaded_movie")));
    }
}
