//! Followers, and when somebody opened a project last.
//!
//! In: payloads. Out: who follows what.
//! Never: a row of the log.

use serde_json::{Value, json};

use super::{cell::Link, fault::Fault, method::Call, name::keep, payload::live, store::Actor};

impl Call<'_> {
    /// `follow` and `unfollow`
    pub(super) fn follow(&mut self, method: &str) -> Result<Value, Fault> {
        let user = self.person(method)?;
        let entity = self.link(method, "entity")?;
        let follows = &mut self.store.social.follows;
        let done = if method == "follow" {
            follows.insert((user.id, entity));
            "followed"
        } else {
            follows.remove(&(user.id, entity));
            "unfollowed"
        };
        Ok(json!({done: true, "user": user.bare(), "entity": entity.bare()}))
    }

    /// `followers`
    pub(super) fn followers(&self) -> Result<Value, Fault> {
        let entity = self.link("followers", "entity")?;
        let follows = self.store.social.follows.iter();
        let users = follows.filter(|(_, followed)| *followed == entity);
        let people = users.filter_map(|(user, _)| {
            let link = Link::new(keep("HumanUser"), *user);
            let status = self.store.live(&link)?.get("sg_status_list").json();
            Some(json!({
                "type": link.kind, "id": link.id, "name": self.store.name(&link),
                "status": status, "valid": "valid",
            }))
        });
        Ok(people.collect())
    }

    /// `following`
    pub(super) fn following(&self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "following";
        let user = self.person(METHOD)?;
        let project = self.maybe_link(METHOD, "project")?;
        let kind = match &self.payload["entity_type"] {
            Value::Null => None,
            _ => Some(
                self.store
                    .schema
                    .entity(self.text(METHOD, "entity_type")?, METHOD)?
                    .kind,
            ),
        };
        let view = self.view(who);
        let follows = self.store.social.follows.iter();
        let followed = follows
            .filter(|(follower, _)| *follower == user.id)
            .map(|(_, link)| link);
        let wanted = followed.filter(|link| {
            let is_kind = kind.is_none_or(|kind| link.kind == kind);
            let entity = view.follow(link);
            is_kind
                && entity.is_some_and(|entity| {
                    project.is_none_or(|project| {
                        **link == project || entity.stored("project").link() == Some(project)
                    })
                })
        });
        Ok(wanted.map(Link::bare).collect())
    }

    /// `update_project_last_accessed_by_current_user`
    pub(super) fn accessed(&mut self, who: &Actor) -> Result<Value, Fault> {
        const METHOD: &str = "update_project_last_accessed_by_current_user";
        let project = self.entity(METHOD, "Project", &self.payload["project_id"])?;
        let project = live(self.store, METHOD, project)?;
        let user = match self.maybe_number(METHOD, "user_id")? {
            Some(id) => live(self.store, METHOD, Link::new(keep("HumanUser"), id))?,
            None => who.user,
        };
        let at = self.now.0.div_euclid(1000);
        self.store.social.accessed.insert((user, project.id), at);
        Ok(true.into())
    }
}
