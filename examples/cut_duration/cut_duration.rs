//! cut_duration: keeps `sg_cut_duration` of a Shot at cut out - cut in + 1, whoever changes one of them.

use std::process::ExitCode;

use serde::Deserialize;
use sgeventd_plugin::{Context, Event, Handled, Outcome, Plugin, serde_json::json};

/// The fields that it looks at; a Shot may lack any of them.
const FIELDS: [&str; 3] = ["sg_cut_in", "sg_cut_out", "sg_cut_duration"];

#[derive(Deserialize)]
struct Shot {
    sg_cut_in: Option<i64>,
    sg_cut_out: Option<i64>,
    sg_cut_duration: Option<i64>,
}

fn main() -> ExitCode {
    let wanted = json!({
        "events": { "Shotgun_Shot_Change": FIELDS },
        "where": [["user", "is_not", "self"]],
    });
    let plugin = Plugin::new("cut_duration")
        .version("1.0.0")
        .description("A Shot's cut duration is what its cut in and cut out say.")
        .permissions(json!({ "sg": ["find:Shot", "update:Shot.sg_cut_duration"] }))
        .delivery(json!({ "order": "entity" }))
        .on_matching(wanted, on_cut);
    plugin.run().into()
}

fn on_cut(event: &Event<'_>, context: &mut Context<'_>) -> Handled {
    let Some(id) = event.get("meta")["entity_id"].as_i64() else {
        return Ok(Outcome::Skip("the event names no Shot".to_owned()));
    };
    let by_id = json!([["id", "is", id]]);
    let shot: Option<Shot> = context.sg().find_one_as("Shot", by_id, &FIELDS)?;
    let Some(shot) = shot else {
        return Ok(Outcome::Skip("the Shot is gone".to_owned()));
    };
    let duration = shot
        .sg_cut_in
        .zip(shot.sg_cut_out)
        .map(|(first, last)| last - first + 1);
    if duration == shot.sg_cut_duration {
        return Ok(Outcome::Ok);
    }
    let fields = json!({ "sg_cut_duration": duration });
    context.sg().update("Shot", id, fields)?;
    context.log_with(
        "info",
        "cut duration is set",
        json!({ "shot": id, "frames": duration }),
    );
    Ok(Outcome::Ok)
}
