//! Tokens: who calls, proved once at the token endpoint and carried by every other request.
//!
//! In: a grant in a form; a header. Out: a signed token that is good for ten minutes; the actor behind it.
//! Never: a list of tokens; each says itself whose it is and how long it is good.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use super::{Done, FORM, Query, Refusal, Request, Site};
use crate::sandbox::{
    cell::Link,
    row::signed_in,
    store::{Actor, Commit},
};

const ACCESS_SECONDS: i64 = 600;
const REFRESH_SECONDS: i64 = 86_400;
const ACCESS: &str = "access";
const REFRESH: &str = "refresh";
/// Before the login of the person for whom somebody acts.
const SUDO: &str = "sudo_as_login:";

/// `POST /auth/access_token`
pub(super) fn grant(site: Site<'_>, request: &Request<'_>, bytes: &[u8]) -> Result<Done, Refusal> {
    let given = request.content_type();
    if !given.is_empty() && !given.eq_ignore_ascii_case(FORM) {
        return Err(Refusal::content_type(given, &[FORM]));
    }
    let text = String::from_utf8_lossy(bytes);
    let form = Query::read(&text);
    let field = |name: &str| {
        let text = form.text(name).filter(|text| !text.is_empty());
        let missing = || Refusal::request("Missing or invalid authentication arguments");
        text.ok_or_else(missing)
    };
    let scope = form.text("scope").unwrap_or_default();
    let sudo = scope.split(' ').find_map(|one| one.strip_prefix(SUDO));
    let (credentials, kind) = match form.text("grant_type").unwrap_or_default() {
        "client_credentials" => (
            json!({"script_name": field("client_id")?, "script_key": field("client_secret")?}),
            "client_credentials",
        ),
        "password" => (
            json!({
                "user_login": field("username")?, "user_password": field("password")?,
                "auth_token": form.text("auth_token"),
            }),
            "password",
        ),
        "session_token" => (
            json!({"session_token": field("session_token")?}),
            "session_token",
        ),
        "refresh_token" => return refresh(&site, field("refresh_token")?),
        _ => return Err(Refusal::request("Unsupported grant_type")),
    };
    let mut auth = credentials;
    auth["sudo_as_login"] = sudo.into();
    let actor = site.auth.actor(site.store, &auth, site.now);
    let actor = actor.map_err(|fault| {
        let token = auth["session_token"].as_str();
        let is_unknown = fault.is_about_credentials() && sudo.is_none();
        match token.filter(|_| is_unknown) {
            // What a token ends with is told, and no more of it.
            Some(token) => {
                let end: String = token
                    .chars()
                    .skip(token.chars().count().saturating_sub(4))
                    .collect();
                let title = format!("Can't authenticate session token ending with '{end}'");
                Refusal::request(title).with_code(102)
            }
            None => Refusal::from(fault).with_status(400),
        }
    })?;
    if kind == "password" {
        site.store.transact(&actor, site.now, Commit::Now, |work| {
            work.drafts.push(signed_in(actor.user));
            Ok(())
        })?;
    }
    let caller = actor.sudo.unwrap_or(actor.user);
    Ok(tokens(&site, caller, kind, sudo))
}

fn refresh(site: &Site<'_>, token: &str) -> Result<Done, Refusal> {
    let claims = read(site, token, REFRESH).ok_or_else(Refusal::unauthorized)?;
    // Whoever lost the key since then gets no other token.
    let _actor = actor(site, &claims)?;
    let caller = Link::read(&claims["user"]).ok_or_else(Refusal::unauthorized)?;
    let kind = claims["auth_type"].as_str().unwrap_or_default();
    Ok(tokens(site, caller, kind, claims["sudo_as_login"].as_str()))
}

fn tokens(site: &Site<'_>, caller: Link, kind: &str, sudo: Option<&str>) -> Done {
    let now = site.now.0.div_euclid(1000);
    let make = |usage: &str, seconds: i64| {
        let claims = json!({
            "iss": "sandbox", "usage": usage, "user": caller.bare(), "auth_type": kind,
            "sudo_as_login": sudo, "iat": now, "exp": now + seconds, "jti": site.serial,
        });
        sign(site, &claims)
    };
    Done::Json(
        200,
        json!({
            "token_type": "Bearer", "expires_in": ACCESS_SECONDS,
            "access_token": make(ACCESS, ACCESS_SECONDS),
            "refresh_token": make(REFRESH, REFRESH_SECONDS),
        }),
    )
}

