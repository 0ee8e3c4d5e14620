//! What a site begins with: scripts, states, steps; and the demo's small show.
//!
//! In: the store, the time. Out: rows, in the log where people made them.
//! Never: a clock, chance.

use serde_json::{Map, Value};

use super::{
    cell::Link,
    check::Write,
    fault::Fault,
    name::keep,
    store::{Actor, Commit, Store},
    transaction::Transaction,
};
use crate::clock::Unix;

const DEFAULTS: &str = include_str!("schema/defaults.json");
/// First and last names.
const PEOPLE: [(&str, &str); 6] = [
    ("Ada", "Lind"),
    ("Ben", "Okafor"),
    ("Chloe", "Marin"),
    ("Dev", "Rao"),
    ("Eva", "Novak"),
    ("Finn", "Berg"),
];
const STEPS: [&str; 4] = ["layout", "anim", "light", "comp"];
/// Where the tasks of a shot stand when the show begins: whoever watches sees each kind of work at once.
const STATES: [[&str; 4]; 4] = [
    ["rev", "ip", "rdy", "wtg"],
    ["apr", "rev", "ip", "rdy"],
    ["fin", "apr", "rev", "ip"],
    ["fin", "fin", "apr", "rev"],
];

/// The scripts' users: every site has them, without a word in the log.
pub(super) fn scripts(store: &mut Store, names: &[&str], now: Unix) -> Result<(), Fault> {
    let site = Actor {
        user: Link::new(keep("ApiUser"), 1),
        is_logged: false,
        ..Actor::human(1)
    };
    store.transact(&site, now, Commit::Now, |work| {
        for name in names {
            script(work, name)?;
        }
        person(work, PEOPLE[0])?;
        made(work, "Project", &[Write::set("name", "Sandbox")])?;
        Ok(())
    })
}

/// The users of scripts that a site has not got yet, as one that was before.
pub(super) fn missing_scripts(store: &mut Store, names: &[&str], now: Unix) -> Result<(), Fault> {
    let site = Actor {
        is_logged: false,
        ..Actor::human(1)
    };
    let field = keep("firstname");
    let is_new = |name: &&&str| store.named("ApiUser", field, name).is_none();
    let new: Vec<&str> = names.iter().filter(is_new).copied().collect();
    store.transact(&site, now, Commit::Now, |work| {
        new.into_iter().try_for_each(|name| script(work, name))
    })
}

fn script(work: &mut Transaction<'_>, name: &str) -> Result<(), Fault> {
    let writes = [
        Write::set("firstname", name),
        Write::set("generate_event_log_entries", true),
    ];
    made(work, "ApiUser", &writes).map(drop)
}

/// What every site has from its first day: states, steps, permission groups.
pub(super) fn defaults(store: &mut Store, now: Unix) -> Result<(), Fault> {
    let rows: Vec<(String, Map<String, Value>)> =
        serde_json::from_str(DEFAULTS).expect("every site is started from this file, in each test");
    let states: Vec<(String, String)> = store.schema.statuses.clone().into_iter().collect();
    let site = Actor {
        is_logged: false,
        ..Actor::human(1)
    };
    store.transact(&site, now, Commit::Now, |work| {
        for (code, name) in states {
            let writes = [Write::set("code", code), Write::set("name", name)];
            made(work, "Status", &writes)?;
        }
        for (kind, fields) in rows {
            let writes = fields
                .into_iter()
                .map(|(field, value)| Write::set(&field, value));
            made(work, &kind, &writes.collect::<Vec<Write>>())?;
        }
        Ok(())
    })
}

/// The show.
pub(super) fn show(store: &mut Store, now: Unix) -> Result<(), Fault> {
    store.transact(&Actor::human(1), now, Commit::Now, |work| {
        for name in &PEOPLE[1..] {
            person(work, *name)?;
        }
        let project = made(work, "Project", &[Write::set("name", "Big Buck Bunny")])?;
        for sequence in 1..=2 {
            let writes = [
                Write::set("code", format!("bunny_{sequence:02}0")),
                Write::set("project", project.clone()),
            ];
            let sequence_link = made(work, "Sequence", &writes)?;
            for shot in 0..4 {
                let code = format!("bunny_{sequence:02}0_{:02}0", shot + 1);
                let states = STATES[shot % STATES.len()];
                shot_with_tasks(work, [&project, &sequence_link], &code, states)?;
            }
        }
        for (name, kind) in [
            ("bunny", "Character"),
            ("tree", "Prop"),
            ("meadow", "Environment"),
        ] {
            let writes = [
                Write::set("code", name),
                Write::set("project", project.clone()),
                Write::set("sg_asset_type", kind),
            ];
            made(work, "Asset", &writes)?;
        }
        Ok(())
    })
}

/// Makes a row of what the site has a type for; a link to it, or nothing.
fn made(work: &mut Transaction<'_>, kind: &str, writes: &[Write]) -> Result<Value, Fault> {
    let id = work.create_what_fits(kind, writes)?;
    Ok(id.map_or(Value::Null, |id| Link::new(keep(kind), id).bare()))
}

fn person(work: &mut Transaction<'_>, (first, last): (&str, &str)) -> Result<Value, Fault> {
    let login = first.to_lowercase();
    let writes = [
        Write::set("firstname", first),
        Write::set("lastname", last),
        Write::set("email", format!("{login}@example.com")),
        Write::set("login", login),
    ];
    made(work, "HumanUser", &writes)
}

fn shot_with_tasks(
    work: &mut Transaction<'_>,
    [project, sequence]: [&Value; 2],
    code: &str,
    states: [&str; 4],
) -> Result<(), Fault> {
    let writes = [
        Write::set("code", code),
        Write::set("project", project.clone()),
        Write::set("sg_sequence", sequence.clone()),
        Write::set("sg_cut_in", 1001),
        Write::set("sg_cut_out", 1100),
    ];
    let shot = made(work, "Shot", &writes)?;
    for (step, state) in STEPS.into_iter().zip(states) {
        let writes = [
            Write::set("content", step),
            Write::set("project", project.clone()),
            Write::set("entity", shot.clone()),
            Write::set("sg_status_list", state),
        ];
        made(work, "Task", &writes)?;
    }
    Ok(())
}
