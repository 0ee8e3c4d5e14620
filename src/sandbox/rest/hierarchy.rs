//! The tree of the site under its two addresses.
//!
//! Never: a vendor's type for a body; here it is plain JSON.

use serde_json::{Value, json};

use super::{Done, Refusal, Rest};
use crate::sandbox::{cell::Link, name::keep};

impl Rest<'_> {
    /// `POST /hierarchy/_expand`
    pub(super) fn expand(&mut self) -> Result<Done, Refusal> {
        if self.body["path"].is_null() {
            return Err(Refusal::parameter("path", "is missing"));
        }
        let payload = self.body.clone();
        let mut parts = payload["path"].as_str().unwrap_or_default().split('/');
        if let (Some("Project"), Some(id)) = (parts.nth(1), parts.next()) {
            let project = id.parse().ok().map(|id| Link::new(keep("Project"), id));
            let live = project.filter(|project| self.live(project).is_some());
            live.ok_or_else(|| {
                let why = format!("Unexpected result looking for project: {id}: 0 found.");
                Refusal::request(why).with_code(107)
            })?;
        }
        let data = self.call("nav_expand", &payload)?;
        Ok(Done::Json(200, json!({"data": data})))
    }

    /// `POST /hierarchy/_search`
    pub(super) fn hierarchy_search(&mut self) -> Result<Done, Refusal> {
        const NAME: &str = "search_criteria";
        let criteria = self.map(NAME)?;
        let is_known = |key: &&String| matches!(key.as_str(), "entity" | "search_string");
        if criteria.keys().filter(is_known).count() != 1 {
            return Err(Refusal::parameter(NAME, "size must be 1"));
        }
        let mut payload = self.body.clone();
        if payload["root_path"].is_null() {
            payload["root_path"] = Value::from("/");
        }
        let data = self.call("nav_search", &payload)?;
        Ok(Done::Json(200, json!({"data": data})))
    }
}
