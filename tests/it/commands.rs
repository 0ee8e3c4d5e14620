//! What is typed and what comes back: exit codes, and words that help.

use std::process::{Command, Output};

fn sgeventd(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgeventd"));
    command
        .args(args)
        .env_remove("SGEVENTD_SOCKET")
        .output()
        .expect("our own binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_config_lists_every_mistake_with_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.toml");
    std::fs::write(
        &file,
        "[site]\nurl = 7\n[pol]\n[poll]\nintervall = \"1s\"\n",
    )
    .expect("a file");
    let file = file.display().to_string();
    let out = sgeventd(&["check-config", "-c", &file]);
    assert_eq!(out.status.code(), Some(78));
    let said = text(&out.stdout);
    for part in [
        &format!("{file}:2:"),
        &format!("{file}:5:"),
        "intervall",
        "interval",
        "site.script",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let out = sgeventd(&["check-config", "-c", &file, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["ok"], false);
    assert!(
        json["findings"]
            .as_array()
            .is_some_and(|all| all.len() >= 4),
        "{json}"
    );
}

#[test]
fn check_config_counts_warnings_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.toml");
    let config = "[site]\nurl = \"https://a.example\"\nscript = \"s\"\nkey = { value = \"a-key-of-a-test\" }\n[plugin.nowhere]\nenabled = 7\n[plugin.neither]\nenabled = true\n";
    std::fs::write(&file, config).expect("a file");
    let out = sgeventd(&["check-config", "-c", &file.display().to_string()]);
    let (found, said) = (text(&out.stdout), text(&out.stderr));
    let count = |word| found.lines().filter(|line| line.starts_with(word)).count();
    let errors = count("error: ") + count("not ready: ");
    let warnings = count("warning: ");
    assert!(errors > 0 && warnings > 0, "{found}");
    let parts = [
        format!(" has {errors} mistake"),
        format!("; {warnings} warning"),
    ];
    for part in parts {
        assert!(said.contains(&part), "{part} in {said}");
    }
}

#[test]
fn a_config_that_is_not_there_is_said_so() {
    let out = sgeventd(&["check-config", "-c", "/no/such/file.toml"]);
    assert_eq!(out.status.code(), Some(78));
    assert!(text(&out.stdout).contains("/no/such/file.toml"));
}

#[test]
fn status_without_a_daemon_says_what_to_do() {
    let out = sgeventd(&["status", "--socket", "/no/such/admin.sock"]);
    assert_eq!(out.status.code(), Some(3));
    let said = text(&out.stderr);
    assert!(
        said.contains("no daemon answers on /no/such/admin.sock") && said.contains("hint:"),
        "{said}"
    );
    assert!(out.stdout.is_empty());
}

#[test]
fn what_cannot_be_understood_is_usage() {
    assert_eq!(sgeventd(&["statsu"]).status.code(), Some(64));
    assert_eq!(sgeventd(&["--help"]).status.code(), Some(0));
    assert!(text(&sgeventd(&["--version"]).stdout).starts_with("sgeventd "));
}
