//! Keys, passwords and tokens stand in no file, no environment, no command line and no core dump, in whatever form.
//!
//! Every credential that a config can name is a canary, and a plugin says them all, in every way and form that it has.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    mail::{PASSWORD, STARTTLS, Server},
    support::{Daemon, KEY, Site, Studio, need, secrets},
};

/// A key with everything that is written differently elsewhere.
const BOT_KEY: &str = "CANARY-bot \"key\" with/all+kinds=of&signs%41";
/// The one that a plugin is given, in its environment.
const ENV_KEY: &str = "CANARY-env key/5";
/// Each credential of a config with the file that it stands in.
const CANARIES: [(&str, &str); 8] = [
    ("site.key", KEY),
    ("bot.key", BOT_KEY),
    ("mail.key", PASSWORD),
    ("proxy.key", "CANARY-proxy \"pass\"/+1"),
    ("nudge.key", "CANARY-nudge%token+2"),
    ("hook.key", "http://127.0.0.1:9/CANARY-hook/3?x=~y"),
    ("admin.key", "CANARY-admin_token-4"),
    ("env.key", ENV_KEY),
];
/// A plugin that says all it knows, and all that it can find.
const CHATTER: &str = r#"
import base64, glob, urllib.parse
TEXT = "harmless-canary"
SEEN = []
def secrets():
    return [open(name).read().strip() for name in sorted(glob.glob(os.path.join(FOLDER, "*.key")))]
def forms(secret):
    yield from (secret, json.dumps(secret), json.dumps(json.dumps(secret)))
    yield from (urllib.parse.quote(secret, safe=""), urllib.parse.quote(secret), urllib.parse.quote_plus(secret))
    for before in ("", "u:", "us:", "use:"):
        yield base64.b64encode((before + secret).encode()).decode()
    yield base64.urlsafe_b64encode(("us:" + secret).encode()).decode()
def handle(event, delivery):
    if SEEN:
        return {}
    SEEN.append(1)
    note(environment={name: text for name, text in os.environ.items() if name != "STUDIO_KEY"}, command=open("/proc/self/cmdline").read())
    call("sg.rpc", method="get_session_token", payload={})
    for secret in secrets():
        call("sg.find", entity_type="Task", filters=[["content", "is", secret]], fields=["content"])
        call("sg.rpc", method="info", payload={"script_key": secret})
        for form in forms(secret):
            print("printed", TEXT, form, file=sys.stderr, flush=True)
            sys.stdout.write("stray " + form + "\n")
            send({"method": "log", "params": {"level": "error", "message": TEXT + " logged " + form, "fields": {"field": form}}})
            send({"method": "alert", "params": {"message": "alert " + form}})
            call("state.get", key=form[:60])
    raise RuntimeError("traceback " + " ".join(secrets()))
"#;

/// A studio whose config names every credential that there is.
fn studio(site: &Site, server: &Server) -> Studio {
    let url = site.sandbox.url();
    // The site is its own proxy: it takes a request that names it in full.
    let proxy = url.replace("http://", "http://studio@");
    let sections = format!(
        "[log.traffic]\nfile = \"traffic.jsonl\"\nbodies = true\n[scripts.task-bot]\nkey = {{ file = \"bot.key\" }}\n[mail]\nserver = \"smtp://localhost:{}\"\ntls = \"required\"\nca_file = \"{}\"\nusername = \"sg\"\npassword = {{ file = \"mail.key\" }}\nfrom = \"sgeventd@studio.example\"\nto = [\"pipeline@studio.example\"]\n[poll.nudge]\ntoken = {{ file = \"nudge.key\" }}\n[alerts.webhook]\nurl = {{ file = \"hook.key\" }}\n",
        server.port,
        server.certificate().display()
    );
    let studio = Studio::new(site)
        .site(&format!("proxy = \"{proxy}\""))
        .site("proxy_password = { file = \"proxy.key\" }")
        .section(&sections);
    let chatter = format!(
        "FOLDER = {:?}\n{CHATTER}",
        studio.path("").display().to_string()
    );
    let studio = studio.actor(
        "chatter",
        &chatter,
        "scripts = [\"sgeventd\", \"task-bot\"]\ndelivery = { on_error = \"skip\" }\ndirect = true\nenv = { STUDIO_KEY = { file = \"env.key\" } }",
    );
    let others = CANARIES.iter().filter(|(name, _)| *name != "site.key");
    others.fold(studio, |studio, (name, value)| {
        studio.file(name, value, 0o600)
    })
}

/// What the kernel shows of the processes, as files among all others.
fn keep_what_the_kernel_shows(studio: &Studio, daemon: i32, plugin: &serde_json::Value) {
    for (name, pid) in [
        ("daemon", daemon.to_string()),
        ("plugin", plugin.to_string()),
    ] {
        for what in ["cmdline", "environ", "maps", "status"] {
            let text = match fs::read(format!("/proc/{pid}/{what}")) {
                // Ours is closed to our own user; root may look.
                Err(error)
                    if error.kind() == std::io::ErrorKind::PermissionDenied && name == "daemon" =>
                {
                    continue;
                }
                read => read.expect("of a process that runs"),
            };
            assert!(!text.is_empty(), "{name} {what}");
            let text = String::from_utf8_lossy(&text).into_owned();
            // The one key that this plugin is to have: there, and nowhere else.
            let own = format!("STUDIO_KEY={ENV_KEY}");
            let text = if (name, what) == ("plugin", "environ") {
                assert!(text.contains(&own), "{text}");
                text.replace(&own, "")
            } else {
                text
            };
            fs::write(studio.path(&format!("{name}.{what}")), text).expect("a file");
        }
    }
}

