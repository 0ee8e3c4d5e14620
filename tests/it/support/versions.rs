//! Plugins of the folder that is looked at, version by version, and what is said of them.

use serde_json::Value;

use super::{Daemon, Site, Studio};

/// The file of a plugin, below the studio's folder.
pub(crate) fn file(name: &str) -> String {
    format!("plugins/{name}.py")
}

/// The text of a plugin of a version, with lines of Python of its own.
pub(crate) fn version(studio: &Studio, name: &str, number: u32, body: &str) -> String {
    let body = format!("VERSION = {number}\nMANIFEST[\"version\"] = str(VERSION)\n{body}");
    studio.actor_text(name, &body)
}

/// A studio with one plugin in its folder, and a daemon.
pub(crate) async fn with_plugin(
    site: &Site,
    name: &str,
    body: &str,
    section: &str,
) -> (Studio, Daemon) {
    let studio = Studio::new(site).witness().pulse().section(section);
    let text = version(&studio, name, 1, body);
    let studio = studio.file(&file(name), text, 0o755);
    let daemon = Daemon::start(&studio).await;
    daemon.plugin_when(name, "version 1", is_version("1")).await;
    (studio, daemon)
}

/// It works, and is of this version.
pub(crate) fn is_version(number: &str) -> impl Fn(&Value) -> bool {
    move |report| report["state"] == "ok" && report["version"] == number
}

/// It was handed all that the site has.
pub(crate) fn has_handled(studio: &Studio, site: &Site, name: &str) -> bool {
    studio.handed(name).len() >= site.truth().len()
}

/// What stands about it in a status.
pub(crate) fn alerts<'a>(status: &'a Value, name: &str) -> Vec<&'a str> {
    let all = status["alerts"].as_array().into_iter().flatten();
    all.filter(|alert| alert["plugin"] == name)
        .filter_map(|alert| alert["sentence"].as_str())
        .collect()
}
