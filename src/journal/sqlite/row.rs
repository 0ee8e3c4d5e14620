//! An event's facts as columns, and back.
//!
//! Never: SQL of its own. The order of the columns is `schema::FACTS`.

use bytes::Bytes;
use rusqlite::{
    Row, ToSql,
    types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::{
    event::{Facts, Link},
    ident::{EventId, Seq, Timeline},
};

use super::schema::FACTS_COUNT;

/// JSON text as SQLite's text, without a copy and without a second look at its UTF-8.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

impl ToSql for Seq {
    /// A position that no journal can reach stays one.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Seq {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u64::column_result(value).map(Self)
    }
}

/// The facts as values.
pub(super) fn values(facts: &Facts) -> [ValueRef<'_>; FACTS_COUNT] {
    let mut values = [ValueRef::Null; FACTS_COUNT];
    values[0] = ValueRef::Integer(facts.timeline.0.into());
    values[1] = ValueRef::Integer(facts.event_id.0);
    values[2] = facts
        .created_at
        .map_or(ValueRef::Null, |at| ValueRef::Integer(at.0));
    values[3] = ValueRef::Text(facts.event_type.as_bytes());
    values[4] = text_or_null(facts.attribute_name.as_deref());
    values[5] = text_or_null(facts.session_uuid.as_deref());
    values[6] = ValueRef::Integer(facts.is_partial.into());
    let links = [
        &facts.project,
        &facts.entity,
        &facts.user,
        &facts.subject,
        &facts.sudo_user,
    ];
    for (link, at) in links.into_iter().zip((7..).step_by(3)) {
        if let Some(link) = link {
            values[at] = ValueRef::Text(link.kind.as_bytes());
            values[at + 1] = ValueRef::Integer(link.id);
            values[at + 2] = text_or_null(link.name.as_deref());
        }
    }
    values
}

fn text_or_null(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

/// Binds values at `first` and after.
pub(super) fn bind(
    statement: &mut rusqlite::Statement<'_>,
    first: usize,
    values: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    for (at, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(first + at, ToSqlOutput::Borrowed(*value))?;
    }
    Ok(())
}

/// Reads the facts at `first` and after.
pub(super) fn facts(row: &Row<'_>, first: usize) -> rusqlite::Result<Facts> {
    Ok(Facts {
        timeline: Timeline(row.get(first)?),
        event_id: EventId(row.get(first + 1)?),
        created_at: row
            .get::<_, Option<i64>>(first + 2)?
            .map(crate::clock::Unix),
        event_type: row.get(first + 3)?,
        attribute_name: row.get(first + 4)?,
        session_uuid: row.get(first + 5)?,
        is_partial: row.get(first + 6)?,
        project: link(row, first + 7)?,
        entity: link(row, first + 10)?,
        user: link(row, first + 13)?,
        subject: link(row, first + 16)?,
        sudo_user: link(row, first + 19)?,
    })
}

/// Reads the body that stands behind facts at `first`.
pub(super) fn body(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Bytes>> {
    text(row, first + FACTS_COUNT)
}

/// Reads a column of text as it is.
pub(super) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Bytes>> {
    let value = row.get_ref(at)?;
    Ok(value.as_bytes_or_null()?.map(Bytes::copy_from_slice))
}

fn link(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Link>> {
    let Some(kind) = row.get(at)? else {
        return Ok(None);
    };
    Ok(Some(Link {
        kind,
        id: row.get(at + 1)?,
        name: row.get(at + 2)?,
    }))
}
