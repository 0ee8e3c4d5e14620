//! A config that is wrong, or not ready on this machine: what is printed, how it ends, and that a running daemon keeps its old one.
//!
//! | what | where |
//! |---|---|
//! | forty mistakes with line, key and way out; wrong TOML, wrong types, a section twice, unknown keys; key files | `src/config/tests.rs` |
//! | `check-config` as text and JSON, a file that is not there | `commands.rs` |
//! | the same stem in two folders | `src/plugin/discovery.rs` |
//! | `run` with a config that is missing or wrong, also changed under a daemon that runs | here |
//! | a plugin path that is missing or not readable: refused by `check-config`, waited for by `run` | here |
//! | a plugin's name twice: by `command` and as a file | here |
//! | a section for a plugin that is nowhere: a warning, and the daemon runs | here, `src/plugin/ghosts.rs` |
//! | a file with mistakes still leads `status` to the daemon that runs; one that cannot be read is said once | here |

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use nix::{sys::signal::Signal, unistd::Uid};
use serde_json::json;

use crate::support::{Daemon, Site, Studio, plugin, until};

/// Root reads everything; without these rights modes hold for it too.
const AS_ANYBODY: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

fn by() -> &'static [&'static str] {
    if Uid::effective().is_root() {
        &AS_ANYBODY
    } else {
        &[]
    }
}

fn check(studio: &Studio) -> Output {
    let words = [
        by(),
        &[env!("CARGO_BIN_EXE_sgeventd"), "check-config", "-c"],
    ]
    .concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(studio.config());
    command.output().expect("our own binary")
}

/// Moves the witness into the plugin folder, where it is a file instead of a command.
fn with_witness_as_file(studio: Studio) -> Studio {
    let witness = studio.path("witness.py").display().to_string();
    let book = studio.book_of("witness").display().to_string();
    let script = format!("#!/bin/sh\nexec {witness} {book}\n");
    studio.file("plugins/witness.sh", script, 0o755)
}

