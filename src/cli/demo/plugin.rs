//! The demo's Rust plugin, inside the binary: a Note for the supervisor about each new Version.

use std::process::ExitCode;

use serde_json::{Value, json};
use sgeventd_plugin::{Outcome, Plugin};

/// The name it has in the demo.
pub(super) const NAME: &str = "version_notes";

/// Runs the plugin.
pub(crate) fn main() -> ExitCode {
    let plugin = Plugin::new(NAME).on("Shotgun_Version_New", &[], |event, context| {
        let version = event.get("meta")["entity_id"].as_i64();
        let Some(version) = version else {
            return Ok(Outcome::Skip("the event names no Version".to_owned()));
        };
        let project: Value = event.get("project").clone();
        context.call(
            "sg.create",
            json!({
                "entity_type": "Note",
                "data": {
                    "project": project,
                    "subject": "Please review",
                    "note_links": [{"type": "Version", "id": version}],
                },
            }),
        )?;
        Ok(Outcome::Ok)
    });
    ExitCode::from(plugin.run())
}
