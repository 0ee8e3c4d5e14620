//! Artists: what people in a studio do next, and the site after they have done it.
//!
//! In: the site, chance, the time. Out: a deed, and its rows in the log under the name of who did it.
//! Never: a clock, chance of its own, a name that is not on the site or in the file of words.

mod carry;
mod find;
mod words;

use fastrand::Rng;

pub(super) use carry::carry_out;
use find::{Job, Place, group, job, one_of, person, sample};

use super::{
    cell::Link,
    fault::Fault,
    name::keep,
    store::{Commit, Store},
    table::Entity,
};
use crate::clock::Unix;

/// Tasks that are looked at before it is said that none has anything to be done.
const LOOKED_AT: usize = 48;
/// How often somebody begins anew when there is nothing of the kind that chance has chosen.
const TRIES: usize = 8;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Gives a task to an artist, with dates.
    Assign {
        /// Who has to do it.
        artist: i64,
        /// How many days it may take.
        days: u8,
    },
    /// A task waits for nothing any more.
    Release,
    /// Begins to work on it.
    Start,
    /// Writes down the time it took.
    LogTime {
        /// Minutes.
        minutes: i64,
    },
    /// Publishes a file of it.
    Publish,
    /// Shows it: a version, and the task waits for an answer.
    Submit,
    /// Says yes to the newest version.
    Approve,
    /// Says no, and why.
    KickBack,
    /// Nothing is left to be done.
    Finish,
    /// Pauses it.
    Hold,
}

/// Who does what to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Something about a task.
    Task {
        /// Who.
        who: i64,
        /// Which.
        task: i64,
        /// What.
        act: Act,
    },
    /// Answers a note.
    Reply {
        /// Who.
        who: i64,
        /// Which.
        note: i64,
    },
    /// Closes a note.
    Close {
        /// Who.
        who: i64,
        /// Which.
        note: i64,
    },
    /// Puts versions that wait together, to be looked at.
    Gather {
        /// Who.
        who: i64,
        /// In which project.
        project: i64,
    },
    /// Adds a shot or an asset that is like another.
    Add {
        /// Who.
        who: i64,
        /// Its type and the one that it is like.
        like: Link,
    },
    /// Signs in.
    SignIn {
        /// Who.
        who: i64,
    },
    /// Looks at something.
    View {
        /// Who.
        who: i64,
        /// On which page.
        page: i64,
        /// At what.
        what: Link,
    },
}

/// What somebody does next that changes something; nothing on a site without work.
pub(super) fn next(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let has_work = site.entities("Task").any(find::is_of_a_project);
    for _ in 0..if has_work { TRIES } else { 0 } {
        let deed = match chance.u8(0..100) {
            0..9 => about_a_note(site, chance),
            9..11 => gathering(site, chance),
            11 => addition(site, chance),
            _ => about_a_task(site, chance).or_else(|| addition(site, chance)),
        };
        if deed.is_some() {
            return deed;
        }
    }
    None
}

/// Somebody signs in or looks at something: rows about nothing that changes, as every log is full of.
pub(super) fn look(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let who = person(site, chance)?;
    let page = site.named("Page", keep("name"), "All Shots");
    let what = sample(site, chance, ("Shot", LOOKED_AT), |_| true);
    Some(match (page, what.filter(|_| chance.bool())) {
        (Some(page), Some(shot)) => Deed::View {
            who,
            page: page.id,
            what: Link::new(keep("Shot"), shot.id),
        },
        _ => Deed::SignIn { who },
    })
}

/// When the rows of somebody's work become readable: mostly at once, some late, a few never.
pub(super) fn commit(chance: &mut Rng, now: Unix) -> Commit {
    match chance.u8(0..100) {
        0..8 => Commit::Never,
        8..30 => Commit::At(Unix(now.0 + chance.i64(200..4000))),
        _ => Commit::Now,
    }
}

/// Does the next thing; returns how many event ids that took, which is 0 where there is nothing to do.
pub(super) fn work(
    site: &mut Store,
    chance: &mut Rng,
    now: Unix,
    commit: Commit,
) -> Result<i64, Fault> {
    match next(site, chance) {
        Some(deed) => carry_out(site, chance, deed, now, commit),
        None => Ok(0),
    }
}

fn about_a_task(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let open = |task: &Entity| job(site, task).is_some();
    let task = sample(site, chance, ("Task", LOOKED_AT), open)?;
    let dice = chance.u8(0..100);
    let (act, place) = match job(site, task)? {
        Job::Unassigned => {
            let artist = find::artist_for(site, chance, task)?;
            let days = chance.u8(2..15);
            (Act::Assign { artist, days }, Place::Coordinators)
        }
        Job::Waiting => (Act::Release, Place::Coordinators),
        Job::Ready => (Act::Start, Place::Assignee),
        Job::InProgress if dice < 22 => {
            let minutes = 15 * chance.i64(2..33);
            (Act::LogTime { minutes }, Place::Assignee)
        }
        Job::InProgress if dice < 36 => (Act::Publish, Place::Assignee),
        Job::InProgress if dice < 38 => (Act::Hold, Place::Coordinators),
        Job::InProgress => (Act::Submit, Place::Assignee),
        Job::InReview if dice < 60 => (Act::Approve, Place::Supervisors),
        Job::InReview => (Act::KickBack, Place::Supervisors),
        Job::Approved => (Act::Finish, Place::Coordinators),
        Job::Paused => (Act::Release, Place::Coordinators),
    };
    let who = find::who(site, chance, place, task)?;
    let task = task.id;
    Some(Deed::Task { who, task, act })
}

fn about_a_note(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let is_open = |note: &Entity| note.get("sg_status_list").as_str() == Some("opn");
    let note = sample(site, chance, ("Note", LOOKED_AT), is_open)?;
    let author = note
        .get("user")
        .link()
        .filter(|user| find::works(site, user));
    let asked = one_of(chance, note.get("addressings_to").links());
    let asked = asked.filter(|user| find::works(site, user));
    let is_answered = !note.get("replies").links().is_empty();
    let who = if is_answered { author } else { asked };
    let who = who.map(|user| user.id).or_else(|| person(site, chance))?;
    let note = note.id;
    Some(match is_answered && chance.u8(0..100) < 60 {
        true => Deed::Close { who, note },
        false => Deed::Reply { who, note },
    })
}

fn gathering(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let waits = |version: &Entity| version.get("sg_status_list").as_str() == Some("rev");
    let version = sample(site, chance, ("Version", LOOKED_AT), waits)?;
    let project = version.get("project").link()?.id;
    let who = group(site, chance, "Coordinators").or_else(|| person(site, chance))?;
    Some(Deed::Gather { who, project })
}

/// Producers add what there is already: another shot of a sequence, or another asset.
fn addition(site: &Store, chance: &mut Rng) -> Option<Deed> {
    let kind = if chance.u8(0..4) == 0 {
        "Asset"
    } else {
        "Shot"
    };
    let has_room = |row: &Entity| find::is_of_a_project(row) && find::is_running(site, row);
    let like = sample(site, chance, (kind, LOOKED_AT), has_room)?;
    let who = group(site, chance, "Producers").or_else(|| person(site, chance))?;
    let like = Link::new(keep(kind), like.id);
    Some(Deed::Add { who, like })
}

#[cfg(test)]
mod tests;
