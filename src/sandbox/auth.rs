//! Who calls: scripts with their keys, people with their passwords, sessions; and for whom they act.
//!
//! In: the first parameter of a call, the time. Out: the actor, or the refusal.
//! Never: a secret in an answer.

use serde_json::Value;

use super::{
    cell::{Cell, Link},
    fault::Fault,
    name::keep,
    rights::Rights,
    store::{Actor, Store},
    table::Entity,
};
use crate::{clock::Unix, secret::Secret};

const SCRIPT: &str = "ApiUser";
const PERSON: &str = "HumanUser";

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
            token: token(chance),
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

    /// The names of the scripts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.scripts.iter().map(|script| script.name.as_str())
    }

    /// The names of those whose keys are refused.
    pub(super) fn revoked(&self) -> impl Iterator<Item = &str> {
        let revoked = self.scripts.iter().filter(|script| script.is_revoked);
        revoked.map(|script| script.name.as_str())
    }

    /// The scripts' sessions are over: tokens are others from now on.
    pub(super) fn expire(&mut self, chance: &mut fastrand::Rng) {
        for script in &mut self.scripts {
            script.token = token(chance);
        }
    }

    /// Who calls.
    pub(super) fn actor(&self, store: &Store, auth: &Value, now: Unix) -> Result<Actor, Fault> {
        let caller = self.caller(store, auth, now)?;
        acting(store, caller, auth)
    }

    /// Who holds a token that was given to somebody; nobody, once the key behind it was taken away.
    pub(super) fn holder(
        &self,
        store: &Store,
        caller: Link,
        auth: &Value,
        now: Unix,
    ) -> Result<Actor, Fault> {
        let is_open = if caller.kind == SCRIPT {
            let user = store.live(&caller);
            let user = user.filter(|user| user.get("sg_status_list").as_str() != Some("dis"));
            let name = user.and_then(|user| user.get("firstname").as_str());
            let is_revoked = |name| {
                let mut scripts = self.scripts.iter();
                scripts.any(|script| script.name == name && script.is_revoked)
            };
            name.is_some_and(|name| !is_revoked(name))
        } else {
            is_active(store, caller, now)
        };
        if !is_open {
            return Err(Fault::auth(
                "the token is of somebody who may not call any more",
            ));
        }
        acting(store, caller, auth)
    }

    /// The session token of a caller.
    pub(super) fn token(
        &self,
        store: &mut Store,
        auth: &Value,
        now: Unix,
    ) -> Result<String, Fault> {
        let caller = self.caller(store, auth, now)?;
        let name = store
            .entity(caller.kind, caller.id)
            .and_then(|user| user.get("firstname").as_str());
        let script = self
            .scripts
            .iter()
            .find(|script| caller.kind == SCRIPT && Some(script.name.as_str()) == name);
        Ok(match script {
            Some(script) => script.token.expose().to_owned(),
            None => store.keys.session(caller),
        })
    }

    /// Credentials of one family: a person's, then a script's, then a session's.
    fn caller(&self, store: &Store, auth: &Value, now: Unix) -> Result<Link, Fault> {
        let text = |key: &str| auth[key].as_str();
        if let Some(login) = text("user_login") {
            let password = text("user_password").unwrap_or_default();
            let person = person(store, login, password, now)
                .ok_or_else(|| Fault::auth(format!("Can't authenticate user '{login}'.")))?;
            if !store.keys.has_second(login, text("auth_token")) {
                return Err(Fault::second_factor(format!(
                    "Two factor authentication is required for user '{login}'."
                )));
            }
            return Ok(person);
        }
        let (name, token) = (text("script_name"), text("session_token"));
        let found = match (name, token) {
            (Some(name), _) => {
                let key = text("script_key").unwrap_or_default();
                let script = self.scripts.iter().find(|script| script.name == name);
                let is_open = |user: Link| match script {
                    Some(script) => script.key.expose() == key && !script.is_revoked,
                    None => store.keys.opens(user, key, None),
                };
                user_of_script(store, name).filter(|user| is_open(*user))
            }
            (None, Some(token)) => {
                let script = self
                    .scripts
                    .iter()
                    .find(|script| script.token.expose() == token);
                match script {
                    Some(script) => {
                        user_of_script(store, &script.name).filter(|_| !script.is_revoked)
                    }
                    None => store
                        .keys
                        .of_session(token)
                        .filter(|user| is_active(store, *user, now)),
                }
            }
            (None, None) => None,
        };
        found.ok_or_else(|| {
            Fault::auth(match name {
                Some(name) => format!("Can't authenticate script '{name}'"),
                None => "Can't authenticate session token".to_owned(),
            })
        })
    }
}

