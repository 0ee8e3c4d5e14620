//! The tables, as SQL.
//!
//! Each row ends with a sum over its values, see `sum.rs`. Bodies stand in a table of their own: what filters need is packed 20 rows to a page, and dropping the oldest bodies frees
//! whole pages (setting a column to NULL frees none: measured).
//! People may read it all with `sgeventd state sql`; nobody else writes.

/// Marks the file as ours: `sgev`.
pub(super) const APPLICATION_ID: i32 = 0x7367_6576;

/// The version of the tables below. A file with a higher one is refused.
pub(super) const VERSION: i32 = 3;

/// The version before rows had sums: it is brought up to this one when it is opened.
pub(super) const WITHOUT_SUMS: i32 = 1;

/// The version before dead letters had that of their plugin: brought up likewise.
pub(super) const WITHOUT_VERSIONS: i32 = 2;

macro_rules! columns {
    () => {
        "timeline, event_id, created_at, event_type, attribute_name, session_uuid, is_partial, project_type, project_id, \
         project_name, entity_type, entity_id, entity_name, user_type, user_id, user_name, subject_type, subject_id, \
         subject_name, sudo_type, sudo_id, sudo_name"
    };
}

/// The columns of an event's facts, in the order of `row.rs`.
pub(super) const FACTS: &str = columns!();

/// How many they are.
pub(super) const FACTS_COUNT: usize = 22;

/// The sums of the tables that are small: all of a row's values but the number that SQLite gives a dead letter.
pub(super) const SMALL: [(&str, &str); 9] = [
    ("extent", EXTENT_SUM),
    ("about", ABOUT_SUM),
    ("marks", "row_sum(seq, at)"),
    ("plugins", PLUGIN_SUM),
    ("open", OPEN_SUM),
    ("replays", REPLAY_SUM),
    ("dead", DEAD_SUM),
    ("state", STATE_SUM),
    ("children", CHILD_SUM),
];
pub(super) const EXTENT_SUM: &str = "row_sum(last, rows_from, bodies_from, body_bytes, sums_from)";
pub(super) const ABOUT_SUM: &str = "row_sum(key, value)";
pub(super) const PLUGIN_SUM: &str = "row_sum(name, first_seen, last_seen, disabled, position, revision, state_bytes, delivered, \
    ok, skipped, retried, dead, too_old, imported)";
pub(super) const OPEN_SUM: &str =
    "row_sum(plugin, seq, origin, attempts, crashes, deliveries, next_at, last_error, progress)";
pub(super) const REPLAY_SUM: &str = "row_sum(plugin, first, last, next)";
pub(super) const DEAD_SUM: &str = concat!(
    "row_sum(plugin, seq, reason, error, attempts, at, version, ",
    columns!(),
    ", body)"
);
/// The same in [`WITHOUT_VERSIONS`].
pub(super) const DEAD_SUM_WITHOUT_VERSION: &str = concat!(
    "row_sum(plugin, seq, reason, error, attempts, at, ",
    columns!(),
    ", body)"
);
pub(super) const STATE_SUM: &str = "row_sum(plugin, key, value)";
pub(super) const CHILD_SUM: &str = "row_sum(pid, start_time, boot_id, plugin)";
/// The sum of an event's row.
pub(super) const EVENT_SUM: &str = concat!("row_sum(events.seq, ", columns!(), ")");
/// The sum of a body.
pub(super) const BODY_SUM: &str = "row_sum(bodies.seq, body)";

macro_rules! facts {
    () => {
        "timeline INTEGER NOT NULL, event_id INTEGER NOT NULL, created_at INTEGER, event_type TEXT NOT NULL,
         attribute_name TEXT, session_uuid TEXT, is_partial INTEGER NOT NULL,
         project_type TEXT, project_id INTEGER, project_name TEXT, entity_type TEXT, entity_id INTEGER, entity_name TEXT,
         user_type TEXT, user_id INTEGER, user_name TEXT, subject_type TEXT, subject_id INTEGER, subject_name TEXT,
         sudo_type TEXT, sudo_id INTEGER, sudo_name TEXT"
    };
}

/// All tables of a new file.
pub(super) const TABLES: &str = concat!(
    "
CREATE TABLE extent (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL, rows_from INTEGER NOT NULL, bodies_from INTEGER NOT NULL, body_bytes INTEGER NOT NULL,
    sums_from INTEGER NOT NULL DEFAULT 1, sum INTEGER
) STRICT;
INSERT INTO extent VALUES (1, 0, 1, 1, 0, 1, NULL);

CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER) STRICT, WITHOUT ROWID;

CREATE TABLE events (seq INTEGER PRIMARY KEY, ",
    facts!(),
    ", sum INTEGER) STRICT;
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, sum INTEGER) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (event_id, timeline);
CREATE INDEX events_by_time ON events (created_at);

CREATE TABLE marks (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, sum INTEGER) STRICT;

CREATE TABLE plugins (
    name TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, disabled TEXT,
    position INTEGER NOT NULL, revision INTEGER NOT NULL DEFAULT 0, state_bytes INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0, ok INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0,
    retried INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, too_old INTEGER NOT NULL DEFAULT 0,
    imported TEXT, sum INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE open (
    plugin TEXT NOT NULL, seq INTEGER NOT NULL, origin TEXT NOT NULL, attempts INTEGER NOT NULL, crashes INTEGER NOT NULL,
    deliveries INTEGER NOT NULL, next_at INTEGER, last_error TEXT, progress TEXT, sum INTEGER,
    PRIMARY KEY (plugin, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE replays (
    plugin TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, next INTEGER NOT NULL, sum INTEGER,
    PRIMARY KEY (plugin, first, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, plugin TEXT NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, error TEXT NOT NULL,
    attempts INTEGER NOT NULL, at INTEGER NOT NULL, version TEXT, ",
    facts!(),
    ", body TEXT, sum INTEGER, UNIQUE (plugin, seq)) STRICT;

CREATE TABLE state (
    plugin TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, sum INTEGER, PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE children (
    pid INTEGER NOT NULL, start_time INTEGER NOT NULL, boot_id TEXT NOT NULL, plugin TEXT NOT NULL, sum INTEGER,
    PRIMARY KEY (pid, start_time)
) STRICT, WITHOUT ROWID;
"
);
