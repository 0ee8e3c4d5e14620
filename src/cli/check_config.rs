//! `check-config`: every mistake of a config at once.

use serde_json::json;

use super::{
    Exit,
    args::CheckArgs,
    exit::Failure,
    output::{counted, data, talk},
};
use crate::{
    config::{Finding, Loaded, Severity, load},
    ident::PluginName,
    plugin::{
        ghosts::ghosts,
        look::Wanted,
        order::{Order, in_words},
    },
};

/// Prints the findings; refuses what is wrong and what is not ready on this machine.
pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let path = &args.config.config;
    let mut loaded = load(path);
    look_at_plugins(&mut loaded);
    let findings = loaded.findings().to_vec();
    let is_accepted = loaded.accept_ready().is_ok();
    if args.json {
        data(&as_json(&findings, is_accepted));
    } else {
        for finding in &findings {
            data(&finding.to_string());
        }
        tell(path, &findings, is_accepted);
    }
    Ok(if is_accepted {
        Exit::Done
    } else {
        Exit::Config
    })
}

/// Who waits for whom, and what no plugin is there for, can only be said when the plugins are found.
fn look_at_plugins(loaded: &mut Loaded) {
    let found = Wanted::of(loaded.config()).survey();
    for ghost in ghosts(loaded.config(), &found, |_| false) {
        loaded.add(Severity::Warning, &ghost.key, ghost.what);
    }
    let order = Order::of(loaded.config(), &found.plugins);
    let key = |name: &PluginName| format!("plugin.{name}.after");
    for (name, after) in &order.unknown {
        let message = format!(
            "`{}` names \"{after}\", and no such plugin is there; {name} does not wait until it comes",
            key(name)
        );
        loaded.add(Severity::Warning, &key(name), message);
    }
    // A circle within the file alone has been found there.
    let is_known = loaded
        .findings()
        .iter()
        .any(|one| one.message.contains(" makes a circle: "));
    for circle in order.circles.iter().filter(|_| !is_known) {
        let key = circle.first().map(key).unwrap_or_default();
        let message = format!(
            "`after` and [order] make a circle: {}; allowed: plugins that do not wait for each other",
            in_words(circle)
        );
        loaded.add(Severity::Error, &key, message);
    }
}

fn tell(path: &std::path::Path, findings: &[Finding], is_accepted: bool) {
    let path = path.display();
    let is_mistake = |one: &&Finding| one.severity != Severity::Warning;
    let mistakes = findings.iter().filter(is_mistake).count();
    match (is_accepted, mistakes, findings.len() - mistakes) {
        (true, _, 0) => talk(&format!("{path} is fine")),
        (true, _, count) => talk(&format!("{path} can be used; {count} worth a look")),
        (false, count, 0) => talk(&format!("{path} has {}", counted(count, "mistake"))),
        (false, count, warnings) => talk(&format!(
            "{path} has {}; {} besides",
            counted(count, "mistake"),
            counted(warnings, "warning")
        )),
    }
}

fn as_json(findings: &[Finding], is_accepted: bool) -> String {
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| {
            let place = finding.place.as_ref();
            json!({
                "severity": finding.severity.to_string(),
                "file": place.map(|place| place.file.display().to_string()),
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "key": finding.key,
                "message": finding.message,
                "hint": finding.hint,
            })
        })
        .collect();
    json!({ "ok": is_accepted, "findings": findings }).to_string()
}
