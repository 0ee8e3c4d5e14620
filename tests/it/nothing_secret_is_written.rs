//! Keys, passwords and tokens stand in no file, no environment and no command line, in whatever form.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    mail::{PASSWORD, STARTTLS, Server},
    support::{Daemon, KEY, Site, Studio, secrets, yardstick::Yardstick},
};

/// A key with everything that is written differently elsewhere.
const BOT_KEY: &str = "bot \"key\" with/all+kinds=of&signs%41";
/// A plugin that says all it knows, and all that it can find.
const CHATTER: &str = r#"
TEXT = "harmless-canary"
SEEN = []
def secrets():
    return [open(os.path.join(FOLDER, name)).read().strip() for name in ("site.key", "bot.key", "mail.key")]
def handle(event, delivery):
    if SEEN:
        return {}
    SEEN.append(1)
    note(environment=dict(os.environ), command=open("/proc/self/cmdline").read())
    import base64, urllib.parse
    for secret in secrets():
        for form in (secret, json.dumps(secret), urllib.parse.quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            print("printed", TEXT, form, file=sys.stderr, flush=True)
            sys.stdout.write("stray " + form + "\n")
            send({"method": "log", "params": {"level": "error", "message": TEXT + " logged " + form, "fields": {"field": form}}})
            send({"method": "alert", "params": {"message": "alert " + form}})
            call("state.get", key=form[:60])
            call("sg.find", entity_type="Task", filters=[["content", "is", form]], fields=["content"])
            call("sg.rpc", method="info", payload={"script_key": form})
    raise RuntimeError("traceback " + " ".join(secrets()))
"#;

/// The forms in which a value is searched for.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("JSON");
    let url: String = secret
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let base64 = STANDARD.encode(secret);
    vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        url,
        base64.trim_end_matches('=').to_owned(),
    ]
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&path, all),
            Ok(kind) if kind.is_file() => all.push(path),
            _ => {}
        }
    }
}

/// The files of a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files(folder, &mut all);
    let needle = text.as_bytes();
    all.retain(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|part| part == needle)
    });
    all
}

