//! Webhooks under their addresses: made, read, changed, taken away; what was sent, sent once more, acknowledged.
//!
//! In: a body, an id. Out: hooks without their tokens, deliveries.
//! Never: a check that a field or a project of a subscription is there; the site has none.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Done, Refusal, Rest,
    listing::{SIZE, SIZE_MAX},
    refusal::Wrong,
    whole,
};
use crate::sandbox::{
    rights::WEBHOOKS,
    row::webhook,
    store::Commit,
    webhook::{Delivery, Draft, Subscription, Token, as_seconds, is_uuid},
};

const ACTIONS: [&str; 4] = ["create", "update", "delete", "revive"];
/// The most that a receiver may say later, in bytes.
const WORD_MAX: usize = 4096;
/// Events that are about no change of an entity and can be wanted by name.
const EVENTS: [&str; 42] = [
    "Shotgun_User_Login",
    "Shotgun_User_Logout",
    "Shotgun_User_FailedLogin",
    "Shotgun_User_PasswordChange",
    "ClientUser_Login",
    "ClientUser_Logout",
    "ClientUser_FailedLogin",
    "ShotGrid_Invitation",
    "ShotGrid_PAT_Added",
    "ShotGrid_PAT_Exchanged",
    "ShotGrid_PAT_Removed",
    "Shotgun_Reading_Change",
    "Shotgun_Attachment_View",
    "Shotgun_Review_Tools_Version_View",
    "Shotgun_DisplayColumn_New",
    "Shotgun_DisplayColumn_Change",
    "Shotgun_DisplayColumn_Delete",
    "Shotgun_Preferences_Change",
    "Shotgun_PermissionRuleSet_NewRule",
    "Shotgun_PermissionRuleSet_ChangeRule",
    "Shotgun_PermissionRuleSet_DeleteRule",
    "Shotgun_PageSetting_Change",
    "Shotgun_ValidationRule_Create",
    "Shotgun_Webhook_Created",
    "Shotgun_Webhook_Updated",
    "Shotgun_Webhook_Deleted",
    "Shotgun_ActionMenuItem_Triggered",
    "Shotgun_ImportApp_Start",
    "Shotgun_ImportApp_Complete",
    "Shotgun_ImportApp_Failed",
    "Shotgun_NotesApp_Summary_Email",
    "Shotgun_ProjectConfiguration_Update",
    "Shotgun_Big_Query",
    "SG_RV_Session_Validate_Success",
    "Toolkit_App_Startup",
    "Toolkit_Desktop_ProjectLaunch",
    "Toolkit_Desktop_AppLaunch",
    "Toolkit_Folders_Create",
    "Toolkit_Folders_Delete",
    "CRS_PlaylistShare_Access",
    "CRS_Version_View",
    "CRS_Version_Media_Download",
];

