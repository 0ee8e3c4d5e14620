//! Programs that wait until somebody signs in for them in a browser.
//!
//! In: the names of programs, who said yes, the time. Out: a session, once.
//! Never: a session for a program that waited longer than five minutes.

use std::collections::BTreeMap;

use crate::clock::Unix;

const WAIT_MS: i64 = 300_000;
/// More programs than this do not wait at once; the oldest is forgotten.
const WAITING_MAX: usize = 100;

#[derive(Debug)]
struct Waiting {
    app: String,
    until: Unix,
    signed_in: Option<SignedIn>,
}

/// What a program gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedIn {
    /// Of the session.
    pub(super) token: String,
    /// Whose it is.
    pub(super) login: String,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Launcher {
    waiting: BTreeMap<String, Waiting>,
    begun: u64,
}

impl Launcher {
    /// A number for the next program that asks.
    pub(super) fn next(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// A program begins to wait under an id.
    pub(super) fn begin(&mut self, id: String, app: &str, now: Unix) {
        self.waiting.retain(|_, waiting| now < waiting.until);
        if self.waiting.len() >= WAITING_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, one)| one.until);
            let oldest = oldest.map(|(id, _)| id.clone());
            oldest.and_then(|id| self.waiting.remove(&id));
        }
        let waiting = Waiting {
            app: app.to_owned(),
            until: Unix(now.0 + WAIT_MS),
            signed_in: None,
        };
        self.waiting.insert(id, waiting);
    }

    /// The name of a program that waits.
    pub(super) fn app(&self, id: &str, now: Unix) -> Option<&str> {
        let waiting = self.waiting.get(id);
        let waiting = waiting.filter(|one| now < one.until && one.signed_in.is_none());
        waiting.map(|one| one.app.as_str())
    }

    /// Somebody signed in.
    pub(super) fn approve(&mut self, id: &str, signed_in: SignedIn) {
        if let Some(waiting) = self.waiting.get_mut(id) {
            waiting.signed_in = Some(signed_in);
        }
    }

    /// Somebody said no.
    pub(super) fn deny(&mut self, id: &str) {
        self.waiting.remove(id);
    }

    /// What there is for a program: nothing for one that does not wait, nothing yet, or a session, once.
    pub(super) fn collect(&mut self, id: &str, now: Unix) -> Option<Option<SignedIn>> {
        let waiting = self.waiting.get(id).filter(|one| now < one.until)?;
        if waiting.signed_in.is_none() {
            return Some(None);
        }
        self.waiting.remove(id).map(|one| one.signed_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_given_once_and_not_too_late() {
        let mut launcher = Launcher::default();
        let ada = SignedIn {
            token: "t".into(),
            login: "ada".into(),
        };
        launcher.begin("a".into(), "tool", Unix(0));
        assert_eq!(launcher.collect("a", Unix(1)), Some(None));
        launcher.approve("a", ada.clone());
        assert_eq!(launcher.app("a", Unix(1)), None);
        assert_eq!(launcher.collect("a", Unix(2)), Some(Some(ada.clone())));
        assert_eq!(launcher.collect("a", Unix(2)), None);
        launcher.begin("b".into(), "tool", Unix(0));
        launcher.approve("b", ada);
        assert_eq!(launcher.collect("b", Unix(WAIT_MS)), None);
        for number in 0..=WAITING_MAX {
            launcher.begin(format!("{number}"), "tool", Unix(WAIT_MS));
        }
        assert_eq!(launcher.waiting.len(), WAITING_MAX);
    }
}
