//! Uploads: what each form posted to `/upload/…` does, and the lines of text that it answers.
//!
//! In: the route, the form, who sends it, the time. Out: text that begins with `1`, or why not.
//! Never: half an upload; what fails leaves neither a row nor a file.

use std::sync::Arc;

use serde_json::json;

use super::{File, Form, clean, form::FilePart, kinds::guess};
use crate::{
    clock::Unix,
    sandbox::{
        cell::{Cell, Link},
        check::{Write, missing},
        fault::Fault,
        links::Mode,
        name::{Name, keep, known},
        row::{change, new_entity},
        schema::DataType,
        store::{Actor, Commit, Store},
        transaction::Transaction,
        value::{date_time, seconds},
    },
};

/// Where forms are posted to, below `/upload/`.
pub(in crate::sandbox) const ROUTES: [&str; 7] = [
    "upload_file",
    "publish_thumbnail",
    "api_get_upload_link_info",
    "api_get_upload_link_for_part",
    "api_complete_multipart_upload",
    "api_link_file",
    "share_thumbnail",
];

/// Carries out a post.
pub(in crate::sandbox) fn upload(
    store: &mut Store,
    who: &Actor,
    route: &str,
    form: &Form,
    now: Unix,
) -> Result<String, Fault> {
    match route {
        "upload_file" => {
            let part = whole(form, "file")?.clone();
            held(store, part, |store, part| {
                attach(store, who, form, part, now)
            })
        }
        "publish_thumbnail" => {
            let part = whole(form, "thumb_image")?.clone();
            held(store, part, |store, part| {
                thumbnail(store, who, form, part, now)
            })
        }
        "api_get_upload_link_info" => {
            let kind = form.need("upload_type").map_err(words)?;
            if !matches!(kind, "Attachment" | "Thumbnail") {
                return Err(words(format!("invalid 'upload_type': {kind}")));
            }
            let name = form.need("filename").map_err(words)?;
            let at = created_at(form)?.unwrap_or(now.0.div_euclid(1000));
            let is_multipart = form.is_set("multipart_upload");
            let given = [kind, name, &seconds(at)];
            Ok(store.files.begin(given, is_multipart, now))
        }
        "api_get_upload_link_for_part" => {
            let number = form.need("part_number").map_err(words)?;
            // 10 000: the most that the storage of a site takes.
            let number = number.parse().ok().filter(|n| (1..=10_000).contains(n));
            let number = number.ok_or_else(|| words("invalid 'part_number'"))?;
            let id = begun(store, form)?;
            let name = store.files.pending[&id].name.clone();
            let url = store.files.put_link(&id, number, &name, now);
            Ok(format!("1\n{url}"))
        }
        "api_complete_multipart_upload" => {
            let id = begun(store, form)?;
            let tags = form.need("etags").map_err(words)?;
            store.files.complete(&id, tags).map_err(words)?;
            Ok("1\n".into())
        }
        "api_link_file" => {
            let ticket = form.need("upload_link_info").map_err(words)?;
            let (name, kind, bytes) = store.files.collect(ticket).map_err(words)?;
            let part = FilePart {
                name,
                content_type: None,
                bytes,
            };
            let done = if kind == "Thumbnail" {
                thumbnail(store, who, form, part, now)
            } else {
                attach(store, who, form, part, now)
            };
            if done.is_ok() {
                store.files.attached(ticket);
            }
            done
        }
        "share_thumbnail" => share(store, who, form, now),
        _ => Err(words(format!("nothing at /upload/{route}"))),
    }
}

fn words(why: impl Into<String>) -> Fault {
    Fault::operation(format!("API upload() {}", why.into()))
}

fn whole<'a>(form: &'a Form, field: &str) -> Result<&'a FilePart, Fault> {
    let part = form.files.get(field);
    let part = part.ok_or_else(|| words(format!("no file in '{field}'")))?;
    if part.bytes.is_empty() {
        return Err(words(format!("the file in '{field}' is empty")));
    }
    Ok(part)
}

/// Takes room for a file, and gives it back when it comes to nothing.
fn held(
    store: &mut Store,
    part: FilePart,
    work: impl FnOnce(&mut Store, FilePart) -> Result<String, Fault>,
) -> Result<String, Fault> {
    let size = part.bytes.len();
    store.files.hold(size).map_err(words)?;
    let done = work(store, part);
    if done.is_err() {
        store.files.drop_held(size);
    }
    done
}

/// An upload to the storage that the form names by all that its beginner was told.
fn begun(store: &Store, form: &Form) -> Result<String, Fault> {
    let id = form.need("upload_id").map_err(words)?;
    let pending = store.files.pending.get(id).filter(|pending| {
        pending.is_multipart
            && form.text("upload_type") == Some(&pending.upload_type)
            && form.text("timestamp") == Some(&pending.timestamp)
    });
    pending.ok_or_else(|| words("no such upload"))?;
    Ok(id.to_owned())
}

