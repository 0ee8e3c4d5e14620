//! What a call needs: its payload taken apart, every type and field that it touches.
//!
//! In: a method and its payload. Out: grants. Never: a guess; a payload that cannot be read is refused.
//!
//! A dotted path touches each type on its way: `entity.Shot.code` of a Task needs Task.entity and Shot.code. What can be
//! filtered by can be guessed, so filters, sorts and groupings count like fields that are read.

use std::{borrow::Cow, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::site::methods::{self, Need};

/// Deeper than anybody nests filters; each level is scanned once more.
const DEPTH: usize = 64;

/// One grant that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// `find` on any type.
    FindAny,
    /// A verb on a type, and on a field when the call names fields.
    Verb {
        /// Such as `update`.
        verb: Cow<'static, str>,
        /// The entity type.
        kind: String,
        /// The field.
        field: Option<String>,
    },
    /// A method by its name.
    Rpc(String),
}

impl Needed {
    pub(super) fn verb(
        verb: impl Into<Cow<'static, str>>,
        kind: &str,
        field: Option<&str>,
    ) -> Self {
        Self::Verb {
            verb: verb.into(),
            kind: kind.to_owned(),
            field: field.map(str::to_owned),
        }
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FindAny => f.write_str("find"),
            Self::Rpc(method) => write!(f, "rpc:{method}"),
            Self::Verb {
                verb,
                kind,
                field: None,
            } => write!(f, "{verb}:{kind}"),
            Self::Verb {
                verb,
                kind,
                field: Some(field),
            } => write!(f, "{verb}:{kind}.{field}"),
        }
    }
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    request_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fields: Vec<Field<'a>>,
    #[serde(borrow, default)]
    return_fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filters: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sorts: Vec<Field<'a>>,
    #[serde(borrow, default)]
    grouping: Option<Vec<Summary<'a>>>,
    #[serde(borrow, default)]
    summaries: Vec<Summary<'a>>,
}

#[derive(Deserialize)]
struct Field<'a> {
    #[serde(borrow)]
    field_name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Filter<'a> {
    #[serde(borrow, default)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    conditions: Vec<&'a RawValue>,
}

/// Every grant that a call needs; what is wrong with the payload when that cannot be told.
pub(super) fn of(method: &str, payload: Option<&RawValue>) -> Result<Vec<Needed>, String> {
    let mut needs = Vec::new();
    match methods::find(method).map(|method| method.need) {
        Some(Need::Nothing | Need::Refused) => {}
        Some(Need::FindAny) => needs.push(Needed::FindAny),
        Some(Need::ByName) | None => needs.push(Needed::Rpc(method.to_owned())),
        Some(Need::Verb("find")) => reading(&object(payload)?, &mut needs)?,
        Some(Need::Verb(verb)) => writing(verb.into(), &object(payload)?, &mut needs)?,
        Some(Need::Parts) => parts(payload, &mut needs)?,
    }
    Ok(needs)
}

fn object(payload: Option<&RawValue>) -> Result<Payload<'_>, String> {
    let text = payload.map_or("null", RawValue::get);
    if !text.starts_with('{') {
        return Err("it must be an object with `type`".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn parts(payload: Option<&RawValue>, needs: &mut Vec<Needed>) -> Result<(), String> {
    let text = payload.map_or("[]", RawValue::get);
    let parts: Vec<Payload<'_>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for part in &parts {
        let verb = part
            .request_type
            .as_deref()
            .ok_or("a part without `request_type`")?;
        writing(verb.to_owned().into(), part, needs)?;
    }
    Ok(())
}

fn writing(
    verb: Cow<'static, str>,
    payload: &Payload<'_>,
    needs: &mut Vec<Needed>,
) -> Result<(), String> {
    for field in &payload.fields {
        needs.push(Needed::verb(
            verb.clone(),
            &payload.kind,
            Some(&field.field_name),
        ));
    }
    if payload.fields.is_empty() {
        needs.push(Needed::verb(verb, &payload.kind, None));
    }
    // What comes back is the new row: its own fields are no secret to its writer, but those of others are.
    for path in names(payload.return_fields)?
        .iter()
        .filter(|path| path.contains('.'))
    {
        touch(&payload.kind, path, needs);
    }
    Ok(())
}

fn reading(payload: &Payload<'_>, needs: &mut Vec<Needed>) -> Result<(), String> {
    let kind = &payload.kind;
    let names = names(payload.return_fields)?;
    let names = names.iter().map(AsRef::as_ref);
    let sorts = payload.sorts.iter().map(|sort| &*sort.field_name);
    let groups = payload.grouping.iter().flatten().chain(&payload.summaries);
    for path in names.chain(sorts).chain(groups.map(|group| &*group.field)) {
        touch(kind, path, needs);
    }
    if let Some(filters) = payload.filters {
        filtering(kind, filters, needs)?;
    }
    if needs.is_empty() {
        needs.push(Needed::verb("find", kind, None));
    }
    Ok(())
}

fn filtering(kind: &str, filter: &RawValue, needs: &mut Vec<Needed>) -> Result<(), String> {
    let mut open = vec![(filter, 0)];
    while let Some((filter, depth)) = open.pop() {
        if depth > DEPTH {
            return Err(format!("filters: nested more than {DEPTH} deep"));
        }
        let filter: Filter<'_> =
            serde_json::from_str(filter.get()).map_err(|error| format!("filters: {error}"))?;
        if let Some(path) = &filter.path {
            touch(kind, path, needs);
        }
        open.extend(
            filter
                .conditions
                .into_iter()
                .map(|inner| (inner, depth + 1)),
        );
    }
    Ok(())
}

/// One name, or a list of them.
fn names(raw: Option<&RawValue>) -> Result<Vec<Cow<'_, str>>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names<'a> {
        One(#[serde(borrow)] Cow<'a, str>),
        Many(#[serde(borrow)] Vec<Cow<'a, str>>),
        None(()),
    }
    let text = raw.map_or("null", RawValue::get);
    match serde_json::from_str(text) {
        Ok(Names::One(name)) => Ok(vec![name]),
        Ok(Names::Many(names)) => Ok(names),
        Ok(Names::None(())) => Ok(Vec::new()),
        Err(_) => Err("`return_fields` must be a list of names".to_owned()),
    }
}

fn touch(kind: &str, path: &str, needs: &mut Vec<Needed>) {
    if path.contains('$') {
        // A reverse lookup names a type in a way of its own.
        needs.push(Needed::FindAny);
        return;
    }
    let mut kind = kind;
    let mut steps = path.split('.');
    while let Some(field) = steps.next() {
        needs.push(Needed::verb("find", kind, Some(field)));
        match steps.next() {
            Some(next) => kind = next,
            None => return,
        }
    }
}
