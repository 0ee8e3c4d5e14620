//! The work schedule: which days are worked, for the studio, a project or a person.
//!
//! In: days, projects, people. Out: each day with its reason.
//! Never: a date of a task that moves with it.

use jiff::{ToSpan as _, civil::Date};
use serde_json::{Map, Value, json};

use super::{
    cell::Link,
    fault::Fault,
    method::Call,
    payload::wrong,
    social::{Calendar, DayRule},
};

/// What is told at once.
const DAYS_MAX: i32 = 3660;

impl Call<'_> {
    /// `work_schedule_read`
    pub(super) fn work_schedule_read(&self) -> Result<Value, Fault> {
        const METHOD: &str = "work_schedule_read";
        let [start, end] = [
            self.day(METHOD, "start_date")?,
            self.day(METHOD, "end_date")?,
        ];
        let project = self.maybe_link(METHOD, "project")?;
        let user = self.maybe_link(METHOD, "user")?;
        if end < start || (end - start).get_days() > DAYS_MAX {
            return Err(wrong(METHOD, "date 'end_date'", self.payload));
        }
        let calendars = [
            user.map(|user| (Calendar::User(user.id), "USER_EXCEPTION")),
            project.map(|project| (Calendar::Project(project.id), "PROJECT_EXCEPTION")),
            Some((Calendar::Studio, "STUDIO_EXCEPTION")),
        ];
        let days = start.series(1.day()).take_while(|day| *day <= end);
        let told = days.map(|day| {
            let rules = calendars.iter().flatten().filter_map(|(calendar, reason)| {
                let rule = self.store.social.days.get(&(*calendar, day.to_string()))?;
                Some(json!({"working": rule.working, "description": rule.description, "reason": reason}))
            });
            let is_weekday = day.weekday().to_monday_zero_offset() < 5;
            let rule = { rules }.next().unwrap_or_else(
                || json!({"working": is_weekday, "description": null, "reason": "STUDIO_WORK_WEEK"}),
            );
            (day.to_string(), rule)
        });
        Ok(Value::Object(told.collect::<Map<String, Value>>()))
    }

    /// `work_schedule_update`
    pub(super) fn work_schedule_update(&mut self) -> Result<Value, Fault> {
        const METHOD: &str = "work_schedule_update";
        let day = self.day(METHOD, "date")?.to_string();
        let working = self.payload["working"].as_bool();
        let working = working.ok_or_else(|| wrong(METHOD, "boolean 'working'", self.payload))?;
        let description = match &self.payload["description"] {
            Value::Null => None,
            _ => Some(self.text(METHOD, "description")?.to_owned()),
        };
        let project = self.maybe_link(METHOD, "project")?;
        let user = self.maybe_link(METHOD, "user")?;
        let calendar = match (project, user) {
            (Some(_), Some(_)) => {
                return Err(Fault::request(format!(
                    "API {METHOD}() 'project' and 'user' cannot both be given"
                )));
            }
            (Some(project), None) => Calendar::Project(project.id),
            (None, Some(user)) => Calendar::User(user.id),
            (None, None) => Calendar::Studio,
        };
        let rule = DayRule {
            working,
            description: description.clone(),
        };
        self.store.social.days.insert((calendar, day.clone()), rule);
        let named =
            |link: Link| json!({"type": link.kind, "id": link.id, "name": self.store.name(&link)});
        Ok(json!({
            "date": day, "working": working, "description": description,
            "project": project.map(named), "user": user.map(named),
        }))
    }

    fn day(&self, method: &str, key: &str) -> Result<Date, Fault> {
        let text = self.text(method, key)?;
        let day = text.parse().ok().filter(|_| text.len() == 10);
        day.ok_or_else(|| wrong(method, &format!("date '{key}'"), self.payload))
    }
}
