//! Methods: what may be called, one line each, and what each of them does.
//!
//! In: a method's name, who calls, the payload, the time. Out: the body of the answer as JSON text.
//! Never: HTTP.

use serde_json::{Value, json};

use super::{
    auth::Auth,
    check::Write,
    fault::Fault,
    links::Mode,
    log::Link,
    read::{fields, read},
    store::{Actor, Commit, Store},
    summarize::summarize,
    transaction::Transaction,
    view::View,
};
use crate::clock::Unix;

/// One call.
pub(super) struct Call<'a> {
    /// The site.
    pub(super) store: &'a mut Store,
    /// Its scripts.
    pub(super) auth: &'a Auth,
    /// The first parameter.
    pub(super) credentials: &'a Value,
    /// The second parameter.
    pub(super) payload: &'a Value,
    /// When.
    pub(super) now: Unix,
}

type Run = fn(&mut Call<'_>, &Actor) -> Result<String, Fault>;

/// How an answer is wrapped.
enum Envelope {
    Results,
    Bare,
}

use Envelope::{Bare, Results};

/// Every method that needs a caller. `info` alone does not.
const METHODS: [(&str, Envelope, Run); 13] = [
    ("read", Results, |call, _| read(call.view(), call.payload)),
    ("summarize", Results, |call, _| {
        text(summarize(call.view(), call.payload))
    }),
    ("create", Results, |call, who| call.write(who, "create")),
    ("update", Results, |call, who| call.write(who, "update")),
    ("delete", Results, |call, who| call.write(who, "delete")),
    ("revive", Results, |call, who| call.write(who, "revive")),
    ("batch", Results, |call, who| call.batch(who)),
    ("schema_read", Results, |call, _| {
        text(Ok(call.store.schema.all_fields()))
    }),
    ("schema_entity_read", Results, |call, _| {
        text(Ok(call.store.schema.entities()))
    }),
    ("schema_field_read", Results, |call, _| {
        text(call.schema_field())
    }),
    ("get_session_token", Bare, |call, who| {
        call.session_token(who)
    }),
    ("preferences_read", Bare, |call, _| {
        text(Ok(preferences(call.payload)))
    }),
    (
        "update_project_last_accessed_by_current_user",
        Results,
        |_, _| Ok("true".into()),
    ),
];

/// The body of the answer to a call.
pub(super) fn answer(call: &mut Call<'_>, method: &str) -> Result<String, Fault> {
    if method == "info" {
        return Ok(info().to_string());
    }
    let found = METHODS.iter().find(|(name, ..)| *name == method);
    let (_, envelope, run) = found
        .ok_or_else(|| Fault::request(format!("API {method}() is not a method of this site")))?;
    let actor = call.auth.actor(call.store, call.credentials)?;
    let body = run(call, &actor)?;
    Ok(match envelope {
        Results => format!(r#"{{"results":{body}}}"#),
        Bare => body,
    })
}

fn text(value: Result<Value, Fault>) -> Result<String, Fault> {
    value.map(|value| value.to_string())
}

fn info() -> Value {
    json!({
        "version": [8, 89, 0], "full_version": [8, 89, 0, 9724], "api_max_entities_per_page": 500,
        "s3_uploads_enabled": false, "s3_direct_uploads_enabled": false, "s3_enabled_upload_types": {},
        "user_authentication_method": "default", "unified_login_flow_enabled": true,
        "authentication_app_session_launcher_enabled": false,
        "shotgunlocalhost_browser_integration_enabled": true,
        "analytics_site_id": "sandbox", "analytics_site_name": "Sandbox",
    })
}

/// The preferences that the client knows; unknown names are dropped.
fn preferences(payload: &Value) -> Value {
    let all = json!({
        "date_component_order": "month_day", "duration_units": "hours", "hours_per_day": 8.0,
        "support_local_storage": true, "enable_rv_integration": true,
        "enable_shotgun_review_for_rv": false, "view_master_settings": "{}",
    });
    let asked = fields(&payload["prefs"]);
    let Value::Object(all) = all else { return all };
    let kept = all
        .into_iter()
        .filter(|(name, _)| asked.is_empty() || asked.contains(name));
    Value::Object(kept.collect())
}

/// What a write leaves to be told, once it is readable.
enum Done {
    Record(Link, Vec<String>),
    Changed(bool),
}

impl Call<'_> {
    fn view(&self) -> View<'_> {
        View {
            store: self.store,
            now: self.now,
        }
    }

    fn schema_field(&self) -> Result<Value, Fault> {
        let kind = self.payload["type"].as_str().unwrap_or_default();
        let field = self.payload["field_name"].as_str();
        self.store.schema.fields(kind, field)
    }

    fn session_token(&mut self, actor: &Actor) -> Result<String, Fault> {
        let token = self.auth.token(self.credentials)?;
        let (kind, id) = (&*actor.user.kind, actor.user.id);
        Ok(json!({"session_id": token, "user_type": kind, "user_id": id}).to_string())
    }

    fn write(&mut self, actor: &Actor, method: &str) -> Result<String, Fault> {
        let payload = self.payload;
        let done = self
            .store
            .transact(actor, self.now, Commit::Now, |transaction| {
                request(transaction, method, payload)
            })?;
        Ok(self.tell(&done))
    }

    fn batch(&mut self, actor: &Actor) -> Result<String, Fault> {
        let none = Vec::new();
        let requests = self.payload.as_array().unwrap_or(&none);
        let done = self
            .store
            .transact(actor, self.now, Commit::Now, |transaction| {
                let each = requests.iter().enumerate().map(|(index, one)| {
                    let method = one["request_type"].as_str().unwrap_or_default();
                    request(transaction, method, one).map_err(|fault| fault.in_batch(index))
                });
                each.collect::<Result<Vec<Done>, Fault>>()
            })?;
        let told: Vec<String> = done.iter().map(|done| self.tell(done)).collect();
        Ok(format!("[{}]", told.join(",")))
    }

    fn tell(&self, done: &Done) -> String {
        match done {
            Done::Changed(changed) => changed.to_string(),
            // Also when a later request of the same batch retired it.
            Done::Record(link, fields) => {
                let view = self.view();
                view.row(link)
                    .map_or_else(|| link.stored().to_string(), |row| view.record(row, fields))
            }
        }
    }
}

