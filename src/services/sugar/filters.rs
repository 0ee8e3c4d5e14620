//! Filters: the lists that people write, as the `{path, relation, values}` of the wire.
//!
//! `_translate_filters` of the official client, by the table in its tests.
//!
//! In: a list (or an object, which goes out as it is). Out: the wire's object, or what is wrong with the list.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Bad,
    json::{self, Value, is_list, is_object},
};

/// Deeper than anybody nests; each level is scanned once more.
const DEPTH: usize = 32;

#[derive(Serialize)]
struct Group<'a> {
    logical_operator: &'static str,
    conditions: Vec<Node<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Node<'a> {
    Group(Group<'a>),
    Condition(Condition<'a>),
}

#[derive(Serialize)]
struct Condition<'a> {
    path: &'a RawValue,
    relation: &'a RawValue,
    values: Vec<Value<'a>>,
}

/// Translates filters; an object at the top goes out as it is.
pub(super) fn translate(filters: &RawValue, operator: Option<&str>) -> Result<Box<RawValue>, Bad> {
    if is_list(filters) {
        let group = group(operator.unwrap_or("all"), filters, 0)?;
        return Ok(json::raw(&group));
    }
    match (is_object(filters), operator) {
        (true, None) => Ok(filters.to_owned()),
        (true, Some(_)) => {
            Err("`filter_operator` goes with a list of filters, not with an object".to_owned())
        }
        (false, _) => Err(format!(
            "`filters` must be a list or an object, not {}",
            shown(filters)
        )),
    }
}

fn group<'a>(operator: &str, filters: &'a RawValue, depth: usize) -> Result<Group<'a>, Bad> {
    let logical_operator = match operator {
        "all" | "and" => "and",
        "any" | "or" => "or",
        other => {
            return Err(format!(
                "`filter_operator` is {other:?}; allowed: all, and, any, or"
            ));
        }
    };
    if depth > DEPTH {
        return Err(format!("`filters` are nested more than {DEPTH} deep"));
    }
    let filters: Vec<&RawValue> = json::read(filters)
        .map_err(|_| format!("`filters` must be a list, not {}", shown(filters)))?;
    let conditions = filters.into_iter().map(|filter| node(filter, depth));
    Ok(Group {
        logical_operator,
        conditions: conditions.collect::<Result<_, _>>()?,
    })
}

fn node(filter: &RawValue, depth: usize) -> Result<Node<'_>, Bad> {
    #[derive(Deserialize)]
    struct Nested<'a> {
        filter_operator: String,
        #[serde(borrow)]
        filters: &'a RawValue,
    }
    if is_list(filter) {
        return condition(filter).map(Node::Condition);
    }
    if !is_object(filter) {
        return Err(format!(
            "a filter must be a list or an object, not {}",
            shown(filter)
        ));
    }
    let nested: Nested<'_> =
        json::read(filter).map_err(|what| format!("a nested filter: {what}"))?;
    group(&nested.filter_operator, nested.filters, depth + 1).map(Node::Group)
}

fn condition(filter: &RawValue) -> Result<Condition<'_>, Bad> {
    let parts: Vec<&RawValue> = json::read(filter)?;
    let [path, relation, values @ ..] = &*parts else {
        return Err(format!(
            "a filter needs a path and a relation: {}",
            shown(filter)
        ));
    };
    let mut values = values.to_vec();
    if let [only] = *values
        && is_list(only)
    {
        values = json::read(only)?;
    }
    let is_link_relation = matches!(
        relation.get(),
        "\"is\"" | "\"is_not\"" | "\"in\"" | "\"not_in\""
    );
    let is_trimmed = is_link_relation
        && path.get() != "\"id\""
        && values.first().is_some_and(|first| is_object(first));
    let value = |raw| match is_trimmed {
        true => Value::trimmed(raw),
        false => Value::Raw(raw),
    };
    Ok(Condition {
        path,
        relation,
        values: values.into_iter().map(value).collect(),
    })
}

