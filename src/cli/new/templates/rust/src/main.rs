//! my_plugin: logs each Task that gets a certain status, with what it is a Task of.

use std::process::ExitCode;

use sgeventd_plugin::{Context, Event, Handled, Outcome, Plugin, serde_json::json};

fn main() -> ExitCode {
    let wanted = json!({
        "events": { "Shotgun_Task_Change": ["sg_status_list"] },
        "where": [["user", "is_not", "self"]],
    });
    let plugin = Plugin::new("my_plugin")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Logs each Task that gets a certain status.")
        // What it may ask of the site; the operator may allow less.
        .permissions(json!({ "sg": ["find:Task"] }))
        .on_matching(wanted, on_status);
    plugin.run().into()
}

/// Runs once for each change of a Task's status, but for those that this plugin wrote itself.
fn on_status(event: &Event<'_>, context: &mut Context<'_>) -> Handled {
    // [plugin.my_plugin] config = { status = "…" }
    let status = context.config()["status"].as_str().unwrap_or("fin");
    let status = status.to_owned();
    let meta = event.get("meta");
    if meta["new_value"] != *status {
        return Ok(Outcome::Skip(format!("the status is not {status}")));
    }
    let by_id = json!([["id", "is", meta["entity_id"]]]);
    let task = context
        .sg()
        .find_one("Task", by_id, &["content", "entity"])?;
    let Some(task) = task else {
        return Ok(Outcome::Skip("the Task is gone".to_owned()));
    };
    let content = task["content"].as_str().unwrap_or_default();
    let of = task["entity"]["name"].as_str().unwrap_or("nothing");
    context.log("info", &format!("task is {status}: {content} of {of}"));
    Ok(Outcome::Ok)
}
