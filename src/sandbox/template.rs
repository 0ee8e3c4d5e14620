//! Task templates: an entity that gets one gets a task for each of its tasks, in the same order of dependence.
//!
//! Never: a task for what has no project, such as the template itself.

use std::collections::BTreeMap;

use super::{
    cell::{Cell, Link},
    check::Write,
    fault::Fault,
    name::keep,
    transaction::Transaction,
};

/// What a task takes over.
const COPIED: [&str; 10] = [
    "content",
    "step",
    "sg_status_list",
    "est_in_mins",
    "duration",
    "sg_sort_order",
    "color",
    "milestone",
    "sg_description",
    "task_assignees",
];

impl Transaction<'_> {
    /// Makes the tasks of the template of an entity that has one.
    pub(super) fn tasks_of_template(&mut self, link: Link) -> Result<(), Fault> {
        if link.kind == "Task" {
            return Ok(());
        }
        let Some(entity) = self.store.entity(link.kind, link.id) else {
            return Ok(());
        };
        let (template, project) = (
            entity.get("task_template").link(),
            entity.get("project").link(),
        );
        let (Some(template), Some(project)) = (template, project) else {
            return Ok(());
        };
        let models = self.store.linked("Task", keep("task_template"), template);
        let models: Vec<i64> = models.map(|task| task.id).collect();
        let mut made = BTreeMap::new();
        for model in &models {
            let writes = self.writes(*model, link, project);
            made.insert(*model, self.create("Task", &writes)?);
        }
        for model in &models {
            self.depend(*model, &made)?;
        }
        Ok(())
    }

    fn writes(&self, model: i64, entity: Link, project: Link) -> Vec<Write> {
        let mut writes = vec![
            Write::set("project", project.bare()),
            Write::set("entity", entity.bare()),
            Write::set("template_task", Link::new(keep("Task"), model).bare()),
        ];
        if let Some(task) = self.store.entity("Task", model) {
            let filled = COPIED.iter().filter(|field| !task.get(field).is_empty());
            writes.extend(filled.map(|field| Write::set(field, task.get(field).json())));
        }
        writes
    }

    fn depend(&mut self, model: i64, made: &BTreeMap<i64, i64>) -> Result<(), Fault> {
        let (Some(task), Some(id)) = (self.store.entity("Task", model), made.get(&model)) else {
            return Ok(());
        };
        let upstream = task.get("upstream_tasks").links().iter();
        let upstream =
            upstream.filter_map(|link| made.get(&link.id).map(|id| Link::new(link.kind, *id)));
        let upstream: Vec<Link> = upstream.collect();
        let def = self.store.schema.field("Task", "upstream_tasks").cloned();
        if let Some(def) = def.filter(|_| !upstream.is_empty()) {
            self.write(
                Link::new(keep("Task"), *id),
                &def,
                Cell::Links(upstream.into()),
                false,
            )?;
        }
        Ok(())
    }
}