fn created_at(form: &Form) -> Result<Option<i64>, Fault> {
    let Some(text) = form.text("created_at").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // Python writes a blank where the standard has a T.
    let at = date_time(&text.replacen(' ', "T", 1));
    at.map(Some)
        .ok_or_else(|| words(format!("invalid 'created_at': {text}")))
}

/// The entity that a form names, live.
fn target(store: &Store, kind: &str, id: &str) -> Result<Link, Fault> {
    let kind = store.schema.entity(kind, "upload")?.kind;
    let id = id
        .parse()
        .map_err(|_cause| words(format!("invalid/missing integer 'entity_id': {id}")))?;
    let link = Link::new(kind, id);
    store
        .live(&link)
        .map(|_| link)
        .ok_or_else(|| missing("upload", kind, id))
}

fn named(store: &Store, form: &Form) -> Result<Link, Fault> {
    let kind = form.need("entity_type").map_err(words)?;
    target(store, kind, form.need("entity_id").map_err(words)?)
}

fn file(part: FilePart, ready_at: Unix) -> File {
    let name = clean(&part.name);
    // A header of an answer is made of it.
    let is_plain = |kind: &String| kind.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let content_type = part.content_type.filter(is_plain);
    let content_type =
        content_type.filter(|kind| kind != "application/octet-stream" && !kind.is_empty());
    File {
        content_type: content_type.unwrap_or_else(|| guess(&name, &part.bytes).to_owned()),
        name,
        bytes: part.bytes,
        ready_at,
    }
}

fn attach(
    store: &mut Store,
    who: &Actor,
    form: &Form,
    part: FilePart,
    now: Unix,
) -> Result<String, Fault> {
    let link = named(store, form)?;
    who.rights.admit_file(store, link, None)?;
    let field = form.text("field_name").filter(|field| !field.is_empty());
    let at = created_at(form)?;
    let file = file(part, now);
    let shown = form.text("display_name").map(str::trim);
    let shown = shown.filter(|name| !name.is_empty()).unwrap_or(&file.name);
    let attachment = store.transact(who, now, Commit::Now, |work| {
        let attachment = row(work, link, &file, shown, at, link.kind == "Attachment")?;
        if let Some(tags) = form.text("tag_list") {
            let tags: Vec<&str> = tags.split(',').map(str::trim).collect();
            let tags = Cell::Json(Arc::new(json!(tags)));
            fill(work, attachment, "tag_list", tags)?;
        }
        if attachment == link {
            return Ok(attachment);
        }
        match field {
            None => {
                let links = Cell::Links(vec![link].into());
                fill(work, attachment, "attachment_links", links)?;
            }
            Some(field) => link_to(work, link, field, attachment)?,
        }
        Ok(attachment)
    })?;
    store.files.keep(attachment.id, file);
    Ok(format!("1:{}\n", attachment.id))
}

/// The row of an attachment, with its rows in the log.
fn row(
    work: &mut Transaction<'_>,
    link: Link,
    file: &File,
    shown: &str,
    at: Option<i64>,
    is_itself: bool,
) -> Result<Link, Fault> {
    let row = if is_itself {
        link
    } else {
        let row = work.make(keep("Attachment"));
        work.drafts.push(new_entity(row));
        row
    };
    let project = match link.kind {
        "Project" => Some(link),
        _ => work
            .store()
            .entity(link.kind, link.id)
            .and_then(|entity| entity.get("project").link()),
    };
    let this_file = json!({
        "url": null, "name": shown, "content_type": file.content_type,
        "link_type": "upload", "type": "Attachment", "id": row.id,
    });
    let end = file.name.rsplit_once('.').map(|(_, end)| end.to_owned());
    let size = i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
    let values = [
        ("display_name", Cell::text(shown.to_owned())),
        ("filename", Cell::text(file.name.clone())),
        ("original_fname", Cell::text(file.name.clone())),
        ("file_extension", end.map_or(Cell::Null, Cell::text)),
        ("file_size", Cell::Int(size)),
        ("project", project.map_or(Cell::Null, Cell::Link)),
    ];
    for (field, value) in values {
        if is_itself && field == "project" {
            continue;
        }
        fill(work, row, field, value)?;
    }
    // Not by way of a write, which makes attachments for links and paths.
    let this_file = Cell::Json(Arc::new(this_file));
    let old = work.store().entity(row.kind, row.id);
    let old = old.map_or(Cell::Null, |row| row.get("this_file").clone());
    work.set(row, keep("this_file"), this_file.clone());
    if let Some(def) = work
        .store()
        .schema
        .field("Attachment", "this_file")
        .cloned()
    {
        let draft = change(work.store(), row, &def, [&old, &this_file], !is_itself);
        work.drafts.push(draft);
    }
    if let Some(at) = at {
        work.set(row, keep("created_at"), Cell::Moment(at));
    }
    Ok(row)
}

