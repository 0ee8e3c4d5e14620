//! What a plugin may ask of the site: what it asked for, as far as the operator allows it.
//!
//! In: grants of both sides, a method and its payload. Out: yes, or the grant that is missing and on which side.
//! Never: a look at the site. Whether the script user may do it as well is the site's own question.

mod grant;
mod needs;

pub use grant::{GrantError, Grants};
pub use needs::Needed;

use std::fmt;

use serde_json::value::RawValue;

use super::methods;
/// What a plugin may do: both sides must allow it.
#[derive(Debug, Clone)]
pub struct Granted {
    /// What the manifest asks for; a silent one asks for everything.
    pub manifest: Grants,
    /// What the operator allows; a silent one allows everything known.
    pub operator: Grants,
}

/// Who would have to allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The plugin's own manifest does not ask for it.
    Manifest,
    /// The operator's config does not allow it.
    Operator,
}

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It hands out a credential: nobody may.
    Credential {
        /// The rpc.
        method: String,
    },
    /// A grant is missing.
    Missing {
        /// On which side.
        side: Side,
        /// What is needed.
        needed: Needed,
        /// The grants there are, as written.
        present: Vec<String>,
    },
    /// The payload cannot be judged.
    Payload {
        /// The rpc.
        method: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Granted {
    /// Reads both sides. A silent manifest asks for everything; a silent operator allows every method in the table.
    ///
    /// # Errors
    /// The first grant that cannot be read.
    pub fn new<S: AsRef<str>>(
        manifest: Option<&[S]>,
        operator: Option<&[S]>,
    ) -> Result<Self, GrantError> {
        Ok(Self {
            manifest: manifest.map_or_else(|| Ok(Grants::everything()), Grants::parse)?,
            operator: operator.map_or_else(|| Grants::parse(&["*"]), Grants::parse)?,
        })
    }

    /// What the plugin is told that it may do: what both sides grant.
    #[must_use]
    pub fn effective(&self) -> Vec<String> {
        self.operator.common(&self.manifest)
    }

    /// Everything, for tests and for daemons' own plugins.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            manifest: Grants::everything(),
            operator: Grants::everything(),
        }
    }

    /// Whether this call may be made.
    ///
    /// # Errors
    /// The first grant that is missing, or what makes the payload impossible to judge.
    pub fn check(&self, method: &str, payload: Option<&RawValue>) -> Result<(), Refusal> {
        if methods::is_refused(method) {
            return Err(Refusal::Credential {
                method: method.to_owned(),
            });
        }
        if self.manifest.covers_whole(method) && self.operator.covers_whole(method) {
            return Ok(());
        }
        let needs = needs::of(method, payload).map_err(|what| Refusal::Payload {
            method: method.to_owned(),
            what,
        })?;
        for (side, grants) in [
            (Side::Operator, &self.operator),
            (Side::Manifest, &self.manifest),
        ] {
            if let Some(missing) = needs.iter().find(|needed| !grants.covers(needed)) {
                return Err(Refusal::Missing {
                    side,
                    needed: missing.clone(),
                    present: grants.written().to_vec(),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential { method } => {
                write!(f, "{method} hands out a credential and is never allowed")
            }
            Self::Missing {
                side: Side::Operator,
                needed,
                ..
            } => write!(f, "the config does not allow `{needed}`"),
            Self::Missing { needed, .. } => {
                write!(f, "the plugin's manifest does not ask for `{needed}`")
            }
            Self::Payload { method, what } => write!(f, "the payload of {method}: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operator: &[&str], method: &str, payload: &str) -> Result<(), String> {
        let granted = Granted {
            manifest: Grants::everything(),
            operator: Grants::parse(operator).unwrap(),
        };
        let payload = (!payload.is_empty()).then(|| RawValue::from_string(payload.into()).unwrap());
        match granted.check(method, payload.as_deref()) {
            Ok(()) => Ok(()),
            Err(Refusal::Missing { needed, .. }) => Err(needed.to_string()),
            Err(other) => Err(other.to_string()),
        }
    }

    #[test]
    fn each_call_needs_its_grant() {
        let status =
            r#"{"type":"Task","id":1,"fields":[{"field_name":"sg_status_list","value":1}]}"#;
        let both = r#"{"type":"Task","id":1,"fields":[{"field_name":"sg_status_list","value":1},{"field_name":"content","value":1}]}"#;
        let note = r#"{"type":"Note","fields":[],"return_fields":["id"]}"#;
        let task = r#"{"type":"Task","return_fields":["code"],"filters":{"logical_operator":"and","conditions":[]}}"#;
        let deep =
            r#"{"type":"Task","return_fields":["entity.Shot.code"],"filters":{"conditions":[]}}"#;
        let probe = r#"{"type":"Task","return_fields":["id"],"filters":{"conditions":[{"conditions":[{"path":"user.HumanUser.email"}]}]}}"#;
        for (grants, method, payload, expected) in [
            (&["*"][..], "read", "{}", Ok(())),
            (&["*"], "follow", "{}", Ok(())),
            (&["*"], "frobnicate", "{}", Err("rpc:frobnicate")),
            (&["*", "rpc:frobnicate"], "frobnicate", "{}", Ok(())),
            (
                &["*"],
                "get_session_token",
                "",
                Err("get_session_token hands out a credential and is never allowed"),
            ),
            (
                &["rpc:get_session_token"],
                "get_session_token",
                "",
                Err("get_session_token hands out a credential and is never allowed"),
            ),
            (&["find"], "read", task, Ok(())),
            (&["find"], "followers", "{}", Ok(())),
            (&["find:Task"], "followers", "{}", Err("find")),
            (&[], "info", "", Ok(())),
            (&[], "schema_read", "", Ok(())),
            (&[], "read", task, Err("find:Task.code")),
            (&["find:Task"], "read", task, Ok(())),
            (&["find:Task.content"], "read", task, Err("find:Task.code")),
            (&["find:Task"], "read", deep, Err("find:Shot.code")),
            (&["find:Task", "find:Shot"], "read", deep, Ok(())),
            (&["find:Task"], "read", probe, Err("find:HumanUser.email")),
            (
                &["find"],
                "update",
                status,
                Err("update:Task.sg_status_list"),
            ),
            (&["update:Task.sg_status_list"], "update", status, Ok(())),
            (
                &["update:Task.sg_status_list"],
                "update",
                both,
                Err("update:Task.content"),
            ),
            (&["update:Task"], "update", both, Ok(())),
            (&["update"], "update", both, Ok(())),
            (&["create:Note"], "create", note, Ok(())),
            (&["create:Version"], "create", note, Err("create:Note")),
            (&["update"], "follow", "{}", Err("rpc:follow")),
            (
                &["find"],
                "create",
                "[]",
                Err("the payload of create: it must be an object with `type`"),
            ),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(
                check(grants, method, payload),
                expected,
                "{grants:?} {method} {payload}"
            );
        }
    }

    #[test]
    fn each_part_of_a_batch_is_judged() {
        let batch = r#"[{"request_type":"create","type":"Note","fields":[{"field_name":"subject","value":1}]},
            {"request_type":"delete","type":"Shot","id":3}]"#;
        for (grants, expected) in [
            (&["*"][..], Ok(())),
            (&["create", "delete:Shot"], Ok(())),
            (&["create:Note"], Err("delete:Shot")),
            (&["delete"], Err("create:Note.subject")),
            (&["rpc:batch"], Err("create:Note.subject")),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(check(grants, "batch", batch), expected, "{grants:?}");
        }
        assert!(check(&["create"], "batch", r#"[{"type":"Note"}]"#).is_err());
    }

    #[test]
    fn a_doubled_member_cannot_hide_another() {
        let twice = r#"{"type":"Task","type":"HumanUser","return_fields":[],"filters":{}}"#;
        assert!(check(&["find:Task"], "read", twice).is_err());
    }

    #[test]
    fn both_sides_must_allow() {
        for (manifest, operator, effective) in [
            (None, None, &["*"][..]),
            (None, Some(&["*"][..]), &["*"]),
            (Some(&["find", "rpc:x"][..]), None, &["find"]),
            (None, Some(&["find", "rpc:x"]), &["find", "rpc:x"]),
            (
                Some(&["find:Task", "create"]),
                Some(&["find:Task.code", "create:Note", "delete"]),
                &["find:Task.code", "create:Note"],
            ),
            (Some(&["find:Task.code"]), Some(&["find:Task.content"]), &[]),
            (
                Some(&["update:Task"]),
                Some(&["update", "rpc:follow"]),
                &["update:Task"],
            ),
        ] {
            let granted = Granted::new(manifest, operator).unwrap();
            assert_eq!(granted.effective(), effective, "{manifest:?} {operator:?}");
        }
        assert!(Granted::new(Some(&["no"]), None).is_err());
    }

    #[test]
    fn a_grant_that_cannot_be_read_says_what_is_allowed() {
        for bad in [
            "",
            "write",
            "update:",
            "update:Task.",
            "rpc",
            "rpc:",
            "delete:Task.code",
            "find:Task.a.b",
        ] {
            assert!(Grants::parse(&[bad]).is_err(), "{bad}");
        }
        insta::assert_snapshot!(Grants::parse(&["write"]).unwrap_err().to_string(), @r#""write" is no grant; allowed: "*", find, create, update, delete, revive (each alone, with :Type, or, but for delete and revive, with :Type.field) and rpc:<method>"#);
    }
}
