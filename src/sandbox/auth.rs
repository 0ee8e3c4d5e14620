//! Who calls: scripts with their keys, session tokens, and for whom they act.
//!
//! In: the first parameter of a call. Out: the actor, or the refusal.
//! Never: a person's password; the people of this site are made up.

use serde_json::Value;

use super::{
    fault::Fault,
    log::Link,
    store::{Actor, Entity, Store},
};
use crate::secret::Secret;

#[derive(Debug)]
struct Script {
    name: String,
    key: Secret,
    token: Secret,
    is_revoked: bool,
}

/// The scripts of the site.
#[derive(Debug)]
pub(super) struct Auth {
    scripts: Vec<Script>,
}

impl Auth {
    /// Scripts with their keys; tokens are made with the chance that is handed in.
    pub(super) fn new(scripts: Vec<(String, Secret)>, chance: &mut fastrand::Rng) -> Self {
        let scripts = scripts.into_iter().map(|(name, key)| Script {
            name,
            key,
            token: Secret::new(format!("{:032x}", chance.u128(..))),
            is_revoked: false,
        });
        Self {
            scripts: scripts.collect(),
        }
    }

    /// Takes a key away or gives it back; without a name, all keys. False when no script has this name.
    pub(super) fn revoke(&mut self, name: Option<&str>, is_revoked: bool) -> bool {
        let named = |script: &&mut Script| name.is_none_or(|name| name == script.name);
        let mut any = false;
        for script in self.scripts.iter_mut().filter(named) {
            script.is_revoked = is_revoked;
            any = true;
        }
        any
    }

    /// Who calls.
    pub(super) fn actor(&self, store: &Store, auth: &Value) -> Result<Actor, Fault> {
        let (name, _) = self.script(auth)?;
        let (id, user) = user(store, "ApiUser", "firstname", name)
            .ok_or_else(|| Fault::auth(format!("Can't authenticate script '{name}'")))?;
        let is_logged = user.fields.get("generate_event_log_entries") == Some(&Value::Bool(true));
        let script = Link::new("ApiUser", id);
        let mut actor = Actor {
            user: script.clone(),
            sudo: None,
            session_uuid: auth["session_uuid"].as_str().map(Into::into),
            is_logged,
        };
        if let Some(login) = auth["sudo_as_login"].as_str() {
            let (human, _) = user_by_login(store, login)?;
            actor.user = Link::new("HumanUser", human);
            actor.sudo = Some(script);
            // Logged even when the script's own doings are not.
            actor.is_logged = true;
        }
        Ok(actor)
    }

    /// The session token of a caller.
    pub(super) fn token(&self, auth: &Value) -> Result<&str, Fault> {
        Ok(self.script(auth)?.1.expose())
    }

    fn script(&self, auth: &Value) -> Result<(&str, &Secret), Fault> {
        if let Some(login) = auth["user_login"].as_str() {
            return Err(Fault::auth(format!("Can't authenticate user '{login}'.")));
        }
        let name = auth["script_name"].as_str();
        let found = match (name, auth["session_token"].as_str()) {
            (Some(name), _) => {
                let key = auth["script_key"].as_str().unwrap_or_default();
                self.scripts
                    .iter()
                    .find(|script| script.name == name && script.key.expose() == key)
            }
            (None, Some(token)) => self
                .scripts
                .iter()
                .find(|script| script.token.expose() == token),
            (None, None) => None,
        };
        let script = found.filter(|script| !script.is_revoked).ok_or_else(|| {
            let name = name.unwrap_or_default();
            Fault::auth(format!("Can't authenticate script '{name}'"))
        })?;
        Ok((&script.name, &script.token))
    }
}

fn user_by_login<'a>(store: &'a Store, login: &str) -> Result<(i64, &'a Entity), Fault> {
    user(store, "HumanUser", "login", login).ok_or_else(|| {
        Fault::auth(format!(
            "Cannot 'sudo' - unknown or retired user: '{login}'"
        ))
    })
}

fn user<'a>(store: &'a Store, kind: &str, field: &str, name: &str) -> Option<(i64, &'a Entity)> {
    let mut live = store.entities(kind).filter(|entity| !entity.is_retired);
    let user = live.find(|user| user.fields.get(field).and_then(Value::as_str) == Some(name))?;
    Some((user.fields.get("id")?.as_i64()?, user))
}
