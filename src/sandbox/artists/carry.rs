//! Carrying out: a deed becomes creates and changes of one transaction, under the name of who does it.
//!
//! In: a deed, the time. Out: event ids that it took.
//! Never: a value that the site's own schema does not take; on a site with other fields that part of a deed is left out.

use fastrand::Rng;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    Act, Deed,
    words::{Words, any},
};
use crate::{
    clock::Unix,
    sandbox::{
        cell::Link,
        check::Write,
        fault::Fault,
        links::Mode,
        name::keep,
        row::{signed_in, uuid, viewed},
        store::{Actor, Commit, Store},
        transaction::Transaction,
    },
};

/// Versions that are looked at in one sitting.
const SITTING: usize = 8;
/// Frames that a shot has at least.
const FRAMES: i64 = 36;

/// Does it; returns how many event ids that took.
pub(in crate::sandbox) fn carry_out(
    site: &mut Store,
    chance: &mut Rng,
    deed: Deed,
    now: Unix,
    commit: Commit,
) -> Result<i64, Fault> {
    let before = site.log.next();
    let who = match deed {
        Deed::Task { who, .. }
        | Deed::Reply { who, .. }
        | Deed::Close { who, .. }
        | Deed::Gather { who, .. }
        | Deed::Add { who, .. }
        | Deed::SignIn { who }
        | Deed::View { who, .. } => who,
    };
    let day = day(now);
    let me = Link::new(keep("HumanUser"), who);
    let mut actor = Actor::human(who);
    actor.session_uuid = session(me, day, deed).map(Into::into);
    let words = Words::builtin();
    site.transact(&actor, now, commit, |work| {
        let mut desk = Desk {
            work,
            chance,
            words,
            me,
            day,
        };
        match deed {
            Deed::Task { task, act, .. } => desk.task(task, act),
            Deed::Reply { note, .. } => desk.reply(note),
            Deed::Close { note, .. } => {
                desk.change("Note", note, &[("sg_status_list", json!("clsd"))])
            }
            Deed::Gather { project, .. } => desk.gather(project),
            Deed::Add { like, .. } => grow(&mut desk, like),
            Deed::SignIn { .. } => {
                desk.work.drafts.push(signed_in(me));
                Ok(())
            }
            Deed::View { page, what, .. } => {
                let page = Link::new(keep("Page"), page);
                desk.work.drafts.push(viewed(page, what));
                Ok(())
            }
        }
    })?;
    Ok(site.log.next() - before)
}

/// The browser's session: one for each person and day. What programs publish has none.
fn session(me: Link, day: Date, deed: Deed) -> Option<String> {
    let is_program = matches!(
        deed,
        Deed::Task {
            act: Act::Publish,
            ..
        }
    );
    let number = i64::from(day.year()) * 1000 + i64::from(day.day_of_year());
    (!is_program).then(|| uuid(Link::new(me.kind, me.id * 10_000_000 + number)))
}

fn day(now: Unix) -> Date {
    let at = Timestamp::from_millisecond(now.0).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date()
}

/// Somebody at work.
struct Desk<'a, 'b> {
    /// The transaction.
    work: &'a mut Transaction<'b>,
    /// Luck.
    chance: &'a mut Rng,
    words: &'static Words,
    me: Link,
    day: Date,
}

impl Desk<'_, '_> {
    fn task(&mut self, id: i64, act: Act) -> Result<(), Fault> {
        let task = Link::new(keep("Task"), id);
        let state = |state: &str| [("sg_status_list", json!(state))];
        match act {
            Act::Assign { artist, days } => self.assign(id, artist, days),
            Act::Release => self.change("Task", id, &state("rdy")),
            Act::Start => self.change("Task", id, &state("ip")),
            Act::Finish => self.change("Task", id, &state("fin")),
            Act::Hold => self.change("Task", id, &state("hld")),
            Act::LogTime { minutes } => {
                let text = any(self.chance, &self.words.logs).cloned();
                let fields = [
                    ("project", self.of(task, "project")),
                    ("entity", task.bare()),
                    ("user", self.me.bare()),
                    ("date", json!(self.day.to_string())),
                    ("duration", json!(minutes)),
                    ("description", json!(text)),
                ];
                self.create("TimeLog", &fields).map(drop)
            }
            Act::Publish => self.publish(task),
            Act::Submit => {
                self.submit(task)?;
                self.change("Task", id, &state("rev"))
            }
            Act::Approve => self.judge(task, ["apr", "apr"]),
            Act::KickBack => self.judge(task, ["rjt", "ip"]),
        }
    }

