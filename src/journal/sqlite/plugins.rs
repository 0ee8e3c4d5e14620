//! Plugins by name: registered, seen, disabled, renamed, forgotten; their key-value state; recorded children.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Done, Memo,
    append::{json, put_about},
    cursor,
    schema::{DEAD_SUM, OPEN_SUM, REPLAY_SUM, STATE_SUM},
    sum,
};
use crate::{
    clock::Unix,
    ident::{PluginName, Seq},
    journal::{
        ChildRecord, Imported, Outcome, Place, Refused, STATE_KEY_MAX, STATE_TOTAL_MAX,
        STATE_VALUE_MAX,
    },
};

/// Tables whose rows belong to a plugin by their column `plugin`, with their sums.
const OWNED: [(&str, &str); 4] = [
    ("open", OPEN_SUM),
    ("replays", REPLAY_SUM),
    ("dead", DEAD_SUM),
    ("state", STATE_SUM),
];

pub(super) fn register(
    db: &Connection,
    memo: &Memo,
    plugin: &PluginName,
    start: Place,
    imported: Option<&Imported>,
    at: Unix,
) -> Done {
    let known: Option<u64> = db
        .prepare_cached(
            "UPDATE plugins SET last_seen = max(last_seen, ?2) WHERE name = ?1 RETURNING position",
        )?
        .query_row(params![plugin.as_str(), at.0], |row| row.get(0))
        .optional()?;
    if let Some(position) = known {
        sum::seal_plugin(db, plugin)?;
        return Ok(Ok(Outcome::Registered {
            position: Seq(position),
            is_new: false,
        }));
    }
    let position = cursor::locate(db, memo.last, memo.timeline, start)?;
    db.prepare_cached("INSERT INTO plugins (name, first_seen, last_seen, position, imported) VALUES (?1, ?2, ?2, ?3, ?4)")?
        .execute(params![plugin.as_str(), at.0, position, imported.map(json)])?;
    sum::seal_plugin(db, plugin)?;
    Ok(Ok(Outcome::Registered {
        position,
        is_new: true,
    }))
}

pub(super) fn seen(db: &Connection, plugins: &[PluginName], at: Unix) -> Done {
    for plugin in plugins {
        db.prepare_cached("UPDATE plugins SET last_seen = max(last_seen, ?2) WHERE name = ?1")?
            .execute(params![plugin.as_str(), at.0])?;
        sum::seal_plugin(db, plugin)?;
    }
    Ok(Ok(Outcome::Done))
}

pub(super) fn set_disabled(db: &Connection, plugin: &PluginName, reason: Option<&str>) -> Done {
    let found = db
        .prepare_cached("UPDATE plugins SET disabled = ?2 WHERE name = ?1")?
        .execute(params![plugin.as_str(), reason])?;
    sum::seal_plugin(db, plugin)?;
    Ok(known_or(found, plugin))
}

pub(super) fn forget(db: &Connection, plugin: &PluginName) -> Done {
    let found = db
        .prepare_cached("DELETE FROM plugins WHERE name = ?1")?
        .execute([plugin.as_str()])?;
    for (table, _) in OWNED {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE plugin = ?1"))?
            .execute([plugin.as_str()])?;
    }
    if found > 0 {
        forget_file(db, plugin)?;
    }
    Ok(known_or(found, plugin))
}

/// Which file has which name stands in `about`, under this and the name.
pub(super) const FILE: &str = "file/";

pub(super) fn set_file(db: &Connection, plugin: &PluginName, file: &str) -> Done {
    put_about(db, &format!("{FILE}{plugin}"), file)?;
    Ok(Ok(Outcome::Done))
}

fn forget_file(db: &Connection, plugin: &PluginName) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM about WHERE key = ?1")?
        .execute([format!("{FILE}{plugin}")])?;
    Ok(())
}

fn known_or(found: usize, plugin: &PluginName) -> Result<Outcome, Refused> {
    match found {
        0 => Err(Refused::UnknownPlugin(plugin.clone())),
        _ => Ok(Outcome::Done),
    }
}

pub(super) fn rename(db: &Connection, from: &PluginName, to: &PluginName) -> Done {
    if !cursor::is_known(db, from)? {
        return Ok(Err(Refused::UnknownPlugin(from.clone())));
    }
    if from == to {
        return Ok(Ok(Outcome::Done));
    }
    let names = [from.as_str(), to.as_str()];
    if cursor::is_known(db, to)? {
        db.prepare_cached(MERGE)?.execute(names)?;
        db.prepare_cached("DELETE FROM plugins WHERE name = ?1")?
            .execute([from.as_str()])?;
    } else {
        db.prepare_cached("UPDATE plugins SET name = ?2, revision = revision + 1 WHERE name = ?1")?
            .execute(names)?;
    }
    // The new name's file has it already, or will when it is found.
    forget_file(db, from)?;
    for (table, sum) in OWNED {
        // The right side of SET sees the row as it was, with the old name.
        let sum = sum.replacen("(plugin,", "(?2,", 1);
        db.prepare_cached(&format!(
            "UPDATE OR REPLACE {table} SET plugin = ?2, sum = {sum} WHERE plugin = ?1"
        ))?
        .execute(names)?;
    }
    db.prepare_cached(
        "UPDATE plugins SET state_bytes = (SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0)
            FROM state WHERE plugin = ?1) WHERE name = ?1",
    )?
    .execute([to.as_str()])?;
    sum::seal_plugin(db, to)?;
    Ok(Ok(Outcome::Done))
}