impl Rest<'_> {
    fn hook_id<'i>(&self, id: &'i str) -> Result<&'i str, Refusal> {
        if !is_uuid(id) {
            return Err(Refusal::nowhere());
        }
        let hook = self.site.hooks.get(id);
        hook.map(|_| id)
            .ok_or_else(|| Refusal::absent(format!("hook: {id} not found")))
    }

    fn delivery(&self, id: &str) -> Result<&Delivery, Refusal> {
        if !is_uuid(id) {
            return Err(Refusal::nowhere());
        }
        let delivery = self.site.hooks.delivery(id);
        delivery.ok_or_else(|| Refusal::absent(format!("delivery: {id} not found")))
    }

    fn hook_told(&self, status: u16, id: &str) -> Done {
        let hook = self.site.hooks.get(id);
        let data = hook.map(|hook| hook.told(self.site.now));
        let own = format!("{}/webhook/hooks/{id}", self.base);
        Done::Json(status, json!({"data": data, "links": {"self": own}}))
    }

    fn may_hook(&self) -> Result<(), Refusal> {
        let rights = &self.who.rights;
        rights.admit(self.site.store, WEBHOOKS, &Value::Null)?;
        Ok(())
    }

    /// A row in the log about the hook itself.
    fn note_hook(&mut self, action: &str, id: &str) -> Result<(), Refusal> {
        let draft = webhook(action, id);
        let now = self.site.now;
        self.site
            .store
            .transact(&self.who, now, Commit::Now, |work| {
                work.drafts.push(draft);
                Ok(())
            })?;
        Ok(())
    }

    /// `GET /webhook/hooks`
    pub(super) fn hooks(&mut self) -> Result<Done, Refusal> {
        let mut wrong = Wrong::default();
        let page = self.page([SIZE, SIZE_MAX], &mut wrong);
        wrong.check()?;
        let now = self.site.now;
        let status = self.query.text("status");
        let hooks = self.site.hooks.all();
        let hooks = hooks.filter(|hook| status.is_none_or(|status| status == hook.status(now)));
        let data: Value = page.of(hooks).map(|hook| hook.told(now)).collect();
        let links = self.page_links(page);
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `POST /webhook/hooks`
    pub(super) fn hook_create(&mut self) -> Result<Done, Refusal> {
        let mut wrong = Wrong::default();
        let draft = self.draft(true, &mut wrong);
        wrong.check()?;
        self.may_hook()?;
        let (store, now) = (&*self.site.store, self.site.now);
        let id = self.site.hooks.create(store, draft, now);
        self.note_hook("Created", &id)?;
        Ok(self.hook_told(201, &id))
    }

    /// `GET /webhook/hooks/<id>`
    pub(super) fn hook(&mut self, id: &str) -> Result<Done, Refusal> {
        let id = self.hook_id(id)?;
        Ok(self.hook_told(200, id))
    }

    /// `PUT /webhook/hooks/<id>`
    pub(super) fn hook_change(&mut self, id: &str) -> Result<Done, Refusal> {
        let id = self.hook_id(id)?;
        if self.body.as_object().is_none_or(Map::is_empty) {
            return Err(Refusal::parameters(
                json!({"ensure_field_present": ["at least one field must be provided"]}),
            ));
        }
        let mut wrong = Wrong::default();
        let draft = self.draft(false, &mut wrong);
        wrong.check()?;
        self.may_hook()?;
        self.site.hooks.change(id, draft, self.site.now);
        self.note_hook("Updated", id)?;
        Ok(self.hook_told(200, id))
    }

    /// `DELETE /webhook/hooks/<id>`
    pub(super) fn hook_delete(&mut self, id: &str) -> Result<Done, Refusal> {
        let id = self.hook_id(id)?;
        self.may_hook()?;
        self.site.hooks.delete(id);
        self.note_hook("Deleted", id)?;
        Ok(Done::Empty)
    }

    /// `POST /webhook/hooks/<id>/test_connection`; what is no hook is told nothing else.
    pub(super) fn hook_test(&mut self, id: &str) -> Result<Done, Refusal> {
        if !is_uuid(id) {
            return Err(Refusal::nowhere());
        }
        self.site.hooks.test(id, self.site.now);
        Ok(Done::Empty)
    }

    /// What a body sets of a hook.
    fn draft(&self, is_new: bool, wrong: &mut Wrong) -> Draft {
        let body = &self.body;
        let mut draft = Draft::default();
        match &body["url"] {
            Value::Null if is_new => wrong.add("url", "is missing"),
            Value::Null => {}
            value => {
                draft.url = value
                    .as_str()
                    .filter(|text| has_host(text))
                    .map(str::to_owned);
                if draft.url.is_none() {
                    let why =
                        "should be a valid url, not a shotgun site or reserved/internal ip address";
                    wrong.add("url", why);
                }
            }
        }
        draft.subscription = self.subscription(is_new, wrong);
        draft.projects = match &body["projects"] {
            Value::Null => None,
            Value::Array(ids) if ids.iter().all(Value::is_i64) => {
                let ids: Vec<i64> = ids.iter().filter_map(Value::as_i64).collect();
                Some((!ids.is_empty()).then_some(ids))
            }
            _ => {
                wrong.add("projects", "must be an array of integers");
                None
            }
        };
        draft.token = match &body["token"] {
            Value::Null => None,
            Value::String(text) => Some((!text.is_empty()).then(|| Token::new(text))),
            _ => {
                wrong.add("token", "must be a string");
                None
            }
        };
        let mut text = |name: &str| {
            let value = &body[name];
            if !value.is_null() && !value.is_string() {
                wrong.add(name, "must be a string");
            }
            (!value.is_null()).then(|| value.clone())
        };
        (draft.name, draft.description) = (text("name"), text("description"));
        let mut yes = |name: &str| {
            let value = &body[name];
            if !value.is_null() && !value.is_boolean() {
                wrong.add(name, "must be boolean");
            }
            value.as_bool()
        };
        draft.validates_certificates = yes("validate_ssl_cert");
        draft.is_batched = yes("batch_deliveries");
        match &body["status"] {
            Value::Null => {}
            word if *word == "active" => draft.is_disabled = Some(false),
            word if *word == "disabled" => draft.is_disabled = Some(true),
            _ => wrong.add("status", "must be one of: active, disabled"),
        }
        draft
    }

    fn subscription(&self, is_new: bool, wrong: &mut Wrong) -> Option<Subscription> {
        match (&self.body["entity_types"], &self.body["event_type"]) {
            (Value::Null, Value::Null) if !is_new => None,
            (types, Value::Null) if !types.is_null() => {
                let types = self.entity_types(types);
                if types.is_none() {
                    wrong.add("entity_types", "is not valid");
                }
                types.map(Subscription::Entities)
            }
            (Value::Null, name) if !name.is_null() => {
                let known = EVENTS.iter().find(|known| *name == **known);
                match name.as_str() {
                    None => wrong.add("event_type", "must be a string"),
                    Some("") => wrong.add("event_type", "must be filled"),
                    Some(_) if known.is_none() => wrong.add("event_type", "is not valid"),
                    Some(_) => {}
                }
                known.map(|known| Subscription::Event((*known).to_owned()))
            }
            // Neither, or both.
            _ => {
                wrong.add(
                    "entity_types",
                    "either entity types or event type is required",
                );
                None
            }
        }
    }

    /// `{"Shot": {"update": ["sg_status_list"]}}`, nothing when it is not that.
    fn entity_types(
        &self,
        given: &Value,
    ) -> Option<BTreeMap<String, BTreeMap<String, Vec<String>>>> {
        let fields = |list: &Value| {
            let names = list.as_array()?.iter();
            let names = names.map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<String>>>()
        };
        let mut types = BTreeMap::new();
        for (kind, given) in given.as_object()? {
            let kind = self.seen_schema().get(kind)?.kind;
            let mut actions = BTreeMap::new();
            for (action, list) in given.as_object()? {
                let known = ACTIONS.contains(&action.as_str());
                actions.insert(action.clone(), fields(list).filter(|_| known)?);
            }
            types.insert(kind.to_owned(), actions);
        }
        (!types.is_empty()).then_some(types)
    }

    /// `GET /webhook/hooks/<id>/deliveries`
    pub(super) fn deliveries(&mut self, id: &str) -> Result<Done, Refusal> {
        let id = self.hook_id(id)?;
        let mut wrong = Wrong::default();
        let page = self.page([SIZE, SIZE_MAX], &mut wrong);
        wrong.check()?;
        let query = &self.query;
        let number = |name: &str| whole(&query.tree[name]);
        let (about, since) = (number("entity_id"), number("from"));
        let all = self.site.hooks.of_hook(id).filter(|delivery| {
            query
                .text("status")
                .is_none_or(|status| status == delivery.status())
                && delivery.is_about(query.text("entity_type"), about)
                && since.is_none_or(|since| delivery.is_since(since))
                && query
                    .text("acknowledgement")
                    .is_none_or(|word| delivery.has_word(word))
        });
        let found: Vec<&Delivery> = page.of(all).collect();
        let data: Value = found.iter().map(|delivery| delivery.told()).collect();
        let metrics = metrics(&found);
        let links = self.page_links(page);
        Ok(Done::Json(
            200,
            json!({"data": data, "included": [], "performance_metrics": metrics, "links": links}),
        ))
    }

    fn delivery_told(&self, id: &str) -> Result<Done, Refusal> {
        let data = self.delivery(id)?.told();
        let own = format!("{}/webhook/deliveries/{id}", self.base);
        Ok(Done::Json(
            200,
            json!({"data": data, "links": {"self": own}}),
        ))
    }

    /// `GET /webhook/deliveries/<id>`
    pub(super) fn delivery_one(&mut self, id: &str) -> Result<Done, Refusal> {
        self.delivery_told(id)
    }

    /// `PUT /webhook/deliveries/<id>`
    pub(super) fn delivery_acknowledge(&mut self, id: &str) -> Result<Done, Refusal> {
        const NAME: &str = "acknowledgement";
        self.delivery(id)?;
        match &self.body[NAME] {
            Value::Null => {}
            Value::String(text) if text.len() <= WORD_MAX => {
                let text = text.clone();
                self.site.hooks.acknowledge(id, Some(text));
            }
            Value::String(_) => {
                let why = format!("size cannot be greater than {WORD_MAX} bytes");
                return Err(Refusal::parameter(NAME, &why));
            }
            _ => return Err(Refusal::parameter(NAME, "must be a string")),
        }
        self.delivery_told(id)
    }

    /// `POST /webhook/deliveries/<id>/redeliver`
    pub(super) fn delivery_again(&mut self, id: &str) -> Result<Done, Refusal> {
        self.delivery(id)?;
        self.site.hooks.redeliver(id);
        Ok(Done::Empty)
    }
}

/// Any host will do: a made-up site is allowed what a real one is not, to reach this machine.
fn has_host(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.has_host())
}

/// How receivers fare.
fn metrics(found: &[&Delivery]) -> Value {
    let times: Vec<i64> = found.iter().map(|one| one.took_ms()).collect();
    let seconds = || found.iter().map(|one| one.seconds());
    let (start, end) = (seconds().min().unwrap_or(0), seconds().max().unwrap_or(0));
    let (count, sum) = (times.len(), times.iter().sum::<i64>());
    let mean = sum
        .checked_div(i64::try_from(count).unwrap_or(0))
        .unwrap_or(0);
    let span = end - start;
    let ratio = if span > 0 {
        as_seconds(sum / span)
    } else {
        0.0
    };
    json!({
        "event_count": count, "event_time_span": span, "start_event_time": start, "end_event_time": end,
        "process_time_sum": as_seconds(sum), "mean_process_time": as_seconds(mean),
        "max_process_time": as_seconds(times.iter().max().copied().unwrap_or(0)),
        "min_process_time": as_seconds(times.iter().min().copied().unwrap_or(0)),
        "process_time_ratio": ratio,
    })
}
