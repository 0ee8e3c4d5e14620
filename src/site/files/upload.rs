//! Uploads: in one form, or to the storage in pieces and then linked.
//!
//! In: a source, an entity, who calls. Out: the id of the attachment.
//! Never: a repeated link or a repeated form that may have arrived: there would be two attachments.

use std::sync::Arc;

use reqwest::{
    RequestBuilder,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue},
    multipart::{Form, Part},
};
use url::Url;

use super::{
    PART_BYTES, Share, Source, Upload,
    answer::{self, Link},
    exchange::{Answered, Exchange, Moved, body},
};
use crate::site::{
    Call, Kind, Session, SiteError,
    attempts::{Attempts, Way},
};

/// What a file is when its name does not tell.
const SOME_BYTES: &str = "application/octet-stream";

/// Fields of a form.
type Fields = Vec<(&'static str, String)>;

impl Session {
    /// Uploads a file to an entity; returns the id of its attachment.
    ///
    /// # Errors
    /// As [`Session::call`]; `Source` when the file cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future ends the upload; what was asked last may still be carried out.
    pub async fn upload(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        source: &dyn Source,
    ) -> Result<i64, SiteError> {
        let known = self.capabilities().await?;
        if known.cloud.takes(upload.entity_type, upload.field_name) {
            self.by_storage(call, upload, source).await
        } else {
            self.by_form(call, upload, source).await
        }
    }

    /// Gives entities the thumbnail of another; returns the id of its attachment, if it has one.
    ///
    /// # Errors
    /// As [`Session::call`]; a `Fault` too when the thumbnail is still being made.
    pub async fn share_thumbnail(
        &self,
        call: &Call<'_>,
        share: &Share<'_>,
    ) -> Result<Option<i64>, SiteError> {
        let fields = vec![
            ("entities", share.entities.to_owned()),
            ("source_entity", share.source_entity.to_owned()),
            (
                "filmstrip_thumbnail",
                if share.is_filmstrip { "1" } else { "False" }.to_owned(),
            ),
        ];
        let text = self
            .form(call, "share_thumbnail", Kind::Write, fields)
            .await?;
        Ok(answer::id(&text))
    }

    async fn by_form(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        source: &dyn Source,
    ) -> Result<i64, SiteError> {
        let mut fields = target(upload);
        let (method, file) = if upload.is_thumbnail() {
            if upload.is_filmstrip() {
                fields.push(("filmstrip", "True".to_owned()));
            }
            ("publish_thumbnail", "thumb_image")
        } else {
            fields.extend(described(upload, source));
            ("upload_file", "file")
        };
        let payload = shown(&fields, &[]);
        let size = source.size();
        let mut attempts = Attempts::new(self, Kind::Write, Way::File, call.plugin);
        loop {
            drop(attempts.begin().await?);
            let moved = Moved::new(size);
            let exchange = Exchange {
                payload: Some(&payload),
                ..self.exchange(call, method, &attempts, &moved)
            };
            let mut sent = Form::new().percent_encode_noop();
            for (name, value) in self.with_auth(call, &fields) {
                sent = sent.text(name, value);
            }
            let part = Part::stream_with_length(body(source, 0, size, &moved), size)
                .file_name(plain(source.name()))
                .headers(kind_header(source.name()));
            let request = self.post(method).multipart(sent.part(file, part));
            let result = exchange.with_site(request).await;
            match done(result, source) {
                Ok(answered) => {
                    let text = answer::good(&answered.body, method, self.script())?;
                    return answer::id(&text).ok_or_else(|| answer::fault(method, &text));
                }
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    async fn by_storage(
        &self,
        call: &Call<'_>,
        upload: &Upload<'_>,
        source: &dyn Source,
    ) -> Result<i64, SiteError> {
        let size = source.size();
        let is_in_parts = size > PART_BYTES;
        let kind = match upload.is_thumbnail() {
            true => "Thumbnail",
            false => "Attachment",
        };
        let name = plain(source.name());
        let mut fields: Fields = vec![
            ("upload_type", kind.to_owned()),
            ("filename", name.clone()),
            (
                "multipart_upload",
                if is_in_parts { "True" } else { "False" }.to_owned(),
            ),
        ];
        fields.extend(upload.created_at.map(|at| ("created_at", at.to_owned())));
        let method = "api_get_upload_link_info";
        let text = self.form(call, method, Kind::Read, fields).await?;
        let link = Link::read(text, method)?;
        if is_in_parts {
            self.in_parts(call, &link, &name, source).await?;
        } else {
            self.put(call, &link.url, source, 0, size).await?;
        }
        let mut fields = target(upload);
        fields.push(("upload_link_info", link.whole.clone()));
        if upload.is_filmstrip() {
            fields.push(("filmstrip", "True".to_owned()));
        }
        if !upload.is_thumbnail() {
            fields.extend(described(upload, source));
        }
        let method = "api_link_file";
        let text = self.form(call, method, Kind::Write, fields).await?;
        answer::id(&text).ok_or_else(|| answer::fault(method, &text))
    }

    async fn in_parts(
        &self,
        call: &Call<'_>,
        link: &Link,
        name: &str,
        source: &dyn Source,
    ) -> Result<(), SiteError> {
        let named = |more: (&'static str, String)| -> Fields {
            vec![
                ("upload_type", link.upload_type.clone()),
                ("filename", name.to_owned()),
                ("timestamp", link.timestamp.clone()),
                ("upload_id", link.upload_id.clone()),
                more,
            ]
        };
        let (mut from, mut tags) = (0, Vec::new());
        while from < source.size() {
            let number = (tags.len() + 1).to_string();
            let method = "api_get_upload_link_for_part";
            let fields = named(("part_number", number));
            let text = self.form(call, method, Kind::Read, fields).await?;
            let url = answer::second_line(&text, method)?;
            let bytes = PART_BYTES.min(source.size() - from);
            let tag = self.put(call, &url, source, from, bytes).await?;
            tags.push(tag.ok_or_else(|| SiteError::BadJson {
                what: "the storage gave no ETag for a piece".to_owned(),
            })?);
            from += bytes;
        }
        // Nothing of the site's own is changed by it: to ask again does no harm.
        let fields = named(("etags", tags.join(",")));
        self.form(call, "api_complete_multipart_upload", Kind::Read, fields)
            .await?;
        Ok(())
    }

    /// Puts a piece into the storage; returns its tag.
    async fn put(
        &self,
        call: &Call<'_>,
        url: &Url,
        source: &dyn Source,
        from: u64,
        bytes: u64,
    ) -> Result<Option<String>, SiteError> {
        let method = "put";
        let host = url.host_str().unwrap_or_default();
        let mut attempts = Attempts::new(self, Kind::Read, Way::Storage, call.plugin);
        loop {
            drop(attempts.begin().await?);
            let moved = Moved::new(bytes);
            let exchange = self.exchange(call, method, &attempts, &moved);
            let request = self
                .site()
                .http()
                .files
                .put(url.clone())
                .headers(kind_header(source.name()))
                .header(CONTENT_LENGTH, bytes)
                .body(body(source, from, bytes, &moved));
            let result = exchange.with(request, host).await;
            match done(result, source) {
                Ok(answered) => return Ok(answered.tag),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    /// A small form and its text.
    async fn form(
        &self,
        call: &Call<'_>,
        method: &str,
        kind: Kind,
        fields: Fields,
    ) -> Result<String, SiteError> {
        let payload = shown(&fields, &["upload_link_info"]);
        let mut attempts = Attempts::new(self, kind, Way::Call, call.plugin);
        loop {
            let turn = attempts.begin().await?;
            let moved = Moved::new(0);
            let exchange = Exchange {
                payload: Some(&payload),
                patience: self.site().http().timeout,
                ..self.exchange(call, method, &attempts, &moved)
            };
            let form = self.with_auth(call, &fields);
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(form)
                .finish();
            let request = self
                .post(method)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
            let result = exchange.with_site(request).await;
            drop(turn);
            match result {
                Ok(answered) => return answer::good(&answered.body, method, self.script()),
                Err(error) => attempts.failed(error).await?,
            }
        }
    }

    fn post(&self, route: &str) -> RequestBuilder {
        let http = self.site().http();
        let url = format!("{}/upload/{route}", http.address.origin());
        http.files.post(url)
    }

    fn with_auth(&self, call: &Call<'_>, fields: &Fields) -> Vec<(&'static str, String)> {
        let auth = self.auth(call);
        let auth = auth.fields().map(|(name, value)| (name, value.to_owned()));
        fields.iter().cloned().chain(auth).collect()
    }

    fn exchange<'a>(
        &'a self,
        call: &'a Call<'a>,
        method: &'a str,
        attempts: &Attempts<'_>,
        moved: &'a Arc<Moved>,
    ) -> Exchange<'a> {
        Exchange {
            session: self,
            call,
            method,
            attempt: attempts.attempt(),
            payload: None,
            moved,
            patience: self.site().patience(),
        }
    }
}

/// What came of it; a source that cannot be read is no fault of the site.
fn done(result: Result<Answered, SiteError>, source: &dyn Source) -> Result<Answered, SiteError> {
    match source.trouble() {
        Some(reason) => Err(SiteError::Source { reason }),
        None => result,
    }
}

/// Which entity.
fn target(upload: &Upload<'_>) -> Fields {
    vec![
        ("entity_type", upload.entity_type.to_owned()),
        ("entity_id", upload.entity_id.to_string()),
    ]
}

/// What a file is called, and where it is kept.
fn described(upload: &Upload<'_>, source: &dyn Source) -> Fields {
    let shown = upload.display_name.unwrap_or(source.name());
    let tags = upload.tag_list.filter(|tags| !tags.is_empty());
    let all = [
        ("field_name", upload.field_name),
        ("display_name", Some(shown)),
        ("tag_list", tags),
        ("created_at", upload.created_at),
    ];
    let all = all.into_iter();
    all.filter_map(|(name, value)| Some((name, value?.to_owned())))
        .collect()
}

/// Fields as JSON for logs with bodies, but for some.
fn shown(fields: &Fields, hidden: &[&str]) -> String {
    let fields = fields.iter().filter(|(name, _)| !hidden.contains(name));
    let fields: serde_json::Map<_, _> = fields
        .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
        .collect();
    serde_json::Value::from(fields).to_string()
}

/// A name that stands in a header: what is no letter in it ends the header.
fn plain(name: &str) -> String {
    name.replace(char::is_control, "_")
}

fn kind_header(name: &str) -> HeaderMap {
    let kind = mime_guess::from_path(name).first_raw();
    let kind = HeaderValue::from_static(kind.unwrap_or(SOME_BYTES));
    HeaderMap::from_iter([(CONTENT_TYPE, kind)])
}
