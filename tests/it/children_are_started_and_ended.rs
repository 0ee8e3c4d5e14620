//! A plugin is started through the shim, speaks, and is ended, with all that it started.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use sgeventd::{
    ident::PluginName,
    journal::ChildRecord,
    peer::{Peer, Turn},
    process::{
        Child, Exit, Limits, Lines, SpawnError, SpawnSpec, Spawner, boot_id, end_escaped,
        end_recorded, kill_group, number, start_time,
    },
};
use sgeventd_protocol::{Item, codec::LINE_MAX, write};

/// Long enough for a slow machine, short enough to notice.
const PATIENCE: Duration = Duration::from_secs(20);

fn spawner() -> Spawner {
    Spawner::start(PathBuf::from(env!("CARGO_BIN_EXE_sgeventd"))).expect("a thread")
}

/// Tests run beside each other: each process has a number of its own.
fn number_of(program: &str, args: &[&str]) -> u64 {
    let whose = format!("tests of {}", std::process::id());
    number(&whose, &format!("{program} {}", args.join(" ")), false)
}

fn spec(program: &str, args: &[&str]) -> SpawnSpec {
    SpawnSpec {
        program: program.into(),
        base: "/nowhere".into(),
        args: args.iter().map(OsString::from).collect(),
        cwd: std::env::temp_dir(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
        umask: 0o022,
        limits: Limits {
            memory: Some(4 << 30),
            open_files: 256,
            processes: Some(4096),
            nice: 5,
            cpu_time: None,
            file_size: None,
            core: 0,
        },
        fd34: false,
        user: None,
        empties: None,
        number: Some(number_of(program, args)),
        group: None,
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

async fn lines_of(child: &mut Child) -> Vec<String> {
    let (output, _input) = child.pipes.take().expect("its pipes");
    let mut lines = Lines::new(output, sgeventd::clock::Clock::start());
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line.text);
    }
    all
}

#[tokio::test]
async fn the_twenty_line_plugin_speaks() {
    let plugin = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/twenty_lines/twenty_lines.py"
    );
    let mut child = within(spawner().spawn(spec("/usr/bin/env", &["python3", "-u", plugin])))
        .await
        .expect("a process");
    let (output, input) = child.pipes.take().expect("its pipes");
    let mut peer = Peer::new(output, input, LINE_MAX, None);
    let mut answers = Vec::new();
    for (id, method) in [
        (1_000_001, "initialize"),
        (1_000_002, "start"),
        (1_000_003, "event"),
    ] {
        let params =
            serde_json::json!({"delivery": {}, "event": {"id": 7, "entity": null, "meta": {}}});
        peer.queue(|out| write::request(out, id, method, &params));
        while answers.len() < (id - 1_000_000) as usize {
            assert!(
                matches!(within(peer.turn(&mut answers, true)).await, Turn::Messages),
                "{method}: it ended"
            );
        }
    }
    let Item::Response {
        id: 1_000_001,
        outcome: Ok(result),
    } = &answers[0]
    else {
        panic!("{:?}", answers[0])
    };
    assert!(result.get().contains("subscriptions"), "{result}");
    assert!(matches!(
        &answers[2],
        Item::Response {
            id: 1_000_003,
            outcome: Ok(_)
        }
    ));
    peer.close_input();
    assert_eq!(within(child.wait()).await, Exit::Code(0));
}

#[tokio::test]
async fn a_program_is_found_beside_its_plugin_or_on_the_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = dir.path().join("true");
    fs::write(&own, "#!/bin/sh\nexit 7\n").expect("a file");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("its mode");
    for (program, base, code) in [
        ("true", "/nowhere".into(), 0),
        ("true", dir.path().to_owned(), 7),
        ("./true", dir.path().to_owned(), 7),
        ("/bin/true", dir.path().to_owned(), 0),
    ] {
        let spec = SpawnSpec {
            base,
            ..spec(program, &[])
        };
        let mut child = within(spawner().spawn(spec)).await.expect("a process");
        assert_eq!(within(child.wait()).await, Exit::Code(code), "{program}");
    }
}

#[tokio::test]
async fn a_child_is_what_a_plugin_should_be() {
    let script = "exec 2>&1; umask; nice; ulimit -n; cat /proc/self/stat | cut -d' ' -f6; echo $$; ls /proc/self/fd | wc -l";
    let mut child = within(spawner().spawn(spec("/bin/sh", &["-c", script])))
        .await
        .expect("a process");
    let lines = within(lines_of(&mut child)).await;
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!(lines[0], "0022");
    assert_eq!(lines[2], "256");
    assert_eq!(lines[3], lines[4], "it leads a session of its own");
    assert_eq!(
        lines[5], "4",
        "standard descriptors and the one that lists them"
    );
    assert_eq!(within(child.wait()).await, Exit::Code(0));
}