fn request(
    transaction: &mut Transaction<'_>,
    method: &str,
    payload: &Value,
) -> Result<Done, Fault> {
    let kind = payload["type"].as_str().unwrap_or_default();
    let id = || {
        payload["id"].as_i64().ok_or_else(|| {
            Fault::request(format!(
                "API {method}() invalid/missing integer 'id':\n{payload}"
            ))
        })
    };
    Ok(match method {
        "create" => {
            let (writes, told) = writes(method, payload)?;
            let id = transaction.create(kind, &writes)?;
            Done::Record(Link::new(kind, id), told)
        }
        "update" => {
            let (writes, told) = writes(method, payload)?;
            let id = id()?;
            transaction.update(kind, id, &writes)?;
            Done::Record(Link::new(kind, id), told)
        }
        "delete" => Done::Changed(transaction.delete(kind, id()?)?),
        "revive" => Done::Changed(transaction.revive(kind, id()?)?),
        _ => {
            return Err(Fault::request(format!(
                "API batch() invalid 'request_type' '{method}'; valid: create, update, delete, revive"
            )));
        }
    })
}

/// The fields that are written, and all that the answer tells: those and the ones asked for.
fn writes(method: &str, payload: &Value) -> Result<(Vec<Write>, Vec<String>), Fault> {
    let none = Vec::new();
    let mut writes = Vec::new();
    for item in payload["fields"].as_array().unwrap_or(&none) {
        let field = item["field_name"].as_str().ok_or_else(|| {
            Fault::request(format!(
                "API {method}() invalid/missing string 'field_name':\n{item}"
            ))
        })?;
        let mode = match item["multi_entity_update_mode"].as_str() {
            Some("add") => Mode::Add,
            Some("remove") => Mode::Remove,
            _ => Mode::Set,
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
