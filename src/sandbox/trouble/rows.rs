//! Rows that are wrong: what becomes of a right page of the event log.
//!
//! In: a kind, the row that is meant, an answer. Out: the answer that is told.
//! Never: which answer is to be wrong.

use serde_json::{Value, json};

use super::Kind;

/// Size of the row that is too big.
const HUGE: usize = 5 << 20;

/// The rows of an answer; nothing when it has none.
pub(super) fn rows(answer: &mut Value) -> Option<&mut Vec<Value>> {
    let rows = answer["results"]["entities"].as_array_mut();
    rows.filter(|rows| !rows.is_empty())
}

/// True when a row is among them.
pub(super) fn has(rows: &[Value], id: i64) -> bool {
    rows.iter().any(|row| row["id"].as_i64() == Some(id))
}

/// Makes rows wrong: all of them, one by its id, or the last.
pub(super) fn spoil(kind: Kind, id: Option<i64>, rows: &mut Vec<Value>) {
    match kind {
        Kind::EmptyPage => rows.clear(),
        Kind::Shuffled => {
            // The upper half first, and the lower one upwards behind it: sorted neither way.
            rows.reverse();
            let half = rows.len() / 2;
            rows[half..].reverse();
        }
        _ => {
            let named = rows.iter().position(|row| row["id"].as_i64() == id);
            let at = named.unwrap_or(rows.len() - 1);
            if kind == Kind::Twice {
                rows.insert(0, rows[at].clone());
            } else {
                spoil_row(kind, &mut rows[at]);
            }
        }
    }
}

fn spoil_row(kind: Kind, row: &mut Value) {
    let Value::Object(fields) = row else { return };
    match kind {
        Kind::NoId => {
            let _id = fields.remove("id");
        }
        Kind::NullRow => *row = Value::Null,
        Kind::NullEntity => {
            fields.insert("entity".into(), Value::Null);
        }
        Kind::HugeRow => {
            let meta = json!({"type": "attribute_change", "new_value": "x".repeat(HUGE)});
            fields.insert("meta".into(), meta);
        }
        Kind::Edited => {
            let meta = json!({"type": "attribute_change", "new_value": "edited"});
            fields.insert("meta".into(), meta);
            fields.insert("attribute_name".into(), "edited".into());
        }
        _ => {
            let meta = json!({"type": "attribute_change", "new_value": "one\u{2028}two\nthree"});
            fields.insert("meta".into(), meta);
        }
    }
}
