//! Retention's steps: bodies first, rows when nobody needs them.
//!
//! Never: an age or a size. What may go was decided elsewhere; that nobody needs it is checked here, inside the transaction.

use rusqlite::{Connection, params};

use super::{Done, Memo, dead, sum};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName, Seq},
    journal::{
        NewDead, Outcome, Pruned,
        op::{ORPHANED, ORPHANED_ERROR},
    },
};

pub(super) fn bodies(db: &Connection, memo: &mut Memo, up_to: Seq, at_most: u32) -> Done {
    let first = memo.bodies_from.0;
    let last = up_to
        .min(memo.last)
        .0
        .min((first + u64::from(at_most)).saturating_sub(1));
    if last < first {
        return Ok(Ok(nothing(first)));
    }
    let range = params![first, last];
    let bytes: u64 = db
        .prepare_cached(
            "SELECT coalesce(sum(octet_length(body)), 0) FROM bodies WHERE seq BETWEEN ?1 AND ?2",
        )?
        .query_row(range, |row| row.get(0))?;
    db.prepare_cached("DELETE FROM bodies WHERE seq BETWEEN ?1 AND ?2")?
        .execute(range)?;
    crate::fail::at("retention.bodies_dropped");
    memo.bodies_from = Seq(last + 1);
    memo.body_bytes = memo.body_bytes.saturating_sub(bytes);
    Ok(Ok(Outcome::Pruned(Pruned {
        up_to: Seq(last),
        rows: last + 1 - first,
        bytes,
        lost: Vec::new(),
    })))
}

fn nothing(first: u64) -> Outcome {
    Outcome::Pruned(Pruned {
        up_to: Seq(first.saturating_sub(1)),
        ..Pruned::default()
    })
}

pub(super) fn rows(
    db: &Connection,
    memo: &mut Memo,
    (up_to, at_most): (Seq, u32),
    orphans: &[PluginName],
    at: Unix,
) -> Done {
    let first = memo.rows_from.0;
    let last = up_to
        .0
        .min(memo.bodies_from.0.saturating_sub(1))
        .min(memo.last.0.saturating_sub(1))
        .min(needed_from(db, orphans)?.saturating_sub(1))
        .min((first + u64::from(at_most)).saturating_sub(1));
    if last < first {
        return Ok(Ok(nothing(first)));
    }
    let lost = lose(db, memo, last, at)?;
    let bytes: u64 = db
        .prepare_cached("SELECT coalesce(sum(octet_length(body)), 0) FROM bodies WHERE seq <= ?1")?
        .query_row([last], |row| row.get(0))?;
    db.prepare_cached("DELETE FROM bodies WHERE seq <= ?1")?
        .execute([last])?;
    let rows = db
        .prepare_cached("DELETE FROM events WHERE seq <= ?1")?
        .execute([last])? as u64;
    db.prepare_cached(
        "DELETE FROM marks WHERE seq < (SELECT max(seq) FROM marks WHERE seq <= ?1)",
    )?
    .execute([last + 1])?;
    crate::fail::at("retention.rows_deleted");
    memo.rows_from = Seq(last + 1);
    memo.body_bytes = memo.body_bytes.saturating_sub(bytes);
    Ok(Ok(Outcome::Pruned(Pruned {
        up_to: Seq(last),
        rows,
        bytes,
        lost,
    })))
}

/// The lowest position that a plugin which is no orphan still needs.
fn needed_from(db: &Connection, orphans: &[PluginName]) -> rusqlite::Result<u64> {
    let mut statement = db.prepare_cached(
        "SELECT name, min(position + 1,
            coalesce((SELECT min(seq) FROM open WHERE plugin = name), position + 1),
            coalesce((SELECT min(next) FROM replays WHERE plugin = name), position + 1)) FROM plugins",
    )?;
    let mut rows = statement.query([])?;
    let mut needed = u64::MAX;
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str()?;
        if !orphans.iter().any(|orphan| orphan.as_str() == name) {
            needed = needed.min(row.get(1)?);
        }
    }
    Ok(needed)
}

/// Makes dead letters of open entries whose rows go. Only orphans can have any.
fn lose(
    db: &Connection,
    memo: &Memo,
    last: u64,
    at: Unix,
) -> rusqlite::Result<Vec<(PluginName, EventId)>> {
    let mut statement = db.prepare_cached(
        "SELECT plugin, seq, attempts, coalesce(event_id, 0) FROM open LEFT JOIN events USING (seq)
         WHERE seq <= ?1 ORDER BY plugin, seq",
    )?;
    let rows = statement.query_map([last], |row| {
        let plugin = PluginName::new(row.get::<_, String>(0)?);
        let letter = NewDead {
            seq: row.get(1)?,
            reason: ORPHANED.into(),
            error: ORPHANED_ERROR.into(),
            attempts: row.get(2)?,
            at,
            version: None,
        };
        Ok((plugin, letter, EventId(row.get(3)?)))
    })?;
    let mut lost = Vec::new();
    for row in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let (plugin, letter, event_id) = row;
        dead::insert(db, memo, &plugin, &letter)?;
        db.prepare_cached("UPDATE plugins SET dead = dead + 1 WHERE name = ?1")?
            .execute([plugin.as_str()])?;
        sum::seal_plugin(db, &plugin)?;
        lost.push((plugin, event_id));
    }
    db.prepare_cached("DELETE FROM open WHERE seq <= ?1")?
        .execute([last])?;
    Ok(lost)
}
