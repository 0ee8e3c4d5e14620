//! Records of REST: links under `relationships`, everything else under `attributes`, and the addresses of both.
//!
//! In: records of API3. Out: the same in the other shape.
//! Never: a value that the record has not.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::slug::slug;
use crate::sandbox::{
    path::Path,
    schema::{DataType, Schema},
};

/// What records are put into their shape with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    /// `/api/v1`
    pub(super) base: &'a str,
    /// The types.
    pub(super) schema: &'a Schema,
}

/// What was looked up once for all rows of a list.
#[derive(Debug, Default)]
struct Known {
    data_types: HashMap<String, Option<DataType>>,
    slugs: HashMap<String, String>,
}

impl Shape<'_> {
    /// `/api/v1/entity/shots/860`
    pub(super) fn address(&self, kind: &str, id: &Value) -> String {
        format!("{}/entity/{}/{id}", self.base, slug(kind))
    }

    fn known_address(&self, known: &mut Known, kind: &str, id: &Value) -> String {
        let slug = match known.slugs.get(kind) {
            Some(slug) => slug,
            None => known.slugs.entry(kind.to_owned()).or_insert(slug(kind)),
        };
        format!("{}/entity/{slug}/{id}", self.base)
    }

    /// A record; what trouble made of one stays as it is.
    pub(super) fn record(&self, record: Value) -> Value {
        self.one(record, &mut Known::default())
    }

    /// Records of one type.
    pub(super) fn records(&self, records: Vec<Value>) -> Value {
        let mut known = Known::default();
        let shaped = records.into_iter();
        shaped.map(|record| self.one(record, &mut known)).collect()
    }

    fn one(&self, record: Value, known: &mut Known) -> Value {
        let Value::Object(mut fields) = record else {
            return record;
        };
        let kind = fields.remove("type").unwrap_or_default();
        let name = kind.as_str().unwrap_or_default();
        let id = fields.remove("id");
        let own = match &id {
            Some(id) => self.known_address(known, name, id),
            None => format!("{}/entity/{}", self.base, slug(name)),
        };
        let mut attributes = Map::new();
        let mut relationships = Map::new();
        for (field, value) in fields {
            // All rows have the same fields, which are looked up once.
            let found = known.data_types.get(&field).copied();
            let data_type = found.unwrap_or_else(|| {
                let path = Path::read(self.schema, name, &field);
                let data_type = path.map(|path| path.def.kind);
                known.data_types.insert(field.clone(), data_type);
                data_type
            });
            if data_type.is_some_and(DataType::is_link) {
                let related = self.relationship(known, &own, &field, value);
                relationships.insert(field, related);
            } else {
                attributes.insert(field, attribute(data_type, value));
            }
        }
        let mut shaped = Map::new();
        shaped.insert("attributes".into(), attributes.into());
        shaped.insert("relationships".into(), relationships.into());
        shaped.insert("links".into(), json!({"self": own}));
        shaped.extend(id.map(|id| ("id".to_owned(), id)));
        shaped.insert("type".into(), kind);
        shaped.into()
    }

    fn relationship(&self, known: &mut Known, own: &str, name: &str, value: Value) -> Value {
        let mut links = json!({"self": format!("{own}/relationships/{name}")});
        if let (Some(kind), id) = (value["type"].as_str(), &value["id"]) {
            links["related"] = self.known_address(known, kind, id).into();
        }
        let mut told = Map::new();
        told.insert("data".into(), value);
        told.insert("links".into(), links);
        told.into()
    }
}

/// Numbers with a fraction are text, with six decimals at most.
fn attribute(kind: Option<DataType>, value: Value) -> Value {
    match value.as_f64() {
        Some(number) if kind == Some(DataType::Float) => {
            let text = format!("{number:.6}");
            let text = text.trim_end_matches('0');
            let point = if text.ends_with('.') { "0" } else { "" };
            format!("{text}{point}").into()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_fraction_are_text() {
        for (number, text) in [
            (1.5, "1.5"),
            (2.0, "2.0"),
            (1.0 / 3.0, "0.333333"),
            (-0.25, "-0.25"),
        ] {
            assert_eq!(attribute(Some(DataType::Float), json!(number)), text);
        }
        assert_eq!(attribute(Some(DataType::Number), json!(2)), 2);
        assert_eq!(attribute(Some(DataType::Float), Value::Null), Value::Null);
    }
}
