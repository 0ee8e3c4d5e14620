//! Sugar: `sg.*` by keyword, with the official Python client's argument names, into the rpc that it would send.
//!
//! In: a method and its params. Out: a [`Plan`]: one rpc, a reading of pages, or an answer without the site.
//! Never: the site, a permission, values taken apart further than the official client does. Pure.

pub(super) mod files;
mod filters;
pub(super) mod find;
pub(super) mod json;
#[cfg(test)]
pub(super) mod published;
pub(super) mod records;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use records::Shape;

/// What is wrong with the params, in words.
type Bad = String;

/// What a call comes to.
#[derive(Debug)]
pub(super) enum Plan {
    /// One rpc.
    Rpc {
        method: String,
        payload: Option<Box<RawValue>>,
        shape: Shape,
    },
    /// Rows, page by page.
    Find(Box<find::Find>),
    /// A file to or from the site.
    File(files::Plan),
    /// Nothing to send: the answer is known.
    Answered(Box<RawValue>),
}

/// Turns a call into its plan.
pub(super) fn plan(method: &str, params: &RawValue) -> Result<Plan, Bad> {
    match method {
        "sg.find" => find::plan(params, find::Rows::All),
        "sg.find_one" => find::plan(params, find::Rows::First),
        "sg.summarize" => find::summarize(params),
        "sg.create" => write::create(params),
        "sg.update" => write::update(params),
        "sg.delete" => write::by_id("delete", params),
        "sg.revive" => write::by_id("revive", params),
        "sg.batch" => write::batch(params),
        "sg.schema_read" => schema::whole("schema_read", params),
        "sg.schema_entity_read" => schema::whole("schema_entity_read", params),
        "sg.schema_field_read" => schema::field(params),
        "sg.text_search" => schema::text_search(params),
        "sg.upload" => files::send(params, None).map(Plan::File),
        "sg.upload_thumbnail" => files::send(params, Some(files::THUMBNAIL)).map(Plan::File),
        "sg.upload_filmstrip_thumbnail" => {
            files::send(params, Some(files::FILMSTRIP)).map(Plan::File)
        }
        "sg.share_thumbnail" => files::share(params).map(Plan::File),
        "sg.download" => files::fetch(params).map(Plan::File),
        "sg.rpc" => raw_call(params),
        other => Err(format!("{other} is not served")),
    }
}

fn raw_call(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Params<'a> {
        method: String,
        #[serde(borrow, default)]
        payload: Option<&'a RawValue>,
    }
    let params: Params<'_> = json::read(params)?;
    Ok(Plan::Rpc {
        method: params.method,
        payload: params.payload.map(RawValue::to_owned),
        shape: Shape::AsIs,
    })
}

/// A plan of one rpc.
fn rpc(method: &str, payload: &impl serde::Serialize, shape: Shape) -> Plan {
    Plan::Rpc {
        method: method.to_owned(),
        payload: Some(json::raw(payload)),
        shape,
    }
}
