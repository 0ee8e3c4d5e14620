//! The tree of a site: projects, in them assets by kind and shots by sequence.
//!
//! In: a path such as `/Project/65/Shot/sg_sequence/Sequence/5`. Out: a node with its children; paths of what is searched for.
//! Never: what is retired.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    cell::Link,
    check::missing,
    fault::Fault,
    method::Call,
    name::{Name, keep},
    payload::wrong,
    read::fields,
    store::{Actor, Store},
    table::Entity,
    view::{Row, View},
};

/// Types below a project, what each is called, and the field that its rows are put together by.
const BRANCHES: [(&str, &str, &str); 2] = [
    ("Asset", "Assets", "sg_asset_type"),
    ("Shot", "Shots", "sg_sequence"),
];

/// Where a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Root,
    Project(i64),
    Branch(i64, usize),
    Group(i64, usize, Shared),
    Leaf(i64, usize, Option<Shared>, i64),
}

/// What rows of a group share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    Word(String),
    Link(Link),
}

impl Place {
    fn read(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        if parts.next().is_none() {
            return Some(Self::Root);
        }
        let project = parts
            .next()?
            .parse()
            .ok()
            .filter(|_| path.starts_with("/Project/"))?;
        let Some(kind) = parts.next() else {
            return Some(Self::Project(project));
        };
        let branch = BRANCHES.iter().position(|(branch, ..)| *branch == kind)?;
        let mut rest: Vec<&str> = parts.collect();
        let mut leaf = None;
        if let [.., "id", id] = rest.as_slice() {
            leaf = Some(id.parse().ok()?);
            rest.truncate(rest.len() - 2);
        }
        let shared = match rest.as_slice() {
            [] => None,
            [field, word] if *field == BRANCHES[branch].2 => Some(Shared::Word((*word).to_owned())),
            [field, kind, id] if *field == BRANCHES[branch].2 => {
                let link = json!({"type": kind, "id": id.parse::<i64>().ok()?});
                Some(Shared::Link(Link::read(&link)?))
            }
            _ => return None,
        };
        Some(match (shared, leaf) {
            (shared, Some(id)) => Self::Leaf(project, branch, shared, id),
            (Some(shared), None) => Self::Group(project, branch, shared),
            (None, None) => Self::Branch(project, branch),
        })
    }

    fn path(&self) -> String {
        match self {
            Self::Root => "/".into(),
            Self::Project(project) => format!("/Project/{project}"),
            Self::Branch(project, branch) => format!("/Project/{project}/{}", BRANCHES[*branch].0),
            Self::Group(project, branch, shared) => {
                let (kind, _, field) = BRANCHES[*branch];
                match shared {
                    Shared::Word(word) => format!("/Project/{project}/{kind}/{field}/{word}"),
                    Shared::Link(link) => {
                        format!(
                            "/Project/{project}/{kind}/{field}/{}/{}",
                            link.kind, link.id
                        )
                    }
                }
            }
            Self::Leaf(.., id) => format!("{}/id/{id}", self.parent().path()),
        }
    }

    fn parent(&self) -> Self {
        match self {
            Self::Root | Self::Project(_) => Self::Root,
            Self::Branch(project, _) => Self::Project(*project),
            Self::Group(project, branch, _) | Self::Leaf(project, branch, None, _) => {
                Self::Branch(*project, *branch)
            }
            Self::Leaf(project, branch, Some(shared), _) => {
                Self::Group(*project, *branch, shared.clone())
            }
        }
    }

    fn children(&self, view: View<'_>) -> Vec<Self> {
        match self {
            Self::Root => {
                let projects = view.store.entities("Project");
                let projects = projects.map(|project| Link::new(keep("Project"), project.id));
                let projects = projects.filter(|project| view.follow(project).is_some());
                projects.map(|project| Self::Project(project.id)).collect()
            }
            Self::Project(project) => (0..BRANCHES.len())
                .map(|branch| Self::Branch(*project, branch))
                .collect(),
            Self::Branch(project, branch) => {
                let rows = rows(view, *project, *branch);
                let mut groups: Vec<Shared> =
                    rows.iter().filter_map(|row| shared(row, *branch)).collect();
                groups.sort();
                groups.dedup();
                let groups = groups
                    .into_iter()
                    .map(|shared| Self::Group(*project, *branch, shared));
                let alone = rows.iter().filter(|row| shared(row, *branch).is_none());
                groups
                    .chain(alone.map(|row| Self::Leaf(*project, *branch, None, row.id)))
                    .collect()
            }
            Self::Group(project, branch, of) => {
                let rows = rows(view, *project, *branch).into_iter();
                let rows = rows.filter(|row| shared(row, *branch).as_ref() == Some(of));
                rows.map(|row| Self::Leaf(*project, *branch, Some(of.clone()), row.id))
                    .collect()
            }
            Self::Leaf(..) => Vec::new(),
        }
    }

    /// The project that it is in.
    fn project(&self) -> Option<i64> {
        match self {
            Self::Root => None,
            Self::Project(id) | Self::Branch(id, _) | Self::Group(id, ..) | Self::Leaf(id, ..) => {
                Some(*id)
            }
        }
    }

    /// The entity that it is, if it is one.
    fn entity(&self) -> Option<Link> {
        match self {
            Self::Project(id) => Some(Link::new(keep("Project"), *id)),
            Self::Group(_, _, Shared::Link(link)) => Some(*link),
            Self::Leaf(_, branch, _, id) => Some(Link::new(keep(BRANCHES[*branch].0), *id)),
            _ => None,
        }
    }

