//! Pages as text, and who has which plan.
//!
//! In: `export_page`, `user_subscriptions_read` and `_create`. Out: lines of commas; plans by person.
//! Never: a layout; a page shows the rows of its type with their names and states.

use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, Link},
    check::missing,
    fault::Fault,
    filter::Filter,
    method::Call,
    payload::wrong,
    read::{Shown, select},
    store::Actor,
};

/// What a page shows of each row, if its type has it.
const COLUMNS: [&str; 4] = ["id", "cached_display_name", "sg_status_list", "description"];
const PLAN: &str = "Full";

impl Call<'_> {
    /// `export_page`
    pub(super) fn export_page(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "export_page";
        let missing_key = ["format", "page_id"].map(|key| (key, self.payload[key].is_null()));
        if let Some((key, _)) = missing_key.iter().find(|(_, is_missing)| *is_missing) {
            return Err(Fault::request(format!("API {METHOD}() '{key}' missing")));
        }
        if self.text(METHOD, "format")? != "csv" {
            return Err(wrong(METHOD, "string 'format'; valid: csv", self.payload));
        }
        let page = self.entity(METHOD, "Page", &self.payload["page_id"])?;
        let view = self.view(who);
        let row = view
            .follow(&page)
            .ok_or_else(|| missing(METHOD, "Page", page.id))?;
        // Made by a script and never laid out by anybody.
        if row.stored("page_type").as_str().is_none() {
            let id = page.id;
            let text = format!("Export for Page id={id} not available");
            return Err(Fault::request(text));
        }
        let kind = row.stored("entity_type");
        let def = view
            .schema
            .entity(kind.as_str().unwrap_or_default(), METHOD)?;
        let fields: Vec<_> = COLUMNS
            .iter()
            .filter_map(|name| def.fields.get(name))
            .collect();
        let names: Vec<String> = fields.iter().map(|field| quoted(&field.name)).collect();
        let mut out = names.join(",") + "\n";
        let shown = Shown {
            is_retired: false,
            has_archived: true,
        };
        let project = row.stored("project").link();
        let all = Filter::All(Vec::new());
        let rows = select(view, def.kind, &all, shown);
        for row in rows.filter(|row| project.is_none() || row.stored("project").link() == project) {
            let values = fields.iter().map(|field| match view.value(row, field) {
                Cell::Null => String::new(),
                Cell::Text(text) => quoted(&text),
                value => quoted(&value.json().to_string()),
            });
            out.push_str(&values.collect::<Vec<String>>().join(","));
            out.push('\n');
        }
        Ok(out.into())
    }

    /// `user_subscriptions_read`
    pub(super) fn subscriptions(&self) -> Value {
        let people = self
            .store
            .entities("HumanUser")
            .filter(|user| !user.is_retired);
        let plans = people.map(|user| {
            let plan = self
                .store
                .social
                .plans
                .get(&user.id)
                .map_or(PLAN, String::as_str);
            (user.id.to_string(), plan.into())
        });
        Value::Object(plans.collect::<Map<String, Value>>())
    }

    /// `user_subscriptions_create`
    pub(super) fn subscribe(&mut self) -> Result<Value, Fault> {
        const METHOD: &str = "user_subscriptions_create";
        let users = self.payload["users"].as_array();
        let users = users.ok_or_else(|| wrong(METHOD, "array 'users'", self.payload))?;
        let mut plans = Vec::new();
        for user in users {
            let id = &user["id"];
            let link: Link = self.entity(METHOD, "HumanUser", id)?;
            if self.store.live(&link).is_none() {
                return Err(missing(METHOD, "HumanUser", link.id));
            }
            let plan = user["plan"]
                .as_str()
                .or_else(|| user["subscription"].as_str());
            plans.push((link.id, plan.unwrap_or(PLAN).to_owned()));
        }
        self.store.social.plans.extend(plans);
        Ok(json!({"status": "success"}))
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
