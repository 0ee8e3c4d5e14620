//! A plugin's cursor: changes, seeks, replays, triggers.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Done, Memo, dead, schema::PLUGIN_SUM, sum};
use crate::{
    clock::Unix,
    ident::{EventId, PluginName, Seq, Timeline},
    journal::{Counts, CursorChange, OPEN_MAX, OpenEntry, Origin, Outcome, Place, Refused, Replay},
};

/// Where a plugin's cursor is and how often it was written.
struct Stand {
    position: Seq,
    revision: u64,
}

fn stand(db: &Connection, plugin: &PluginName) -> rusqlite::Result<Option<Stand>> {
    let sql =
        format!("SELECT position, revision, sum IS {PLUGIN_SUM} FROM plugins WHERE name = ?1");
    db.prepare_cached(&sql)?
        .query_row([plugin.as_str()], |row| {
            sum::see(row, 2, || format!("the cursor of plugin {plugin}"))?;
            Ok(Stand {
                position: row.get(0)?,
                revision: row.get(1)?,
            })
        })
        .optional()
}

/// True when the plugin is known.
pub(super) fn is_known(db: &Connection, plugin: &PluginName) -> rusqlite::Result<bool> {
    Ok(stand(db, plugin)?.is_some())
}

pub(super) fn change(
    db: &Connection,
    memo: &Memo,
    change: &CursorChange,
    seen: Option<u64>,
) -> Done {
    let plugin = &change.plugin;
    let Some(stand) = stand(db, plugin)? else {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    };
    if let Err(refused) = check(change, seen, &stand, memo.last) {
        return Ok(Err(refused));
    }
    for seq in &change.settled {
        remove(db, plugin, *seq)?;
    }
    for letter in &change.dead {
        dead::insert(db, memo, plugin, letter)?;
        crate::fail::at("dead.inserted");
        remove(db, plugin, letter.seq)?;
    }
    for entry in &change.put {
        put(db, plugin, entry)?;
    }
    for replay in &change.replays {
        put_replay(db, plugin, replay)?;
    }
    write(db, plugin, change.position, &change.counts)?;
    Ok(Ok(Outcome::Cursor {
        revision: stand.revision + 1,
    }))
}

fn check(
    change: &CursorChange,
    seen: Option<u64>,
    stand: &Stand,
    last: Seq,
) -> Result<(), Refused> {
    if let Some(seen) = seen.filter(|seen| *seen != stand.revision) {
        return Err(Refused::Revision {
            plugin: change.plugin.clone(),
            seen,
            found: stand.revision,
        });
    }
    if change.position < stand.position || change.position > last {
        return Err(Refused::Position {
            plugin: change.plugin.clone(),
            asked: change.position,
            found: stand.position,
            last,
        });
    }
    let put = change.put.iter().map(|entry| entry.seq);
    let dead = change.dead.iter().map(|letter| letter.seq);
    let replays = change
        .replays
        .iter()
        .map(|replay| replay.first.max(replay.last));
    match put
        .chain(dead)
        .chain(replays)
        .find(|seq| *seq > last || seq.0 == 0)
    {
        Some(seq) => Err(Refused::NoEvent(seq)),
        None => Ok(()),
    }
}

fn write(
    db: &Connection,
    plugin: &PluginName,
    position: Seq,
    counts: &Counts,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE plugins SET position = ?2, revision = revision + 1, delivered = delivered + ?3, ok = ok + ?4,
            skipped = skipped + ?5, retried = retried + ?6, dead = dead + ?7, too_old = too_old + ?8 WHERE name = ?1",
    )?
    .execute(params![
        plugin.as_str(),
        position,
        counts.delivered,
        counts.ok,
        counts.skipped,
        counts.retried,
        counts.dead,
        counts.too_old
    ])?;
    sum::seal_plugin(db, plugin)
}

fn put(db: &Connection, plugin: &PluginName, entry: &OpenEntry) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO open VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
            row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))",
    )?
    .execute(params![
        plugin.as_str(),
        entry.seq,
        origin_word(entry.origin),
        entry.attempts,
        entry.crashes,
        entry.deliveries,
        entry.next_at.map(|at| at.0),
        entry.last_error,
        entry.progress
    ])?;
    Ok(())
}

fn remove(db: &Connection, plugin: &PluginName, seq: Seq) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM open WHERE plugin = ?1 AND seq = ?2")?
        .execute(params![plugin.as_str(), seq])?;
    Ok(())
}

