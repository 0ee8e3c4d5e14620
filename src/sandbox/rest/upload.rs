//! Uploads of REST: where to put a file, its parts, and the word that it is there.
//!
//! In: an entity, a field or none, a file's name. Out: links to the storage; in the end the file is where it belongs.
//! Never: the bytes; they go to the storage.

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{Done, Refusal, Rest, listing::truth, refusal::Wrong, whole};
use crate::sandbox::{
    cell::Link,
    fault::Fault,
    files::{Form, upload},
    name::keep,
    schema::DataType,
};

/// What an upload is known by.
const INFO: [&str; 5] = [
    "timestamp",
    "upload_type",
    "upload_id",
    "storage_service",
    "original_filename",
];

/// Where a file belongs.
struct Target<'a> {
    link: Link,
    /// Empty for a file that is only attached.
    field: &'a str,
    is_picture: bool,
}

impl Target<'_> {
    fn kind(&self) -> &'static str {
        if self.is_picture {
            "Thumbnail"
        } else {
            "Attachment"
        }
    }
}

impl Rest<'_> {
    fn target<'f>(
        &self,
        [kind, id, field]: [&str; 3],
        name: &'f str,
    ) -> Result<Target<'f>, Refusal> {
        let link = self.link(kind, id)?;
        if self.live(&link).is_none() {
            return Err(Refusal::absent(format!(
                "{}: {} not found",
                link.kind, link.id
            )));
        }
        if field.is_empty() {
            return Ok(Target {
                link,
                field: name,
                is_picture: false,
            });
        }
        let (data_type, _) = self.field(link.kind, field)?;
        let is_picture = data_type == DataType::Image;
        let is_list = data_type.is_multi();
        if !is_picture && !is_list && data_type != DataType::Url {
            let kind = link.kind;
            return Err(Refusal::request(format!(
                "Field {kind}.{field} is not an image or attachment."
            )));
        }
        Ok(Target {
            link,
            field: if field == "attachments" { "" } else { name },
            is_picture,
        })
    }

    fn form(&mut self, route: &str, fields: Value) -> Result<String, Fault> {
        let form = Form::of(fields);
        let (store, now) = (&mut *self.site.store, self.site.now);
        upload(store, &self.who, route, &form, now)
    }

    /// `GET /entity/versions/5/image/_upload?filename=a.png`
    pub(super) fn upload_begin(&mut self, at: [&str; 3]) -> Result<Done, Refusal> {
        let target = self.target(at, at[2])?;
        let name = self.query.text("filename").unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Refusal::parameter("filename", "is missing"));
        }
        let is_multipart = truth(&self.query.tree["multipart_upload"]).unwrap_or(false);
        let ticket = self.form(
            "api_get_upload_link_info",
            json!({
                "upload_type": target.kind(), "filename": name,
                "multipart_upload": is_multipart.to_string(),
            }),
        )?;
        let mut lines = ticket.lines().skip(1);
        let mut next = || lines.next().unwrap_or_default();
        let [url, timestamp, kind, id] = [next(), next(), next(), next()];
        let own = self.own();
        let mut links = json!({"upload": url, "complete_upload": own});
        if is_multipart {
            links["get_next_part"] = next_part(&own, [timestamp, kind, id, &name], 2).into();
        }
        let data = json!({
            "timestamp": timestamp, "upload_type": kind, "upload_id": id, "storage_service": "s3",
            "original_filename": name, "multipart_upload": is_multipart,
        });
        Ok(Done::Json(200, json!({"data": data, "links": links})))
    }

    /// `GET /entity/versions/5/image/_upload/multipart?part_number=2&…`
    pub(super) fn upload_part(&mut self, at: [&str; 3]) -> Result<Done, Refusal> {
        self.target(at, at[2])?;
        let mut wrong = Wrong::default();
        let mut text = |name: &str| {
            let text = self.query.text(name).unwrap_or_default();
            if text.is_empty() {
                wrong.add(name, "is missing");
            }
            text.to_owned()
        };
        let [timestamp, kind, id, name] =
            ["timestamp", "upload_type", "upload_id", "original_filename"].map(&mut text);
        let part = whole(&self.query.tree["part_number"]).unwrap_or_default();
        if !(1..=10_000).contains(&part) {
            wrong.add("part_number", "must be between 1 and 10000");
        }
        wrong.check()?;
        let fields = json!({
            "upload_type": kind, "filename": name, "timestamp": timestamp, "upload_id": id,
            "part_number": part.to_string(),
        });
        let told = self.form("api_get_upload_link_for_part", fields);
        let told = told.map_err(|_unknown| {
            Refusal::request("Could not generate upload url. Check the site settings.")
        })?;
        let url = told.lines().nth(1).unwrap_or_default();
        let own = self.own();
        let own = own.strip_suffix("/multipart").unwrap_or(&own);
        let next = next_part(own, [&timestamp, &kind, &id, &name], part + 1);
        let links = json!({"upload": url, "get_next_part": next});
        Ok(Done::Json(200, json!({"links": links})))
    }

    /// `POST /entity/versions/5/image/_upload`
    pub(super) fn upload_complete(&mut self, at: [&str; 3]) -> Result<Done, Refusal> {
        let target = self.target(at, at[2])?;
        let info = Value::Object(self.map("upload_info")?.clone());
        let mut wrong = Wrong::default();
        named(&info, &mut wrong);
        let mut outer = Wrong::default();
        outer.nest("upload_info", wrong);
        outer.check()?;
        let id = info["upload_id"].as_str().unwrap_or_default();
        let ticket = self.site.store.files.ticket(id).map(str::to_owned);
        let ticket = ticket.ok_or_else(|| Refusal::request("Error completing upload."))?;
        if info["multipart_upload"] == true {
            self.joined(&info)?;
        }
        let data = &self.body["upload_data"];
        let mut fields = json!({
            "entity_type": target.link.kind, "entity_id": target.link.id.to_string(),
            "upload_link_info": ticket,
            "display_name": data["display_name"].as_str().unwrap_or_default(),
        });
        let (names, links) = self.tags(&data["tags"])?;
        if !names.is_empty() {
            fields["tag_list"] = names.into();
        }
        if target.is_picture {
            fields["filmstrip"] = (target.field == "filmstrip_image").to_string().into();
        } else {
            fields["field_name"] = target.field.into();
        }
        let told = self.form("api_link_file", fields)?;
        if !links.is_empty() {
            let made = told.trim().trim_start_matches("1:").parse::<i64>().ok();
            let tags = json!([{"field_name": "tags", "value": links}]);
            let payload = json!({"type": "Attachment", "id": made, "fields": tags});
            self.call("update", &payload)?;
        }
        Ok(Done::Text(201, super::JSON, " ".into()))
    }

    /// Names of tags with commas between, and tags that there are.
    fn tags(&self, given: &Value) -> Result<(String, Vec<Value>), Refusal> {
        let mut names = Vec::new();
        let mut links = Vec::new();
        for tag in given.as_array().into_iter().flatten() {
            let id = tag.as_i64().or_else(|| tag["id"].as_i64());
            if let Some(name) = tag.as_str().filter(|name| !name.is_empty()) {
                names.push(name);
                continue;
            }
            let link = id.map(|id| Link::new(keep("Tag"), id));
            let link = link.filter(|link| self.live(link).is_some());
            let link = link.ok_or_else(|| Refusal::parameter("tags", "is not valid"))?;
            links.push(link.bare());
        }
        Ok((names.join(","), links))
    }

    /// Puts the parts of an upload together.
    fn joined(&mut self, info: &Value) -> Result<(), Refusal> {
        let etags = info["etags"].as_array();
        let etags = etags.filter(|list| list.iter().all(Value::is_string));
        let etags = etags.ok_or_else(|| {
            Refusal::request("'multipart_upload' is True but no 'etags' send with request.")
                .with_source(json!({"etags": "missing and required for multipart uploads."}))
        })?;
        let quoted = |tag: &str| format!("\"{}\"", tag.trim_matches('"'));
        let etags: Vec<String> = etags.iter().filter_map(Value::as_str).map(quoted).collect();
        let mut fields = json!({"filename": info["original_filename"], "etags": etags.join(",")});
        for name in ["upload_type", "timestamp", "upload_id"] {
            fields[name] = info[name].clone();
        }
        let done = self.form("api_complete_multipart_upload", fields);
        let wrong = |_fault| Refusal::request("Error completing multipart upload.");
        done.map(|_text| ()).map_err(wrong)
    }

    /// `POST /entity/versions/5/image/_upload/multipart_abort`
    pub(super) fn upload_abort(&mut self, [kind, id, _]: [&str; 3]) -> Result<Done, Refusal> {
        self.link(kind, id)?;
        let mut wrong = Wrong::default();
        named(&self.body, &mut wrong);
        wrong.check()?;
        let id = self.body["upload_id"].as_str().unwrap_or_default();
        if self.site.store.files.abandon(id) {
            return Ok(Done::Empty);
        }
        Err(Refusal::request("Failed to abort S3 multipart upload"))
    }
}

fn next_part(own: &str, [timestamp, kind, id, name]: [&str; 4], part: i64) -> String {
    let query = Serializer::new(String::new())
        .append_pair("original_filename", name)
        .append_pair("part_number", &part.to_string())
        .append_pair("timestamp", timestamp)
        .append_pair("upload_id", id)
        .append_pair("upload_type", kind)
        .finish();
    format!("{own}/multipart?{query}")
}

fn named(info: &Value, wrong: &mut Wrong) {
    for name in INFO {
        if !info[name].is_string() {
            wrong.add(name, "is missing");
        }
    }
}
