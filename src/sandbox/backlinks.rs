//! The other sides of links: `Shot.tasks` follows `Task.entity` and the other way round; rows of connections follow lists.
//!
//! In: a field that was written. Out: what had to change elsewhere, with a row of its own that names the row it comes from.
//! Never: a check; who calls has done it.

use super::{
    cell::{Cell, Kept, Link},
    links::{Mode, combine, difference},
    name::Name,
    row::{back_reference, new_entity},
    schema::{Connection, FieldDef},
    transaction::Transaction,
};

impl Transaction<'_> {
    /// Changes the other sides of a link or a list.
    pub(super) fn other_sides(
        &mut self,
        link: Link,
        def: &FieldDef,
        [old, new]: [&Kept; 2],
        original: usize,
    ) {
        let (added, removed) = difference(old.links(), new.links());
        if let Some(back) = def.back {
            for target in &removed {
                for field in self.fields_back(*target, def, back) {
                    self.back(link, def, (*target, field), Mode::Remove, original);
                }
            }
            for target in &added {
                self.back(link, def, (*target, back), Mode::Add, original);
            }
        }
        if let Some(via) = def
            .via
            .or_else(|| self.via_of_other_side(def, &added, &removed))
        {
            let is_owner = via.owner == link.kind && via.list == def.field;
            for (targets, mode) in [(removed, Mode::Remove), (added, Mode::Add)] {
                for target in targets {
                    let ends = if is_owner {
                        [link, target]
                    } else {
                        [target, link]
                    };
                    self.connect(via, ends, mode);
                }
            }
        }
    }

    /// The fields on the other side that may have the link: `Task.notes` is the other side of two fields of a note.
    fn fields_back(&self, target: Link, def: &FieldDef, back: Name) -> Vec<Name> {
        let fields = self.store.schema.get(target.kind);
        let fields = fields.into_iter().flat_map(|def| def.fields.values());
        let fields = fields.filter(|field| field.back == Some(def.field) || field.field == back);
        fields.map(|field| field.field).collect()
    }

    /// `Version.playlists` is the other side of `Playlist.versions`, whose links have rows.
    fn via_of_other_side(
        &self,
        def: &FieldDef,
        added: &[Link],
        removed: &[Link],
    ) -> Option<Connection> {
        let target = added.iter().chain(removed).next()?;
        self.store.schema.field(target.kind, def.back?)?.via
    }

    fn back(
        &mut self,
        link: Link,
        def: &FieldDef,
        (target, back): (Link, Name),
        mode: Mode,
        original: usize,
    ) {
        let Some(back_def) = self.store.schema.field(target.kind, back).cloned() else {
            return;
        };
        let Some(entity) = self.store.entity(target.kind, target.id) else {
            return;
        };
        if mode == Mode::Remove && self.is_still_linked(link, back, target) {
            return;
        }
        let old = entity.get(back).clone();
        let new = if back_def.kind.is_multi() {
            Cell::Links(combine(old.links(), &[link], mode).into())
        } else {
            match mode {
                Mode::Remove if old.link() == Some(link) => Cell::Null,
                Mode::Remove => return,
                Mode::Add | Mode::Set => Cell::Link(link),
            }
        };
        let theirs = self.drafts.len();
        self.refer((link, def), (target, back), [old.clone(), new], original);
        // Who had it before has it no longer: a task is in the list of one shot.
        if let (Some(before), Mode::Add) = (old.link(), mode)
            && before != link
            && let Some(owner) = self.store.entity(before.kind, before.id)
        {
            let old = owner.get(def.field).clone();
            let left = Cell::Links(combine(old.links(), &[target], Mode::Remove).into());
            self.refer(
                (target, &back_def),
                (before, def.field),
                [old, left],
                theirs,
            );
        }
    }

    /// A note may be linked to a task in two of its fields.
    fn is_still_linked(&self, link: Link, back: Name, target: Link) -> bool {
        let def = self.store.schema.get(link.kind);
        let entity = self.store.entity(link.kind, link.id);
        def.zip(entity).is_some_and(|(def, entity)| {
            let fields = def.fields.values().filter(|field| field.back == Some(back));
            fields
                .into_iter()
                .any(|field| entity.get(field.field).links().contains(&target))
        })
    }

    /// Writes the other side of a link, with its row.
    fn refer(
        &mut self,
        from: (Link, &FieldDef),
        (target, field): (Link, Name),
        [old, new]: [Kept; 2],
        original: usize,
    ) {
        if old == new || (old.is_empty() && new.is_empty()) {
            return;
        }
        let draft = back_reference(self.store, from, (target, field), [&old, &new], original);
        self.set(target, field, new);
        self.drafts.push(draft);
    }

    /// The row that stands for a link of a list comes or goes.
    fn connect(&mut self, via: Connection, [here, there]: [Link; 2], mode: Mode) {
        let rows = self.store.linked_ever(via.kind, via.here, here);
        let rows = rows.filter(|row| row.get(via.there).link() == Some(there));
        // A row that went comes back: one link has one row.
        let row = rows.max_by_key(|row| (!row.is_retired, row.id));
        let row = row.map(|row| (Link::new(via.kind, row.id), row.is_retired));
        match (row, mode) {
            (Some((row, is_retired)), mode) if is_retired != (mode == Mode::Remove) => {
                self.retire(row, !is_retired);
            }
            (None, Mode::Add | Mode::Set) => {
                let row = self.make(via.kind);
                self.set(row, via.here, Cell::Link(here));
                self.set(row, via.there, Cell::Link(there));
                self.fill_defaults(row);
                // Of all connections only dependencies were seen in the log of a site.
                if via.kind == "TaskDependency" {
                    self.drafts.push(new_entity(row));
                }
            }
            _ => {}
        }
    }

    fn fill_defaults(&mut self, row: Link) {
        let Some(def) = self.store.schema.get(row.kind).cloned() else {
            return;
        };
        for (name, field) in &def.fields {
            if field.default != Cell::Null {
                self.set(row, name, field.default.clone());
            }
        }
    }

    /// A row of a connection that was made by itself is in the list that it stands for.
    pub(super) fn connected(&mut self, link: Link) {
        self.follow_connection(link, Mode::Add);
    }

    /// The list follows a row of a connection that comes or goes.
    pub(super) fn disconnected(&mut self, link: Link, is_gone: bool) {
        self.follow_connection(link, if is_gone { Mode::Remove } else { Mode::Add });
    }

    fn follow_connection(&mut self, link: Link, mode: Mode) {
        let Some(via) = self.store.schema.connection(link.kind) else {
            return;
        };
        let Some(row) = self.store.entity(link.kind, link.id) else {
            return;
        };
        let (Some(here), Some(there)) = (row.get(via.here).link(), row.get(via.there).link())
        else {
            return;
        };
        let Some(def) = self.store.schema.field(here.kind, via.list).cloned() else {
            return;
        };
        let Some(owner) = self.store.entity(here.kind, here.id) else {
            return;
        };
        let old = owner.get(via.list).links();
        let list = combine(old, &[there], mode);
        let written = self.write(here, &def, Cell::Links(list.into()), false);
        debug_assert!(written.is_ok(), "only files are refused there");
    }
}
