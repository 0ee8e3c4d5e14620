//! `sg.upload`, `sg.upload_thumbnail`, `sg.upload_filmstrip_thumbnail`, `sg.share_thumbnail`, `sg.download`: what is asked for.
//!
//! In: params by keyword. Out: a plan with paths as they were written. Never: a file.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Bad, json};
use crate::services::arguments;

/// What a call with a file comes to.
#[derive(Debug)]
pub(in crate::services) enum Plan {
    /// A file to the site.
    Send(Box<Outgoing>),
    /// A thumbnail for several.
    Share(Box<Sharing>),
    /// A file from the site.
    Fetch(Box<Incoming>),
}

/// A file to an entity; as it stands in a report of what was not sent.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(in crate::services) struct Outgoing {
    pub(in crate::services) entity_type: String,
    pub(in crate::services) entity_id: i64,
    pub(in crate::services) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::services) field_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::services) display_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::services) tag_list: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::services) created_at: Option<String>,
}

/// One thumbnail for several entities.
#[derive(Debug, Serialize)]
pub(in crate::services) struct Sharing {
    /// Where a file goes first.
    #[serde(skip)]
    pub(in crate::services) first: Option<Outgoing>,
    /// `Version_1,Version_2`; empty when the first was the only one.
    pub(in crate::services) entities: String,
    pub(in crate::services) source_entity: String,
    #[serde(rename = "filmstrip_thumbnail")]
    pub(in crate::services) is_filmstrip: bool,
}

/// A file from the site.
#[derive(Debug)]
pub(in crate::services) struct Incoming {
    pub(in crate::services) path: String,
    /// Of the attachment, when there is no link.
    pub(in crate::services) id: i64,
    pub(in crate::services) link: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Entity {
    r#type: String,
    id: i64,
}

impl Entity {
    fn word(&self) -> String {
        format!("{}_{}", self.r#type, self.id)
    }
}

/// A file for a field, or a thumbnail of either kind.
pub(super) fn send(params: &RawValue, thumbnail: Option<&str>) -> Result<Plan, Bad> {
    let mut send: Outgoing = json::read(params)?;
    if let Some(field) = thumbnail {
        send.field_name = Some(field.to_owned());
    }
    Ok(Plan::Send(Box::new(send)))
}

/// The official client's names of the fields.
pub(super) const THUMBNAIL: &str = "thumb_image";
pub(super) const FILMSTRIP: &str = "filmstrip_thumb_image";

pub(super) fn share(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Params {
        entities: Vec<Entity>,
        #[serde(default)]
        thumbnail_path: Option<String>,
        #[serde(default)]
        source_entity: Option<Entity>,
        #[serde(default)]
        filmstrip_thumbnail: Option<bool>,
    }
    let params: Params = json::read(params)?;
    let is_filmstrip = params.filmstrip_thumbnail.unwrap_or(false);
    let path = params.thumbnail_path.filter(|path| !path.is_empty());
    let mut entities = &*params.entities;
    let (first, source) = match (path, params.source_entity) {
        (Some(path), None) => {
            let (target, rest) = entities
                .split_first()
                .ok_or("`entities` is empty; allowed: at least one")?;
            entities = rest;
            let field = if is_filmstrip { FILMSTRIP } else { THUMBNAIL };
            let send = Outgoing {
                entity_type: target.r#type.clone(),
                entity_id: target.id,
                path,
                field_name: Some(field.to_owned()),
                display_name: None,
                tag_list: None,
                created_at: None,
            };
            (Some(send), target.clone())
        }
        (None, Some(_)) if entities.is_empty() => {
            return Err("`entities` is empty; allowed: at least one".to_owned());
        }
        (None, Some(source)) => (None, source),
        (Some(_), Some(_)) | (None, None) => {
            return Err("needs either `thumbnail_path` or `source_entity`".to_owned());
        }
    };
    let words: Vec<String> = entities.iter().map(Entity::word).collect();
    Ok(Plan::Share(Box::new(Sharing {
        first,
        entities: words.join(","),
        source_entity: source.word(),
        is_filmstrip,
    })))
}

/// An attachment as its id, as a link to one, or as the value of a field with a file.
pub(super) fn fetch(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default)]
        attachment: Option<&'a RawValue>,
        #[serde(default)]
        attachment_id: Option<i64>,
        file_path: String,
    }
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        url: Option<String>,
        #[serde(default)]
        r#type: Option<String>,
        #[serde(default)]
        id: Option<i64>,
        #[serde(default)]
        link_type: Option<String>,
    }
    const ALLOWED: &str =
        "an id, {\"type\": \"Attachment\", \"id\": …} or the value of a field with a file";
    let params: Params<'_> = json::read(params)?;
    let fetch = |id, link| {
        Ok(Plan::Fetch(Box::new(Incoming {
            path: params.file_path.clone(),
            id,
            link,
        })))
    };
    let given = params.attachment.unwrap_or(RawValue::NULL);
    if let Some(id) = json::read::<Option<i64>>(given).ok().flatten() {
        return fetch(id, None);
    }
    if let (true, Some(id)) = (given.get() == "null", params.attachment_id) {
        return fetch(id, None);
    }
    let file: File = match json::is_object(given) {
        true => arguments::read_in("attachment", given.get())?,
        false => return Err(format!("`attachment` is {given}; allowed: {ALLOWED}")),
    };
    match file {
        File {
            link_type: Some(kind),
            ..
        } if kind == "local" => {
            Err("`attachment` is a file on a disk of the studio: it is read by its path".to_owned())
        }
        File { url: Some(url), .. } => fetch(0, Some(url)),
        File {
            r#type: Some(kind),
            id: Some(id),
            ..
        } if kind == "Attachment" => fetch(id, None),
        _ => Err(format!("`attachment` is {given}; allowed: {ALLOWED}")),
    }
}
