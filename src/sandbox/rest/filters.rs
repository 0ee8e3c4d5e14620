//! Filters of REST: lists of three, groups of them, and what stands in a query; all become conditions of API3.
//!
//! In: the body or the query, the type. Out: conditions that `read` takes.
//! Never: whether a path or a relation is right; `read` says so.

use serde_json::{Map, Value, json};

use super::{refusal::Refusal, values::coerced};
use crate::sandbox::{
    filter::DEEPEST,
    path::Path,
    schema::{DataType, Schema},
    value::{Place, ruby},
};

/// Lists of three, all of which must be met.
pub(super) const ARRAY: &str = "application/vnd+shotgun.api3_array+json";
/// Groups of them.
pub(super) const HASH: &str = "application/vnd+shotgun.api3_hash+json";

/// In which form filters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Syntax {
    #[default]
    Array,
    Hash,
}

/// Where a filter is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    /// The types.
    pub(super) schema: &'a Schema,
    /// The type that is looked through.
    pub(super) kind: &'a str,
    /// The method, for refusals.
    pub(super) method: &'a str,
}

impl Reader<'_> {
    /// Reads a filter in a body; none matches everything.
    pub(super) fn body(&self, filters: &Value, syntax: Syntax) -> Result<Value, Refusal> {
        if filters.is_null() {
            return Ok(Value::Null);
        }
        match (syntax, filters) {
            (Syntax::Hash, Value::Object(group)) => self.group(group, filters, 0),
            (Syntax::Hash, _) => Err(Refusal::request("Query is not an Hash")),
            (Syntax::Array, Value::Array(list)) => {
                if list.iter().any(|one| !one.is_array()) {
                    let dump = ruby(filters);
                    return Err(Refusal::request(format!(
                        "Invalid filter. Expected array of basic condition arrays but received: {dump}"
                    )));
                }
                let conditions: Result<Value, Refusal> =
                    list.iter().map(|one| self.condition(one)).collect();
                Ok(json!({"logical_operator": "and", "conditions": conditions?}))
            }
            (Syntax::Array, _) => {
                let dump = ruby(filters);
                Err(Refusal::request(format!("Query is not an Array: {dump}")))
            }
        }
    }

    fn group(
        &self,
        group: &Map<String, Value>,
        whole: &Value,
        depth: usize,
    ) -> Result<Value, Refusal> {
        if depth > DEEPEST {
            return Err(Refusal::broken());
        }
        let missing = |what: &str| {
            let dump = ruby(whole);
            Refusal::request(format!("Missing {what}: {dump}"))
        };
        let operator = group.get("logical_operator");
        let operator = operator.ok_or_else(|| missing("logical operator"))?;
        if !matches!(operator.as_str(), Some("and" | "or")) {
            let word = operator
                .as_str()
                .map_or_else(|| ruby(operator), str::to_owned);
            return Err(Refusal::request(format!(
                "Invalid logical operator: {word}"
            )));
        }
        let conditions = group.get("conditions").and_then(Value::as_array);
        let conditions = conditions.ok_or_else(|| missing("conditions parameter"))?;
        let each = conditions.iter().map(|one| match one {
            Value::Object(group) => self.group(group, one, depth + 1),
            one => self.condition(one),
        });
        let conditions = each.collect::<Result<Value, Refusal>>()?;
        Ok(json!({"logical_operator": operator, "conditions": conditions}))
    }

    /// `["code", "is", "sh010"]`
    fn condition(&self, one: &Value) -> Result<Value, Refusal> {
        let parts = one.as_array().map(Vec::as_slice);
        let Some([Value::String(path), Value::String(relation), value]) = parts else {
            let dump = ruby(one);
            return Err(Refusal::request(format!("Invalid condition: {dump}")));
        };
        let value = self.value(path, value)?;
        Ok(json!({"path": path, "relation": relation, "values": [value]}))
    }

    /// A value, or a list of them, as the field at the end of a path has it.
    fn value(&self, path: &str, value: &Value) -> Result<Value, Refusal> {
        let Some(found) = Path::read(self.schema, self.kind, path) else {
            return Ok(value.clone());
        };
        let place = Place {
            method: self.method,
            kind: self.kind,
            field: path,
        };
        match value {
            Value::Array(list) => {
                let each = list.iter().map(|one| coerced(&found.def, &place, one));
                each.collect()
            }
            value => coerced(&found.def, &place, value),
        }
    }

    /// Reads `filter[code]=a,b` of a query: equal to one of these.
    pub(super) fn query(&self, filters: &Value) -> Result<Value, Refusal> {
        let none = Map::new();
        let filters = match filters {
            Value::Null => &none,
            Value::Object(filters) => filters,
            _ => return Err(Refusal::parameter("filter", "must be a hash")),
        };
        let mut conditions = Vec::new();
        for (path, given) in filters {
            let values: Vec<&str> = match given {
                Value::String(text) => text.split(',').collect(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                _ => return Err(Refusal::parameter("filter", "is not valid")),
            };
            let kind = Path::read(self.schema, self.kind, path).map(|path| path.def.kind);
            let mut values = values.iter().map(|text| typed(kind, text));
            conditions.push(if values.len() == 1 {
                json!({"path": path, "relation": "is", "values": [values.next()]})
            } else {
                let values: Value = values.collect();
                json!({"path": path, "relation": "in", "values": [values]})
            });
        }
        Ok(json!({"logical_operator": "and", "conditions": conditions}))
    }
}

/// A value of a query, which is always text, as its field has it.
fn typed(kind: Option<DataType>, text: &str) -> Value {
    let number = |kind: DataType| {
        if kind.is_whole() {
            return text.parse::<i64>().ok().map(Value::from);
        }
        text.parse::<f64>().ok().map(Value::from)
    };
    let typed = match kind {
        Some(DataType::Checkbox) => match text {
            "true" | "1" => Some(true.into()),
            "false" | "0" => Some(false.into()),
            _ => None,
        },
        Some(kind) if kind.is_number() => number(kind),
        _ => None,
    };
    typed.unwrap_or_else(|| text.into())
}