/// Somebody who is known, for themselves or for somebody else.
fn acting(store: &Store, caller: Link, auth: &Value) -> Result<Actor, Fault> {
    let entity = store.entity(caller.kind, caller.id);
    let is_logged =
        entity.is_some_and(|user| *user.get("generate_event_log_entries") == Cell::Bool(true));
    let mut actor = Actor {
        user: caller,
        sudo: None,
        session_uuid: auth["session_uuid"].as_str().map(Into::into),
        is_logged: is_logged || caller.kind != SCRIPT,
        rights: Rights::all(),
    };
    if let Some(login) = auth["sudo_as_login"].as_str() {
        // Else a script that sees one project would see all of them through somebody.
        if caller.kind != SCRIPT || !Rights::of(store, caller).is_all() {
            let name = store.name(&caller);
            return Err(Fault::auth(format!(
                "The user does not have permission to 'sudo': '{name}'"
            )));
        }
        actor.user = Link::new(keep(PERSON), impersonated(store, login)?.id);
        actor.sudo = Some(caller);
        // Logged even when the script's own doings are not.
        actor.is_logged = true;
    }
    actor.rights = Rights::of(store, actor.user);
    Ok(actor)
}

fn token(chance: &mut fastrand::Rng) -> Secret {
    Secret::new(format!("{:032x}", chance.u128(..)))
}

fn user_of_script(store: &Store, name: &str) -> Option<Link> {
    let user = store.named(SCRIPT, keep("firstname"), name)?;
    // Names are found without regard to case, and are not the same for that.
    let is_named = user.get("firstname").as_str() == Some(name);
    let is_active = user.get("sg_status_list").as_str() != Some("dis");
    (is_named && is_active).then(|| Link::new(keep(SCRIPT), user.id))
}

/// Somebody with the right password; who never got one has the login for it.
fn person(store: &Store, login: &str, password: &str, now: Unix) -> Option<Link> {
    let user = store.named(PERSON, keep("login"), login)?;
    let link = Link::new(keep(PERSON), user.id);
    let own = user.get("login").as_str();
    let is_open = store.keys.opens(link, password, own) && is_active(store, link, now);
    is_open.then_some(link)
}

fn is_active(store: &Store, user: Link, now: Unix) -> bool {
    let Some(entity) = store.live(&user) else {
        return false;
    };
    let is_locked = matches!(entity.get("locked_until"), Cell::Moment(until) if *until > now.0.div_euclid(1000));
    let is_enabled = *entity.get("login_enabled") != Cell::Bool(false);
    entity.get("sg_status_list").as_str() != Some("dis") && is_enabled && !is_locked
}

/// Somebody for whom a script may act.
fn impersonated<'a>(store: &'a Store, login: &str) -> Result<&'a Entity, Fault> {
    let refused = |why: &str| Fault::auth(format!("Cannot 'sudo' - {why}: '{login}'"));
    let user = store.named("HumanUser", keep("login"), login);
    let user = user.ok_or_else(|| refused("unknown or retired user"))?;
    if user.get("sg_status_list").as_str() == Some("dis") {
        return Err(refused("inactive user account"));
    }
    if *user.get("can_impersonate_this_user") == Cell::Bool(false) {
        return Err(refused(
            "user account has 'can_impersonate_this_user' turned off",
        ));
    }
    Ok(user)
}
