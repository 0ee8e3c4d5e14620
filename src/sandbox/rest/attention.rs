//! Attention: who follows what, what happened to an entity, and the thread of a note.
//!
//! In: an entity, people. Out: lists without pages.
//! Never: a list that is followed half; the first entity that is not there ends it, and those before stay followed.

use serde_json::{Map, Value, json};

use super::{Done, Refusal, Rest, refusal::Wrong, whole};
use crate::sandbox::{cell::Link, name::keep};

/// Without a word about it.
const UPDATES: i64 = 25;
/// The most that is told at once.
const UPDATES_MAX: i64 = 500;
const PERSON: &str = "HumanUser";

impl Rest<'_> {
    /// `Couldn't find Note with id=9`, unless it is there.
    fn there(&self, link: Link) -> Result<Link, Refusal> {
        let Link { kind, id } = link;
        let row = self.live(&link);
        row.map(|_| link)
            .ok_or_else(|| Refusal::absent(format!("Couldn't find {kind} with id={id}")))
    }

    fn person(&self, id: &str) -> Result<Link, Refusal> {
        self.there(self.link(PERSON, id)?)
    }

    /// These few addresses name types as the schema does.
    fn plain_address(&self, row: &Value) -> String {
        let kind = row["type"].as_str().unwrap_or_default();
        format!("{}/entity/{kind}/{}", self.base, row["id"])
    }

    /// `GET /entity/notes/340/followers`
    pub(super) fn followers(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.there(self.link(kind, id)?)?;
        let people = self.call("followers", &json!({"entity": link.bare()}))?;
        let data = people.as_array().into_iter().flatten().map(|person| {
            json!({
                "id": person["id"], "type": person["type"], "attributes": {"name": person["name"]},
                "links": {"self": self.plain_address(person)},
            })
        });
        let data: Value = data.collect();
        Ok(Done::Json(200, json!({"data": data})))
    }

    /// `GET /entity/human_users/3/following`
    pub(super) fn following(&mut self, id: &str) -> Result<Done, Refusal> {
        let user = self.person(id)?;
        let mut payload = json!({"user": user.bare()});
        if let Some(name) = self.query.text("entity") {
            let kind = super::slug::kind(self.seen_schema(), name);
            let kind = kind.ok_or_else(|| Refusal::parameter("entity", "is not valid"))?;
            payload["entity_type"] = kind.into();
        }
        if let Some(text) = self.query.text("project_id") {
            let project = self.there(self.link("Project", text)?)?;
            payload["project"] = project.bare();
        }
        let followed = self.call("following", &payload)?;
        let data = followed.as_array().into_iter().flatten().map(|row| {
            json!({"id": row["id"], "type": row["type"], "links": {"self": self.plain_address(row)}})
        });
        let data: Value = data.collect();
        Ok(Done::Json(200, json!({"data": data})))
    }

    /// `POST /entity/human_users/3/follow`
    pub(super) fn follow(&mut self, id: &str) -> Result<Done, Refusal> {
        let user = self.person(id)?;
        let entities = match &self.body["entities"] {
            Value::Null => return Err(Refusal::parameter("entities", "is missing")),
            Value::Array(list) => list.clone(),
            _ => return Err(Refusal::parameter("entities", "must be an array")),
        };
        for one in &entities {
            let name = one["entity"].as_str().unwrap_or_default();
            let def = self.seen_schema().get(name);
            let kind = def.map(|def| def.kind);
            let kind = kind.ok_or_else(|| Refusal::parameter("entity", "is not valid"))?;
            let id = whole(&one["record_id"]);
            let id = id.ok_or_else(|| Refusal::parameter("record_id", "must be an integer"))?;
            let link = self.there(Link::new(kind, id))?;
            let payload = json!({"user": user.bare(), "entity": link.bare()});
            self.call("follow", &payload)?;
        }
        Ok(Done::Empty)
    }

    /// `PUT /entity/notes/340/unfollow`
    pub(super) fn unfollow(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.there(self.link(kind, id)?)?;
        let user = self.number("user_id")?;
        let user = self.there(Link::new(keep(PERSON), user))?;
        let payload = json!({"user": user.bare(), "entity": link.bare()});
        self.call("unfollow", &payload)?;
        Ok(Done::Empty)
    }

    /// `GET /entity/shots/860/activity_stream`
    pub(super) fn activity_stream(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.there(self.link(kind, id)?)?;
        let mut wrong = Wrong::default();
        let limit = match &self.query.tree["limit"] {
            Value::Null => UPDATES,
            value => match whole(value) {
                None => {
                    wrong.add("limit", "must be an integer");
                    UPDATES
                }
                Some(number) if number < 1 => {
                    wrong.add("limit", "must be greater than 0");
                    number
                }
                Some(number) if number > UPDATES_MAX => {
                    wrong.add(
                        "limit",
                        &format!("must be less than or equal to {UPDATES_MAX}"),
                    );
                    number
                }
                Some(number) => number,
            },
        };
        let mut bound = |name: &str| {
            let value = &self.query.tree[name];
            let number = whole(value);
            if number.is_none() && !value.is_null() {
                wrong.add(name, "must be an integer");
            }
            number
        };
        let (above, below) = (bound("min_id"), bound("max_id"));
        wrong.check()?;
        let payload = json!({
            "type": link.kind, "id": link.id, "limit": limit, "min_id": above, "max_id": below,
            "entity_fields": self.entity_fields(),
        });
        let data = self.call("activity_stream", &payload)?;
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `entity_fields[Note]=subject,content`
    fn entity_fields(&self) -> Value {
        let types = self.query.tree["entity_fields"].as_object();
        let fields = types.into_iter().flatten().filter_map(|(kind, names)| {
            let names: Vec<&str> = names.as_str()?.split(',').map(str::trim).collect();
            Some((kind.clone(), names.into()))
        });
        Value::Object(fields.collect::<Map<String, Value>>())
    }

    /// `GET /entity/notes/340/thread_contents`
    pub(super) fn thread_contents(&mut self, kind: &str, id: &str) -> Result<Done, Refusal> {
        let link = self.link(kind, id)?;
        if link.kind != "Note" {
            let kind = link.kind;
            return Err(Refusal::unknown(format!(
                "Field '{kind}.thread_contents' does not exist."
            )));
        }
        if self.live(&link).is_none() {
            return Err(Refusal::absent(format!("Note: {} not found", link.id)));
        }
        let payload = json!({"note_id": link.id, "entity_fields": self.entity_fields()});
        let data = self.call("note_thread_contents", &payload)?;
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }
}
