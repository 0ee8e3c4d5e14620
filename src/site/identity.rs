//! Who a script user is on the site: events name users by id, and a plugin may want all but its own.
//!
//! In: a session. Out: the id of its `ApiUser`. Never: a login of a person.

use serde::Deserialize;
use serde_json::{json, value::to_raw_value};

use super::{
    error::SiteError,
    session::{Call, Session},
};

impl Session {
    /// The id of this session's `ApiUser`; none when the script may not see it.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn user_id(&self) -> Result<Option<i64>, SiteError> {
        #[derive(Deserialize)]
        struct Found {
            entities: Option<Vec<Row>>,
        }
        #[derive(Deserialize)]
        struct Row {
            id: i64,
        }
        let name = json!({"path": "firstname", "relation": "is", "values": [self.script()]});
        let payload = to_raw_value(&json!({
            "type": "ApiUser",
            "return_fields": ["id"],
            "filters": {"logical_operator": "and", "conditions": [name]},
            "return_only": "active",
            "paging": {"entities_per_page": 1, "current_page": 1},
            "return_paging_info_without_counts": false,
        }))
        .expect("plain JSON always encodes");
        let reply = self.call(&Call::new("read", Some(&payload))).await?;
        let found: Found =
            serde_json::from_slice(&reply.result).map_err(|error| SiteError::BadJson {
                what: format!("not what a reading answers: {error}"),
            })?;
        let rows = found.entities.unwrap_or_default();
        Ok(rows.first().map(|row| row.id))
    }
}
