//! Query strings: `page[size]=2&filter[project.Project.id]=70` as a tree, and as the addresses of the pages before and after.
//!
//! Never: what a parameter means.

use serde_json::{Map, Value, json};
use url::form_urlencoded::{Serializer, parse};

/// More parameters than any caller has; the rest is passed over.
const PAIRS_MAX: usize = 1000;
/// Deeper brackets are passed over.
const DEEPEST: usize = 8;

/// The parameters behind an address.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// By their names; all values are text.
    pub(super) tree: Value,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part behind the question mark.
    pub(super) fn read(text: &str) -> Self {
        let pairs: Vec<(String, String)> = parse(text.as_bytes())
            .into_owned()
            .take(PAIRS_MAX)
            .collect();
        let mut tree = Value::Object(Map::new());
        for (key, value) in &pairs {
            plant(&mut tree, key, value);
        }
        Self { tree, pairs }
    }

    /// A parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.tree[name].as_str()
    }

    /// An address with these parameters, in the order of their names.
    pub(super) fn address(&self, path: &str) -> String {
        let mut pairs: Vec<&(String, String)> = self.pairs.iter().collect();
        pairs.sort();
        written(path, pairs.into_iter())
    }

    /// The same for another page.
    pub(super) fn page(&self, path: &str, number: i64, size: i64) -> String {
        let other = |(key, _): &&(String, String)| !key.starts_with("page[");
        let mut pairs: Vec<(String, String)> = self.pairs.iter().filter(other).cloned().collect();
        pairs.push(("page[number]".into(), number.to_string()));
        pairs.push(("page[size]".into(), size.to_string()));
        pairs.sort();
        written(path, pairs.iter())
    }
}

fn written<'a>(path: &str, pairs: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut out = Serializer::new(String::new());
    for (key, value) in pairs {
        out.append_pair(key, value);
    }
    let query = out.finish();
    if query.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{query}")
}

/// Puts a value where its name says; a name in brackets is one inside another, empty brackets are a list.
fn plant(tree: &mut Value, key: &str, value: &str) {
    if key.is_empty() || key.starts_with('[') {
        return;
    }
    let mut at = tree;
    for part in parts(key) {
        if part.is_empty() {
            if !at.is_array() {
                *at = json!([]);
            }
            if let Value::Array(list) = at {
                list.push(value.into());
            }
            return;
        }
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part];
    }
    *at = value.into();
}

fn parts(key: &str) -> Vec<&str> {
    let Some((first, rest)) = key.split_once('[').filter(|_| key.ends_with(']')) else {
        return vec![key];
    };
    let inner = rest.trim_end_matches(']').split("][").take(DEEPEST);
    std::iter::once(first).chain(inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_names_inside_names() {
        for (text, wanted) in [
            ("", json!({})),
            ("a=1&b", json!({"a": "1", "b": ""})),
            (
                "page[size]=2&page[number]=3",
                json!({"page": {"size": "2", "number": "3"}}),
            ),
            ("page%5Bsize%5D=2", json!({"page": {"size": "2"}})),
            (
                "filter[project.Project.id]=70",
                json!({"filter": {"project.Project.id": "70"}}),
            ),
            ("a[]=1&a[]=2", json!({"a": ["1", "2"]})),
            ("a=1&a[b]=2", json!({"a": {"b": "2"}})),
            ("a[b]=2&a=1", json!({"a": "1"})),
            ("a[b=1", json!({"a[b": "1"})),
            ("a[b][c]=1", json!({"a": {"b": {"c": "1"}}})),
            ("=1&[x]=2&[]=3", json!({})),
        ] {
            let tree = Query::read(text).tree;
            assert_eq!(tree, wanted, "{text}");
        }
    }

    #[test]
    fn the_address_of_another_page_has_all_other_parameters() {
        let query = Query::read("sort=id&page[size]=2&fields=code,a b");
        assert_eq!(
            query.page("/x", 4, 2),
            "/x?fields=code%2Ca+b&page%5Bnumber%5D=4&page%5Bsize%5D=2&sort=id"
        );
        assert_eq!(Query::read("").address("/x"), "/x");
    }

    proptest::proptest! {
        #[test]
        fn no_query_ends_the_program(text in "[a-c\\[\\]=&%.0-9]{0,60}") {
            let query = Query::read(&text);
            proptest::prop_assert!(query.tree.is_object());
            let _address = query.page("/x", 1, 1);
        }
    }
}