async fn run_with_logs(format: &str) {
    let site = Site::quiet().await;
    let server = Server::start(&STARTTLS);
    let sections = format!(
        "[log.traffic]\nfile = \"traffic.jsonl\"\nbodies = true\n[scripts.task-bot]\nkey = {{ file = \"bot.key\" }}\n[mail]\nserver = \"smtp://localhost:{}\"\ntls = \"required\"\nca_file = \"{}\"\nusername = \"sg\"\npassword = {{ file = \"mail.key\" }}\nfrom = \"sgeventd@studio.example\"\nto = [\"pipeline@studio.example\"]\n",
        server.port,
        server.certificate().display()
    );
    let studio = Studio::new(&site).section(&sections);
    let chatter = format!(
        "FOLDER = {:?}\n{CHATTER}",
        studio.path("").display().to_string()
    );
    let studio = studio
        .actor(
            "chatter",
            &chatter,
            "scripts = [\"sgeventd\", \"task-bot\"]\ndelivery = { on_error = \"skip\" }",
        )
        .file("bot.key", BOT_KEY, 0o600)
        .file("mail.key", PASSWORD, 0o600);
    let config = studio.config();
    let text = fs::read_to_string(&config).expect("a config");
    fs::write(
        &config,
        text.replace("format = \"text\"", &format!("format = \"{format}\"")),
    )
    .expect("a config");
    let daemon = Daemon::spawn(&studio, &config);
    daemon
        .status_when("the chatter has said it all", |status| {
            let report = crate::support::plugin(status, "chatter");
            report.is_some_and(|report| {
                report["counts"]["dead"] == 1 && report["counts"]["ok"].as_u64() > Some(3)
            })
        })
        .await;
    let (pid, chatter) = (
        daemon.pid(),
        daemon.plugin_when("chatter", "runs", |_| true).await,
    );
    let shown = serde_json::to_string(&daemon.status().await).expect("JSON");
    for path in [
        format!("/proc/{pid}/cmdline"),
        format!("/proc/{pid}/environ"),
        format!("/proc/{}/environ", chatter["pid"]),
        format!("/proc/{}/cmdline", chatter["pid"]),
    ] {
        // Our own environment is closed to our own user; root may look.
        let is_closed = path.ends_with("environ") && path.contains(&format!("/{pid}/"));
        let text = match fs::read(&path) {
            Err(error) if is_closed && error.kind() == std::io::ErrorKind::PermissionDenied => {
                continue;
            }
            read => read.expect("of a process that runs"),
        };
        assert!(!text.is_empty(), "{path}");
        let text = String::from_utf8_lossy(&text).into_owned();
        for secret in [KEY, BOT_KEY, PASSWORD] {
            assert!(
                forms(secret).iter().all(|form| !text.contains(form)),
                "{path}"
            );
        }
    }
    // What the kernel shows of the processes, what `status` shows and what a call is refused with is searched with all else.
    for (name, path) in [
        ("daemon.cmdline", format!("/proc/{pid}/cmdline")),
        ("daemon.environ", format!("/proc/{pid}/environ")),
        (
            "plugin.cmdline",
            format!("/proc/{}/cmdline", chatter["pid"]),
        ),
        (
            "plugin.environ",
            format!("/proc/{}/environ", chatter["pid"]),
        ),
    ] {
        let text = fs::read(&path).unwrap_or_default();
        fs::write(studio.path(name), text).expect("a file");
    }
    for (name, words) in [
        ("status.json", ["status", "--json"]),
        ("check.json", ["check-config", "--json"]),
        ("none.json", ["no-such-verb", "--json"]),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sgeventd"))
            .args(words)
            .arg("-c")
            .arg(&config)
            .output()
            .expect("our own binary");
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.is_empty(), "{name}");
        fs::write(studio.path(name), said).expect("a file");
    }
    // The key is refused from now on: that is said, too.
    site.order(&json!({"verb": "revoke_key"}));
    daemon
        .status_when("the key is refused", |status| {
            status["alerts"].as_array().is_some_and(|all| {
                all.iter().any(|alert| {
                    alert["sentence"]
                        .as_str()
                        .is_some_and(|text| text.contains("key"))
                })
            })
        })
        .await;
    // A mail is on its way after ten seconds.
    let read = tokio::task::spawn_blocking(move || {
        let mut server = server;
        (server.next(), server)
    });
    let mail = tokio::time::timeout(crate::support::PATIENCE, read).await;
    let (mail, _server) = mail.expect("a mail").expect("no panic");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.exit().await, Some(0), "{}", studio.log());

    for name in ["site.key", "bot.key", "mail.key"] {
        fs::remove_file(studio.path(name)).expect("a key of the test");
    }
    // The book is the plugin's own.
    let book = studio.book("chatter");
    fs::remove_file(studio.path("chatter.book")).expect("a book");
    fs::remove_file(studio.path("chatter.py")).expect("a plugin");
    let (folder, mail, book) = (
        studio.path(""),
        mail.to_string(),
        json!(book[..3]).to_string(),
    );
    let found = holding(&folder, "harmless-canary");
    for name in ["sgeventd.log", "traffic.jsonl"] {
        let file = studio.path(name);
        assert!(
            found.contains(&file),
            "the search finds what is there: {found:?}"
        );
        let text = fs::read_to_string(&file).expect("text");
        assert!(text.contains("[secret]"), "{name} was cleaned");
    }
    assert!(studio.log().contains("traceback"), "{}", studio.log());
    fs::write(studio.path("mail.txt"), &mail).expect("a file");
    fs::write(studio.path("book.json"), &book).expect("a file");
    let searched = [KEY, BOT_KEY, PASSWORD].map(|key| secrets::search(&folder, key));
    let mut line = Yardstick::of(&format!("canaries-{format}"), &[46])
        .with("canaries", searched.len())
        .with("bytes_searched", searched[0]);
    line.alerts.insert("site_refused".into(), 1);
    line.judge();
    for secret in [KEY, BOT_KEY, PASSWORD] {
        for form in forms(secret) {
            let found = holding(&folder, &form);
            assert!(found.is_empty(), "{form}: {found:?}");
            assert!(!shown.contains(&form), "status shows {form}");
            assert!(!mail.contains(&form), "a mail has {form}");
            assert!(!book.contains(&form), "its environment has {form}");
        }
    }
}

#[tokio::test]
async fn not_in_logs_of_text() {
    run_with_logs("text").await;
}

#[tokio::test]
async fn not_in_logs_of_json() {
    run_with_logs("json").await;
}