fn fill(
    work: &mut Transaction<'_>,
    link: Link,
    field: &str,
    value: Cell<'static>,
) -> Result<(), Fault> {
    if let Some(def) = work.store().schema.field(link.kind, field).cloned() {
        work.write(link, &def, value, true)?;
    }
    Ok(())
}

/// Puts a file into the field that the caller named.
fn link_to(
    work: &mut Transaction<'_>,
    link: Link,
    field: &str,
    attachment: Link,
) -> Result<(), Fault> {
    let def = work.store().schema.field(link.kind, field).cloned();
    let def = def.ok_or_else(|| {
        Fault::request(format!("API upload() {}.{field} doesn't exist.", link.kind))
    })?;
    let (value, mode) = match def.kind {
        DataType::Url => (attachment.bare(), Mode::Set),
        kind if kind.is_multi() => (json!([attachment.bare()]), Mode::Add),
        _ => {
            let kind = link.kind;
            return Err(words(format!("{kind}.{field} is not a field of files")));
        }
    };
    let write = Write {
        mode,
        ..Write::set(field, value)
    };
    work.update(link.kind, link.id, &[write])?;
    if def.kind == DataType::Url {
        let links = Cell::Links(vec![link].into());
        work.set(attachment, keep("attachment_links"), links);
    }
    Ok(())
}

fn picture_field(form: &Form, name: &str) -> Name {
    keep(if form.is_set(name) {
        "filmstrip_image"
    } else {
        "image"
    })
}

fn thumbnail(
    store: &mut Store,
    who: &Actor,
    form: &Form,
    part: FilePart,
    now: Unix,
) -> Result<String, Fault> {
    let link = named(store, form)?;
    let field = picture_field(form, "filmstrip");
    who.rights.admit_file(store, link, Some(field))?;
    let ready_at = Unix(now.0.saturating_add(store.files.processing_ms));
    let file = file(part, ready_at);
    let id = store.transact(who, now, Commit::Now, |work| {
        let attachment = row(work, link, &file, &file.name, None, false)?;
        picture(work, link, field, Cell::Int(attachment.id), true)?;
        Ok(attachment.id)
    })?;
    store.files.keep(id, file);
    // The second row tells that the picture is made; its id is taken now.
    let commit = if ready_at > now {
        Commit::At(ready_at)
    } else {
        Commit::Now
    };
    store.transact(who, ready_at, commit, |work| {
        if let Some(def) = work.store().schema.field(link.kind, field).cloned() {
            let value = Cell::Int(id);
            let mut draft = change(work.store(), link, &def, [&value, &value], false);
            draft.meta["is_transient"] = false.into();
            work.drafts.push(draft);
        }
        Ok(())
    })?;
    Ok(format!("1:{id}\n"))
}

/// Writes a field of pictures, which callers cannot.
fn picture(
    work: &mut Transaction<'_>,
    link: Link,
    field: Name,
    value: Cell<'static>,
    is_transient: bool,
) -> Result<(), Fault> {
    let def = work.store().schema.field(link.kind, field).cloned();
    let def = def.ok_or_else(|| {
        Fault::request(format!("API upload() {}.{field} doesn't exist.", link.kind))
    })?;
    if !work.write(link, &def, value, false)? {
        return Ok(());
    }
    if let Some(draft) = work.drafts.last_mut() {
        draft.meta["is_transient"] = is_transient.into();
    }
    let (at, by) = (Cell::Moment(work.seconds()), Cell::Link(work.actor.user));
    work.set(link, keep("updated_at"), at);
    work.set(link, keep("updated_by"), by);
    Ok(())
}

fn share(store: &mut Store, who: &Actor, form: &Form, now: Unix) -> Result<String, Fault> {
    let read = |text: &str| {
        let (kind, id) = text
            .trim()
            .rsplit_once('_')
            .ok_or_else(|| words(format!("invalid entity '{text}'")))?;
        target(store, kind, id)
    };
    let source = read(form.need("source_entity").map_err(words)?)?;
    let entities = form.need("entities").map_err(words)?.split(',');
    let entities: Vec<Link> = entities.map(read).collect::<Result<_, _>>()?;
    let field = picture_field(form, "filmstrip_thumbnail");
    for link in &entities {
        who.rights.admit_file(store, *link, Some(field))?;
    }
    let image = store.entity(source.kind, source.id);
    let image = image.and_then(|entity| entity.get(field).as_i64());
    let file = image.and_then(|id| store.files.get(id));
    if file.is_some_and(|file| now < file.ready_at) {
        return Ok("2\nthe thumbnail is still being made".into());
    }
    store.transact(who, now, Commit::Now, |work| {
        for link in entities {
            let value = image.map_or(Cell::Null, Cell::Int);
            picture(work, link, field, value, false)?;
            if let Some(field) = known("image_source_entity").filter(|_| image.is_some()) {
                work.set(link, field, Cell::Link(source));
            }
        }
        Ok(())
    })?;
    // Without a number when the thumbnails were cleared.
    Ok(image.map_or("1:\n".into(), |id| format!("1:{id}\n")))
}
