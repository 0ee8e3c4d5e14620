//! The promises of the artists: deterministic, who does what, no end of work, nothing on a site without work.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::sandbox::{demo, store::Actor};

const NOW: Unix = Unix(1_784_116_800_000);

fn site() -> Store {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::defaults(&mut store, NOW).unwrap();
    demo::show(&mut store, NOW).unwrap();
    store
}

/// What so many deeds left in the log: type, field, who.
fn log(store: &mut Store, seed: u64, deeds: usize) -> Vec<(String, Option<String>, i64)> {
    let mut chance = Rng::with_seed(seed);
    let from = store.log.next();
    for step in 0..deeds {
        let now = Unix(NOW.0 + i64::try_from(step).unwrap() * 60_000);
        work(store, &mut chance, now, Commit::Now).unwrap();
    }
    let rows = store.log.range(from..=i64::MAX);
    rows.map(|row| {
        let field = row.attribute.as_deref().map(str::to_owned);
        (row.event_type.to_string(), field, row.user.unwrap().id)
    })
    .collect()
}

#[test]
fn the_same_seed_does_the_same() {
    let one = log(&mut site(), 7, 300);
    assert_eq!(one, log(&mut site(), 7, 300));
    assert_ne!(one, log(&mut site(), 8, 300));
}

#[test]
fn they_do_everything_that_a_studio_does() {
    let mut store = site();
    let rows = log(&mut store, 7, 2000);
    let types: BTreeSet<&str> = rows.iter().map(|(kind, ..)| &**kind).collect();
    for kind in [
        "Task_Change",
        "Version_New",
        "Version_Change",
        "Note_New",
        "Note_Change",
        "Reply_New",
        "PublishedFile_New",
        "TimeLog_New",
        "Playlist_New",
        "Shot_New",
        "Asset_New",
        "Task_New",
    ] {
        assert!(
            types.contains(&*format!("Shotgun_{kind}")),
            "{kind} in {types:?}"
        );
    }
    let states = |kind: &str| -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for row in store.entities(kind) {
            let state = row.get("sg_status_list").as_str().unwrap_or_default();
            *states.entry(state.to_owned()).or_default() += 1;
        }
        states
    };
    for (kind, state) in [
        ("Task", "fin"),
        ("Version", "apr"),
        ("Version", "rjt"),
        ("Note", "clsd"),
    ] {
        assert!(
            states(kind).contains_key(state),
            "{kind} {state}: {:?}",
            states(kind)
        );
    }
}

#[test]
fn a_task_goes_through_its_states_in_order() {
    let mut store = site();
    let _rows = log(&mut store, 7, 2000);
    for row in store.log.range(0..=i64::MAX) {
        let meta: Value = serde_json::from_str(&row.meta).unwrap();
        let is_state = &*row.event_type == "Shotgun_Task_Change"
            && row.attribute.as_deref() == Some("sg_status_list")
            && meta["in_create"].is_null();
        if is_state {
            let step = (
                meta["old_value"].as_str().unwrap(),
                meta["new_value"].as_str().unwrap(),
            );
            let legal = [
                ("wtg", "rdy"),
                ("rdy", "ip"),
                ("ip", "rev"),
                ("rev", "apr"),
                ("rev", "ip"),
                ("apr", "fin"),
                ("ip", "hld"),
                ("hld", "rdy"),
            ];
            assert!(legal.contains(&step), "{step:?}");
        }
    }
}

#[test]
fn whose_job_it_is_does_it() {
    let mut store = site();
    let users = serde_json::json!([{"type": "HumanUser", "id": 3}]);
    let writes = ["Supervisors", "Coordinators"].map(|code| {
        [
            crate::sandbox::check::Write::set("code", code),
            crate::sandbox::check::Write::set("users", users.clone()),
        ]
    });
    for writes in writes {
        let made = store.transact(&Actor::human(1), NOW, Commit::Now, |work| {
            work.create("Group", &writes)
        });
        made.unwrap();
    }
    let mut chance = Rng::with_seed(3);
    let mut seen = BTreeSet::new();
    for _ in 0..600 {
        let Some(deed) = next(&store, &mut chance) else {
            panic!("no work")
        };
        if let Deed::Task { who, task, act } = deed {
            let task = store.entity("Task", task).unwrap();
            let has = find::assignee(&store, task);
            match act {
                Act::Start | Act::Submit | Act::Publish | Act::LogTime { .. } => {
                    assert!(has.is_none_or(|has| has == who), "{deed:?}");
                }
                _ => assert_eq!(who, 3, "{deed:?}"),
            }
            seen.insert(
                format!("{act:?}")
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        carry_out(&mut store, &mut chance, deed, NOW, Commit::Now).unwrap();
    }
    assert!(seen.len() >= 9, "{seen:?}");
}

#[test]
fn a_site_without_work_has_nothing_to_do() {
    let mut store = Store::new();
    demo::scripts(&mut store, &["tests"], NOW).unwrap();
    demo::defaults(&mut store, NOW).unwrap();
    let mut chance = Rng::with_seed(1);
    assert_eq!(next(&store, &mut chance), None);
    assert_eq!(work(&mut store, &mut chance, NOW, Commit::Now), Ok(0));
}

#[test]
fn what_is_put_away_rests() {
    let mut store = site();
    let away = [crate::sandbox::check::Write::set("archived", true)];
    let put = store.transact(&Actor::human(1), NOW, Commit::Now, |work| {
        work.update("Project", 2, &away)
    });
    put.unwrap();
    let from = store.log.next();
    let mut chance = Rng::with_seed(5);
    for _ in 0..50 {
        work(&mut store, &mut chance, NOW, Commit::Now).unwrap();
    }
    assert_eq!(store.log.next(), from);
}
