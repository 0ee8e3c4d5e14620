//! The site, by the official Python client's method names and arguments; the daemon holds key and connection.
//!
//! In: arguments as JSON. Out: rows as JSON, or as a type of the author's.
//! Never: a key, a URL.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    CallError,
    caller::{Called, Caller},
};

/// The site as a handler sees it; made by [`Context::sg`](crate::Context::sg).
pub struct Shotgun<'c> {
    caller: Caller<'c>,
    meta: Map<String, Value>,
}

impl<'c> Shotgun<'c> {
    pub(crate) fn new(caller: Caller<'c>) -> Self {
        Self {
            caller,
            meta: Map::new(),
        }
    }

    /// The same site, spoken to as another of the plugin's `scripts`.
    #[must_use]
    pub fn as_script(mut self, name: &str) -> Self {
        self.meta.insert("script".into(), name.into());
        self
    }

    /// The same site, with the rights and the name of a person; needs `sudo` in the config.
    #[must_use]
    pub fn as_user(mut self, login: &str) -> Self {
        self.meta.insert("sudo_as_login".into(), login.into());
        self
    }

    /// All entities that match: `filters` is a list of `[path, relation, value]`.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn find(
        &mut self,
        entity_type: &str,
        filters: Value,
        fields: &[&str],
    ) -> Called<Vec<Value>> {
        self.find_as(entity_type, filters, fields)
    }

    /// [`Self::find`], each row as a type of yours.
    ///
    /// # Errors
    /// What the daemon answers; a row that is not of the type.
    pub fn find_as<T: DeserializeOwned>(
        &mut self,
        entity_type: &str,
        filters: Value,
        fields: &[&str],
    ) -> Called<Vec<T>> {
        self.ask(
            "find",
            json!({ "entity_type": entity_type, "filters": filters, "fields": fields }),
        )
    }

    /// The first entity that matches.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn find_one(
        &mut self,
        entity_type: &str,
        filters: Value,
        fields: &[&str],
    ) -> Called<Option<Value>> {
        self.find_one_as(entity_type, filters, fields)
    }

    /// [`Self::find_one`], as a type of yours.
    ///
    /// # Errors
    /// What the daemon answers; a row that is not of the type.
    pub fn find_one_as<T: DeserializeOwned>(
        &mut self,
        entity_type: &str,
        filters: Value,
        fields: &[&str],
    ) -> Called<Option<T>> {
        self.ask(
            "find_one",
            json!({ "entity_type": entity_type, "filters": filters, "fields": fields }),
        )
    }

    /// Makes an entity: type, id and what was written come back.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn create(&mut self, entity_type: &str, data: Value) -> Called<Value> {
        self.ask(
            "create",
            json!({ "entity_type": entity_type, "data": data }),
        )
    }

    /// Changes an entity: type, id and what was written come back.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn update(&mut self, entity_type: &str, id: i64, data: Value) -> Called<Value> {
        self.ask(
            "update",
            json!({ "entity_type": entity_type, "entity_id": id, "data": data }),
        )
    }

    /// Retires an entity; false when it was retired already.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn delete(&mut self, entity_type: &str, id: i64) -> Called<bool> {
        self.ask(
            "delete",
            json!({ "entity_type": entity_type, "entity_id": id }),
        )
    }

    /// Brings a retired entity back; false when it was alive.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn revive(&mut self, entity_type: &str, id: i64) -> Called<bool> {
        self.ask(
            "revive",
            json!({ "entity_type": entity_type, "entity_id": id }),
        )
    }

    /// Does all of the requests or none; one result for each.
    ///
    /// A request is `{"request_type": "create" | "update" | "delete", "entity_type", …}` as in the Python client.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn batch(&mut self, requests: &[Value]) -> Called<Vec<Value>> {
        self.ask("batch", json!({ "requests": requests }))
    }

    /// Counts and sums: `{"summaries", "groups"}`.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn summarize(
        &mut self,
        entity_type: &str,
        filters: Value,
        summary_fields: Value,
    ) -> Called<Value> {
        self.ask(
            "summarize",
            json!({ "entity_type": entity_type, "filters": filters, "summary_fields": summary_fields }),
        )
    }

    /// The fields of one entity type.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn schema_field_read(&mut self, entity_type: &str) -> Called<Value> {
        self.ask("schema_field_read", json!({ "entity_type": entity_type }))
    }

    /// Uploads a file to an entity, to a field of it when one is named; returns the id of its attachment. The path lies
    /// below the plugin's own folders or those that the operator grants; a relative one begins at its working directory.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn upload(
        &mut self,
        entity_type: &str,
        id: i64,
        path: &Path,
        field_name: Option<&str>,
    ) -> Called<i64> {
        let mut params = file_of(entity_type, id, path)?;
        if let Some(field_name) = field_name {
            params["field_name"] = field_name.into();
        }
        self.ask("upload", params)
    }

    /// Uploads a picture as the thumbnail of an entity; returns the id of its attachment.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn upload_thumbnail(&mut self, entity_type: &str, id: i64, path: &Path) -> Called<i64> {
        self.ask("upload_thumbnail", file_of(entity_type, id, path)?)
    }

    /// Uploads the filmstrip of an entity; returns the id of its attachment.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn upload_filmstrip_thumbnail(
        &mut self,
        entity_type: &str,
        id: i64,
        path: &Path,
    ) -> Called<i64> {
        self.ask(
            "upload_filmstrip_thumbnail",
            file_of(entity_type, id, path)?,
        )
    }

    /// Gives entities (`{"type", "id"}`) the thumbnail of another one; returns the id of its attachment, if it has one.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn share_thumbnail(
        &mut self,
        entities: &[Value],
        source_entity: &Value,
    ) -> Called<Option<i64>> {
        self.ask(
            "share_thumbnail",
            json!({ "entities": entities, "source_entity": source_entity }),
        )
    }

    /// Writes an attachment (its id, or the value of a field with a file) to a file below a granted folder, whole or
    /// not at all.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn download(&mut self, attachment: &Value, path: &Path) -> Called<()> {
        let path = text_of(path)?;
        let params = json!({ "attachment": attachment, "file_path": path });
        self.ask::<String>("download", params).map(drop)
    }

    /// One raw call of the site's own API.
    ///
    /// # Errors
    /// What the daemon answers.
    pub fn rpc(&mut self, method: &str, payload: Value) -> Called<Value> {
        self.ask("rpc", json!({ "method": method, "payload": payload }))
    }

    /// Any `sg.*` method with any of its keyword arguments (`order`, `limit`, `multi_entity_update_modes` …), as a
    /// type of yours.
    ///
    /// # Errors
    /// What the daemon answers; a result that is not of the type; params that are no object.
    pub fn ask<T: DeserializeOwned>(&mut self, method: &str, mut params: Value) -> Called<T> {
        let method = format!("sg.{method}");
        if !params.is_object() {
            return Err(CallError::bad_call(format!(
                "the params of {method} must be an object, not {params}"
            )));
        }
        if !self.meta.is_empty() {
            params["_meta"] = self.meta.clone().into();
        }
        let found: Box<RawValue> = self.caller.call(&method, params)?;
        serde_json::from_str(found.get()).map_err(|error| CallError::answer(&method, &error))
    }
}

fn file_of(entity_type: &str, id: i64, path: &Path) -> Called<Value> {
    let path = text_of(path)?;
    Ok(json!({ "entity_type": entity_type, "entity_id": id, "path": path }))
}

/// A path goes over the pipe as text.
fn text_of(path: &Path) -> Called<&str> {
    let bad = || CallError::bad_call(format!("{} is no UTF-8", path.display()));
    path.to_str().ok_or_else(bad)
}
