//! `check-config`: every mistake of a config at once.

use serde_json::json;

use super::{
    Exit,
    args::CheckArgs,
    exit::Failure,
    output::{data, talk},
};
use crate::config::{Finding, load};

/// Prints the findings; refuses what is wrong and what is not ready on this machine.
pub(super) fn run(args: &CheckArgs) -> Result<Exit, Failure> {
    let path = &args.config.config;
    let loaded = load(path);
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

fn tell(path: &std::path::Path, findings: &[Finding], is_accepted: bool) {
    let path = path.display();
    match (is_accepted, findings.len()) {
        (true, 0) => talk(&format!("{path} is fine")),
        (true, count) => talk(&format!("{path} can be used; {count} worth a look")),
        (false, 1) => talk(&format!("{path} has 1 mistake")),
        (false, count) => talk(&format!("{path} has {count} mistakes")),
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
