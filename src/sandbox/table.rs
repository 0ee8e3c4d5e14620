//! Tables: the rows of one entity type, found by id, by what they link to and by their names.
//!
//! In: rows and single values. Out: rows; ids by link or text, retired ones too.
//! Never: whether a value may be written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    cell::{Kept, Link, NULL},
    links::difference,
    name::Name,
    schema::TypeDef,
};

/// Too many links to find anything by, and it changes with every write.
const NOT_INDEXED: &str = "updated_by";

/// A shot, a task, a person.
#[derive(Debug, Clone, Default)]
pub(super) struct Entity {
    /// Its id.
    pub(super) id: i64,
    /// Deleted in the site's sense: still there, hidden.
    pub(super) is_retired: bool,
    /// What is not empty, by name.
    fields: Vec<(Name, Kept)>,
}

impl Entity {
    /// An empty one.
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// A value.
    pub(super) fn get(&self, field: &str) -> &Kept {
        let at = self.fields.binary_search_by(|(name, _)| (*name).cmp(field));
        at.map_or(&NULL, |at| &self.fields[at].1)
    }

    /// All values that are not empty, by name.
    pub(super) fn fields(&self) -> impl Iterator<Item = (Name, &Kept)> {
        self.fields.iter().map(|(name, value)| (*name, value))
    }

    fn set(&mut self, field: Name, value: Kept) -> Kept {
        let at = self.fields.binary_search_by(|(name, _)| (*name).cmp(field));
        match (at, value.is_empty()) {
            (Ok(at), true) => self.fields.remove(at).1,
            (Ok(at), false) => std::mem::replace(&mut self.fields[at].1, value),
            (Err(_), true) => Kept::Null,
            (Err(at), false) => {
                self.fields.insert(at, (field, value));
                Kept::Null
            }
        }
    }
}

/// The rows of a type.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<i64, Entity>,
    last: i64,
    links: HashMap<(Name, Link), BTreeSet<i64>>,
    texts: HashMap<(Name, Box<str>), BTreeSet<i64>>,
    named_by: Vec<Name>,
}

/// Whether rows are found by the links in a field.
pub(super) fn is_found_by_link(field: &str) -> bool {
    field != NOT_INDEXED
}

impl Table {
    /// An empty table of a type.
    pub(super) fn new(def: &TypeDef) -> Self {
        let unique = def.fields.values().filter(|field| field.unique);
        let mut named_by = def.display.clone();
        named_by.extend(unique.map(|field| field.field));
        Self {
            named_by,
            ..Self::default()
        }
    }

    /// A row, retired or not.
    pub(super) fn get(&self, id: i64) -> Option<&Entity> {
        self.rows.get(&id)
    }

    /// All rows.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Entity> {
        self.rows.values()
    }

    /// The rows in a span of ids.
    pub(super) fn range(
        &self,
        ids: std::ops::RangeInclusive<i64>,
    ) -> impl DoubleEndedIterator<Item = &Entity> {
        // A reversed span makes `range` panic, and means nothing.
        let ids = if ids.is_empty() {
            i64::MAX..=i64::MAX
        } else {
            ids
        };
        self.rows.range(ids).map(|(_, row)| row)
    }

    /// The highest id that was ever given; 0 before the first.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// Takes the next id away.
    pub(super) fn take_id(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    /// Gives away no id up to this one.
    pub(super) fn reserve(&mut self, last: i64) {
        self.last = self.last.max(last);
    }

    /// Puts an empty row there.
    pub(super) fn make(&mut self, id: i64) {
        self.last = self.last.max(id);
        self.rows.insert(id, Entity::new(id));
    }

    /// Takes a row away for ever.
    pub(super) fn forget(&mut self, id: i64) {
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        for (field, value) in &row.fields {
            self.unlist(id, field, value);
        }
    }

    /// Writes a value; returns what it was.
    pub(super) fn set(&mut self, id: i64, field: Name, value: Kept) -> Kept {
        let Some(row) = self.rows.get_mut(&id) else {
            return Kept::Null;
        };
        // Lists are long, and mostly one link comes or goes.
        let (added, removed) = difference(row.get(field).links(), value.links());
        let is_named = self.named_by.contains(&field);
        let name = |value: &Kept| value.as_str().filter(|_| is_named).map(str::to_lowercase);
        let new = name(&value);
        let old = row.set(field, value);
        for link in added.into_iter().filter(|_| is_found_by_link(field)) {
            self.links.entry((field, link)).or_default().insert(id);
        }
        for link in removed {
            take(&mut self.links, &(field, link), id);
        }
        let was = name(&old);
        if was != new {
            self.rename(id, field, was, new);
        }
        old
    }

    fn rename(&mut self, id: i64, field: Name, was: Option<String>, new: Option<String>) {
        if let Some(was) = was {
            take(&mut self.texts, &(field, was.into()), id);
        }
        if let Some(new) = new {
            self.texts
                .entry((field, new.into()))
                .or_default()
                .insert(id);
        }
    }

    /// Hides a row or shows it again.
    pub(super) fn retire(&mut self, id: i64, is_retired: bool) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.is_retired = is_retired;
        }
    }

    /// The rows that link to something.
    pub(super) fn linked(&self, field: Name, link: Link) -> Option<&BTreeSet<i64>> {
        self.links.get(&(field, link))
    }

    /// Whether rows are found by the text of a field.
    pub(super) fn is_found_by_text(&self, field: Name) -> bool {
        self.named_by.contains(&field)
    }

    /// The rows with a text, given in lower case.
    pub(super) fn named(&self, field: Name, text: &str) -> Option<&BTreeSet<i64>> {
        self.texts.get(&(field, text.into()))
    }

    fn unlist(&mut self, id: i64, field: Name, value: &Kept) {
        for link in value.links() {
            take(&mut self.links, &(field, *link), id);
        }
        if let Some(text) = value.as_str()
            && self.named_by.contains(&field)
        {
            take(&mut self.texts, &(field, text.to_lowercase().into()), id);
        }
    }
}

fn take<K: std::hash::Hash + Eq>(lists: &mut HashMap<K, BTreeSet<i64>>, key: &K, id: i64) {
    if let Some(ids) = lists.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            lists.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{cell::Cell, name::keep, schema::Schema};

    #[test]
    fn rows_are_found_by_what_they_are_and_not_by_what_they_were() {
        let schema = Schema::builtin();
        let mut table = Table::new(schema.get("Shot").unwrap());
        let (code, link) = (keep("code"), keep("sg_sequence"));
        let [one, two] = [1, 2].map(|id| Link::new(keep("Sequence"), id));
        table.make(7);
        table.set(7, code, Cell::text("SH010"));
        table.set(7, link, Cell::Link(one));
        let found = |table: &Table| {
            let ids = |set: Option<&BTreeSet<i64>>| set.map_or(0, BTreeSet::len);
            [
                ids(table.named(code, "sh010")),
                ids(table.linked(link, one)),
                ids(table.linked(link, two)),
            ]
        };
        assert_eq!(found(&table), [1, 1, 0]);
        table.set(7, code, Cell::text("sh010"));
        table.set(7, link, Cell::Links(vec![one, two].into()));
        table.set(7, link, Cell::Links(vec![two].into()));
        assert_eq!(found(&table), [1, 0, 1]);
        table.forget(7);
        assert_eq!(
            (found(&table), table.links.len(), table.texts.len()),
            ([0, 0, 0], 0, 0)
        );
    }
}
