//! Files and links in fields: a page in the web, a path below a local storage, an attachment that is there.
//!
//! In: what was written to a field of type `url`. Out: the object that is kept and read.
//! Never: the bytes of a file.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    cell::{Cell, Kept, Link},
    fault::Fault,
    name::keep,
    schema::FieldDef,
    table::Entity,
    transaction::Transaction,
    value::{Place, ruby},
};

/// A storage's name for each platform's path, and the key of the value.
const PLATFORMS: [(&str, &str); 3] = [
    ("linux_path", "local_path_linux"),
    ("mac_path", "local_path_mac"),
    ("windows_path", "local_path_windows"),
];

impl Transaction<'_> {
    /// The value of a field of files as it is kept, with an attachment of its own.
    pub(super) fn file(
        &mut self,
        link: Link,
        def: &FieldDef,
        value: Kept,
        in_create: bool,
    ) -> Result<Kept, Fault> {
        let Cell::Json(given) = value else {
            return Ok(value);
        };
        let method = if in_create { "create" } else { "update" };
        let place = Place {
            method,
            kind: link.kind,
            field: def.field,
        };
        // A file that was read elsewhere comes with a link that is good for an hour, and is kept without it.
        let is_there = given["url"].is_null() || given["link_type"] == "upload";
        if is_there && given["type"] == "Attachment" && link.kind != "Attachment" {
            return self.attached(&given, place);
        }
        let mut kept = if let Some(url) = given["url"]
            .as_str()
            .filter(|_| given["local_path"].is_null())
        {
            let name = given["name"].as_str().unwrap_or(url);
            json!({"url": url, "name": name, "content_type": given["content_type"], "link_type": "web"})
        } else {
            self.local(&given).ok_or_else(|| {
                place.failed(&format!(
                    "no page and no path of a local storage:\n{}",
                    ruby(&given)
                ))
            })?
        };
        kept["type"] = "Attachment".into();
        // The same page or path again is no change.
        let old = self.store.entity(link.kind, link.id);
        if let Some(Cell::Json(old)) = old.map(|row| row.get(def.field))
            && same_place(old, &kept)
        {
            return Ok(Cell::Json(old.clone()));
        }
        let attachment = if link.kind == "Attachment" {
            link
        } else {
            self.attachment(&kept)
        };
        kept["id"] = attachment.id.into();
        if attachment != link {
            self.set(
                attachment,
                keep("this_file"),
                Cell::Json(Arc::new(kept.clone())),
            );
        }
        Ok(Cell::Json(Arc::new(kept)))
    }

    fn attachment(&mut self, file: &Value) -> Link {
        let row = self.make(keep("Attachment"));
        let name = file["name"].as_str().unwrap_or_default().to_owned();
        for field in ["display_name", "filename"] {
            self.set(row, keep(field), Cell::text(name.clone()));
        }
        row
    }

    fn attached(&self, given: &Value, place: Place<'_>) -> Result<Kept, Fault> {
        let file = given["id"]
            .as_i64()
            .and_then(|id| self.store.entity("Attachment", id));
        let file = file.map(|file| file.get("this_file").clone());
        file.filter(|file| !file.is_empty())
            .ok_or_else(|| place.failed(&format!("there is no such file:\n{}", ruby(given))))
    }

    /// Finds the storage that a path is in, or builds the path of a storage that is named.
    fn local(&self, given: &Value) -> Option<Value> {
        let mut storages = self
            .store
            .entities("LocalStorage")
            .filter(|storage| !storage.is_retired);
        let named = Link::read(&given["local_storage"]);
        let (storage, relative) =
            if let (Some(link), Some(path)) = (named, given["relative_path"].as_str()) {
                (self.store.live(&link)?, path.to_owned())
            } else {
                let path = given["local_path"].as_str()?.replace('\\', "/");
                storages.find_map(|storage| Some((storage, below(storage, &path)?)))?
            };
        let name = relative.rsplit('/').next().unwrap_or_default();
        let mut kept = json!({
            "name": given["name"].as_str().unwrap_or(name), "content_type": given["content_type"],
            "link_type": "local", "relative_path": relative,
            "local_storage": {"type": "LocalStorage", "id": storage.id, "name": storage.get("code").json()},
        });
        for (root, key) in PLATFORMS {
            let joined = storage.get(root).as_str().map(|root| {
                let separator = if root.contains('\\') { "\\" } else { "/" };
                let root = root.trim_end_matches(['/', '\\']);
                format!("{root}{separator}{}", relative.replace('/', separator))
            });
            kept[key] = joined.into();
        }
        kept["url"] = kept["local_path_linux"]
            .as_str()
            .map(|path| format!("file://{path}"))
            .into();
        Some(kept)
    }
}

/// Whether two links lead to the same, whatever their attachments.
fn same_place(old: &Value, new: &Value) -> bool {
    let members = new.as_object().into_iter().flatten();
    let is_same = |(key, value): (&String, &Value)| &old[key] == value;
    new["link_type"] != "upload" && members.into_iter().all(is_same)
}

/// The rest of a path below a storage.
fn below(storage: &Entity, path: &str) -> Option<String> {
    PLATFORMS.iter().find_map(|(root, _)| {
        let root = storage.get(root).as_str()?.replace('\\', "/");
        let root = root.trim_end_matches('/');
        let rest = path.strip_prefix(root).filter(|_| !root.is_empty())?;
        rest.strip_prefix('/').map(str::to_owned)
    })
}
