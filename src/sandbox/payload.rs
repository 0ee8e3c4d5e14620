//! Payloads: parts that are asked for by many methods, or the refusal in the site's words.
//!
//! Never: a difference between what is null and what is not there.

use serde_json::Value;

use super::{
    cell::Link, check::missing, fault::Fault, method::Call, name::keep, store::Store, value::ruby,
};

/// `API follow() invalid/missing entity 'user'` and what was sent.
pub(super) fn wrong(method: &str, what: &str, payload: &Value) -> Fault {
    let dump = ruby(payload);
    Fault::request(format!("API {method}() invalid/missing {what}:\n{dump}"))
}

/// A live entity, retired ones are as good as none.
pub(super) fn live(store: &Store, method: &str, link: Link) -> Result<Link, Fault> {
    match store.live(&link) {
        Some(_) => Ok(link),
        None => Err(missing(method, link.kind, link.id)),
    }
}

impl Call<'_> {
    /// A link to a live entity, if one is given.
    pub(super) fn maybe_link(&self, method: &str, key: &str) -> Result<Option<Link>, Fault> {
        let value = &self.payload[key];
        if value.is_null() {
            return Ok(None);
        }
        let link = Link::read(value)
            .ok_or_else(|| wrong(method, &format!("entity '{key}'"), self.payload))?;
        live(self.store, method, link).map(Some)
    }

    /// A link to a live entity.
    pub(super) fn link(&self, method: &str, key: &str) -> Result<Link, Fault> {
        let link = self.maybe_link(method, key)?;
        link.ok_or_else(|| wrong(method, &format!("entity '{key}'"), self.payload))
    }

    /// A person.
    pub(super) fn person(&self, method: &str) -> Result<Link, Fault> {
        let user = self.link(method, "user")?;
        if user.kind == "HumanUser" {
            return Ok(user);
        }
        Err(wrong(method, "HumanUser 'user'", self.payload))
    }

    /// An entity given by `type` and `id`, or by a type that is known and a key for the id.
    pub(super) fn entity(&self, method: &str, kind: &str, id: &Value) -> Result<Link, Fault> {
        let kind = keep(self.store.schema.entity(kind, method)?.kind);
        let id = id
            .as_i64()
            .ok_or_else(|| wrong(method, "integer 'id'", self.payload))?;
        Ok(Link::new(kind, id))
    }

    /// Text.
    pub(super) fn text(&self, method: &str, key: &str) -> Result<&str, Fault> {
        let text = self.payload[key].as_str();
        text.ok_or_else(|| wrong(method, &format!("string '{key}'"), self.payload))
    }

    /// A number, if one is given.
    pub(super) fn maybe_number(&self, method: &str, key: &str) -> Result<Option<i64>, Fault> {
        let value = &self.payload[key];
        if value.is_null() {
            return Ok(None);
        }
        let number = value.as_i64();
        number
            .map(Some)
            .ok_or_else(|| wrong(method, &format!("integer '{key}'"), self.payload))
    }
}