/// The shim as it is started by a daemon that holds capabilities for its plugins' user: as root, `setpriv` makes it one.
#[test]
fn a_child_has_no_capability() {
    let shim = [env!("CARGO_BIN_EXE_sgeventd"), "__shim", "verdict=9"];
    let program = ["--", "/", "/", "bin/cat", "/proc/self/status"];
    // DAC_OVERRIDE finds our binary wherever it was built, SETPCAP lets go of the bounding set.
    let caps = "+setuid,+setgid,+kill,+dac_override,+setpcap";
    let as_user = [
        "setpriv".to_owned(),
        "--reuid=65534".to_owned(),
        "--regid=65534".to_owned(),
        "--clear-groups".to_owned(),
        format!("--inh-caps={caps}"),
        format!("--ambient-caps={caps}"),
    ];
    let is_root = nix::unistd::Uid::effective().is_root();
    let words = as_user.iter().map(String::as_str).filter(|_| is_root);
    let words = words.chain(shim).chain(program);
    let said = std::process::Command::new("sh")
        .args(["-c", "exec \"$@\" 9>&2", "sh"])
        .args(words)
        .output()
        .expect("it runs");
    let status = String::from_utf8_lossy(&said.stdout);
    let sets: Vec<_> = status
        .lines()
        .filter_map(|line| line.strip_prefix("Cap")?.split_once(":\t"))
        .collect();
    assert_eq!(sets.len(), 5, "{said:?}");
    for (set, bits) in sets {
        let is_kept = set == "Bnd" && !is_root;
        assert!(
            is_kept || bits.trim_matches('0').is_empty(),
            "Cap{set}: {bits}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path.display().to_string()
    };
    for (program, kind) in [
        (dir.path().join("missing").display().to_string(), "NotFound"),
        (
            file("no_interpreter", "#!/no/such/interpreter\n", 0o755),
            "NotFound",
        ),
        (
            file("not_executable", "#!/bin/sh\n", 0o644),
            "PermissionDenied",
        ),
        (
            file("no_program", "\x7fELF nonsense", 0o755),
            "ExecutableFormat",
        ),
    ] {
        let error = within(spawner().spawn(spec(&program, &[])))
            .await
            .expect_err(&program);
        let SpawnError::Exec { path, source } = &error else {
            panic!("{error}")
        };
        assert_eq!(path, &PathBuf::from(&program));
        let number = source.raw_os_error();
        let is_wrong_format = kind == "ExecutableFormat" && number == Some(8);
        assert!(
            format!("{:?}", source.kind()) == kind || is_wrong_format,
            "{program}: {source}"
        );
    }
    let error = within(spawner().spawn(spec("no-such-program", &[]))).await;
    let said = error.expect_err("it is nowhere").to_string();
    assert_eq!(said, "no-such-program is neither in /nowhere nor on PATH");
    let mut nowhere = spec("/bin/true", &[]);
    nowhere.cwd = dir.path().join("nowhere");
    assert!(matches!(
        within(spawner().spawn(nowhere)).await,
        Err(SpawnError::Cwd { .. })
    ));
}

#[tokio::test]
async fn a_group_is_ended_and_what_left_it_too() {
    // One in the group, one in a session of its own.
    let script = "sleep 300 & setsid env -i sleep 301 & echo ready; wait";
    let mut child = within(spawner().spawn(spec("/bin/sh", &["-c", script])))
        .await
        .expect("a process");
    let pid = child.pid;
    let (output, _input) = child.pipes.take().expect("its pipes");
    let mut lines = Lines::new(output, sgeventd::clock::Clock::start());
    assert_eq!(within(lines.next()).await.expect("a line").text, "ready");
    kill_group(pid);
    assert_eq!(within(child.wait()).await, Exit::Signal(9));
    // The escaped one may still be on its way to its own session, or be ended with the group.
    end_escaped(pid, number_of("/bin/sh", &["-c", script]));
    assert!(
        within(lines.next()).await.is_none(),
        "nobody holds its output any more"
    );
}

#[tokio::test]
async fn a_recorded_child_of_a_dead_daemon_is_ended() {
    let child = within(spawner().spawn(spec("/bin/sleep", &["300"])))
        .await
        .expect("a process");
    let record = |start_time| ChildRecord {
        plugin: PluginName::new("p"),
        pid: child.pid,
        start_time,
        boot_id: boot_id().into(),
    };
    // The same number with another start time is somebody else.
    assert!(
        end_recorded(&[record(child.start_time + 1)])
            .await
            .is_empty()
    );
    assert_eq!(start_time(child.pid), Some(child.start_time));
    assert!(end_recorded(&[record(child.start_time)]).await.is_empty());
    assert_eq!(start_time(child.pid), None);
}
