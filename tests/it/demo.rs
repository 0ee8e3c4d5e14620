//! `sgeventd demo`, as a newcomer types it: three languages, nothing lost, a crash that is mended, a screen that teaches.

use std::{path::Path, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// The longest that a short demo may take: its time, what is on its way, a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The demo in a folder of its own.
fn demo(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgeventd"));
    command
        .arg("demo")
        .args(args)
        .arg("--dir")
        .arg(dir.join("demo"))
        .env_remove("SGEVENTD_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Exit code, standard output, standard error.
async fn run(mut command: Command) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends").expect("our own binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn verdict(stdout: &str) -> Value {
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

#[tokio::test]
async fn three_languages_handle_everything_and_write_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, stdout, stderr) = run(demo(dir.path(), &["--for", "12s", "--json"])).await;
    let verdict = verdict(&stdout);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    for key in ["lost", "duplicates", "out_of_order"] {
        assert_eq!(verdict[key], 0, "{verdict}");
    }
    assert!(verdict["journaled"].as_u64() > Some(100), "{verdict}");
    assert!(verdict["gaps"]["filled"].is_u64() && verdict["gaps"]["given_up"].is_u64());
    let plugins = verdict["plugins"].as_array().expect("a list");
    let named = |name: &str| {
        let found = plugins.iter().find(|plugin| plugin["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {verdict}"))
    };
    for (name, language) in [
        ("version_notes", "rust"),
        ("task_status", "python"),
        ("flaky", "python"),
        ("shell_notes", "shell"),
    ] {
        let plugin = named(name);
        assert_eq!(plugin["language"], language);
        assert!(plugin["delivered"].as_u64() > Some(0), "{plugin}");
        assert_eq!(plugin["dead"], 0, "{plugin}");
    }
    for name in ["version_notes", "shell_notes"] {
        assert!(named(name)["writes"].as_u64() > Some(0), "{}", named(name));
    }
    assert!(
        named("flaky")["restarts"].as_u64() > Some(0),
        "{}",
        named("flaky")
    );
    assert!(
        named("flaky")["ok"].as_u64() > Some(0),
        "it came back: {}",
        named("flaky")
    );
}

#[tokio::test]
async fn without_python_its_plugins_are_left_out_and_the_screen_teaches() {
    let dir = tempfile::tempdir().expect("a folder");
    let tools = dir.path().join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    for tool in ["sh", "sed"] {
        std::os::unix::fs::symlink(format!("/bin/{tool}"), tools.join(tool)).expect("a link");
    }
    let mut command = demo(dir.path(), &["--for", "3s"]);
    command.env("PATH", &tools);
    let (code, stdout, stderr) = run(command).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stderr.contains("python    not found"), "{stderr}");
    assert!(
        !stderr.contains("task_status") && !stderr.contains("flaky"),
        "{stderr}"
    );
    assert!(
        stdout.contains("0 lost · 0 doubled · 0 out of order"),
        "{stdout}"
    );
    let config = dir.path().join("demo/sgeventd.toml").display().to_string();
    let traffic = dir.path().join("demo/traffic.jsonl").display().to_string();
    for part in [
        format!("sgeventd status -c {config}"),
        format!("tail -f {traffic}"),
        "version_notes".to_owned(),
        "shell_notes".to_owned(),
    ] {
        assert!(stderr.contains(&part), "{part} is not in {stderr}");
    }
    let traffic = std::fs::read_to_string(traffic).expect("the traffic log");
    assert!(
        traffic
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(traffic.contains("shell_notes"));
}

#[tokio::test]
async fn ctrl_c_ends_it_with_the_summary() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut child = demo(dir.path(), &[]).spawn().expect("our own binary");
    let pid = i32::try_from(child.id().expect("it runs")).expect("a pid");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let watched = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.contains("in a second terminal") {
                kill(Pid::from_raw(pid), Signal::SIGINT).expect("it runs");
                break;
            }
        }
        // Read to the end, so that it never waits for us.
        while lines.next_line().await.expect("text").is_some() {}
    };
    tokio::time::timeout(PATIENCE, watched)
        .await
        .expect("it ends");
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("it ends").expect("our child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("events journaled · 0 lost"), "{stdout}");
}
