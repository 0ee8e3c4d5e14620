//! The keys of an order, read one by one: what is wrong is named with its key, what was found and what is allowed.
//!
//! Never: what an order means.

use std::{fmt::Display, ops::RangeInclusive};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::sandbox::{files, method};

/// What is shown of a value that was not expected.
const SHOWN_MAX: usize = 80;

/// The keys of one order.
pub(super) struct Keys<'a> {
    verb: &'a str,
    map: &'a Map<String, Value>,
    /// Those that were asked for, with what is allowed for the last.
    known: Vec<&'static str>,
    allowed: String,
}

impl<'a> Keys<'a> {
    /// The keys of an order.
    pub(super) fn new(verb: &'a str, map: &'a Map<String, Value>) -> Self {
        Self {
            verb,
            map,
            known: Vec::new(),
            allowed: String::new(),
        }
    }

    /// A key that has to be there.
    pub(super) fn needed<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Option<T>, String>,
    ) -> Result<T, String> {
        let read = read(self)?;
        read.ok_or_else(|| {
            let key = self.known.last().unwrap_or(&"verb");
            format!(
                "{}: `{key}` is missing; allowed: {}",
                self.verb, self.allowed
            )
        })
    }

    /// A whole number.
    pub(super) fn whole(
        &mut self,
        key: &'static str,
        span: RangeInclusive<i64>,
    ) -> Result<Option<i64>, String> {
        let (first, last) = (span.start(), span.end());
        let allowed = format!("a whole number from {first} to {last}");
        self.read(key, allowed, |value| {
            value.as_i64().filter(|number| span.contains(number))
        })
    }

    /// A whole number of another type; the span must lie within it.
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        span: RangeInclusive<i64>,
    ) -> Result<Option<T>, String> {
        let number = self.whole(key, span)?;
        Ok(number.and_then(|number| T::try_from(number).ok()))
    }

    /// A share of all.
    pub(super) fn share(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        self.read(key, "a number above 0 and up to 1", |value| {
            value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0)
        })
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        self.read(key, "true, false", Value::as_bool)
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        self.read(key, "a text", |value| {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
        })
    }

    /// A method: of API3 by its name, of REST as `VERB /address` or all of it.
    pub(super) fn method(&mut self, key: &'static str) -> Result<Option<String>, String> {
        let known = || method::names().chain(files::ROUTES);
        let all = known().map(str::to_owned);
        let rest = ["rest", "GET /api/v1/entity/shots"].map(str::to_owned);
        self.read(key, one_of(all.chain(rest)), |value| {
            let text = value.as_str()?;
            let is_address = text.contains(" /");
            let is_known = text == "rest" || is_address || known().any(|name| name == text);
            is_known.then(|| text.to_owned())
        })
    }

    /// One of some words.
    pub(super) fn word<T: ValueEnum>(&mut self, key: &'static str) -> Result<Option<T>, String> {
        let all = T::value_variants().iter();
        let names = all.filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()));
        self.read(key, one_of(names), |value| {
            T::from_str(value.as_str()?, false).ok()
        })
    }

    /// A key that has no place beside the others.
    pub(super) fn refused(&self, key: &str, beside: &str) -> String {
        let found = shown(self.map.get(key).unwrap_or(&Value::Null));
        format!(
            "{}: `{key}` is {found}; allowed: only with {beside}",
            self.verb
        )
    }

    /// Refuses what nobody asked for.
    pub(super) fn end(self) -> Result<(), String> {
        let unknown = self
            .map
            .keys()
            .find(|key| *key != "verb" && !self.known.contains(&key.as_str()));
        let Some(key) = unknown else {
            return Ok(());
        };
        let allowed = match self.known.is_empty() {
            true => "none".to_owned(),
            false => one_of(&self.known),
        };
        Err(format!(
            "{}: `{key}` is no key of it; allowed: {allowed}",
            self.verb
        ))
    }

    /// Null is as if it were not there.
    fn read<T>(
        &mut self,
        key: &'static str,
        allowed: impl Into<String>,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        self.known.push(key);
        self.allowed = allowed.into();
        let Some(value) = self.map.get(key).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let read = read(value).ok_or_else(|| {
            let (verb, found, allowed) = (self.verb, shown(value), &self.allowed);
            format!("{verb}: `{key}` is {found}; allowed: {allowed}")
        });
        read.map(Some)
    }
}

/// Words in a row.
pub(super) fn one_of(words: impl IntoIterator<Item = impl Display>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
    words.join(", ")
}

/// A value as it was found, not too long.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
