//! Listings: fields, order, page and options of a request as `read` takes them, and the addresses of the pages around.
//!
//! In: a body or a query. Out: a payload of `read`; links.
//! Never: the number of all rows; no answer of REST has it.

use serde_json::{Value, json};

use super::{Refusal, Rest, refusal::Wrong, whole};
use crate::sandbox::{name::Name, schema::NEVER_TOLD};

/// The most that a page has.
pub(super) const SIZE_MAX: i64 = 5000;
/// Without a word about it.
pub(super) const SIZE: i64 = 500;

/// A page of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1 on.
    pub(super) number: i64,
    /// Rows at most.
    pub(super) size: i64,
}

impl Page {
    /// The rows of it among all.
    pub(super) fn of<R>(self, rows: impl Iterator<Item = R>) -> impl Iterator<Item = R> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let before = usize::try_from(self.number - 1).unwrap_or(0);
        rows.skip(before.saturating_mul(size)).take(size)
    }
}

impl Rest<'_> {
    /// The payload of `read`; a field `*` is all of them.
    pub(super) fn listing(&self, kind: Name, filters: Value) -> Result<(Value, Page), Refusal> {
        let mut wrong = Wrong::default();
        let page = self.page([SIZE, SIZE_MAX], &mut wrong);
        let sorts = self.sorts(&mut wrong);
        let fields = self.fields(kind, &mut wrong);
        let options = self.options(&mut wrong);
        wrong.check()?;
        let mut payload = json!({
            "type": kind, "filters": filters, "return_fields": fields.unwrap_or_default(), "sorts": sorts,
            "paging": {"entities_per_page": page.size, "current_page": page.number},
            "return_paging_info_without_counts": true,
        });
        for (name, value) in options {
            payload[name] = value;
        }
        Ok((payload, page))
    }

    /// Which page is asked for, of the usual size or the largest.
    pub(super) fn page(&self, [usual, largest]: [i64; 2], wrong: &mut Wrong) -> Page {
        let given = self.given("page");
        if !given.is_null() && !given.is_object() {
            wrong.add("page", "must be a hash");
        }
        let mut inner = Wrong::default();
        let mut positive = |name: &str, default: i64, most: i64| {
            let value = &given[name];
            if value.is_null() {
                return default;
            }
            let number = whole(value);
            match number {
                None => inner.add(name, "must be an integer"),
                Some(number) if number < 1 => inner.add(name, "must be greater than 0"),
                Some(number) if number > most => {
                    inner.add(name, &format!("must be less than {most}"));
                }
                Some(_) => {}
            }
            number.unwrap_or(default)
        };
        let size = positive("size", usual, largest);
        let number = positive("number", 1, i64::from(i32::MAX));
        wrong.nest("page", inner);
        Page { number, size }
    }

    /// `-created_at,id`
    fn sorts(&self, wrong: &mut Wrong) -> Value {
        let text = match self.given("sort") {
            Value::Null => return Value::Null,
            Value::String(text) => text.as_str(),
            Value::Array(_) => {
                wrong.add("sort", "array is not valid");
                return Value::Null;
            }
            _ => {
                wrong.add("sort", "must be a string");
                return Value::Null;
            }
        };
        if text.is_empty() {
            wrong.add("sort", "must be filled");
        }
        let is_word = |word: &str| {
            let name = word.strip_prefix('-').unwrap_or(word);
            let plain = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
            !name.is_empty() && name.chars().all(plain)
        };
        if !text.is_empty() && !text.split(',').all(is_word) {
            wrong.add("sort", "list is not valid");
        }
        let sorts = text.split(',').map(|word| match word.strip_prefix('-') {
            Some(name) => json!({"field_name": name, "direction": "desc"}),
            None => json!({"field_name": word, "direction": "asc"}),
        });
        sorts.collect()
    }

    /// The fields that are asked for; nothing when nobody said.
    pub(super) fn fields(&self, kind: Name, wrong: &mut Wrong) -> Option<Vec<String>> {
        let words: Vec<&str> = match self.given("fields") {
            Value::Null => return None,
            Value::String(text) => text.split(',').map(str::trim).collect(),
            Value::Array(list) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).collect()
            }
            _ => {
                wrong.add("fields", "must be a string or an array of strings");
                return None;
            }
        };
        if words.contains(&"*") {
            return Some(self.all_fields(kind));
        }
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// Every field of a type.
    pub(super) fn all_fields(&self, kind: Name) -> Vec<String> {
        let def = self.seen_schema().get(kind);
        let fields = def.into_iter().flat_map(|def| def.fields.keys());
        let told = fields.filter(|field| **field != NEVER_TOLD && **field != "id");
        told.map(|field| (*field).to_owned()).collect()
    }

    /// Retired rows, and those of archived projects.
    pub(super) fn options(&self, wrong: &mut Wrong) -> Vec<(&'static str, Value)> {
        let options = self.given("options");
        if !options.is_null() && !options.is_object() {
            wrong.add("options", "must be a hash");
        }
        let mut inner = Wrong::default();
        let mut told = Vec::new();
        match &options["return_only"] {
            Value::Null => {}
            word if matches!(word.as_str(), Some("active" | "retired")) => {
                told.push(("return_only", word.clone()));
            }
            _ => inner.add("return_only", "must be one of: active, retired"),
        }
        match &options["include_archived_projects"] {
            Value::Null => {}
            word => match truth(word) {
                Some(yes) => told.push(("include_archived_projects", yes.into())),
                None => inner.add("include_archived_projects", "must be boolean"),
            },
        }
        wrong.nest("options", inner);
        told
    }

    /// The addresses of this page and of those around it. There is always a next one.
    pub(super) fn page_links(&self, page: Page) -> Value {
        let own = self.own();
        let mut links = json!({
            "self": self.query.address(&own),
            "next": self.query.page(&own, page.number.saturating_add(1), page.size),
        });
        if page.number > 1 {
            links["prev"] = self.query.page(&own, page.number - 1, page.size).into();
        }
        links
    }
}

/// Yes or no, also where it is written as text.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::String(word) => match word.as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
