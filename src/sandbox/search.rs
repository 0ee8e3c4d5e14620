//! Text search over the names of entities.
//!
//! In: `query_display_name_cache`. Out: matches by name, each with what it is linked to.
//! Never: what is retired, or in an archived project.

use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, Link},
    fault::Fault,
    filter::Filter,
    method::Call,
    payload::wrong,
    read::{Shown, select},
    store::Actor,
    view::{Row, View},
};

const METHOD: &str = "query_display_name_cache";
/// The site refuses to look for less.
const SHORTEST: usize = 3;
/// Without a limit.
const MATCHES: usize = 50;
/// Where a row shows what it belongs to.
const OWNERS: [&str; 3] = ["entity", "sg_sequence", "note_links"];

impl Call<'_> {
    /// `query_display_name_cache`
    pub(super) fn text_search(&self, who: &Actor) -> Result<Value, Fault> {
        let view = self.view(who);
        let text = self.text(METHOD, "text")?;
        if text.trim().chars().count() < SHORTEST {
            let what = format!("string 'text' of {SHORTEST} characters or more");
            return Err(wrong(METHOD, &what, self.payload));
        }
        let terms: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let projects = match &self.payload["project_ids"] {
            Value::Null => Vec::new(),
            Value::Array(ids) => ids.iter().filter_map(Value::as_i64).collect(),
            _ => return Err(wrong(METHOD, "array 'project_ids'", self.payload)),
        };
        let limit = self.maybe_number(METHOD, "max_results")?;
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(MATCHES);
        let types: &Map<String, Value> = self.payload["entity_types"]
            .as_object()
            .ok_or_else(|| wrong(METHOD, "hash 'entity_types'", self.payload))?;
        let mut found: Vec<(String, Link)> = Vec::new();
        for (kind, filters) in types {
            let kind = view.schema.entity(kind, METHOD)?.kind;
            let filter = Filter::read(view.schema, METHOD, kind, filters, self.now)?;
            let shown = Shown {
                is_retired: false,
                has_archived: false,
            };
            for row in select(view, kind, &filter, shown) {
                let name = self.store.name(&row.link());
                let lower = name.to_lowercase();
                let is_there = terms.iter().all(|term| lower.contains(term));
                if is_there && is_in(&projects, row) {
                    found.push((name.into_owned(), row.link()));
                }
            }
        }
        found.sort();
        let matches = found
            .into_iter()
            .take(limit)
            .filter_map(|(name, link)| told(view, name, link));
        Ok(json!({"matches": matches.collect::<Value>(), "terms": terms}))
    }
}

fn is_in(projects: &[i64], row: Row<'_>) -> bool {
    let project = if row.kind() == "Project" {
        Some(row.id())
    } else {
        row.stored("project").link().map(|l| l.id)
    };
    projects.is_empty() || project.is_some_and(|id| projects.contains(&id))
}

fn told(view: View<'_>, name: String, link: Link) -> Option<Value> {
    let row = view.follow(&link)?;
    let owner = OWNERS
        .iter()
        .find_map(|field| row.stored(field).links().first().copied())
        .filter(|owner| view.row(owner).is_some());
    let links = owner.map_or_else(
        || json!(["", ""]),
        |owner| json!([owner.kind, view.store.name(&owner)]),
    );
    let image = match row.stored("image") {
        Cell::Null => Value::Null,
        image => image.json(),
    };
    Some(json!({
        "type": link.kind, "id": link.id, "name": name, "image": image, "links": links,
        "project_id": row.stored("project").link().map(|project| project.id),
        "status": row.stored("sg_status_list").json(),
    }))
}