fn sign(site: &Site<'_>, claims: &Value) -> String {
    let head = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{head}.{}", BASE64.encode(claims.to_string()));
    let signature = BASE64.encode(site.store.keys.sign(&text));
    format!("{text}.{signature}")
}

/// What a token says, if it is ours, of this usage and still good.
fn read(site: &Site<'_>, token: &str, usage: &str) -> Option<Value> {
    let (text, signature) = token.rsplit_once('.')?;
    let signature = BASE64.decode(signature).ok()?;
    if !site.store.keys.has_signed(text, &signature) {
        return None;
    }
    let claims = BASE64.decode(text.split_once('.')?.1).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let is_good = claims["exp"].as_i64()? > site.now.0.div_euclid(1000);
    (claims["usage"] == usage && is_good).then_some(claims)
}

fn actor(site: &Site<'_>, claims: &Value) -> Result<Actor, Refusal> {
    let caller = Link::read(&claims["user"]).ok_or_else(Refusal::unauthorized)?;
    let auth = json!({"sudo_as_login": claims["sudo_as_login"]});
    let actor = site.auth.holder(site.store, caller, &auth, site.now);
    actor.map_err(|_refused| Refusal::unauthorized())
}

/// Who sends a request.
pub(super) fn bearer(site: &Site<'_>, header: &str) -> Result<Actor, Refusal> {
    let (scheme, token) = header.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::unauthorized());
    }
    let claims = read(site, token.trim(), ACCESS).ok_or_else(Refusal::unauthorized)?;
    actor(site, &claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Unix,
        sandbox::{
            bad_input::{NOW, site},
            rest::bad_input::send_at,
            state::State,
        },
    };

    fn grant_at(now: Unix, site: &mut State, form: &str) -> Value {
        let address = "/api/v1/auth/access_token";
        let (_, told) = send_at(now, site, "POST", address, ("", FORM), form.as_bytes());
        serde_json::from_str(&told).unwrap()
    }

    fn read_at(now: Unix, site: &mut State, token: &str) -> u16 {
        let address = "/api/v1/entity/projects";
        send_at(now, site, "GET", address, (token, ""), b"").0
    }

    fn later(seconds: i64) -> Unix {
        Unix(NOW.0 + seconds * 1000)
    }

    #[test]
    fn a_token_is_good_for_ten_minutes_and_its_refresh_for_a_day() {
        const SCRIPT: &str = "grant_type=client_credentials&client_id=tests&client_secret=key";
        let mut site = site();
        let granted = grant_at(NOW, &mut site, SCRIPT);
        let token = granted["access_token"].as_str().unwrap();
        for (at, status) in [(0, 200), (ACCESS_SECONDS - 1, 200), (ACCESS_SECONDS, 401)] {
            assert_eq!(read_at(later(at), &mut site, token), status, "{at}");
        }
        let refresh = granted["refresh_token"].as_str().unwrap();
        let form = format!("grant_type=refresh_token&refresh_token={refresh}");
        let again = grant_at(later(REFRESH_SECONDS - 1), &mut site, &form);
        let token = again["access_token"].as_str().unwrap();
        assert_eq!(read_at(later(REFRESH_SECONDS), &mut site, token), 200);
        let late = grant_at(later(REFRESH_SECONDS), &mut site, &form);
        assert_eq!(late["errors"][0]["status"], 401);
    }

    #[test]
    fn a_token_with_another_letter_anywhere_is_refused() {
        const PERSON: &str = "grant_type=password&username=ada&password=ada";
        let mut site = site();
        let granted = grant_at(NOW, &mut site, PERSON);
        let token = granted["access_token"].as_str().unwrap();
        assert_eq!(read_at(NOW, &mut site, token), 200);
        for (at, letter) in token.char_indices() {
            let other = if letter == 'A' { 'B' } else { 'A' };
            let mut changed = token.to_owned();
            changed.replace_range(at..=at, &other.to_string());
            assert_eq!(read_at(NOW, &mut site, &changed), 401, "{at}");
        }
    }
}
