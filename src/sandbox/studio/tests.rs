//! The promises of the scenarios: deterministic, full, with a past that lies in the past.

use std::collections::BTreeSet;

use super::*;
use crate::sandbox::demo;

const NOW: Unix = Unix(1_784_116_800_000);
/// A studio that a debug build makes in a moment.
const SMALL: Plan = Plan {
    people: 14,
    shows: 2,
    sequences: 2,
    shots: 2,
    assets: 5,
    days: 60,
    events: 4_000,
};

fn site(seed: u64) -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::defaults(&mut store, NOW).unwrap();
    build(&mut store, &SMALL, seed, NOW).unwrap();
    store
}

#[test]
fn a_studio_is_full_of_everything() {
    let store = site(1);
    for (kind, least) in [
        ("Project", 3),
        ("Sequence", 4),
        ("Shot", 8),
        ("Asset", 10),
        ("Task", 60),
        ("HumanUser", 15),
        ("Version", 20),
        ("Note", 10),
        ("Reply", 3),
        ("Playlist", 1),
        ("PublishedFile", 10),
        ("TimeLog", 10),
        ("Group", 4),
        ("TaskDependency", 40),
    ] {
        let count = store.entities(kind).count();
        assert!(count >= least, "{kind}: {count}");
    }
    let events = i64::try_from(store.log.order().len()).unwrap();
    assert!((4_000..4_600).contains(&events), "{events}");
}

#[test]
fn its_past_lies_in_the_past_and_in_order() {
    let store = site(1);
    let rows: Vec<(i64, i64)> = store
        .log
        .range(0..=i64::MAX)
        .map(|row| (row.id, row.created_at))
        .collect();
    assert!(rows.is_sorted_by_key(|(_, at)| *at));
    let (first, last) = (rows[0].1, rows[rows.len() - 1].1);
    let day = 24 * 3600;
    assert!(
        last < NOW.0 / 1000 && last > NOW.0 / 1000 - 4 * day,
        "{last}"
    );
    assert!(first < NOW.0 / 1000 - 55 * day, "{first}");
    let dense = rows.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
    assert!(dense, "old rows have no gaps");
    let everybody: BTreeSet<i64> = store
        .log
        .range(0..=i64::MAX)
        .map(|row| row.user.unwrap().id)
        .collect();
    assert!(everybody.len() >= 12, "{everybody:?}");
}

#[test]
fn the_same_seed_makes_the_same_studio() {
    let rows = |seed| -> Vec<String> {
        let store = site(seed);
        store
            .log
            .range(0..=i64::MAX)
            .map(|row| format!("{row:?}"))
            .collect()
    };
    let one = rows(1);
    assert!(one == rows(1));
    assert!(one != rows(2));
}
