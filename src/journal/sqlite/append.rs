//! Journaling an answer of the site: events, ingest's state and a mark of time, and whom the state belongs to.

use rusqlite::{Connection, OptionalExtension as _, params, types::ValueRef};

use super::{
    Done, Memo, row,
    schema::{ABOUT_SUM, FACTS, FACTS_COUNT},
    sum,
};
use crate::{
    clock::Unix,
    ident::Seq,
    journal::{Append, Appended, IngestState, MARK_MS, NewEvent, Outcome, Refused},
};

/// The key of ingest's state.
pub(super) const INGEST: &str = "ingest";
/// The key of the site's address.
pub(super) const SITE: &str = "site";

pub(super) fn append(db: &Connection, memo: &mut Memo, append: &Append, at: Unix) -> Done {
    if memo.head != append.expected_head {
        return Ok(Err(Refused::Head {
            expected: append.expected_head,
            found: memo.head,
        }));
    }
    let first = memo.last.next();
    let fresh = insert(db, memo, &append.events)?;
    crate::fail::at("journal.rows_inserted");
    if !fresh.is_empty() {
        mark(db, memo, first, at)?;
    }
    put_about(db, INGEST, &json(&append.ingest))?;
    crate::fail::at("gap.state_written");
    memo.remember(&append.ingest);
    Ok(Ok(Outcome::Appended(Appended { first, fresh })))
}

fn insert(db: &Connection, memo: &mut Memo, events: &[NewEvent]) -> rusqlite::Result<Vec<u32>> {
    let mut statement = db.prepare_cached(insert_sql())?;
    let mut body = db.prepare_cached("INSERT INTO bodies VALUES (?1, ?2, ?3)")?;
    let mut fresh = Vec::with_capacity(events.len());
    for (index, event) in (0..).zip(events) {
        let seq = memo.last.next();
        let (number, facts) = (
            ValueRef::Integer(seq.0.cast_signed()),
            row::values(&event.facts),
        );
        statement.raw_bind_parameter(1, seq.0)?;
        row::bind(&mut statement, 2, &facts)?;
        // Here and not in SQL: it would copy every text once more.
        let row = std::iter::once(number).chain(facts);
        statement.raw_bind_parameter(FACTS_COUNT + 2, sum::of(row))?;
        if statement.raw_execute()? == 1 {
            let whole = [number, ValueRef::Text(&event.body)];
            body.execute(params![
                seq,
                row::Text(&event.body),
                sum::of(whole.into_iter())
            ])?;
            memo.last = seq;
            memo.body_bytes += event.body.len() as u64;
            fresh.push(index);
        } else {
            see_that_it_is_known(db, event)?;
        }
    }
    Ok(fresh)
}

/// Looks at the row that is said to be there already: an entry of the index that is not as it was written would hide a new event.
fn see_that_it_is_known(db: &Connection, event: &NewEvent) -> rusqlite::Result<()> {
    // The plus keeps SQLite from reading these from the index again.
    let sql = "SELECT 1 FROM events WHERE seq = (SELECT seq FROM events INDEXED BY events_by_id WHERE event_id = ?1 AND timeline = ?2)
        AND +event_id = ?1 AND +timeline = ?2";
    let facts = &event.facts;
    let is_known = db
        .prepare_cached(sql)?
        .exists(params![facts.event_id.0, facts.timeline.0])?;
    if is_known {
        Ok(())
    } else {
        Err(sum::changed(format!(
            "the index entry of event id {}",
            facts.event_id
        )))
    }
}

/// A known (timeline, event id) is left as it is.
fn insert_sql() -> &'static str {
    static SQL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SQL.get_or_init(|| {
        let facts: String = (2..=FACTS_COUNT + 1).map(|at| format!(", ?{at}")).collect();
        format!(
            "INSERT INTO events (seq, {FACTS}, sum) VALUES (?1{facts}, ?{})
             ON CONFLICT (event_id, timeline) DO NOTHING",
            FACTS_COUNT + 2
        )
    })
}

/// Remembers when `first` and what follows were journaled, unless the last mark still says it well enough.
fn mark(db: &Connection, memo: &mut Memo, first: Seq, at: Unix) -> rusqlite::Result<()> {
    let is_covered = memo
        .mark
        .is_some_and(|mark| (mark.0..mark.0.saturating_add(MARK_MS)).contains(&at.0));
    if !is_covered {
        db.prepare_cached("INSERT INTO marks VALUES (?1, ?2, row_sum(?1, ?2))")?
            .execute(params![first, at.0])?;
        memo.mark = Some(at);
    }
    Ok(())
}

/// The site is set by its first answer; another one is refused until somebody adopts it. Before that an address may be
/// mended: it was mistyped, and nothing was read from there.
pub(super) fn site(db: &Connection, url: &str) -> Done {
    match about(db, SITE)? {
        None => adopt_site(db, url),
        Some(found) if *found == *url => Ok(Ok(Outcome::Done)),
        Some(_) if ingest(db)? == IngestState::default() => adopt_site(db, url),
        Some(found) => Ok(Err(Refused::OtherSite {
            found,
            asked: url.into(),
        })),
    }
}

pub(super) fn adopt_site(db: &Connection, url: &str) -> Done {
    put_about(db, SITE, url)?;
    Ok(Ok(Outcome::Done))
}

/// Ingest's state as it stands; the default before the first answer.
pub(super) fn ingest(db: &Connection) -> rusqlite::Result<IngestState> {
    let Some(text) = about(db, INGEST)? else {
        return Ok(IngestState::default());
    };
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

pub(super) fn about(db: &Connection, key: &str) -> rusqlite::Result<Option<Box<str>>> {
    let sql = format!("SELECT value, sum IS {ABOUT_SUM} FROM about WHERE key = ?1");
    db.prepare_cached(&sql)?
        .query_row([key], |row| {
            sum::see(row, 1, || format!("`{key}` of `about`"))?;
            row.get(0)
        })
        .optional()
}

pub(super) fn put_about(db: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO about VALUES (?1, ?2, row_sum(?1, ?2))
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
    )?
    .execute([key, value])?;
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and strings always serialise")
}