/// Another one finds room in the open list.
pub(super) fn has_room(db: &Connection, plugin: &PluginName, seq: Seq) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*), coalesce(max(seq = ?2), 0) FROM open WHERE plugin = ?1";
    db.prepare_cached(sql)?
        .query_row(params![plugin.as_str(), seq], |row| {
            Ok(row.get::<_, usize>(0)? < OPEN_MAX || row.get(1)?)
        })
}

/// Puts an event into the open list as new, unless it stands there already.
pub(super) fn reopen(
    db: &Connection,
    plugin: &PluginName,
    seq: Seq,
    origin: Origin,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO open VALUES (?1, ?2, ?3, 0, 0, 0, NULL, NULL, NULL,
            row_sum(?1, ?2, ?3, 0, 0, 0, NULL, NULL, NULL))",
    )?
    .execute(params![plugin.as_str(), seq.0, origin_word(origin)])?;
    Ok(())
}

pub(super) fn trigger(db: &Connection, plugin: &PluginName, seq: Seq) -> Done {
    if !is_known(db, plugin)? {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    }
    let is_there = db
        .prepare_cached("SELECT 1 FROM events WHERE seq = ?1")?
        .exists([seq])?;
    if !is_there {
        return Ok(Err(Refused::NoEvent(seq)));
    }
    if !has_room(db, plugin, seq)? {
        let plugin = plugin.clone();
        return Ok(Err(Refused::OpenFull { plugin }));
    }
    reopen(db, plugin, seq, Origin::Trigger)?;
    Ok(Ok(Outcome::Done))
}

pub(super) fn replay(db: &Connection, memo: &Memo, plugin: &PluginName, replay: &Replay) -> Done {
    if !is_known(db, plugin)? {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    }
    let highest = replay.first.max(replay.last);
    if highest > memo.last {
        return Ok(Err(Refused::NoEvent(highest)));
    }
    put_replay(db, plugin, replay)?;
    Ok(Ok(Outcome::Done))
}

fn put_replay(db: &Connection, plugin: &PluginName, replay: &Replay) -> rusqlite::Result<()> {
    let key = params![plugin.as_str(), replay.first, replay.last];
    db.prepare_cached("DELETE FROM replays WHERE plugin = ?1 AND first = ?2 AND last = ?3")?
        .execute(key)?;
    if replay.next <= replay.last {
        db.prepare_cached("INSERT INTO replays VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?3, ?4))")?
            .execute(params![
                plugin.as_str(),
                replay.first,
                replay.last,
                replay.next
            ])?;
    }
    Ok(())
}

pub(super) fn seek(db: &Connection, memo: &Memo, plugin: &PluginName, to: Place) -> Done {
    let Some(stand) = stand(db, plugin)? else {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    };
    let position = locate(db, memo.last, memo.timeline, to)?;
    let skipped = db
        .prepare_cached("DELETE FROM open WHERE plugin = ?1")?
        .execute([plugin.as_str()])? as u64;
    let counts = Counts {
        skipped,
        ..Counts::default()
    };
    write(db, plugin, position, &counts)?;
    Ok(Ok(Outcome::Placed {
        position,
        revision: stand.revision + 1,
        skipped,
    }))
}

/// The position for a place.
pub(super) fn locate(
    db: &Connection,
    last: Seq,
    timeline: Timeline,
    place: Place,
) -> rusqlite::Result<Seq> {
    let first: Option<u64> = match place {
        Place::Latest => None,
        Place::Seq(seq) => return Ok(seq.min(last)),
        Place::Oldest => db
            .prepare_cached("SELECT min(seq) FROM events")?
            .query_row([], |row| row.get(0))?,
        Place::Event(EventId(id)) => db
            .prepare_cached("SELECT min(seq) FROM events WHERE event_id >= ?1 AND timeline = ?2")?
            .query_row(params![id, timeline.0], |row| row.get(0))?,
        Place::Time(Unix(at)) => db
            .prepare_cached(
                "SELECT min(seq) FROM events INDEXED BY events_by_time WHERE created_at >= ?1",
            )?
            .query_row([at], |row| row.get(0))?,
    };
    Ok(first.map_or(last, |first| Seq(first.saturating_sub(1))))
}

/// The word for an origin in the table.
fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Event => "event",
        Origin::Redrive => "redrive",
        Origin::Trigger => "trigger",
        Origin::Replay => "replay",
    }
}

/// The origin that a word in the table means.
pub(super) fn origin(word: &str) -> Option<Origin> {
    [
        Origin::Event,
        Origin::Redrive,
        Origin::Trigger,
        Origin::Replay,
    ]
    .into_iter()
    .find(|origin| origin_word(*origin) == word)
}
