//! `sgeventd new`: a folder for each language whose test and check pass and whose plugin works, unedited; refusals that say what is allowed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::json;

use crate::support::{Daemon, Site, Studio, need, until};

/// Each language, the program that a machine may lack, and what runs the new plugin's test.
const LANGUAGES: [(&str, &str, &str); 5] = [
    ("python", "python3", PYTHON_TEST),
    ("upstream", "python3", PYTHON_TEST),
    ("node", "node", "node --test"),
    ("shell", "sed", "./test.sh"),
    // One profile of build instead of two, and without a network.
    (
        "rust",
        "cargo",
        "cargo test --release --offline && cargo build --release --offline",
    ),
];
const PYTHON_TEST: &str = "PYTHONPATH=$(sgeventd sdk python) python3 -m unittest";

/// The binary as it is typed: found on the PATH, with a cache below a folder.
fn shell(folder: &Path, command: &str) -> Output {
    shell_reading(folder, command, Stdio::null())
}

fn shell_reading(folder: &Path, command: &str, input: Stdio) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_sgeventd"));
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = binary.parent().expect("a folder").display().to_string();
    Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{bin}:{path}"))
        .env("XDG_CACHE_HOME", folder)
        .env_remove("SGEVENTD_SOCKET")
        .env_remove("PYTHONPATH")
        .stdin(input)
        .output()
        .expect("a shell")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn has(program: &str) -> bool {
    let found = shell(Path::new("/"), &format!("command -v {program}"));
    found.status.success()
}

/// Makes a plugin in a folder and runs its test as its README says.
fn make(plugins: &Path, lang: &str, test: &str) {
    let name = format!("made_{lang}");
    if lang == "rust" {
        // Always the same place, so that what was built once need not be built again.
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let place = target.join("new");
        let _none_yet = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("a folder");
        symlink(place.join(&name), plugins.join(&name)).expect("a link");
        let made = shell(&place, &format!("sgeventd new {name} --lang {lang}"));
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        fs::copy(lock, place.join(&name).join("Cargo.lock")).expect("the versions that are here");
        fs::create_dir_all(target.join("new-target")).expect("a folder");
        symlink(target.join("new-target"), place.join(&name).join("target")).expect("a link");
    } else {
        let made = shell(plugins, &format!("sgeventd new {name} --lang {lang}"));
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        assert_eq!(
            String::from_utf8_lossy(&made.stdout).trim(),
            format!("./{name}")
        );
        let next = String::from_utf8_lossy(&made.stderr).into_owned();
        let cd = format!("cd ./{name} && {test}");
        for part in [&*cd, "sgeventd check", "sgeventd run"] {
            assert!(next.contains(part), "{part} is not in {next}");
        }
    }
    let tested = shell(&plugins.join(&name), test);
    assert_eq!(tested.status.code(), Some(0), "{lang}: {}", said(&tested));
    let checked = shell(plugins, &format!("sgeventd check {name}"));
    assert_eq!(checked.status.code(), Some(0), "{lang}: {}", said(&checked));
    let readme = fs::read_to_string(plugins.join(&name).join("README.md")).expect("a README");
    assert!(readme.starts_with(&format!("# {name}\n")) && !readme.contains("my_plugin"));
}

#[tokio::test]
async fn a_new_plugin_passes_its_test_and_works_in_every_language() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    let mut made = Vec::new();
    for (lang, program, test) in LANGUAGES {
        if has(program) {
            make(&studio.path("plugins"), lang, test);
            made.push(format!("made_{lang}"));
        } else {
            need(program);
        }
    }
    let daemon = Daemon::start(&studio).await;
    for name in &made {
        daemon
            .plugin_when(name, "ready", |plugin| plugin["state"] == "ok")
            .await;
    }
    let set = async |status: &str| {
        let field = json!({ "field_name": "sg_status_list", "value": status });
        let update = json!({ "type": "Task", "id": 1, "fields": [field] });
        let answer = site.call_by("other", "update", &update).await;
        assert_eq!(answer["results"]["sg_status_list"], status, "{answer}");
    };
    set("hld").await;
    set("fin").await;
    for name in &made {
        let plugin = daemon
            .plugin_when(name, "both are settled", |plugin| {
                let count = |what: &str| plugin["counts"][what].as_u64().unwrap_or(0);
                count("ok") + count("skipped") >= 2
            })
            .await;
        assert_eq!(plugin["restarts"], 0, "{plugin}");
        assert_eq!(plugin["counts"]["retried"], 0, "{plugin}");
        until("the Task is in its log", || {
            let log = studio.log();
            log.lines()
                .any(|line| line.contains("task is fin: ") && line.contains(&**name))
        })
        .await;
    }
    assert_eq!(daemon.stop().await, Some(0));
}

