//! The site itself: its version, preferences, seats, working days and pages as text; each has an envelope of its own.
//!
//! Never: a permission; everybody is told.

use serde_json::{Map, Value, json};

use super::{Done, Refusal, Rest, refusal::Wrong, whole};
use crate::sandbox::{cell::Link, method::info, name::keep, value::date};

const CSV: &str = "text/csv; charset=utf-8";
const FIELD: &str = "recalculate_field";

/// `GET /`, for everybody.
pub(super) fn root(version: &str) -> Done {
    let info = info();
    let number = |index: usize| info["full_version"][index].as_i64().unwrap_or_default();
    let [major, minor, patch, build] = [0, 1, 2, 3].map(number);
    let data = json!({
        "shotgun_version": format!("v{major}.{minor}.{patch}.{build} (build sandbox)"),
        "api_version": version,
        "unified_login_flow_enabled": info["unified_login_flow_enabled"],
        "authentication_app_session_launcher_enabled": info["authentication_app_session_launcher_enabled"],
        "user_authentication_method": info["user_authentication_method"],
        "site_id": info["analytics_site_id"], "site_name": info["analytics_site_name"],
    });
    Done::Json(200, json!({"data": data}))
}

impl Rest<'_> {
    /// `GET /preferences`
    pub(super) fn preferences(&mut self) -> Result<Done, Refusal> {
        let names: Vec<&str> = match &self.query.tree["prefs"] {
            Value::String(text) => text.split(',').map(str::trim).collect(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let payload = json!({"prefs": names});
        let data = self.call("preferences_read", &payload)?;
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `GET /license_info`
    pub(super) fn license(&mut self) -> Result<Done, Refusal> {
        let people = self.site.store.entities("HumanUser");
        let active = people
            .filter(|user| !user.is_retired && user.get("sg_status_list").as_str() != Some("dis"));
        let active = active.count();
        let data = json!({
            "assigned": active, "free": -1, "total": active, "rule": "unlimited", "type": "license-count",
        });
        Ok(Done::Json(200, json!({"data": data, "status": "success"})))
    }

    /// `GET /subscription_seat/user_subscriptions`
    pub(super) fn subscriptions(&mut self) -> Result<Done, Refusal> {
        let plans = self.call("user_subscriptions_read", &Value::Null)?;
        Ok(Done::Json(200, plans))
    }

    /// `POST /subscription_seat/user_subscriptions`
    pub(super) fn subscribe(&mut self) -> Result<Done, Refusal> {
        let mut users = Vec::new();
        let mut told = Map::new();
        for (key, plan) in self.body.as_object().into_iter().flatten() {
            let id = key.parse().ok();
            let link = id.map(|id| Link::new(keep("HumanUser"), id));
            let user = link.filter(|link| self.live(link).is_some());
            let user =
                user.ok_or_else(|| Refusal::request(format!("Invalid humanUserId {key}")))?;
            users.push(json!({"id": user.id, "plan": plan}));
            told.insert(key.clone(), Value::Null);
        }
        self.call("user_subscriptions_create", &json!({"users": users}))?;
        Ok(Done::Json(200, told.into()))
    }

    /// A project or a person of a calendar; who is not there is as good as nobody.
    fn owner(&self, kind: &str, value: &Value) -> Value {
        let id = whole(value);
        let link = id.map(|id| Link::new(keep(kind), id));
        let live = link.filter(|link| self.live(link).is_some());
        live.map_or(Value::Null, |link| link.bare())
    }

    /// `GET /schedule/work_day_rules`
    pub(super) fn work_days(&mut self) -> Result<Done, Refusal> {
        let mut wrong = Wrong::default();
        let mut day = |name: &str| {
            let text = self.query.text(name);
            if text.is_none() {
                wrong.add(name, "is missing");
            }
            text.unwrap_or_default()
        };
        let (start, end) = (day("start_date"), day("end_date"));
        wrong.check()?;
        let (Some(start), Some(end)) = (date(start), date(end)) else {
            let told = json!({"status": "error", "error": "invalid date"});
            return Ok(Done::Json(400, told));
        };
        if end < start {
            let why = "'end_date' must be greater than or equal to 'start_date'";
            return Err(Refusal::parameter("start_date_and_end_date", why));
        }
        let payload = json!({
            "start_date": start, "end_date": end,
            "project": self.owner("Project", &self.query.tree["project_id"]),
            "user": self.owner("HumanUser", &self.query.tree["user_id"]),
        });
        let days = self.call("work_schedule_read", &payload)?;
        let days = days.as_object().into_iter().flatten().map(|(day, rule)| {
            let mut told = rule.clone();
            told["date"] = day.as_str().into();
            told
        });
        let days: Value = days.collect();
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": days, "links": links})))
    }

    /// `PUT /schedule/work_day_rules`
    pub(super) fn work_day(&mut self) -> Result<Done, Refusal> {
        let mut wrong = Wrong::default();
        match &self.body["date"] {
            Value::Null => wrong.add("date", "is missing"),
            value if value.as_str().and_then(date).is_some() => {}
            _ => wrong.add("date", "format is not valid. Valid format is 'YYYY-MM-DD'"),
        }
        match &self.body["working"] {
            Value::Null => wrong.add("working", "is missing"),
            Value::Bool(_) => {}
            _ => wrong.add("working", "must be boolean"),
        }
        match &self.body[FIELD] {
            Value::Null => {}
            word if matches!(word.as_str(), Some("duration" | "due_date")) => {}
            _ => wrong.add(
                FIELD,
                "invalid value. The valid values are 'duration' or 'due_date'",
            ),
        }
        wrong.check()?;
        let owner = |kind: &str, name: &str| {
            let id = whole(&self.body[name]);
            id.map_or(Value::Null, |id| json!({"type": kind, "id": id}))
        };
        let payload = json!({
            "date": self.body["date"], "working": self.body["working"],
            "description": self.body["description"], FIELD: self.body[FIELD],
            "project": owner("Project", "project_id"), "user": owner("HumanUser", "user_id"),
        });
        let data = self.call("work_schedule_update", &payload)?;
        let links = self.own_links();
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `PUT /entity/projects/65/_update_last_accessed`
    pub(super) fn last_accessed(&mut self, id: &str) -> Result<Done, Refusal> {
        let project = self.link("Project", id)?;
        let user = self.number("user_id")?;
        if self.live(&project).is_none() {
            return Err(Refusal::request("Api::Errors::CrudError").with_code(104));
        }
        let user = Link::new(keep("HumanUser"), user);
        // Nobody is told that there is no such person.
        if self.live(&user).is_some() {
            let payload = json!({"project_id": project.id, "user_id": user.id});
            self.call("update_project_last_accessed_by_current_user", &payload)?;
        }
        let own = self.shape().address(project.kind, &project.id.into());
        Ok(Done::Json(
            200,
            json!({"data": project.bare(), "links": {"self": own}}),
        ))
    }

    /// `GET /exports/page/5.csv`
    pub(super) fn export(&mut self, file: &str) -> Result<Done, Refusal> {
        let (id, _) = file.rsplit_once('.').ok_or_else(Refusal::nowhere)?;
        self.exported(id)
    }

    /// `GET /exports/page/5/layout.csv`; a layout has no meaning here.
    pub(super) fn export_layout(&mut self, id: &str, file: &str) -> Result<Done, Refusal> {
        let (_layout, _) = file.rsplit_once('.').ok_or_else(Refusal::nowhere)?;
        self.exported(id)
    }

    fn exported(&mut self, id: &str) -> Result<Done, Refusal> {
        let id: i64 = id.parse().unwrap_or_default();
        let page = Link::new(keep("Page"), id);
        if self.live(&page).is_none() {
            let why = format!("Trying to perform export for retired Page id={id}");
            return Ok(Done::Text(422, CSV, why));
        }
        let payload = json!({"format": "csv", "page_id": id});
        Ok(match self.call("export_page", &payload) {
            Ok(text) => Done::Text(200, CSV, text.as_str().unwrap_or_default().to_owned()),
            // A page that shows no type.
            Err(_) => Done::Text(422, CSV, format!("Export for Page id={id} not available")),
        })
    }

    /// `POST /transcode/attachment_metadata/5`; what is said of a film is not kept.
    pub(super) fn transcoded(&mut self, id: &str) -> Result<Done, Refusal> {
        let link = self.link("Attachment", id)?;
        if self.live(&link).is_none() {
            let told = json!({"error": format!("Attachment {id} not found")});
            return Ok(Done::Json(404, told));
        }
        Ok(Done::Text(200, super::JSON, " ".into()))
    }
}