/// What commands answer, errors among them.
fn keep_what_commands_say(studio: &Studio, config: &Path) {
    for (name, words) in [
        ("status.json", &["status", "--json"][..]),
        ("status.txt", &["status"]),
        ("check.json", &["check-config", "--json"]),
        ("none.json", &["no-such-verb", "--json"]),
        ("second.txt", &["run"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sgeventd"))
            .args(words)
            .arg("-c")
            .arg(config)
            .output()
            .expect("our own binary");
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.is_empty(), "{name}");
        fs::write(studio.path(name), said).expect("a file");
    }
}

async fn run_with_logs(format: &str) {
    let site = Site::quiet().await;
    let server = Server::start(&STARTTLS);
    let studio = studio(&site, &server).witness();
    let config = studio.config();
    studio.edit_config("format = \"text\"", &format!("format = \"{format}\""));
    studio.edit_config(
        "socket = \"admin.sock\"",
        "socket = \"admin.sock\"\nhttp = \"127.0.0.1:0\"\ntoken = { file = \"admin.key\" }",
    );
    let daemon = Daemon::spawn(&studio, &config);
    daemon
        .status_when("the chatter has said it all", |status| {
            let report = crate::support::plugin(status, "chatter");
            report.is_some_and(|report| {
                report["counts"]["dead"] == 1 && report["counts"]["ok"].as_u64() > Some(3)
            })
        })
        .await;
    let chatter = daemon.plugin_when("chatter", "runs", |_| true).await;
    keep_what_the_kernel_shows(&studio, daemon.pid(), &chatter["pid"]);
    keep_what_commands_say(&studio, &config);
    // The session token that the site gives is a credential like its key; nobody asks for it but us.
    let token = site.call("get_session_token", &json!({})).await;
    let token = token["session_id"].as_str().expect("a token").to_owned();
    daemon.all_done(&site, &studio).await;
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
    fs::write(studio.path("mail.txt"), mail.to_string()).expect("a file");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.exit().await, Some(0), "{}", studio.log());

    // What was to be seen was seen, and cleaned.
    for name in ["sgeventd.log", "traffic.jsonl"] {
        let text = fs::read_to_string(studio.path(name)).expect("text");
        assert!(
            text.contains("harmless-canary") || name != "sgeventd.log",
            "{text}"
        );
        assert!(text.contains("[secret]"), "{name} was cleaned");
    }
    for words in ["traceback", "alert lost on its way out"] {
        assert!(studio.log().contains(words), "{words}: {}", studio.log());
    }
    let book = json!(studio.book("chatter")).to_string();
    assert!(book.contains("hands out a credential"), "{book}");

    let all = CANARIES.map(|(_, value)| value);
    let canaries = || all.into_iter().chain([&*token]);
    let folder = studio.path("");
    let searched = secrets::search(&folder, KEY);
    for canary in canaries() {
        assert_eq!(secrets::search(&folder, canary), searched);
    }
    // The same search finds each of them, when one is planted.
    for canary in canaries() {
        let path = studio.path("state/planted");
        fs::write(&path, json!({"deep": [canary]}).to_string()).expect("a file");
        let (_, found) = secrets::find(&folder, canary);
        assert_eq!(found, [&*path], "{canary}");
        fs::remove_file(path).expect("it was there");
    }
    let line = studio.recheck(&site, &format!("canaries-{format}"), &[46]);
    let refused = line.alerts.as_ref().and_then(|all| all.get("site_refused"));
    assert_eq!(refused, Some(&1), "{line:?}");
    line.with("canaries", canaries().count())
        .with("bytes_searched", searched)
        .judge();
}

#[tokio::test]
async fn not_in_logs_of_text() {
    run_with_logs("text").await;
}

#[tokio::test]
async fn not_in_logs_of_json() {
    run_with_logs("json").await;
}

/// A core dump would hold every key. None is written, even where the system writes them.
#[tokio::test]
async fn not_in_a_core_dump() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let control = Command::new("prlimit")
        .args(["--core=unlimited", "sh", "-c", "kill -ABRT $$"])
        .current_dir(studio.path(""))
        .status();
    if !control.expect("prlimit, of util-linux").core_dumped() {
        need("a system that writes core dumps, see core(5)");
        return;
    }
    let words = ["prlimit", "--core=unlimited"];
    let daemon = Daemon::spawn_by(&studio, &studio.config(), &words);
    daemon.delivered(&studio, &site.truth()).await;
    daemon.signal(Signal::SIGABRT);
    let ended = daemon.waited().await;
    assert_eq!(ended.signal(), Some(Signal::SIGABRT as i32));
    assert!(!ended.core_dumped(), "{ended}");
    studio.crashed();
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(&site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(&site, "canaries-core", &[46]);
    run.told_and_over(&[]);
    run.judge();
}
