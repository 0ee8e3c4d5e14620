//! A show: a project with its sequences, shots and assets, made by a producer on one day.

use fastrand::Rng;
use serde_json::Value;

use super::{
    Plan,
    names::{Names, nth},
};
use crate::{
    clock::Unix,
    sandbox::{
        cell::Link,
        check::Write,
        fault::Fault,
        name::keep,
        store::{Actor, Commit, Store},
    },
};

/// Frames that a shot has at least.
const FRAMES: i64 = 36;

/// A producer at work.
struct Desk<'a> {
    store: &'a mut Store,
    producer: Actor,
    now: Unix,
    project: Value,
}

/// Begins a show.
pub(super) fn begin(
    store: &mut Store,
    names: &Names,
    (plan, index): (&Plan, usize),
    chance: &mut Rng,
    now: Unix,
) -> Result<(), Fault> {
    let people = |code: &str| {
        let group = store.named("Group", keep("code"), code);
        group.map_or(Vec::new(), |group| group.get("users").links().to_vec())
    };
    let producers = people("Producers");
    let team = people("Supervisors").into_iter().chain(producers.clone());
    let team: Vec<Value> = team.map(|user| user.bare()).collect();
    let mut desk = Desk {
        producer: Actor::human(chance.choice(producers).map_or(1, |user| user.id)),
        store,
        now,
        project: Value::Null,
    };
    let ((name, code, kind), number) = nth(&names.projects, index);
    let title = format!("{name} {number}");
    let project = [
        Write::set("name", title.trim()),
        Write::set("code", format!("{code}{number}")),
        Write::set("sg_type", kind.as_str()),
        Write::set("users", team),
    ];
    desk.project = desk.create("Project", &project)?;
    desk.assets(names, plan)?;
    for index in 0..plan.sequences {
        desk.sequence(names, plan, index, chance)?;
    }
    Ok(())
}

impl Desk<'_> {
    fn sequence(
        &mut self,
        names: &Names,
        plan: &Plan,
        index: usize,
        chance: &mut Rng,
    ) -> Result<(), Fault> {
        let ((code, description), number) = nth(&names.sequences, index);
        let code = format!("{code}{number}");
        let fields = [
            Write::set("code", code.as_str()),
            Write::set("description", description.as_str()),
            Write::set("project", self.project.clone()),
        ];
        let sequence = self.create("Sequence", &fields)?;
        for shot in 1..=plan.shots {
            let frames = FRAMES + chance.i64(0..200);
            let fields = [
                Write::set("code", format!("{code}_{:04}", shot * 10)),
                Write::set("project", self.project.clone()),
                Write::set("sg_sequence", sequence.clone()),
                Write::set("sg_cut_in", 1001),
                Write::set("sg_cut_out", 1000 + frames),
                Write::set("sg_cut_duration", frames),
                Write::set("task_template", self.template("Shot")),
            ];
            let shot = self.create("Shot", &fields)?;
            self.tasks(names, "Shot", &shot)?;
        }
        Ok(())
    }

    /// As many of each type as there is room for.
    fn assets(&mut self, names: &Names, plan: &Plan) -> Result<(), Fault> {
        let kinds: Vec<(&String, &Vec<String>)> = names.assets.iter().collect();
        for index in 0..plan.assets {
            let (kind, list) = kinds[index % kinds.len()];
            let (name, number) = nth(list, index / kinds.len());
            let fields = [
                Write::set("code", format!("{name} {number}").trim()),
                Write::set("project", self.project.clone()),
                Write::set("sg_asset_type", kind.as_str()),
                Write::set("task_template", self.template("Asset")),
            ];
            let asset = self.create("Asset", &fields)?;
            self.tasks(names, "Asset", &asset)?;
        }
        Ok(())
    }

    /// On a site without templates the tasks are made one by one.
    fn tasks(&mut self, names: &Names, kind: &str, entity: &Value) -> Result<(), Fault> {
        let mut templates = names.templates.iter();
        let template = templates.find(|template| template.entity_type == kind);
        if entity.is_null() || !self.template(kind).is_null() {
            return Ok(());
        }
        for (content, _, minutes) in template.into_iter().flat_map(|template| &template.tasks) {
            let fields = [
                Write::set("content", content.as_str()),
                Write::set("project", self.project.clone()),
                Write::set("entity", entity.clone()),
                Write::set("est_in_mins", *minutes),
            ];
            self.create("Task", &fields)?;
        }
        Ok(())
    }

    fn template(&self, code: &str) -> Value {
        let template = self.store.named("TaskTemplate", keep("code"), code);
        template.map_or(Value::Null, |row| {
            Link::new(keep("TaskTemplate"), row.id).bare()
        })
    }

    /// Makes a row of what the site has a type for; returns a link to it, or nothing.
    fn create(&mut self, kind: &str, writes: &[Write]) -> Result<Value, Fault> {
        let (now, producer) = (self.now, self.producer.clone());
        let id = self.store.transact(&producer, now, Commit::Now, |work| {
            work.create_what_fits(kind, writes)
        })?;
        Ok(id.map_or(Value::Null, |id| Link::new(keep(kind), id).bare()))
    }
}