    fn assign(&mut self, id: i64, artist: i64, days: u8) -> Result<(), Fault> {
        let due = self.day.saturating_add(i64::from(days).days());
        let artist = Link::new(keep("HumanUser"), artist);
        let fields = [
            ("task_assignees", json!([artist.bare()])),
            ("start_date", json!(self.day.to_string())),
            ("due_date", json!(due.to_string())),
        ];
        self.change("Task", id, &fields)
    }

    /// `HRB_0010_anim_v003`
    fn name_of(&self, task: Link, number: usize) -> String {
        let store = self.work.store();
        let entity = store.live(&task).and_then(|row| row.get("entity").link());
        let entity = entity.map(|entity| format!("{}_", store.name(&entity)));
        let name = format!(
            "{}{}_v{number:03}",
            entity.unwrap_or_default(),
            store.name(&task)
        );
        name.replace(' ', "_")
    }

    fn submit(&mut self, task: Link) -> Result<(), Fault> {
        let entity = self.of(task, "entity");
        let number = self.links(task, "sg_versions").len() + 1;
        let frames = FRAMES + self.chance.i64(0..200);
        let name = self.name_of(task, number);
        let fields = [
            ("project", self.of(task, "project")),
            ("entity", entity),
            ("sg_task", task.bare()),
            ("user", self.me.bare()),
            ("frame_count", json!(frames)),
            ("frame_range", json!(format!("1001-{}", 1000 + frames))),
            (
                "sg_path_to_movie",
                json!(format!("/mnt/dailies/{}/{name}.mov", self.day)),
            ),
            ("code", json!(name)),
        ];
        self.create("Version", &fields).map(drop)
    }

    fn publish(&mut self, task: Link) -> Result<(), Fault> {
        let Some((kind, end)) = any(self.chance, &self.words.publishes) else {
            return Ok(());
        };
        let store = self.work.store();
        let published = store.named("PublishedFileType", keep("code"), kind);
        let published = published.map(|row| Link::new(keep("PublishedFileType"), row.id).bare());
        let number = 1 + store.linked("PublishedFile", keep("task"), task).count();
        let name = format!("{}.{end}", self.name_of(task, number));
        let fields = [
            ("project", self.of(task, "project")),
            ("entity", self.of(task, "entity")),
            ("task", task.bare()),
            ("version_number", json!(number)),
            ("published_file_type", json!(published)),
            ("path_cache", json!(format!("publish/{}/{name}", self.day))),
            ("name", json!(name)),
            ("code", json!(name)),
        ];
        self.create("PublishedFile", &fields).map(drop)
    }

    /// A note on the newest version, and the states that follow from it.
    fn judge(&mut self, task: Link, [version_state, task_state]: [&str; 2]) -> Result<(), Fault> {
        let is_yes = version_state == "apr";
        let versions = self.links(task, "sg_versions");
        let version = versions
            .into_iter()
            .rev()
            .find(|version| self.work.store().live(version).is_some());
        let list = if is_yes {
            &self.words.praise
        } else {
            &self.words.remarks
        };
        let content = any(self.chance, list).cloned();
        let subject = version.unwrap_or(task);
        let subject = format!(
            "{}: {}",
            self.work.store().name(&subject),
            if is_yes { "approved" } else { "please change" }
        );
        let entity = self.links(task, "entity");
        let about: Vec<Value> = version.iter().chain(&entity).map(Link::bare).collect();
        let to: Vec<Value> = self
            .links(task, "task_assignees")
            .iter()
            .map(Link::bare)
            .collect();
        let fields = [
            ("subject", json!(subject)),
            ("content", json!(content)),
            ("project", self.of(task, "project")),
            ("note_links", json!(about)),
            ("tasks", json!([task.bare()])),
            ("addressings_to", json!(to)),
            ("user", self.me.bare()),
            ("sg_status_list", json!(if is_yes { "clsd" } else { "opn" })),
        ];
        self.create("Note", &fields)?;
        if let Some(version) = version {
            self.change(
                "Version",
                version.id,
                &[("sg_status_list", json!(version_state))],
            )?;
        }
        self.change("Task", task.id, &[("sg_status_list", json!(task_state))])
    }

    fn reply(&mut self, note: i64) -> Result<(), Fault> {
        let content = any(self.chance, &self.words.answers).cloned();
        let fields = [
            ("entity", Link::new(keep("Note"), note).bare()),
            ("content", json!(content)),
            ("user", self.me.bare()),
        ];
        self.create("Reply", &fields).map(drop)
    }

