//! THE table of the site's rpcs: what each is, who may call it, how its answer comes.
//!
//! In: a method's name on the wire. Out: its row. What has no row is treated as a write that must be allowed by name.

/// Whether a call can be repeated without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing.
    Read,
    /// Changes something, or may.
    Write,
}

/// Which permission a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None: it says nothing of the studio's data.
    Nothing,
    /// This verb on the payload's entity type and fields.
    Verb(&'static str),
    /// `find` without a type: it may show rows of any type.
    FindAny,
    /// Each part of the payload by itself.
    Parts,
    /// `rpc:<method>`.
    ByName,
    /// Nobody may: it hands out a credential.
    Refused,
}

/// How the answer comes. Both are understood for every method; the stand-in answers as the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Under `results`.
    Wrapped,
    /// As the whole body.
    Bare,
}

/// One rpc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// `method_name` on the wire.
    pub name: &'static str,
    /// The official Python client's methods that send it.
    pub python: &'static str,
    /// Read or write.
    pub kind: Kind,
    /// Which permission it needs.
    pub need: Need,
    /// How its answer comes.
    pub envelope: Envelope,
}

const fn row(
    name: &'static str,
    python: &'static str,
    kind: Kind,
    need: Need,
    envelope: Envelope,
) -> Method {
    Method {
        name,
        python,
        kind,
        need,
        envelope,
    }
}

/// Every rpc of the official client.
pub const METHODS: &[Method] = {
    use Envelope::{Bare, Wrapped};
    use Kind::{Read, Write};
    use Need::{ByName, FindAny, Nothing, Parts, Refused, Verb};
    &[
        row("info", "info, connect", Read, Nothing, Bare),
        row("read", "find, find_one", Read, Verb("find"), Wrapped),
        row("summarize", "summarize", Read, Verb("find"), Wrapped),
        row("create", "create", Write, Verb("create"), Wrapped),
        row("update", "update", Write, Verb("update"), Wrapped),
        row("delete", "delete", Write, Verb("delete"), Wrapped),
        row("revive", "revive", Write, Verb("revive"), Wrapped),
        row("batch", "batch", Write, Parts, Wrapped),
        row(
            "schema_entity_read",
            "schema_entity_read",
            Read,
            Nothing,
            Wrapped,
        ),
        row("schema_read", "schema_read", Read, Nothing, Wrapped),
        row(
            "schema_field_read",
            "schema_field_read",
            Read,
            Nothing,
            Wrapped,
        ),
        row(
            "schema_field_create",
            "schema_field_create",
            Write,
            ByName,
            Wrapped,
        ),
        row(
            "schema_field_update",
            "schema_field_update",
            Write,
            ByName,
            Wrapped,
        ),
        row(
            "schema_field_delete",
            "schema_field_delete",
            Write,
            ByName,
            Wrapped,
        ),
        row("follow", "follow", Write, ByName, Wrapped),
        row("unfollow", "unfollow", Write, ByName, Wrapped),
        row("followers", "followers", Read, FindAny, Wrapped),
        row("following", "following", Read, FindAny, Wrapped),
        row(
            "work_schedule_read",
            "work_schedule_read",
            Read,
            FindAny,
            Wrapped,
        ),
        row(
            "work_schedule_update",
            "work_schedule_update",
            Write,
            ByName,
            Wrapped,
        ),
        row(
            "query_display_name_cache",
            "text_search",
            Read,
            FindAny,
            Bare,
        ),
        row(
            "activity_stream",
            "activity_stream_read",
            Read,
            FindAny,
            Bare,
        ),
        row(
            "note_thread_contents",
            "note_thread_read",
            Read,
            FindAny,
            Bare,
        ),
        row("nav_expand", "nav_expand", Read, FindAny, Bare),
        row(
            "nav_search",
            "nav_search_string, nav_search_entity",
            Read,
            FindAny,
            Bare,
        ),
        row("preferences_read", "preferences_read", Read, FindAny, Bare),
        row(
            "get_session_token",
            "get_session_token",
            Write,
            Refused,
            Bare,
        ),
        row(
            "update_project_last_accessed_by_current_user",
            "update_project_last_accessed",
            Write,
            ByName,
            Wrapped,
        ),
        row(
            "user_subscriptions_read",
            "user_subscriptions_read",
            Read,
            FindAny,
            Wrapped,
        ),
        row(
            "user_subscriptions_create",
            "user_subscriptions_create",
            Write,
            ByName,
            Wrapped,
        ),
        row("export_page", "export_page", Read, FindAny, Wrapped),
    ]
};

/// The row of a method, when it is known.
#[must_use]
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Read or write; an unknown method may write.
#[must_use]
pub fn kind(name: &str) -> Kind {
    find(name).map_or(Kind::Write, |method| method.kind)
}

/// How a method begins that hands out a credential.
const LOGS_IN: &str = "authenticate";
/// What else stands in the name of one.
const CREDENTIALS: [&str; 3] = ["session_token", "auth_token", "access_token"];

/// True for a method that hands out a credential, known or by its name.
#[must_use]
pub fn is_refused(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    find(name).is_some_and(|method| method.need == Need::Refused)
        || lower.starts_with(LOGS_IN)
        || CREDENTIALS.iter().any(|word| lower.contains(word))
}

/// True for the methods whose answers describe the schema: those are cached.
#[must_use]
pub fn is_schema_read(name: &str) -> bool {
    matches!(
        name,
        "schema_read" | "schema_entity_read" | "schema_field_read"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_may_write() {
        for (at, method) in METHODS.iter().enumerate() {
            let twin = METHODS[at + 1..].iter().find(|m| m.name == method.name);
            assert_eq!(twin, None);
        }
        assert_eq!(kind("frobnicate"), Kind::Write);
        assert_eq!(kind("read"), Kind::Read);
    }

    #[test]
    fn nothing_that_gives_a_credential_is_allowed() {
        for name in [
            "get_session_token",
            "authenticate_human_user",
            "Authenticate_x",
            "renew_session_token",
        ] {
            assert!(is_refused(name), "{name}");
        }
        let refused: Vec<_> = METHODS.iter().filter(|m| is_refused(m.name)).collect();
        assert_eq!(refused.len(), 1);
        let manual = include_str!("../../protocol/v1/PROTOCOL.md");
        let named = CREDENTIALS.into_iter().chain([LOGS_IN, refused[0].name]);
        for word in named {
            assert!(manual.contains(&format!("`{word}`")), "{word}");
        }
    }
}