/// The beginning of a value, for messages.
fn shown(raw: &RawValue) -> String {
    raw.get().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(filters: &str, operator: Option<&str>) -> Result<String, Bad> {
        let raw = RawValue::from_string(filters.to_owned()).unwrap();
        translate(&raw, operator).map(|wire| wire.get().to_owned())
    }

    #[test]
    fn each_condition_becomes_what_the_official_client_sends() {
        for (written, expected) in [
            (
                r#"["code","is","a"]"#,
                r#"{"path":"code","relation":"is","values":["a"]}"#,
            ),
            (
                r#"["c","in",["x","y"]]"#,
                r#"{"path":"c","relation":"in","values":["x","y"]}"#,
            ),
            (
                r#"["c","in","x","y"]"#,
                r#"{"path":"c","relation":"in","values":["x","y"]}"#,
            ),
            (
                r#"["d","between",1,2.50]"#,
                r#"{"path":"d","relation":"between","values":[1,2.50]}"#,
            ),
            (
                r#"["e","in_last",4,"HOUR"]"#,
                r#"{"path":"e","relation":"in_last","values":[4,"HOUR"]}"#,
            ),
            (
                r#"["p","is",null]"#,
                r#"{"path":"p","relation":"is","values":[null]}"#,
            ),
            (
                r#"["f","some_relation"]"#,
                r#"{"path":"f","relation":"some_relation","values":[]}"#,
            ),
            (
                r#"["id","in",[]]"#,
                r#"{"path":"id","relation":"in","values":[]}"#,
            ),
            (
                r#"["project","is",{"code":"x","type":"Project","id":7,"name":"P","extra":[1]}]"#,
                r#"{"path":"project","relation":"is","values":[{"type":"Project","id":7,"name":"P"}]}"#,
            ),
            (
                r#"["e","in",[{"type":"A","id":1,"x":1},{"type":"A","id":2,"x":1}]]"#,
                r#"{"path":"e","relation":"in","values":[{"type":"A","id":1},{"type":"A","id":2}]}"#,
            ),
            (
                r#"["e","type_is",{"type":"A","id":1,"x":1}]"#,
                r#"{"path":"e","relation":"type_is","values":[{"type":"A","id":1,"x":1}]}"#,
            ),
            (
                r#"["id","is",{"type":"A","id":1,"x":1}]"#,
                r#"{"path":"id","relation":"is","values":[{"type":"A","id":1,"x":1}]}"#,
            ),
            (
                r#"["e","is",{"id":1,"x":1}]"#,
                r#"{"path":"e","relation":"is","values":[{"id":1,"x":1}]}"#,
            ),
            (
                r#"{"filter_operator":"any","filters":[["a","is",1],{"filter_operator":"all","filters":[]}]}"#,
                r#"{"logical_operator":"or","conditions":[{"path":"a","relation":"is","values":[1]},{"logical_operator":"and","conditions":[]}]}"#,
            ),
        ] {
            let whole = format!(r#"{{"logical_operator":"and","conditions":[{expected}]}}"#);
            assert_eq!(wire(&format!("[{written}]"), None), Ok(whole), "{written}");
        }
    }

    #[test]
    fn the_operator_joins_the_top() {
        for (operator, word) in [
            (None, "and"),
            (Some("all"), "and"),
            (Some("or"), "or"),
            (Some("any"), "or"),
        ] {
            let expected = format!(r#"{{"logical_operator":"{word}","conditions":[]}}"#);
            assert_eq!(wire("[]", operator), Ok(expected));
        }
        let object = r#"{"logical_operator": "or", "conditions": []}"#;
        assert_eq!(wire(object, None), Ok(object.to_owned()));
    }

    #[test]
    fn what_cannot_be_translated_says_why() {
        let deep = format!(
            "{}{}",
            r#"[{"filter_operator":"all","filters":"#.repeat(40),
            "[]".to_owned() + &"}]".repeat(40)
        );
        for (filters, operator) in [
            ("5", None),
            ("{}", Some("all")),
            ("[]", Some("xor")),
            ("[5]", None),
            ("[[]]", None),
            (r#"[["a"]]"#, None),
            (r#"[{"filters":[]}]"#, None),
            (r#"[{"filter_operator":"all"}]"#, None),
            (r#"[{"filter_operator":"all","filters":{}}]"#, None),
            (&deep, None),
        ] {
            assert!(wire(filters, operator).is_err(), "{filters} {operator:?}");
        }
    }
}