    fn label(&self, store: &Store) -> String {
        match self {
            Self::Root => "Projects".into(),
            Self::Branch(_, branch) => BRANCHES[*branch].1.into(),
            Self::Group(_, _, Shared::Word(word)) => word.clone(),
            place => place
                .entity()
                .map_or_else(String::new, |link| store.name(&link).into_owned()),
        }
    }
}

/// What is at a node and below it; nothing for a path that leads nowhere.
pub(super) fn below(view: View<'_>, path: &str) -> Option<HashSet<Link>> {
    let mut places = vec![Place::read(path)?];
    let mut found = HashSet::new();
    while let Some(place) = places.pop() {
        found.extend(place.entity());
        places.extend(place.children(view));
    }
    Some(found)
}

fn rows(view: View<'_>, project: i64, branch: usize) -> Vec<&Entity> {
    let project = Link::new(keep("Project"), project);
    let kind = BRANCHES[branch].0;
    let rows = view.store.linked(kind, keep("project"), project);
    rows.filter(|row| view.sees(Row::Entity(kind, row)))
        .collect()
}

fn shared(row: &Entity, branch: usize) -> Option<Shared> {
    let value = row.get(BRANCHES[branch].2);
    let word = value.as_str().map(|word| Shared::Word(word.to_owned()));
    word.or_else(|| value.link().map(Shared::Link))
}

impl Call<'_> {
    /// `nav_expand`
    pub(super) fn nav_expand(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "nav_expand";
        let place = Place::read(self.text(METHOD, "path")?);
        let place = place.ok_or_else(|| wrong(METHOD, "string 'path'", self.payload))?;
        let view = self.view(who);
        let project = place.project().map(|id| Link::new(keep("Project"), id));
        let mut named = project.into_iter().chain(place.entity());
        if let Some(link) = named.find(|link| view.follow(link).is_none()) {
            return Err(missing(METHOD, link.kind, link.id));
        }
        let mut node = self.node(view, &place);
        let path = place.path();
        let children = place.children(view);
        let children = children.iter().map(|child| {
            let mut node = self.node(view, child);
            node["parent_path"] = path.as_str().into();
            node
        });
        node["children"] = children.collect();
        Ok(node)
    }

    fn node(&self, view: View<'_>, place: &Place) -> Value {
        let path = place.path();
        let reference = match place {
            Place::Root => json!({"kind": "root", "value": null}),
            Place::Branch(_, branch) => {
                json!({"kind": "entity_type", "value": BRANCHES[*branch].0})
            }
            Place::Group(_, _, Shared::Word(word)) => json!({"kind": "list", "value": word}),
            place => {
                let link = place.entity();
                json!({"kind": "entity", "value": link.map(|link| self.with_fields(view, link))})
            }
        };
        let seed = self.payload["seed_entity_field"]
            .as_str()
            .unwrap_or("Version.entity");
        let (kind, field) = seed.split_once('.').unwrap_or((seed, ""));
        json!({
            "label": place.label(self.store), "ref": reference, "path": path,
            "has_children": !place.children(view).is_empty(),
            "target_entities": {
                "type": kind,
                "additional_filter_presets": [
                    {"preset_name": "NAV_ENTRIES", "path": path, "seed": {"type": kind, "field": field}}
                ],
            },
        })
    }

    /// An entity with the fields that are asked for its type.
    fn with_fields(&self, view: View<'_>, link: Link) -> Value {
        let bare = link.bare();
        let Some(row) = view.row(&link) else {
            return bare;
        };
        let asked = self.payload["entity_fields"]
            .as_array()
            .into_iter()
            .flatten();
        let asked = asked.filter(|one| one["entity_type"] == link.kind || one["type"] == link.kind);
        let names: Vec<String> = asked.flat_map(|one| fields(&one["fields"])).collect();
        let mut text = String::new();
        view.record(row, &view.wanted(link.kind, &names), &mut text);
        serde_json::from_str(&text).unwrap_or(bare)
    }

    /// `nav_search`
    pub(super) fn nav_search(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "nav_search";
        let root = Place::read(self.text(METHOD, "root_path")?);
        let root = root.ok_or_else(|| wrong(METHOD, "string 'root_path'", self.payload))?;
        let criteria = &self.payload["search_criteria"];
        let wanted = Link::read(&criteria["entity"]);
        let text = criteria["search_string"].as_str().map(str::to_lowercase);
        if wanted.is_none() && text.is_none() {
            return Err(wrong(METHOD, "hash 'search_criteria'", self.payload));
        }
        let is_met = |link: Link| {
            let is_named = |text: &String| self.store.name(&link).to_lowercase().contains(text);
            wanted == Some(link) || text.as_ref().is_some_and(is_named)
        };
        let view = self.view(who);
        let mut hits = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(place) = open.pop() {
            open.extend(place.children(view).into_iter().rev());
            if let Some(link) = place.entity().filter(|link| place != root && is_met(*link)) {
                hits.push(self.hit(&root, &place, link));
            }
        }
        Ok(hits.into())
    }

    fn hit(&self, root: &Place, place: &Place, link: Link) -> Value {
        let mut way = vec![place.clone()];
        while let Some(last) = way.last().filter(|last| *last != root) {
            way.push(last.parent());
        }
        way.reverse();
        let paths: Vec<String> = way.iter().map(Place::path).collect();
        let labels: Vec<String> = way[1..way.len() - 1]
            .iter()
            .map(|place| place.label(self.store))
            .collect();
        let kind: Name = link.kind;
        let project = place.project();
        json!({
            "label": self.store.name(&link), "incremental_path": paths, "path_label": labels.join(" > "),
            "ref": {"type": kind, "id": link.id}, "project_id": project,
        })
    }
}
