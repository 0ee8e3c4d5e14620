//! Finding: tasks with something to be done, and people whose job that is, without looking at every row.
//!
//! In: the site, chance. Out: rows and ids of people.
//! Never: a change.

use fastrand::Rng;

use crate::sandbox::{
    cell::{Cell, Link},
    name::keep,
    store::Store,
    table::Entity,
};

const PERSON: &str = "HumanUser";
/// People of a team who may be away before anybody else is taken.
const ASKED: usize = 8;

/// What has to be done to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Nobody has to do it yet.
    Unassigned,
    /// It could begin.
    Waiting,
    /// It may begin.
    Ready,
    /// Somebody is at it.
    InProgress,
    /// Somebody has to say yes or no.
    InReview,
    /// It has to be closed.
    Approved,
    /// It has to go on.
    Paused,
}

/// Whose job something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Of the one who has the task.
    Assignee,
    /// Of those who look at it.
    Supervisors,
    /// Of those who keep it going.
    Coordinators,
}

/// What has to be done to a task; nothing when it is done, waits for others, or rests with its project.
pub(super) fn job(site: &Store, task: &Entity) -> Option<Job> {
    if !is_of_a_project(task) || !is_running(site, task) {
        return None;
    }
    match task.get("sg_status_list").as_str() {
        None | Some("wtg") if assignee(site, task).is_none() => Some(Job::Unassigned),
        None | Some("wtg") => {
            let upstream = task.get("upstream_tasks").links();
            upstream
                .iter()
                .all(|task| is_done(site, task))
                .then_some(Job::Waiting)
        }
        Some("rdy") => Some(Job::Ready),
        Some("ip") => Some(Job::InProgress),
        Some("rev") => Some(Job::InReview),
        Some("apr") => Some(Job::Approved),
        Some("hld") => Some(Job::Paused),
        _ => None,
    }
}

fn is_done(site: &Store, task: &Link) -> bool {
    let Some(task) = site.live(task) else {
        return true;
    };
    matches!(
        task.get("sg_status_list").as_str(),
        Some("fin" | "apr" | "cmpt" | "omt" | "na")
    )
}

/// False for what has no project, such as the tasks of templates.
pub(super) fn is_of_a_project(row: &Entity) -> bool {
    !row.is_retired && !row.get("project").is_empty()
}

/// Whether the project of a row is there and not put away.
pub(super) fn is_running(site: &Store, row: &Entity) -> bool {
    let project = row.get("project").link();
    let project = project.and_then(|project| site.live(&project));
    project.is_some_and(|project| *project.get("archived") != Cell::Bool(true))
}

/// Somebody whose job it is; anybody where the site has no such people.
pub(super) fn who(site: &Store, chance: &mut Rng, place: Place, task: &Entity) -> Option<i64> {
    let found = match place {
        Place::Assignee => assignee(site, task),
        Place::Supervisors => group(site, chance, "Supervisors"),
        Place::Coordinators => group(site, chance, "Coordinators"),
    };
    found.or_else(|| person(site, chance))
}

/// Who has the task.
pub(super) fn assignee(site: &Store, task: &Entity) -> Option<i64> {
    let mut links = task.get("task_assignees").links().iter();
    links.find(|user| works(site, user)).map(|user| user.id)
}

/// Somebody of the department of the task's step.
pub(super) fn artist_for(site: &Store, chance: &mut Rng, task: &Entity) -> Option<i64> {
    let step = task.get("step").link().and_then(|step| site.live(&step));
    let department = step.and_then(|step| step.get("department").link());
    let department = department.and_then(|department| site.live(&department));
    let team = department.map_or(&[][..], |department| department.get("users").links());
    member(site, chance, team)
        .or_else(|| group(site, chance, "Artists"))
        .or_else(|| person(site, chance))
}

/// Somebody of a group.
pub(super) fn group(site: &Store, chance: &mut Rng, code: &str) -> Option<i64> {
    let group = site.named("Group", keep("code"), code)?;
    member(site, chance, group.get("users").links())
}

fn member(site: &Store, chance: &mut Rng, team: &[Link]) -> Option<i64> {
    let mut asked = (0..ASKED).map_while(|_| one_of(chance, team));
    asked.find(|user| works(site, user)).map(|user| user.id)
}

/// Anybody.
pub(super) fn person(site: &Store, chance: &mut Rng) -> Option<i64> {
    let is_there = |user: &Entity| user.get("sg_status_list").as_str() != Some("dis");
    sample(site, chance, (PERSON, ASKED), is_there).map(|user| user.id)
}

/// Whether somebody is a person who still works here.
pub(super) fn works(site: &Store, user: &Link) -> bool {
    let person = site.live(user).filter(|_| user.kind == PERSON);
    person.is_some_and(|user| user.get("sg_status_list").as_str() != Some("dis"))
}

/// One of a list.
pub(super) fn one_of(chance: &mut Rng, links: &[Link]) -> Option<Link> {
    chance.choice(links).copied()
}

/// A live row of a type that fits, found by looking at so many that chance chooses.
pub(super) fn sample<'a>(
    site: &'a Store,
    chance: &mut Rng,
    (kind, tries): (&str, usize),
    fits: impl Fn(&Entity) -> bool,
) -> Option<&'a Entity> {
    let table = site.table(kind)?;
    let last = table.last();
    if last < 1 {
        return None;
    }
    for _ in 0..tries {
        let from = chance.i64(1..=last);
        let row = table.range(from..=last).next();
        if let Some(row) = row.filter(|row| !row.is_retired && fits(row)) {
            return Some(row);
        }
    }
    None
}
