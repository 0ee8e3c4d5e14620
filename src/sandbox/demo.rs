//! The demo scenario: a small show, and artists who work on it.
//!
//! In: the store, chance, the time. Out: changes of task states, versions and notes, some of them readable late or never.
//! Never: a clock, chance of its own.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{
    check::Write,
    fault::Fault,
    log::Link,
    store::{Actor, Commit, Store},
    transaction::Transaction,
};
use crate::clock::Unix;

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
const STATES: [&str; 5] = ["wtg", "rdy", "ip", "rev", "fin"];
const REMARKS: [&str; 4] = [
    "Looks good, push the rim light.",
    "Foot slides at frame 1032.",
    "Client wants it warmer.",
    "Final! Grüße an alle.",
];

/// The scripts' users: every site has them, without a word in the log.
pub(super) fn scripts(store: &mut Store, names: &[&str], now: Unix) -> Result<(), Fault> {
    let site = Actor {
        user: Link::new("ApiUser", 1),
        sudo: None,
        session_uuid: None,
        is_logged: false,
    };
    store.transact(&site, now, Commit::Now, |work| {
        for name in names {
            let writes = [
                Write::set("firstname", *name),
                Write::set("generate_event_log_entries", true),
            ];
            work.create("ApiUser", &writes)?;
        }
        person(work, PEOPLE[0])?;
        work.create("Project", &[Write::set("name", "Sandbox")])?;
        Ok(())
    })
}

/// The show.
pub(super) fn show(store: &mut Store, now: Unix) -> Result<(), Fault> {
    store.transact(&Actor::human(1), now, Commit::Now, |work| {
        for name in &PEOPLE[1..] {
            person(work, *name)?;
        }
        let project = work.create("Project", &[Write::set("name", "Big Buck Bunny")])?;
        let project = Link::new("Project", project).stored();
        for sequence in 1..=2 {
            let writes = [
                Write::set("code", format!("bunny_{sequence:02}0")),
                Write::set("project", project.clone()),
            ];
            let id = work.create("Sequence", &writes)?;
            let sequence_link = Link::new("Sequence", id).stored();
            for shot in 1..=4 {
                let code = format!("bunny_{sequence:02}0_{shot:02}0");
                shot_with_tasks(work, &project, &sequence_link, &code)?;
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
            work.create("Asset", &writes)?;
        }
        Ok(())
    })
}

fn person(work: &mut Transaction<'_>, (first, last): (&str, &str)) -> Result<i64, Fault> {
    let login = first.to_lowercase();
    work.create(
        "HumanUser",
        &[
            Write::set("firstname", first),
            Write::set("lastname", last),
            Write::set("email", format!("{login}@example.com")),
            Write::set("login", login),
        ],
    )
}

fn shot_with_tasks(
    work: &mut Transaction<'_>,
    project: &Value,
    sequence: &Value,
    code: &str,
) -> Result<(), Fault> {
    let writes = [
        Write::set("code", code),
        Write::set("project", project.clone()),
        Write::set("sg_sequence", sequence.clone()),
        Write::set("sg_cut_in", 1001),
        Write::set("sg_cut_out", 1100),
    ];
    let shot = work.create("Shot", &writes)?;
    for step in STEPS {
        let writes = [
            Write::set("content", step),
            Write::set("project", project.clone()),
            Write::set("entity", Link::new("Shot", shot).stored()),
        ];
        work.create("Task", &writes)?;
    }
    Ok(())
}

/// When the rows of an artist's work become readable: mostly at once, some late, a few never.
pub(super) fn commit(chance: &mut Rng, now: Unix) -> Commit {
    match chance.u8(0..100) {
        0..8 => Commit::Never,
        8..30 => Commit::At(Unix(now.0 + chance.i64(200..4000))),
        _ => Commit::Now,
    }
}

/// An artist does something; returns how many event ids that took. Nothing on a site without tasks.
pub(super) fn work(
    store: &mut Store,
    chance: &mut Rng,
    now: Unix,
    commit: Commit,
) -> Result<i64, Fault> {
    let before = store.log.next();
    let people = store.entities("HumanUser").count();
    let actor = Actor::human(1 + chance.i64(0..i64::try_from(people.max(1)).unwrap_or(1)));
    let tasks: Vec<(i64, Value, Value)> = store
        .entities("Task")
        .filter(|task| !task.is_retired)
        .filter_map(|task| {
            let field = |name: &str| task.fields.get(name).cloned();
            Some((field("id")?.as_i64()?, field("project")?, field("entity")?))
        })
        .collect();
    let Some((task, project, entity)) = chance.choice(&tasks) else {
        return Ok(0);
    };
    let dice = chance.u8(0..100);
    let state = chance.choice(STATES).unwrap_or("ip");
    let remark = chance.choice(REMARKS).unwrap_or("");
    store.transact(&actor, now, commit, |work| {
        match dice {
            0..70 => work.update("Task", *task, &[Write::set("sg_status_list", state)])?,
            70..90 => version(work, &actor, *task, [project, entity])?,
            _ => note(work, &actor, *task, [project, entity], remark)?,
        }
        Ok(())
    })?;
    Ok(store.log.next() - before)
}

fn version(
    work: &mut Transaction<'_>,
    actor: &Actor,
    task: i64,
    [project, entity]: [&Value; 2],
) -> Result<(), Fault> {
    let name = work.store().name(&Link::new("Task", task));
    let number = work.store().entities("Version").count() + 1;
    let writes = [
        Write::set("code", format!("{name}_v{number:03}")),
        Write::set("project", project.clone()),
        Write::set("entity", entity.clone()),
        Write::set("sg_task", Link::new("Task", task).stored()),
        Write::set("user", actor.user.stored()),
    ];
    work.create("Version", &writes)?;
    work.update("Task", task, &[Write::set("sg_status_list", "rev")])
}

fn note(
    work: &mut Transaction<'_>,
    actor: &Actor,
    task: i64,
    [project, entity]: [&Value; 2],
    remark: &str,
) -> Result<(), Fault> {
    let links = if entity.is_null() {
        json!([])
    } else {
        json!([entity])
    };
    let writes = [
        Write::set("subject", "Review"),
        Write::set("content", remark),
        Write::set("project", project.clone()),
        Write::set("note_links", links),
        Write::set("tasks", json!([Link::new("Task", task).stored()])),
        Write::set("user", actor.user.stored()),
    ];
    work.create("Note", &writes)?;
    Ok(())
}
