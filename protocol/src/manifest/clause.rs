//! One condition of a subscription: `[path, relation, value]`.

use serde_json::Value;

/// A condition on an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What is looked at.
    pub path: Path,
    /// How it is compared.
    pub relation: Relation,
    /// With what.
    pub value: Value,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// The site's id.
    Id,
    /// The event type.
    EventType,
    /// The changed field.
    AttributeName,
    /// When the site wrote it, text.
    CreatedAt,
    /// The session that caused it.
    SessionUuid,
    /// A part of `project`.
    Project(LinkPart),
    /// A part of `entity`.
    Entity(LinkPart),
    /// A part of `user`.
    User(LinkPart),
    /// A member of `meta`.
    Meta(String),
}

/// A part of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPart {
    /// The link as a whole.
    Whole,
    /// Its id.
    Id,
    /// Its type.
    Type,
    /// Its name.
    Name,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
pub enum Relation {
    /// Equal.
    Is,
    /// Not equal; holds for null.
    IsNot,
    /// One of a list.
    In,
    /// None of a list; holds for null.
    NotIn,
    /// Text that begins so.
    StartsWith,
    /// Text that ends so.
    EndsWith,
    /// Text that holds it.
    Contains,
    /// Not null, or null.
    Exists,
}

const PATHS: &str = "id, event_type, attribute_name, created_at, session_uuid, project, entity and user (alone or with .id, .type, .name), meta.<key>";
const RELATIONS: [(&str, Relation); 8] = [
    ("is", Relation::Is),
    ("is_not", Relation::IsNot),
    ("in", Relation::In),
    ("not_in", Relation::NotIn),
    ("starts_with", Relation::StartsWith),
    ("ends_with", Relation::EndsWith),
    ("contains", Relation::Contains),
    ("exists", Relation::Exists),
];

impl Clause {
    /// Reads `[path, relation, value]`.
    ///
    /// # Errors
    /// What was found and what is allowed, as a sentence.
    pub fn read(value: &Value) -> Result<Self, String> {
        let Some([path, relation, operand]) = value.as_array().map(Vec::as_slice) else {
            return Err(format!(
                "{} is no condition; allowed: [path, relation, value]",
                shown(value)
            ));
        };
        let path = path
            .as_str()
            .and_then(Path::read)
            .ok_or_else(|| format!("{} is no path; allowed: {PATHS}", shown(path)))?;
        let known = |word: &str| {
            RELATIONS
                .iter()
                .find(|(known, _)| *known == word)
                .map(|(_, meant)| *meant)
        };
        let relation = relation.as_str().and_then(known).ok_or_else(|| {
            let words: Vec<&str> = RELATIONS.iter().map(|(word, _)| *word).collect();
            format!(
                "{} is no relation; allowed: {}",
                shown(relation),
                words.join(", ")
            )
        })?;
        let is_fit = match relation {
            Relation::In | Relation::NotIn => operand.is_array(),
            Relation::StartsWith | Relation::EndsWith | Relation::Contains => operand.is_string(),
            Relation::Exists => operand.is_boolean(),
            Relation::Is | Relation::IsNot => true,
        };
        if !is_fit {
            return Err(format!(
                "{} does not fit the relation; allowed: a list for in and not_in, text for starts_with, ends_with and contains, true or false for exists",
                shown(operand)
            ));
        }
        Ok(Self {
            path,
            relation,
            value: operand.clone(),
        })
    }
}

/// The beginning of what was found.
pub(super) fn shown(found: &Value) -> String {
    found.to_string().chars().take(80).collect()
}

impl Path {
    fn read(text: &str) -> Option<Self> {
        let (head, part) = text
            .split_once('.')
            .map_or((text, None), |(head, part)| (head, Some(part)));
        let link = match part {
            None => Some(LinkPart::Whole),
            Some("id") => Some(LinkPart::Id),
            Some("type") => Some(LinkPart::Type),
            Some("name") => Some(LinkPart::Name),
            Some(_) => None,
        };
        Some(match (head, part) {
            ("id", None) => Self::Id,
            ("event_type", None) => Self::EventType,
            ("attribute_name", None) => Self::AttributeName,
            ("created_at", None) => Self::CreatedAt,
            ("session_uuid", None) => Self::SessionUuid,
            ("project", _) => Self::Project(link?),
            ("entity", _) => Self::Entity(link?),
            ("user", _) => Self::User(link?),
            ("meta", Some(key)) if !key.is_empty() => Self::Meta(key.to_owned()),
            _ => return None,
        })
    }
}
