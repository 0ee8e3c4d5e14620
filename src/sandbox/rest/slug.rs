//! Names of types in addresses: `EventLogEntry` is `event_log_entries`.
//!
//! Never: a rule of a language beyond what the site's own names need.

use std::iter;

use crate::sandbox::{name::Name, schema::Schema};

/// The name of a type in an address.
pub(super) fn slug(kind: &str) -> String {
    let one = singular(kind);
    let before_y = one.strip_suffix('y').filter(|stem| {
        let last = stem.chars().next_back();
        last.is_some_and(|letter| !"aeiou".contains(letter))
    });
    if let Some(stem) = before_y {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "ch", "sh"].iter().any(|end| one.ends_with(end));
    let end = if hisses { "es" } else { "s" };
    format!("{one}{end}")
}

/// `event_log_entry`; a name that has an underscore already gets no second one.
fn singular(kind: &str) -> String {
    let letters: Vec<char> = kind.chars().collect();
    let mut out = String::with_capacity(kind.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let is_start = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let is_word = before.is_ascii_lowercase() || before.is_ascii_digit();
                let ends_capitals =
                    before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase);
                is_word || ends_capitals
            });
        if is_start && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    while out.contains("__") {
        out = out.replace("__", "_");
    }
    out
}

/// The type that an address names: as the schema does, or in small letters, one or many.
pub(super) fn kind(schema: &Schema, name: &str) -> Option<Name> {
    let exact = schema.get(name).map(|def| def.kind);
    let spelt = |kind: Name| iter::once(slug(kind)).chain([singular(kind)]);
    exact.or_else(|| {
        let mut kinds = schema.types().map(|def| def.kind);
        kinds.find(|kind| spelt(kind).any(|spelt| spelt == name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_the_site_in_addresses() {
        for (kind, wanted) in [
            ("Shot", "shots"),
            ("EventLogEntry", "event_log_entries"),
            ("HumanUser", "human_users"),
            ("ApiUser", "api_users"),
            ("Status", "statuses"),
            ("Reply", "replies"),
            ("Delivery", "deliveries"),
            ("Phase", "phases"),
            ("Playlist", "playlists"),
            ("PublishedFileDependency", "published_file_dependencies"),
            ("CustomEntity01", "custom_entity01s"),
            (
                "Asset_linked_projects_Connection",
                "asset_linked_projects_connections",
            ),
        ] {
            assert_eq!(slug(kind), wanted);
        }
    }

    #[test]
    fn every_type_is_found_by_each_of_its_names_and_no_two_share_one() {
        let schema = Schema::builtin();
        for def in schema.types() {
            for name in [def.kind.to_owned(), slug(def.kind), singular(def.kind)] {
                assert_eq!(kind(&schema, &name), Some(def.kind), "{name}");
            }
        }
        assert_eq!(kind(&schema, "SHOTS"), None);
    }
}
