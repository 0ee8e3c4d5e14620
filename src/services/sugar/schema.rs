//! `sg.schema_*` and `sg.text_search`: payloads as the official client builds them.
//!
//! In: params by keyword. Out: one rpc.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Bad, Plan, Shape, filters,
    json::{self, Members, is_truthy},
    rpc,
};

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(default)]
    entity_type: Option<String>,
    #[serde(default)]
    field_name: Option<String>,
    #[serde(borrow, default)]
    project_entity: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a RawValue>,
}

/// `schema_read` and `schema_entity_read`: no payload without a project.
pub(super) fn whole(method: &str, params: &RawValue) -> Result<Plan, Bad> {
    let params: Params<'_> = json::read(params)?;
    let project = params.project_entity.filter(|project| is_truthy(project));
    if project.is_none() {
        return Ok(Plan::Rpc {
            method: method.to_owned(),
            payload: None,
            shape: Shape::AsIs,
        });
    }
    let payload = Payload {
        r#type: None,
        field_name: None,
        project,
    };
    Ok(rpc(method, &payload, Shape::AsIs))
}

pub(super) fn field(params: &RawValue) -> Result<Plan, Bad> {
    let params: Params<'_> = json::read(params)?;
    let payload = Payload {
        r#type: Some(
            params
                .entity_type
                .as_deref()
                .ok_or("`entity_type` is missing")?,
        ),
        field_name: params.field_name.as_deref().filter(|name| !name.is_empty()),
        project: params.project_entity.filter(|project| is_truthy(project)),
    };
    Ok(rpc("schema_field_read", &payload, Shape::AsIs))
}

pub(super) fn text_search(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        text: &'a RawValue,
        #[serde(borrow)]
        entity_types: Members<'a>,
        #[serde(borrow, default)]
        project_ids: Option<&'a RawValue>,
        #[serde(borrow, default)]
        limit: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct Payload<'a> {
        text: &'a RawValue,
        entity_types: Members<'a>,
        project_ids: &'a RawValue,
        max_results: Option<&'a RawValue>,
    }
    let params: Params<'_> = json::read(params)?;
    let mut translated = Vec::new();
    for (kind, written) in params.entity_types.iter() {
        if !json::is_list(written) {
            return Err(format!(
                "`entity_types`: the filters of {kind} must be a list"
            ));
        }
        translated.push((kind.to_owned(), filters::translate(written, None)?));
    }
    let none = json::raw(&[(); 0]);
    let payload = Payload {
        text: params.text,
        entity_types: translated
            .iter()
            .map(|(kind, wire)| (kind.clone(), &**wire))
            .collect(),
        project_ids: params
            .project_ids
            .filter(|ids| is_truthy(ids))
            .unwrap_or(&none),
        max_results: params.limit,
    };
    Ok(rpc("query_display_name_cache", &payload, Shape::Record))
}
