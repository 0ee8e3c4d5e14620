//! The demo's Rust plugin, inside the binary: a Note for the supervisor about each new Version.

use std::process::ExitCode;

use serde_json::json;
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
        let note = json!({
            "project": event.get("project"),
            "subject": "Please review",
            "note_links": [{"type": "Version", "id": version}],
        });
        context.sg().create("Note", note)?;
        Ok(Outcome::Ok)
    });
    ExitCode::from(plugin.run())
}
