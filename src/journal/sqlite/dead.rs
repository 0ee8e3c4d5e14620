//! Dead letters: made with the cursor change that ends their event, redriven or dropped by number.
//!
//! A letter keeps its event whole, so that it outlives retention. One whose row was gone before has the event id 0 and can only be dropped.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Done, Memo, cursor,
    schema::{DEAD_SUM, EVENT_SUM, FACTS},
    sum,
};
use crate::{
    ident::{PluginName, Seq},
    journal::{NewDead, Origin, Outcome},
};

/// Makes or replaces the letter of this plugin and event.
pub(super) fn insert(
    db: &Connection,
    memo: &Memo,
    plugin: &PluginName,
    letter: &NewDead,
) -> rusqlite::Result<()> {
    let values = params![
        plugin.as_str(),
        letter.seq,
        letter.reason,
        letter.error,
        letter.attempts,
        letter.at.0,
        letter.version
    ];
    let replaced = db
        .prepare_cached("UPDATE dead SET reason = ?3, error = ?4, attempts = ?5, at = ?6, version = ?7 WHERE plugin = ?1 AND seq = ?2")?
        .execute(values)?;
    if replaced == 1 {
        return seal(db, plugin, letter.seq);
    }
    let body = if sum::see_event(db, memo, letter.seq)? {
        "body"
    } else {
        "NULL"
    };
    let copy = format!(
        "INSERT INTO dead (plugin, seq, reason, error, attempts, at, version, {FACTS}, body)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, {FACTS}, {body} FROM events LEFT JOIN bodies USING (seq) WHERE events.seq = ?2"
    );
    if db.prepare_cached(&copy)?.execute(values)? == 0 {
        db.prepare_cached(
            "INSERT INTO dead (plugin, seq, reason, error, attempts, at, version, timeline, event_id, event_type, is_partial)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, '', 1)",
        )?
        .execute(values)?;
    }
    seal(db, plugin, letter.seq)
}

/// Makes the sum of a letter, after a change of it.
fn seal(db: &Connection, plugin: &PluginName, seq: Seq) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "UPDATE dead SET sum = {DEAD_SUM} WHERE plugin = ?1 AND seq = ?2"
    ))?
    .execute(params![plugin.as_str(), seq])?;
    Ok(())
}

/// Opens the events of these letters again and removes the letters.
pub(super) fn redrive(db: &Connection, memo: &mut Memo, ids: &[i64]) -> Done {
    let mut redriven = Vec::new();
    for id in ids {
        let sql = format!("SELECT plugin, seq, sum IS {DEAD_SUM} FROM dead WHERE id = ?1");
        let found: Option<(String, u64)> = db
            .prepare_cached(&sql)?
            .query_row([id], |row| {
                sum::see(row, 2, || format!("dead letter {id}"))?;
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((plugin, seq)) = found else {
            continue;
        };
        let plugin = PluginName::new(plugin);
        if !cursor::has_room(db, &plugin, Seq(seq))? || !restore(db, memo, *id, seq)? {
            continue;
        }
        cursor::reopen(db, &plugin, Seq(seq), Origin::Redrive)?;
        db.prepare_cached("DELETE FROM dead WHERE id = ?1")?
            .execute([id])?;
        crate::fail::at("redrive.moved");
        redriven.push((plugin, Seq(seq)));
    }
    Ok(Ok(Outcome::Redriven(redriven)))
}

/// Sees to it that the event's row, and its body if the letter has it, are in the journal; false when nobody has them.
fn restore(db: &Connection, memo: &mut Memo, id: i64, seq: u64) -> rusqlite::Result<bool> {
    let row = format!(
        "INSERT INTO events (seq, {FACTS}) SELECT seq, {FACTS} FROM dead WHERE id = ?1 AND event_id <> 0
         ON CONFLICT DO NOTHING"
    );
    if db.prepare_cached(&row)?.execute([id])? == 1 {
        db.prepare_cached(&format!(
            "UPDATE events SET sum = {EVENT_SUM} WHERE seq = ?1"
        ))?
        .execute([seq])?;
    }
    let is_there = db
        .prepare_cached("SELECT 1 FROM events WHERE seq = ?1")?
        .exists([seq])?;
    if is_there {
        let body =
            "INSERT INTO bodies SELECT seq, body, row_sum(seq, body) FROM dead WHERE id = ?1 AND body IS NOT NULL
            ON CONFLICT DO NOTHING RETURNING octet_length(body)";
        let bytes: Option<u64> = db
            .prepare_cached(body)?
            .query_row([id], |row| row.get(0))
            .optional()?;
        memo.body_bytes += bytes.unwrap_or(0);
    }
    Ok(is_there)
}

pub(super) fn drop(db: &Connection, ids: &[i64]) -> Done {
    let mut removed = 0;
    for id in ids {
        removed += db
            .prepare_cached("DELETE FROM dead WHERE id = ?1")?
            .execute([id])? as u64;
    }
    Ok(Ok(Outcome::Removed(removed)))
}