#[test]
fn at_a_terminal_a_new_plugin_says_what_it_is_and_does_not_wait() {
    let dir = tempfile::tempdir().expect("a folder");
    for (lang, program, _) in LANGUAGES.into_iter().filter(|(lang, ..)| *lang != "rust") {
        if !has(program) {
            need(program);
            continue;
        }
        let made = shell(
            dir.path(),
            &format!("sgeventd new by_hand_{lang} --lang {lang}"),
        );
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        let terminal = nix::pty::openpty(None, None).expect("a terminal");
        let run = r#"export PYTHONPATH=$(sgeventd sdk python)
            exec timeout 60 $(sed -n 's/^command = \["\(.*\)"\]$/\1/p' plugin.toml)"#;
        let output = shell_reading(
            &dir.path().join(format!("by_hand_{lang}")),
            run,
            terminal.slave.into(),
        );
        let said = said(&output);
        assert_eq!(output.status.code(), Some(64), "{lang}: {said}");
        for part in ["plugin of sgeventd", "sgeventd check ", "[plugins] paths"] {
            assert!(said.contains(part), "{lang}: {part} is not in {said}");
        }
    }
}

#[test]
fn by_hand_without_its_package_a_new_plugin_says_how_it_is_run() {
    let dir = tempfile::tempdir().expect("a folder");
    for lang in ["python", "upstream"] {
        shell(
            dir.path(),
            &format!("sgeventd new alone_{lang} --lang {lang}"),
        );
        let alone = shell(
            &dir.path().join(format!("alone_{lang}")),
            "env -u PYTHONPATH python3 -S plugin.py",
        );
        let said = said(&alone);
        assert_eq!(alone.status.code(), Some(1), "{said}");
        assert!(said.contains("PYTHONPATH=$(sgeventd sdk python)"), "{said}");
        assert!(!said.contains("Traceback"), "{said}");
    }
}

#[test]
fn what_is_there_stays_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let new = |words: &str| shell(dir.path(), &format!("sgeventd new {words}"));
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    assert_eq!(new("empty --lang shell").status.code(), Some(0));
    let file = dir.path().join("empty/plugin.sh");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o700, 0o700, "it can be run");
    fs::write(&file, "mine").expect("a file");
    let refused = new("empty --lang shell");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    for part in ["empty is there already", "allowed:", "--into"] {
        assert!(said(&refused).contains(part), "{}", said(&refused));
    }
    assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    fs::write(dir.path().join("a_file"), "mine").expect("a file");
    assert_eq!(new("a_file").status.code(), Some(1));
    for wrong in ["../up", ".hidden", "2nd", "'a b'", "x --lang cobol"] {
        let refused = new(wrong);
        assert_eq!(refused.status.code(), Some(64), "{wrong}");
        let words = said(&refused);
        assert!(
            words.contains("allowed: a letter") || words.contains("possible values"),
            "{words}"
        );
    }
    let deep = new("deep --lang node --into 'a b/c'");
    assert_eq!(deep.status.code(), Some(0), "{}", said(&deep));
    assert!(said(&deep).contains("cd 'a b/c/deep'"), "{}", said(&deep));
    assert!(dir.path().join("a b/c/deep/plugin.mjs").is_file());
    assert_eq!(new("x --into a_file").status.code(), Some(74));
}

#[test]
fn an_sdk_is_laid_down_where_it_was_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    for (lang, file) in [
        ("python", "sgeventd/__init__.py"),
        ("rust", "sdk-rust/Cargo.toml"),
    ] {
        let here = shell(
            dir.path(),
            &format!("sgeventd sdk {lang} --into here/{lang}"),
        );
        assert_eq!(said(&here).trim(), format!("here/{lang}"));
        assert!(dir.path().join("here").join(lang).join(file).is_file());
        let cached = shell(dir.path(), &format!("sgeventd sdk {lang}"));
        let folder = PathBuf::from(String::from_utf8_lossy(&cached.stdout).trim());
        assert!(folder.starts_with(dir.path()) && folder.join(file).is_file());
    }
    let homeless = shell(
        dir.path(),
        "env -u HOME XDG_CACHE_HOME=relative sgeventd sdk python",
    );
    assert_eq!(homeless.status.code(), Some(1));
    assert!(said(&homeless).contains("--into"), "{}", said(&homeless));
}
