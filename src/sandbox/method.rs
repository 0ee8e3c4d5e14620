//! Methods: what may be called, one line each, and how each answer is wrapped.
//!
//! In: a method's name, who calls, the payload, the time. Out: the body of the answer as JSON text.
//! Never: HTTP.

use serde_json::{Value, json};

use super::{
    auth::Auth,
    cell::Link,
    fault::Fault,
    preferences::preferences,
    read::read,
    row::signed_in,
    store::{Actor, Commit, Store},
    summarize::summarize,
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
static METHODS: [(&str, Envelope, Run); 31] = [
    ("read", Results, |call, who| {
        read(call.view(who), call.payload)
    }),
    ("summarize", Results, |call, who| {
        text(summarize(call.view(who), call.payload))
    }),
    ("create", Results, |call, who| call.write(who, "create")),
    ("update", Results, |call, who| call.write(who, "update")),
    ("delete", Results, |call, who| call.write(who, "delete")),
    ("revive", Results, |call, who| call.write(who, "revive")),
    ("batch", Results, |call, who| call.batch(who)),
    ("schema_read", Results, |call, who| {
        text(Ok(call.view(who).schema.all_fields(call.project())))
    }),
    ("schema_entity_read", Results, |call, who| {
        text(Ok(call.view(who).schema.entities()))
    }),
    ("schema_field_read", Results, |call, who| {
        text(call.schema_field(who))
    }),
    ("schema_field_create", Results, |call, who| {
        call.schema_field_create(who)
    }),
    ("schema_field_update", Results, |call, who| {
        call.schema_field_update(who)
    }),
    ("schema_field_delete", Results, |call, who| {
        call.schema_field_delete(who)
    }),
    ("schema_field_revive", Results, |call, who| {
        call.schema_field_revive(who)
    }),
    ("follow", Results, |call, _| text(call.follow("follow"))),
    ("unfollow", Results, |call, _| text(call.follow("unfollow"))),
    ("followers", Results, |call, _| text(call.followers())),
    ("following", Results, |call, who| text(call.following(who))),
    ("work_schedule_read", Results, |call, _| {
        text(call.work_schedule_read())
    }),
    ("work_schedule_update", Results, |call, _| {
        text(call.work_schedule_update())
    }),
    ("query_display_name_cache", Bare, |call, who| {
        text(call.text_search(who))
    }),
    ("activity_stream", Bare, |call, who| {
        text(call.activity_stream(who))
    }),
    ("note_thread_contents", Bare, |call, who| {
        text(call.note_thread(who))
    }),
    ("nav_expand", Bare, |call, who| text(call.nav_expand(who))),
    ("nav_search", Bare, |call, who| text(call.nav_search(who))),
    ("preferences_read", Bare, |call, _| {
        text(preferences(call.payload))
    }),
    ("get_session_token", Bare, |call, who| {
        call.session_token(who)
    }),
    (
        "update_project_last_accessed_by_current_user",
        Results,
        |call, who| text(call.accessed(who)),
    ),
    ("user_subscriptions_read", Results, |call, _| {
        text(Ok(call.subscriptions()))
    }),
    ("user_subscriptions_create", Results, |call, _| {
        text(call.subscribe())
    }),
    ("export_page", Results, |call, who| {
        text(call.export_page(who))
    }),
];

/// The body of the answer to a call.
pub(super) fn answer(call: &mut Call<'_>, method: &str) -> Result<String, Fault> {
    if method == "info" {
        return Ok(info().to_string());
    }
    let known = found(method)?;
    let actor = call.auth.actor(call.store, call.credentials, call.now)?;
    wrapped(call, known, &actor, method)
}

/// The body of the answer to a call of somebody who is known.
pub(super) fn answer_to(call: &mut Call<'_>, who: &Actor, method: &str) -> Result<String, Fault> {
    wrapped(call, found(method)?, who, method)
}

fn wrapped(
    call: &mut Call<'_>,
    (envelope, run): (&Envelope, Run),
    who: &Actor,
    method: &str,
) -> Result<String, Fault> {
    who.rights.admit(call.store, method, call.payload)?;
    let body = run(call, who)?;
    Ok(match envelope {
        Results => format!(r#"{{"results":{body}}}"#),
        Bare => body,
    })
}

/// What a method does for somebody who is known, without an envelope.
pub(super) fn run(call: &mut Call<'_>, who: &Actor, method: &str) -> Result<String, Fault> {
    let (_, run) = found(method)?;
    who.rights.admit(call.store, method, call.payload)?;
    run(call, who)
}

fn found(method: &str) -> Result<(&'static Envelope, Run), Fault> {
    let found = METHODS.iter().find(|(name, ..)| *name == method);
    let (_, envelope, run) = found
        .ok_or_else(|| Fault::request(format!("API {method}() is not a method of this site")))?;
    Ok((envelope, *run))
}

/// The names of all methods.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(name, ..)| *name)
}

fn text(value: Result<Value, Fault>) -> Result<String, Fault> {
    value.map(|value| value.to_string())
}

/// What the site says of itself.
pub(super) fn info() -> Value {
    json!({
        "version": [8, 89, 0], "full_version": [8, 89, 0, 9724], "api_max_entities_per_page": 500,
        "s3_uploads_enabled": true, "s3_direct_uploads_enabled": true,
        "s3_enabled_upload_types": {"Version": ["sg_uploaded_movie"]},
        "user_authentication_method": "default", "unified_login_flow_enabled": true,
        "authentication_app_session_launcher_enabled": false,
        "shotgunlocalhost_browser_integration_enabled": true,
        "analytics_site_id": "sandbox", "analytics_site_name": "Sandbox",
    })
}

impl Call<'_> {
    /// What the caller sees.
    pub(super) fn view<'v>(&'v self, who: &'v Actor) -> View<'v> {
        View {
            store: self.store,
            schema: who.rights.schema(&self.store.schema),
            rights: &who.rights,
            now: self.now,
            viewer: Some(who.user),
        }
    }

    fn project(&self) -> Option<i64> {
        self.payload["project"]["id"].as_i64()
    }

    fn schema_field(&self, who: &Actor) -> Result<Value, Fault> {
        let kind = self.payload["type"].as_str().unwrap_or_default();
        let field = self.payload["field_name"].as_str();
        self.view(who).schema.fields(kind, field, self.project())
    }

    fn session_token(&mut self, actor: &Actor) -> Result<String, Fault> {
        let token = self.auth.token(self.store, self.credentials, self.now)?;
        let Link { kind, id } = actor.user;
        if self.credentials["user_login"].is_string() {
            self.store.transact(actor, self.now, Commit::Now, |work| {
                work.drafts.push(signed_in(actor.user));
                Ok(())
            })?;
        }
        Ok(json!({"session_id": token, "user_type": kind, "user_id": id}).to_string())
    }
}