/// What stood under the new name is kept too: the lower position counts, so nothing is passed over.
const MERGE: &str = "
    UPDATE plugins SET first_seen = min(plugins.first_seen, old.first_seen), last_seen = max(plugins.last_seen, old.last_seen),
        disabled = coalesce(old.disabled, plugins.disabled), position = min(plugins.position, old.position),
        revision = max(plugins.revision, old.revision) + 1, delivered = plugins.delivered + old.delivered,
        ok = plugins.ok + old.ok, skipped = plugins.skipped + old.skipped, retried = plugins.retried + old.retried,
        dead = plugins.dead + old.dead, too_old = plugins.too_old + old.too_old,
        imported = coalesce(old.imported, plugins.imported)
    FROM (SELECT * FROM plugins WHERE name = ?1) AS old WHERE plugins.name = ?2";

pub(super) fn state_set(db: &Connection, plugin: &PluginName, key: &str, value: &str) -> Done {
    for (what, text, allowed) in [
        ("key", key, STATE_KEY_MAX),
        ("value", value, STATE_VALUE_MAX),
    ] {
        if text.len() > allowed {
            return Ok(Err(Refused::TooLong {
                what,
                bytes: text.len(),
                allowed,
            }));
        }
    }
    let total: Option<u64> = db
        .prepare_cached("SELECT state_bytes FROM plugins WHERE name = ?1")?
        .query_row([plugin.as_str()], |row| row.get(0))
        .optional()?;
    let Some(total) = total else {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    };
    let bytes =
        (total + (key.len() + value.len()) as u64).saturating_sub(entry_bytes(db, plugin, key)?);
    if bytes > STATE_TOTAL_MAX {
        return Ok(Err(Refused::StateFull {
            plugin: plugin.clone(),
            bytes,
        }));
    }
    db.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))")?
        .execute([plugin.as_str(), key, value])?;
    set_state_bytes(db, plugin, bytes)?;
    Ok(Ok(Outcome::Done))
}

pub(super) fn state_delete(db: &Connection, plugin: &PluginName, key: &str) -> Done {
    let total: Option<u64> = db
        .prepare_cached("SELECT state_bytes FROM plugins WHERE name = ?1")?
        .query_row([plugin.as_str()], |row| row.get(0))
        .optional()?;
    let Some(total) = total else {
        return Ok(Err(Refused::UnknownPlugin(plugin.clone())));
    };
    let bytes = total.saturating_sub(entry_bytes(db, plugin, key)?);
    let removed = db
        .prepare_cached("DELETE FROM state WHERE plugin = ?1 AND key = ?2")?
        .execute([plugin.as_str(), key])? as u64;
    set_state_bytes(db, plugin, bytes)?;
    Ok(Ok(Outcome::Removed(removed)))
}

fn entry_bytes(db: &Connection, plugin: &PluginName, key: &str) -> rusqlite::Result<u64> {
    let sql =
        "SELECT octet_length(key) + octet_length(value) FROM state WHERE plugin = ?1 AND key = ?2";
    let found = db
        .prepare_cached(sql)?
        .query_row([plugin.as_str(), key], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

fn set_state_bytes(db: &Connection, plugin: &PluginName, bytes: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE plugins SET state_bytes = ?2 WHERE name = ?1")?
        .execute(params![plugin.as_str(), bytes])?;
    sum::seal_plugin(db, plugin)
}

pub(super) fn child_put(db: &Connection, child: &ChildRecord) -> Done {
    db.prepare_cached(
        "INSERT OR REPLACE INTO children VALUES (?1, ?2, ?3, ?4, row_sum(?1, ?2, ?3, ?4))",
    )?
    .execute(params![
        child.pid,
        child.start_time,
        child.boot_id,
        child.plugin.as_str()
    ])?;
    Ok(Ok(Outcome::Done))
}

pub(super) fn child_remove(db: &Connection, pid: i32, start_time: u64) -> Done {
    let removed = db
        .prepare_cached("DELETE FROM children WHERE pid = ?1 AND start_time = ?2")?
        .execute(params![pid, start_time])? as u64;
    Ok(Ok(Outcome::Removed(removed)))
}
