//! The examples in languages that the SDK's own tests do not see do what their READMEs say, as children of the real daemon.

use std::{os::unix::fs::symlink, path::Path, process::Command, sync::mpsc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

use crate::support::{Daemon, PATIENCE, Site, Studio, need, until};

/// A studio whose folder for plugins holds an example; none, and said so, when this machine lacks its language.
fn studio(site: &Site, name: &str, program: &str, keys: &str) -> Option<Studio> {
    let has = Command::new("sh")
        .args(["-c", &format!("command -v {program} ")])
        .stdout(std::process::Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        need(program);
        return None;
    }
    let studio = Studio::new(site).section(&format!("[plugin.{name}]\n{keys}\n"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    symlink(example, studio.path("plugins").join(name)).expect("a link");
    Some(studio)
}

/// What stands in a file from a line on to its end, or to another line.
fn part<'a>(text: &'a str, from: &str, to: Option<&str>) -> &'a str {
    let (_, rest) = text.split_once(from).expect(from);
    to.map_or(rest, |to| rest.split_once(to).expect(to).0)
}

#[test]
fn what_is_the_same_in_every_plugin_is_the_same() {
    let from = "From here on it is the same in every plugin.";
    for (one, other) in [
        (
            include_str!("../../src/cli/new/templates/node/plugin.mjs"),
            include_str!("../../examples/chat_hook/chat_hook.mjs"),
        ),
        (
            include_str!("../../src/cli/new/templates/shell/plugin.sh"),
            include_str!("../../examples/shell_notes/shell_notes.sh"),
        ),
    ] {
        assert_eq!(part(one, from, None), part(other, from, None));
    }
    let manual = include_str!("../../protocol/v1/PROTOCOL.md");
    let example = include_str!("../../examples/twenty_lines/twenty_lines.py");
    let from = "for line in sys.stdin:\n";
    assert_eq!(part(manual, from, Some("```\n")), part(example, from, None));
}

/// An entity of a type: the first one that the site has.
async fn first(site: &Site, kind: &str) -> Value {
    let all = json!({ "type": kind, "return_fields": ["id"], "filters": { "conditions": [] } });
    let id = site.call("read", &all).await["results"]["entities"][0]["id"].clone();
    assert!(id.is_i64(), "no {kind}");
    id
}

/// Somebody changes a field.
async fn set(site: &Site, kind: &str, id: &Value, field: &str, value: Value) {
    let field = json!({ "field_name": field, "value": value });
    let update = json!({ "type": kind, "id": id, "fields": [field] });
    let answer = site.call_by("other", "update", &update).await;
    assert_eq!(answer["results"]["id"], *id, "{answer}");
}

async fn ready(daemon: &Daemon, name: &str) {
    daemon
        .plugin_when(name, "ready", |plugin| plugin["state"] == "ok")
        .await;
}

/// A chat's webhook that refuses the first message; what it was told. Returns its address.
async fn chat() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    let (told, all) = mpsc::channel();
    tokio::spawn(async move {
        for status in ["503 Not Now", "200 OK", "200 OK"] {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let (mut text, mut chunk) = (String::new(), [0; 4096]);
            // The body is one object on its own: whole when its last brace is there.
            while !text.ends_with('}') {
                let read = stream.read(&mut chunk).await.expect("a request");
                text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("it reads");
            let body = text.split("\r\n\r\n").nth(1).expect("a body");
            let _over = told.send(serde_json::from_str(body).expect("JSON"));
        }
    });
    (format!("http://{address}/hooks/review"), all)
}

#[tokio::test]
async fn chat_hook_posts_again_what_the_chat_refused() {
    let site = Site::quiet().await;
    let (url, told) = chat().await;
    let keys = format!("config = {{ url = {url:?} }}");
    let Some(studio) = studio(&site, "chat_hook", "node", &keys) else {
        return;
    };
    let daemon = Daemon::start(&studio).await;
    ready(&daemon, "chat_hook").await;
    let fields = [
        ("code", json!("sh010_v001")),
        (
            "project",
            json!({ "type": "Project", "id": first(&site, "Project").await }),
        ),
    ];
    let fields = fields.map(|(name, value)| json!({ "field_name": name, "value": value }));
    let create = json!({ "type": "Version", "fields": fields, "return_fields": ["id"] });
    let version = site.call_by("other", "create", &create).await["results"]["id"].clone();
    set(&site, "Version", &version, "sg_status_list", json!("vwd")).await;
    set(&site, "Version", &version, "sg_status_list", json!("rev")).await;
    daemon
        .plugin_when("chat_hook", "it is told", |plugin| {
            plugin["counts"]["ok"] == 1
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0));
    let told: Vec<Value> = told.try_iter().collect();
    assert_eq!(told.len(), 2, "once in vain, once for good: {told:?}");
    let text = told[1]["text"].as_str().expect("words");
    assert!(text.contains("asks for a review of "), "{text}");
}

#[tokio::test]
async fn audit_writes_a_line_for_each_change() {
    let site = Site::quiet().await;
    let Some(studio) = studio(&site, "audit", "perl", "") else {
        return;
    };
    let file = studio.path("changes.csv");
    let studio = studio.section(&format!(
        "config = {{ file = {:?} }}\n",
        file.display().to_string()
    ));
    let daemon = Daemon::start(&studio).await;
    ready(&daemon, "audit").await;
    let shot = first(&site, "Shot").await;
    let words = "a \"quoted\", Zoë\u{2028}\nline";
    set(&site, "Shot", &shot, "description", json!(words)).await;
    until("the change is written", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(&format!("\"Shot {shot}\",\"description\""))
    })
    .await;
    // One line for each that is settled, and nothing twice.
    let lines = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    daemon
        .plugin_when("audit", "as many lines as events", |plugin| {
            plugin["behind"] == 0 && plugin["open"] == 0 && plugin["counts"]["ok"] == lines()
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn cut_duration_is_what_cut_in_and_out_say() {
    let site = Site::quiet().await;
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--example", "cut_duration"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo").success(), "the example builds");
    let target = Path::new(env!("CARGO_BIN_EXE_sgeventd"));
    let program = target.with_file_name("examples").join("cut_duration");
    let checked = Command::new(env!("CARGO_BIN_EXE_sgeventd"))
        .arg("check")
        .arg(&program)
        .output()
        .expect("our own binary");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    let command = serde_json::to_string(&[program]).expect("JSON");
    let studio =
        Studio::new(&site).section(&format!("[plugin.cut_duration]\ncommand = {command}\n"));
    let daemon = Daemon::start(&studio).await;
    ready(&daemon, "cut_duration").await;
    let shot = first(&site, "Shot").await;
    let frames = async || {
        let by_id = json!([{ "path": "id", "relation": "is", "values": [shot] }]);
        let one = json!({ "type": "Shot", "return_fields": ["sg_cut_duration"], "filters": { "conditions": by_id } });
        site.call("read", &one).await["results"]["entities"][0]["sg_cut_duration"].clone()
    };
    for (field, value) in [("sg_cut_in", 1001), ("sg_cut_out", 1100)] {
        set(&site, "Shot", &shot, field, json!(value)).await;
    }
    let mended = async || {
        let end = Instant::now() + PATIENCE;
        while frames().await != 100 {
            assert!(Instant::now() < end, "never: 100 frames\n{}", studio.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    mended().await;
    set(&site, "Shot", &shot, "sg_cut_duration", json!(7)).await;
    mended().await;
    let report = daemon
        .plugin_when("cut_duration", "still", |plugin| {
            plugin["behind"] == 0 && plugin["open"] == 0
        })
        .await;
    assert_eq!(report["counts"]["retried"], 0, "{report}");
    assert_eq!(daemon.stop().await, Some(0));
}
