//! `sg.create`, `sg.update`, `sg.delete`, `sg.revive`, `sg.batch`: payloads as the official client builds them.
//!
//! In: params by keyword. Out: one rpc, or an answer that needs none. Never: an upload.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Bad, Plan, Shape, find,
    json::{self, Members, Value, is_truthy},
    rpc,
};

/// Fields that are no fields: the official client uploads them afterwards.
const IMAGES: [(&str, &str); 2] = [
    ("image", "sg.upload_thumbnail"),
    ("filmstrip_image", "sg.upload_filmstrip_thumbnail"),
];

#[derive(Serialize)]
struct Field<'a> {
    field_name: &'a str,
    value: Value<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_entity_update_mode: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_type: Option<&'a str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Field<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_fields: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_entity_update_mode: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    entity_type: String,
    #[serde(borrow, default)]
    entity_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<Members<'a>>,
    #[serde(borrow, default)]
    return_fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    multi_entity_update_modes: Option<Members<'a>>,
    #[serde(borrow, default)]
    multi_entity_update_mode: Option<&'a RawValue>,
    #[serde(default)]
    request_type: Option<String>,
}

impl Params<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            request_type: self.request_type.as_deref(),
            r#type: &self.entity_type,
            id: None,
            fields: None,
            return_fields: None,
            multi_entity_update_mode: None,
        }
    }

    fn id(&self) -> Result<&RawValue, Bad> {
        self.entity_id
            .ok_or_else(|| "`entity_id` is missing".to_owned())
    }

    fn data(&self) -> Result<&Members<'_>, Bad> {
        self.data
            .as_ref()
            .ok_or_else(|| "`data` is missing".to_owned())
    }
}

/// Whether links in values are trimmed: the official client does so in `update` alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Whole,
    Trimmed,
}

fn fields<'a>(data: &'a Members<'a>, modes: Option<&Members<'a>>, links: Links) -> Vec<Field<'a>> {
    let field = |(field_name, value)| Field {
        field_name,
        value: match links {
            Links::Whole => Value::Raw(value),
            Links::Trimmed => Value::trimmed(value),
        },
        multi_entity_update_mode: modes.and_then(|modes| modes.get(field_name)),
    };
    data.iter().map(field).collect()
}

/// An image cannot be assigned: it is uploaded, by a call of its own.
fn refuse_images(data: &Members<'_>) -> Result<(), Bad> {
    for (name, method) in IMAGES {
        if data.get(name).is_some_and(is_truthy) {
            return Err(format!(
                "`{name}` cannot be assigned, it is uploaded ({method})"
            ));
        }
    }
    Ok(())
}

pub(super) fn create(params: &RawValue) -> Result<Plan, Bad> {
    let mut params: Params<'_> = json::read(params)?;
    refuse_images(params.data()?)?;
    if let Some(data) = params.data.as_mut() {
        IMAGES.iter().for_each(|(name, _)| data.remove(name));
    }
    params.request_type = None;
    let payload = Request {
        fields: Some(fields(params.data()?, None, Links::Whole)),
        return_fields: Some(find::return_fields(params.return_fields)),
        ..params.request()
    };
    Ok(rpc("create", &payload, Shape::Record))
}

pub(super) fn update(params: &RawValue) -> Result<Plan, Bad> {
    let mut params: Params<'_> = json::read(params)?;
    refuse_images(params.data()?)?;
    if let Some(data) = params.data.as_mut() {
        // `image: null` clears the thumbnail; a filmstrip cannot be cleared like this.
        data.remove("filmstrip_image");
    }
    params.request_type = None;
    let (data, id) = (params.data()?, params.id()?);
    if data.is_empty() {
        #[derive(Serialize)]
        struct Same<'a> {
            id: &'a RawValue,
            r#type: &'a str,
        }
        let r#type = &*params.entity_type;
        return Ok(Plan::Answered(json::raw(&Same { id, r#type })));
    }
    let modes = params.multi_entity_update_modes.as_ref();
    let payload = Request {
        id: Some(id),
        fields: Some(fields(data, modes, Links::Trimmed)),
        ..params.request()
    };
    Ok(rpc("update", &payload, Shape::Record))
}

/// `delete` and `revive`.
pub(super) fn by_id(method: &str, params: &RawValue) -> Result<Plan, Bad> {
    let mut params: Params<'_> = json::read(params)?;
    params.request_type = None;
    let payload = Request {
        id: Some(params.id()?),
        ..params.request()
    };
    Ok(rpc(method, &payload, Shape::AsIs))
}

pub(super) fn batch(params: &RawValue) -> Result<Plan, Bad> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        requests: Vec<Params<'a>>,
    }
    let batch: Batch<'_> = json::read(params)?;
    if batch.requests.is_empty() {
        return Ok(Plan::Answered(json::raw(&[(); 0])));
    }
    let parts = batch.requests.iter().enumerate().map(|(at, params)| {
        part(params).map_err(|what| format!("request {at} of the batch: {what}"))
    });
    let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
    Ok(rpc("batch", &parts, Shape::Records))
}

fn part<'a>(params: &'a Params<'a>) -> Result<Request<'a>, Bad> {
    let request = params.request();
    Ok(match params.request_type.as_deref() {
        Some("create") => Request {
            fields: Some(fields(params.data()?, None, Links::Whole)),
            return_fields: Some(find::return_fields(params.return_fields)),
            ..request
        },
        Some("update") => {
            let modes = params.multi_entity_update_modes.as_ref();
            Request {
                id: Some(params.id()?),
                fields: Some(fields(params.data()?, modes, Links::Whole)),
                multi_entity_update_mode: params.multi_entity_update_mode,
                ..request
            }
        }
        Some("delete") => Request {
            id: Some(params.id()?),
            ..request
        },
        Some(other) => {
            return Err(format!(
                "`request_type` is {other:?}; allowed: create, update, delete"
            ));
        }
        None => return Err("`request_type` is missing".to_owned()),
    })
}
