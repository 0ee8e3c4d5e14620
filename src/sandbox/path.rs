//! Paths: `entity.Shot.sg_sequence.Sequence.code`, links to follow and then a field; `$FROM$Task.entity.content` goes the other way.
//!
//! In: text, a type to start at. Out: definitions, or nothing when a part of it does not exist.
//! Never: a row.

use std::sync::Arc;

use super::{
    name::Name,
    schema::{FieldDef, Schema},
};

const FROM: &str = "$FROM$";

/// One move from row to row.
#[derive(Debug)]
pub(super) enum Step {
    /// To what a field links to, if that is of this type.
    To(Arc<FieldDef>, Name),
    /// To the rows of this type that link here by a field.
    From(Name, Arc<FieldDef>),
}

/// Where a value is found.
#[derive(Debug)]
pub(super) struct Path {
    /// The way to it.
    pub(super) steps: Vec<Step>,
    /// The field at the end.
    pub(super) def: Arc<FieldDef>,
}

impl Path {
    /// Reads a path from a type on.
    pub(super) fn read(schema: &Schema, kind: &str, text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut kind = schema.get(kind)?.kind;
        let mut steps = Vec::new();
        let mut part = parts.next()?;
        loop {
            if let Some(from) = part.strip_prefix(FROM) {
                let from = schema.get(from)?.kind;
                steps.push(Step::From(from, schema.field(from, parts.next()?)?.clone()));
                kind = from;
                part = parts.next()?;
                continue;
            }
            let def = schema.field(kind, part)?.clone();
            let Some(next) = parts.next() else {
                return Some(Self { steps, def });
            };
            kind = schema.get(next)?.kind;
            steps.push(Step::To(def, kind));
            part = parts.next()?;
        }
    }

    /// True for a field of the row itself.
    pub(super) fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// True when it can end at many rows.
    pub(super) fn is_many(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::To(def, _) => def.kind.is_multi(),
            Step::From(..) => true,
        })
    }
}