#[tokio::test]
async fn run_refuses_a_missing_or_wrong_file_with_all_mistakes() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let missing = studio.path("no-such.toml");
    let daemon = Daemon::spawn(&studio, &missing);
    assert_eq!(daemon.exit().await, Some(78));
    let said = studio.log();
    let words = format!("error: there is no config file {}", missing.display());
    assert!(said.contains(&words) && said.contains("hint:"), "{said}");

    let right = studio.config();
    let text = fs::read_to_string(&right).expect("a config");
    let wrong = text
        .replace(
            "max_interval = \"200ms\"",
            "max_intervall = \"200ms\"\npage = \"many\"",
        )
        .replace("format = \"text\"", "format = text");
    fs::write(&right, wrong).expect("a config");
    let daemon = Daemon::spawn(&studio, &right);
    assert_eq!(daemon.exit().await, Some(78));
    let said = studio.log();
    for words in [
        "`poll.max_intervall` is no key",
        "did you mean `max_interval`?",
        "`poll.page` is \"many\"; allowed: a whole number",
        "this is not TOML",
        "error: the config has 3 mistakes",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert!(!studio.path("state").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_file_that_was_spoilt_changes_nothing_for_a_daemon_that_runs() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    let config = studio.path("sgeventd.toml");
    let right = fs::read_to_string(&config).expect("a config");
    fs::write(&config, format!("{right}\n[plugin.witness]\n")).expect("a config");
    daemon.signal(Signal::SIGHUP);
    let status = daemon
        .status_when("it is said", |status| {
            status["config"]["error"].is_string() && status["alerts"] != json!([])
        })
        .await;
    let alert = &status["alerts"][0];
    assert_eq!(alert["cause"], "config/invalid", "{status}");
    let sentence = alert["sentence"].as_str().expect("words");
    assert!(sentence.contains("duplicate key"), "{sentence}");
    assert!(!sentence.contains('\n'), "a line: {sentence}");
    assert!(!sentence.contains("error:"), "{sentence}");
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    fs::write(&config, right).expect("a config");
    daemon.signal(Signal::SIGHUP);
    daemon
        .status_when("all is well", |status| {
            status["config"]["error"].is_null() && status["alerts"] == json!([])
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

#[tokio::test]
async fn a_plugin_path_that_is_missing_is_waited_for() {
    waited_for(
        "there is no such folder",
        |studio| fs::rename(studio.path("plugins"), studio.path("later")).expect("it moves"),
        |studio| fs::rename(studio.path("later"), studio.path("plugins")).expect("it moves"),
    )
    .await;
}

#[tokio::test]
async fn a_plugin_path_that_cannot_be_read_is_waited_for() {
    let mode = |studio: &Studio, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(studio.path("plugins"), mode).expect("its mode");
    };
    waited_for(
        "this user may not read it",
        |studio| mode(studio, 0o000),
        |studio| mode(studio, 0o755),
    )
    .await;
}

async fn waited_for(why: &str, spoil: impl Fn(&Studio), mend: impl Fn(&Studio)) {
    let site = Site::quiet().await;
    let studio = with_witness_as_file(Studio::new(&site));
    spoil(&studio);
    let out = check(&studio);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(78), "{said}");
    assert!(
        said.contains(why) && said.contains("plugins.paths"),
        "{said}"
    );

    let daemon = Daemon::spawn_by(&studio, &studio.config(), by());
    let cause = format!("path/{}", studio.path("plugins").display());
    daemon
        .status_when("it is said", |status| {
            status["alerts"][0]["cause"] == *cause
        })
        .await;
    assert!(studio.log().contains(why), "{}", studio.log());
    mend(&studio);
    let status = daemon
        .status_when("it runs", |status| plugin(status, "witness").is_some())
        .await;
    assert_eq!(status["alerts"], json!([]), "{status}");
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(check(&studio).status.code(), Some(0));
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

#[tokio::test]
async fn a_name_that_stands_for_a_command_and_a_file_is_said_and_runs_once() {
    let site = Site::quiet().await;
    let studio = with_witness_as_file(Studio::new(&site).witness());
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let file = studio.path("plugins/witness.sh").display().to_string();
    let status = daemon
        .status_when("the file is told apart", |status| {
            let others = status["not_plugins"].as_array();
            others.is_some_and(|all| all.iter().any(|one| one["path"] == *file))
        })
        .await;
    let why = &status["not_plugins"][0]["reason"];
    assert!(
        why.as_str()
            .is_some_and(|why| why.contains("[plugin.witness]")),
        "{status}"
    );
    until("the plugin is done", || studio.witnessed() == site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "by one of them alone");
}

/// `status` by the config file alone.
fn status_by_config(studio: &Studio) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgeventd"));
    command
        .args(["status", "-c"])
        .arg(studio.path("sgeventd.toml"));
    let out = command.env_remove("SGEVENTD_SOCKET").output();
    let out = out.expect("our own binary");
    let said = [&out.stdout[..], &out.stderr[..]].map(String::from_utf8_lossy);
    (out.status.code(), said.concat())
}

#[tokio::test]
async fn a_file_with_mistakes_still_leads_to_the_daemon() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    let right = fs::read_to_string(studio.path("sgeventd.toml")).expect("a config");
    for (from, to, leads) in [
        ("interval = \"100ms\"", "interval = \"soon\"", true),
        ("[log]", "[logg]", true),
        (
            "key = { file = \"site.key\" }",
            "key = { file = \"none.key\" }",
            true,
        ),
        ("socket = \"admin.sock\"", "socket = 7", false),
        (
            "[admin]\nsocket = \"admin.sock\"",
            "socket = admin.sock",
            false,
        ),
    ] {
        assert!(right.contains(from), "{from}");
        fs::write(studio.path("sgeventd.toml"), right.replace(from, to)).expect("a config");
        let (code, said) = status_by_config(&studio);
        assert_eq!(said.contains("● sgeventd"), leads, "{to}: {said}");
        assert_eq!(code == Some(78), !leads, "{to}: {code:?} {said}");
        assert!(!said.contains("error: error:"), "{to}: {said}");
        assert_eq!(
            said.matches("error:").count(),
            usize::from(!leads),
            "{said}"
        );
        assert!(leads || said.contains("hint: --socket"), "{to}: {said}");
    }
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}

#[tokio::test]
async fn a_section_for_a_plugin_that_is_nowhere_is_said_once_and_stops_nothing() {
    let site = Site::quiet().await;
    let ghost = "[plugin.ghost]\nmax_age = \"1h\"\n";
    let studio = Studio::new(&site).witness().section(ghost);
    let what = "[plugin.ghost] is for a plugin that is not there; there are: witness";
    let config = studio.config();
    let text = fs::read_to_string(&config).expect("a config");
    let line = text.lines().position(|line| line == "[plugin.ghost]");
    let line = line.expect("its section") + 1;
    let out = check(&studio);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{said}");
    let warning = format!("warning: {}:{line}:", config.display());
    assert!(said.contains(&warning) && said.contains(what), "{said}");
    let daemon = Daemon::start(&studio).await;
    daemon.delivered(&studio, &site.truth()).await;
    let status = daemon
        .status_when("it is said", |status| {
            status["config"]["warnings"] != json!([])
        })
        .await;
    let warning = format!("{}:{line}: {what}", config.display());
    assert_eq!(status["config"]["warnings"], json!([warning]));
    assert_eq!(status["alerts"], json!([]), "{status}");
    // It comes later.
    studio.replace(
        "plugins/ghost.sh",
        "#!/bin/sh\nexec cat >/dev/null\n",
        0o755,
    );
    daemon
        .status_when("it is there", |status| {
            status["config"]["warnings"] == json!([]) && plugin(status, "ghost").is_some()
        })
        .await;
    let told = studio
        .log()
        .matches("is for a plugin that is not there")
        .count();
    assert_eq!(told, 1, "{}", studio.log());
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
}
