//! The cast: people with departments and groups, and the templates by which shots and assets get their tasks.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Value, json};

use super::names::{Names, Template};
use crate::{
    clock::Unix,
    sandbox::{
        cell::Link,
        check::Write,
        fault::Fault,
        name::keep,
        store::{Actor, Commit, Store},
        transaction::Transaction,
    },
};

/// Hires people, in the shares of their roles.
pub(super) fn hire(
    store: &mut Store,
    names: &Names,
    people: usize,
    chance: &mut Rng,
    now: Unix,
) -> Result<(), Fault> {
    let mut logins = BTreeSet::new();
    let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let whole: usize = names.roles.iter().map(|role| role.share).sum();
    for role in &names.roles {
        let count = (people * role.share).div_ceil(whole.max(1));
        for _ in 0..count {
            let (first, last) = (chance.choice(&names.first), chance.choice(&names.last));
            let (Some((first, short)), Some((last, long))) = (first, last) else {
                return Ok(());
            };
            let stem = format!("{}{long}", short.chars().next().unwrap_or('x'));
            let mut numbered = (2..).map(|number| format!("{stem}{number}"));
            let is_free = |login: &String| {
                !logins.contains(login) && store.named("HumanUser", keep("login"), login).is_none()
            };
            let login = Some(stem.clone()).filter(is_free);
            let login = login.or_else(|| numbered.find(is_free)).unwrap_or_default();
            let linked = |kind: &str, field: &str, text: &str| {
                let row = store.named(kind, keep(field), text);
                row.map(|row| Link::new(keep(kind), row.id).bare())
            };
            let mut writes = vec![
                Write::set("firstname", first.as_str()),
                Write::set("lastname", last.as_str()),
                Write::set("login", login.as_str()),
                Write::set("email", format!("{login}@example.com")),
                Write::set("sg_job_title", role.title.as_str()),
            ];
            let department = linked("Department", "name", &role.department);
            let permission = linked("PermissionRuleSet", "code", &role.permission);
            writes.extend(department.map(|link| Write::set("department", link)));
            writes.extend(permission.map(|link| Write::set("permission_rule_set", link)));
            let id = one(store, now, |work| {
                work.create_what_fits("HumanUser", &writes)
            })?;
            let person = id.map_or(Value::Null, |id| Link::new(keep("HumanUser"), id).bare());
            groups.entry(&role.group).or_default().push(person);
            logins.insert(login);
        }
    }
    for (code, people) in groups {
        let writes = [Write::set("code", code), Write::set("users", people)];
        one(store, now, |work| work.create_what_fits("Group", &writes))?;
    }
    Ok(())
}

/// Makes the templates.
pub(super) fn templates(store: &mut Store, names: &Names, now: Unix) -> Result<(), Fault> {
    for template in &names.templates {
        one(store, now, |work| one_template(work, template))?;
    }
    Ok(())
}

fn one_template(work: &mut Transaction<'_>, template: &Template) -> Result<(), Fault> {
    let entity_type = template.entity_type.as_str();
    let writes = [
        Write::set("code", template.code.as_str()),
        Write::set("entity_type", entity_type),
    ];
    let Some(id) = work.create_what_fits("TaskTemplate", &writes)? else {
        return Ok(());
    };
    let owner = Link::new(keep("TaskTemplate"), id).bare();
    let mut before: Option<Value> = None;
    for (order, (content, step, minutes)) in template.tasks.iter().enumerate() {
        let steps = work.store().entities("Step");
        let step = steps.into_iter().find(|row| {
            row.get("code").as_str() == Some(step)
                && row.get("entity_type").as_str() == Some(entity_type)
        });
        let step = step.map(|row| Link::new(keep("Step"), row.id).bare());
        let mut writes = vec![
            Write::set("content", content.as_str()),
            Write::set("task_template", owner.clone()),
            Write::set("est_in_mins", *minutes),
            Write::set("sg_sort_order", order + 1),
        ];
        writes.extend(step.map(|step| Write::set("step", step)));
        writes.extend(before.map(|task| Write::set("upstream_tasks", json!([task]))));
        let task = work.create_what_fits("Task", &writes)?;
        before = task.map(|task| Link::new(keep("Task"), task).bare());
    }
    Ok(())
}

/// Does something for the site's first person, who is its administrator.
pub(super) fn one<T>(
    store: &mut Store,
    now: Unix,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    store.transact(&Actor::human(1), now, Commit::Now, work)
}
