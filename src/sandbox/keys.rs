//! Passwords and sessions of the made-up people, keys of the scripts that were made on the site.
//!
//! Never: what is written into a log or a row; there stands a mask.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::cell::Link;

/// A password or a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// What opens the site, and for whom.
#[derive(Debug, Default)]
pub(super) struct Keys {
    secrets: HashMap<Link, Hidden>,
    sessions: HashMap<String, Link>,
    /// Sessions that were ever begun.
    begun: u128,
    second: HashMap<String, Hidden>,
    chance: u128,
    signing: u128,
}

impl Keys {
    /// The secret of signatures.
    pub(super) fn sign_with(&mut self, key: u128) {
        self.signing = key;
    }

    /// The signature of a text that comes back.
    pub(super) fn sign(&self, text: &str) -> Vec<u8> {
        self.mac(text).finalize().into_bytes().to_vec()
    }

    /// Whether a text that came back is ours.
    pub(super) fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let key = self.signing.to_be_bytes();
        let mut mac = Hmac::new_from_slice(&key).expect("a key of any length makes a signature");
        mac.update(text.as_bytes());
        mac
    }

    /// From now on somebody needs a code beside the password; without a code, no more.
    pub(super) fn ask_second(&mut self, login: &str, code: Option<String>) {
        match code {
            Some(code) => self.second.insert(login.to_lowercase(), Hidden(code)),
            None => self.second.remove(&login.to_lowercase()),
        };
    }

    /// Whether the code is there that somebody needs.
    pub(super) fn has_second(&self, login: &str, given: Option<&str>) -> bool {
        let code = self.second.get(&login.to_lowercase());
        code.is_none_or(|Hidden(code)| given == Some(code))
    }

    /// Tokens of sessions are made from this.
    pub(super) fn seed(&mut self, chance: u128) {
        self.chance = chance;
    }

    /// Keeps a password, or takes it away; returns what was kept.
    pub(super) fn keep(&mut self, link: Link, secret: Option<Hidden>) -> Option<Hidden> {
        match secret {
            Some(secret) => self.secrets.insert(link, secret),
            None => self.secrets.remove(&link),
        }
    }

    /// A secret as it was sent.
    pub(super) fn hide(text: &str) -> Hidden {
        Hidden(text.to_owned())
    }

    /// Whether somebody is let in. Who never got a password has another one, such as the login.
    pub(super) fn opens(&self, link: Link, given: &str, otherwise: Option<&str>) -> bool {
        match self.secrets.get(&link) {
            Some(Hidden(secret)) => secret == given,
            None => otherwise == Some(given),
        }
    }

    /// All sessions are over.
    pub(super) fn expire(&mut self) {
        self.sessions.clear();
    }

    /// The token of somebody's session; the same until it is over.
    pub(super) fn session(&mut self, link: Link) -> String {
        let known = self.sessions.iter().find(|(_, user)| **user == link);
        if let Some((token, _)) = known {
            return token.clone();
        }
        let token = loop {
            self.begun += 1;
            // Wide steps from a chance beginning: nobody guesses one from another, and a seed gives the same ones.
            let step = self
                .begun
                .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let token = format!("{:032x}", self.chance.wrapping_add(step));
            // A site that was loaded may have it already.
            if !self.sessions.contains_key(&token) {
                break token;
            }
        };
        self.sessions.insert(token.clone(), link);
        token
    }

    /// Everybody's password or key.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (Link, &str)> {
        let all: BTreeMap<Link, &Hidden> = self.secrets.iter().map(|(of, s)| (*of, s)).collect();
        all.into_iter().map(|(of, Hidden(secret))| (of, &**secret))
    }

    /// Who needs which code beside the password.
    pub(super) fn second_factors(&self) -> impl Iterator<Item = (&str, &str)> {
        let all: BTreeMap<&String, &Hidden> = self.second.iter().collect();
        let all = all.into_iter();
        all.map(|(login, Hidden(code))| (&**login, &**code))
    }

    /// The sessions by token.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&str, Link)> {
        let all: BTreeMap<&String, &Link> = self.sessions.iter().collect();
        all.into_iter().map(|(token, of)| (&**token, *of))
    }

    /// A session that was begun before.
    pub(super) fn open(&mut self, token: String, of: Link) {
        self.sessions.insert(token, of);
    }

    /// Whose session a token is of.
    pub(super) fn of_session(&self, token: &str) -> Option<Link> {
        self.sessions.get(token).copied()
    }
}
