//! The methods that write: what is asked for, done in one transaction, and what is told afterwards.
//!
//! In: the payload of `create`, `update`, `delete`, `revive` or `batch`. Out: records, or whether anything changed.
//! Never: half a batch.

use serde_json::Value;

use super::{
    cell::Link,
    check::Write,
    fault::Fault,
    links::Mode,
    method::Call,
    read::fields,
    store::{Actor, Commit},
    transaction::Transaction,
    value::ruby,
};

/// What a write leaves to be told, once it is readable.
enum Done {
    Record(Link, Vec<String>),
    Changed(bool),
}

impl Call<'_> {
    /// One write.
    pub(super) fn write(&mut self, who: &Actor, method: &str) -> Result<String, Fault> {
        let payload = self.payload;
        let work = |work: &mut Transaction<'_>| request(work, method, payload);
        let done = self.store.transact(who, self.now, Commit::Now, work)?;
        let mut out = String::new();
        self.tell(who, &done, &mut out);
        Ok(out)
    }

    /// Many writes, all or none.
    pub(super) fn batch(&mut self, who: &Actor) -> Result<String, Fault> {
        let payload = self.payload;
        let requests = payload.as_array().ok_or_else(|| {
            let dump = ruby(payload);
            Fault::request(format!("API batch() expected [Array] of requests:\n{dump}"))
        })?;
        let work = |work: &mut Transaction<'_>| {
            let each = requests.iter().enumerate().map(|(index, one)| {
                let method = one["request_type"].as_str().unwrap_or_default();
                request(work, method, one).map_err(|fault| fault.in_batch(index))
            });
            each.collect::<Result<Vec<Done>, Fault>>()
        };
        let done = self.store.transact(who, self.now, Commit::Now, work)?;
        let mut out = String::from("[");
        for (index, done) in done.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.tell(who, done, &mut out);
        }
        out.push(']');
        Ok(out)
    }

    fn tell(&self, who: &Actor, done: &Done, out: &mut String) {
        match done {
            Done::Changed(changed) => out.push_str(&changed.to_string()),
            // Also when a later request of the same batch retired it.
            Done::Record(link, fields) => {
                let view = self.view(who);
                match view.row(link) {
                    Some(row) => view.record(row, &view.wanted(link.kind, fields), out),
                    // A row of the log that nobody sees yet.
                    None => out.push_str(&link.bare().to_string()),
                }
            }
        }
    }
}

fn request(work: &mut Transaction<'_>, method: &str, payload: &Value) -> Result<Done, Fault> {
    let name = payload["type"].as_str().unwrap_or_default();
    if !matches!(method, "create" | "update" | "delete" | "revive") {
        return Err(Fault::request(format!(
            "API batch() invalid 'request_type' '{method}'; valid: create, update, delete, revive"
        )));
    }
    let kind = work.store().schema.entity(name, method)?.kind;
    let id = || {
        payload["id"].as_i64().ok_or_else(|| {
            let dump = ruby(payload);
            Fault::request(format!(
                "API {method}() invalid/missing integer 'id':\n{dump}"
            ))
        })
    };
    Ok(match method {
        "create" => {
            let (writes, told) = writes(method, payload)?;
            Done::Record(Link::new(kind, work.create(kind, &writes)?), told)
        }
        "update" => {
            let id = id()?;
            let (writes, told) = writes(method, payload)?;
            work.update(kind, id, &writes)?;
            Done::Record(Link::new(kind, id), told)
        }
        "delete" => Done::Changed(work.delete(kind, id()?)?),
        _ => Done::Changed(work.revive(kind, id()?)?),
    })
}

/// The fields that are written, and all that the answer tells: those and the ones asked for.
fn writes(method: &str, payload: &Value) -> Result<(Vec<Write>, Vec<String>), Fault> {
    let wrong = |what: &str, value: &Value| {
        let dump = ruby(value);
        Fault::request(format!("API {method}() invalid/missing {what}:\n{dump}"))
    };
    let none = Vec::new();
    let items = match &payload["fields"] {
        Value::Null => &none,
        Value::Array(items) => items,
        _ => return Err(wrong("array 'fields'", payload)),
    };
    let mut writes = Vec::with_capacity(items.len());
    for item in items {
        let field = item["field_name"].as_str();
        let field = field.ok_or_else(|| wrong("string 'field_name'", item))?;
        let mode = match &item["multi_entity_update_mode"] {
            Value::Null => Mode::Set,
            Value::String(word) if word == "set" => Mode::Set,
            Value::String(word) if word == "add" => Mode::Add,
            Value::String(word) if word == "remove" => Mode::Remove,
            _ => return Err(wrong("'multi_entity_update_mode'", item)),
        };
        writes.push(Write {
            mode,
            ..Write::set(field, item["value"].clone())
        });
    }
    let mut told: Vec<String> = writes.iter().map(|write| write.field.clone()).collect();
    for field in fields(&payload["return_fields"]) {
        if !told.contains(&field) {
            told.push(field);
        }
    }
    Ok((writes, told))
}