    /// The day's playlist gets the versions that wait; there is one for each project and day.
    fn gather(&mut self, project: i64) -> Result<(), Fault> {
        let store = self.work.store();
        let project = Link::new(keep("Project"), project);
        let waiting = store.linked("Version", keep("project"), project).rev();
        let waiting =
            waiting.filter(|version| version.get("sg_status_list").as_str() == Some("rev"));
        let waiting = waiting.map(|version| Link::new(keep("Version"), version.id).bare());
        let waiting: Vec<Value> = waiting.take(SITTING).collect();
        let code = format!("Dailies {} {}", store.name(&project), self.day);
        let there = store
            .named("Playlist", keep("code"), &code)
            .map(|playlist| playlist.id);
        if let Some(there) = there {
            let write = Write {
                mode: Mode::Add,
                ..Write::set("versions", waiting)
            };
            return self.work.update_what_fits("Playlist", there, &[write]);
        }
        let fields = [
            ("code", json!(code)),
            ("project", project.bare()),
            ("versions", json!(waiting)),
            ("sg_type", json!("Dailies")),
            ("sg_date_and_time", json!(format!("{}T17:00:00Z", self.day))),
        ];
        self.create("Playlist", &fields).map(drop)
    }

    fn create(&mut self, kind: &str, fields: &[(&str, Value)]) -> Result<Option<i64>, Fault> {
        let writes = fields.iter().filter(|(_, value)| !value.is_null());
        let writes = writes.map(|(field, value)| Write::set(field, value.clone()));
        self.work
            .create_what_fits(kind, &writes.collect::<Vec<_>>())
    }

    fn change(&mut self, kind: &str, id: i64, fields: &[(&str, Value)]) -> Result<(), Fault> {
        let writes = fields
            .iter()
            .map(|(field, value)| Write::set(field, value.clone()));
        self.work
            .update_what_fits(kind, id, &writes.collect::<Vec<_>>())
    }

    fn of(&self, link: Link, field: &str) -> Value {
        self.links(link, field)
            .first()
            .map_or(Value::Null, Link::bare)
    }

    fn links(&self, link: Link, field: &str) -> Vec<Link> {
        let row = self.work.store().live(&link);
        row.map_or(Vec::new(), |row| row.get(field).links().to_vec())
    }
}

/// Adds a shot or an asset that is like another: the same sequence or kind, the same tasks, the next name.
fn grow(desk: &mut Desk<'_, '_>, like: Link) -> Result<(), Fault> {
    let store = desk.work.store();
    let Some(row) = store.live(&like) else {
        return Ok(());
    };
    let sequence = row.get("sg_sequence").link();
    // The newest of the sequence has the highest number.
    let newest = sequence.and_then(|link| store.live(&link)?.get("shots").links().last().copied());
    let name = next_name(&store.name(&newest.unwrap_or(like)));
    let name = free_name(store, like.kind, name);
    let template = row.get("task_template").json();
    let tasks: Vec<Link> = row.get("tasks").links().to_vec();
    let frames = FRAMES + desk.chance.i64(0..200);
    let kind = any(desk.chance, &desk.words.asset_types).cloned();
    let project = desk.of(like, "project");
    let mut fields = vec![("code", json!(name)), ("project", project.clone())];
    if like.kind == "Shot" {
        fields.extend([
            ("sg_sequence", json!(sequence.map(|link| link.bare()))),
            ("sg_cut_in", json!(1001)),
            ("sg_cut_out", json!(1000 + frames)),
            ("sg_cut_duration", json!(frames)),
        ]);
    } else {
        fields.push(("sg_asset_type", json!(kind)));
    }
    let has_template = !template.is_null();
    fields.push(("task_template", template));
    let Some(id) = desk.create(like.kind, &fields)? else {
        return Ok(());
    };
    let made = Link::new(like.kind, id).bare();
    for task in tasks.into_iter().filter(|_| !has_template) {
        let content = desk.work.store().name(&task).into_owned();
        let fields = [
            ("content", json!(content)),
            ("project", project.clone()),
            ("entity", made.clone()),
            ("step", desk.of(task, "step")),
        ];
        desk.create("Task", &fields)?;
    }
    Ok(())
}

/// `HRB_0010` is followed by `HRB_0020`, `Lantern` by `Lantern 2`.
fn next_name(name: &str) -> String {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let digits = &name[stem.len()..];
    let width = digits.len();
    match digits.parse::<u32>() {
        Ok(number) if width > 1 => {
            let next = number.saturating_add(10);
            format!("{stem}{next:0width$}")
        }
        Ok(number) => format!("{stem}{}", number.saturating_add(1)),
        Err(_) => format!("{name} 2"),
    }
}

fn free_name(store: &Store, kind: &str, mut name: String) -> String {
    while store.named(kind, keep("code"), &name).is_some() {
        name = next_name(&name);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_on() {
        for (name, next) in [
            ("HRB_0010", "HRB_0020"),
            ("bunny_010_040", "bunny_010_050"),
            ("Lantern", "Lantern 2"),
            ("Lantern 2", "Lantern 3"),
            ("Lantern 9", "Lantern 10"),
            ("SH990", "SH1000"),
        ] {
            assert_eq!(next_name(name), next);
        }
    }
}
