//! A plugin's files: bytes arrive at the site and come back whole, by each route; no path leads out of its folders.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::support::{Daemon, Site, Studio};

/// All that one plugin does with its first event; `GRANTED` and `AWAY` are folders of the studio.
const BODY: &str = r#"
import hashlib

def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()

def peak():
    with open(f'/proc/{os.getppid()}/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))

def handle(event, delivery):
    if event['id'] != FIRST:
        return {}
    project = {'type': 'Project', 'id': 1}
    version = call('sg.create', entity_type='Version', data={'code': 'v', 'project': project})['result']['id']
    def send(path, method='sg.upload', **more):
        return call(method, entity_type='Version', entity_id=version, path=path, **more)
    def fetch(attachment, path):
        answer = call('sg.download', attachment=attachment, file_path=path)
        note(fetched=path, digest=digest(path) if 'result' in answer else None)
    for name, size in [('small.mov', 100_000), ('large.mov', 41_000_003), ('picture.png', 3_000)]:
        with open(name, 'wb') as file:
            file.write(bytes(range(256)) * (size // 256) + name.encode())
        note(made=name, digest=digest(name))
    before = peak()
    by_form = send('small.mov')['result']
    send('small.mov', field_name='sg_uploaded_movie')
    send('large.mov', field_name='sg_uploaded_movie', display_name='Take 7')
    send(os.path.abspath('picture.png'), method='sg.upload_thumbnail')
    send('GRANTED/shared.mov')
    fetch(by_form, 'small.back')
    row = call('sg.find_one', entity_type='Version', filters=[['id', 'is', version]], fields=['sg_uploaded_movie', 'image'])['result']
    fetch(row['sg_uploaded_movie'], 'large.back')
    fetch({'url': row['image']}, 'GRANTED/picture.back')
    note(movie=row['sg_uploaded_movie'])
    note(grown_kib=peak() - before)
    os.symlink('AWAY/secret.mov', 'link.mov')
    os.symlink('AWAY', 'door')
    os.mkfifo('pipe')
    for path in ['../../etc/passwd', '/etc/passwd', 'AWAY/secret.mov', 'link.mov', 'door/secret.mov', 'pipe', '/dev/zero', '.', 'none', 'STATE/journal.db', 'GRANTED/../site.key']:
        note(tried=path, error=send(path)['error'])
        answer = call('sg.download', attachment=by_form, file_path=path)
        if path != 'none':
            note(tried=path, error=answer['error'])
    note(left=sorted(os.listdir('.')))
    return {}
"#;

#[tokio::test]
async fn bytes_arrive_and_come_back_and_no_path_leads_out() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    for folder in ["granted", "away"] {
        fs::create_dir(studio.path(folder)).expect("a folder");
    }
    let mut studio = studio
        .file("granted/shared.mov", "of the studio", 0o644)
        .file("away/secret.mov", "of somebody else", 0o644)
        .section("[log.traffic]\nfile = \"traffic.jsonl\"\nbodies = true\n");
    let folder = |name: &str| studio.path(name).display().to_string();
    let body = BODY
        .replace("FIRST", &site.truth()[0].to_string())
        .replace("GRANTED", &folder("granted"))
        .replace("AWAY", &folder("away"))
        .replace("STATE", &folder("state"));
    let files = format!("files = [{:?}]", folder("granted"));
    studio = studio.actor("porter", &body, &files);
    let daemon = Daemon::start(&studio).await;
    let all = site.truth().len() as u64;
    daemon
        .plugin_when("porter", "all handled", |plugin| {
            plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let book = studio.book("porter");
    let digest = |key: &str, name: &str| -> Value {
        let line = book
            .iter()
            .find(|line| line[key].as_str().is_some_and(|told| told.ends_with(name)));
        line.map_or(Value::Null, |line| line["digest"].clone())
    };
    for (made, fetched) in [
        ("small.mov", "small.back"),
        ("large.mov", "large.back"),
        ("picture.png", "picture.back"),
    ] {
        let made = digest("made", made);
        assert!(made.is_string(), "{book:#?}");
        assert_eq!(digest("fetched", fetched), made, "{fetched}: {book:#?}");
    }
    let movie = book
        .iter()
        .find(|line| !line["movie"].is_null())
        .expect("it ended");
    assert_eq!(movie["movie"]["name"], "Take 7", "{movie}");
    let grown = book.iter().find_map(|line| line["grown_kib"].as_i64());
    // The large file has 40 MiB: neither it nor its pieces are held in memory.
    assert!(grown.is_some_and(|kib| kib < 16 << 10), "{grown:?} KiB");
    let tried: Vec<&Value> = book
        .iter()
        .filter(|line| !line["tried"].is_null())
        .collect();
    assert_eq!(tried.len(), 21, "{tried:#?}");
    for line in &tried {
        let code = &line["error"]["code"];
        assert!(*code == json!(-32602) || *code == json!(-32012), "{line}");
    }
    let needed = tried.iter().find(|line| line["tried"] == "/etc/passwd");
    let needed = needed.map(|line| line["error"]["data"]["needed"].clone());
    assert_eq!(
        needed,
        Some(json!(format!(
            "[plugin.porter]\nfiles = [{:?}, \"/etc\"]",
            folder_of(&studio, "granted")
        )))
    );
    let left = book
        .iter()
        .find(|line| line["left"].is_array())
        .expect("it ended");
    let names = [
        "door",
        "large.back",
        "large.mov",
        "link.mov",
        "none",
        "picture.png",
        "pipe",
        "small.back",
        "small.mov",
    ];
    assert_eq!(left["left"], json!(names));
    let fetched = fs::metadata(studio.path("granted/picture.back")).expect("it was fetched");
    assert_eq!(fetched.permissions().mode() & 0o777, 0o644);
    assert_eq!(
        fs::read_to_string(studio.path("away/secret.mov")).expect("it stays"),
        "of somebody else"
    );
    told_without_addresses(&studio);
}

fn folder_of(studio: &Studio, name: &str) -> String {
    studio.path(name).display().to_string()
}

/// Each step is in the traffic log, and no address that lets anybody in.
fn told_without_addresses(studio: &Studio) {
    let text = fs::read_to_string(studio.path("traffic.jsonl")).expect("a file");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let to_site = lines
        .iter()
        .filter(|line| line["direction"] == "to_site" && line["plugin"] == "porter");
    let asked: Vec<&Value> = to_site.collect();
    for (method, count) in [
        ("upload_file", 2),
        ("publish_thumbnail", 1),
        ("api_get_upload_link_info", 2),
        ("api_get_upload_link_for_part", 3),
        ("put", 4),
        ("api_complete_multipart_upload", 1),
        ("api_link_file", 2),
        ("get_session_token", 1),
    ] {
        let found = asked.iter().filter(|line| line["method"] == method);
        assert_eq!(found.count(), count, "{method}: {asked:#?}");
    }
    let put: u64 = asked
        .iter()
        .filter(|line| line["method"] == "put")
        .filter_map(|line| line["bytes"].as_u64())
        .sum();
    assert!(put > 41_000_000, "{put}");
    let of_site = lines
        .iter()
        .filter(|line| line["direction"] == "to_site" || line["direction"] == "from_site");
    for line in of_site.filter(|line| line["method"] != "read") {
        assert!(!line.to_string().contains("signature="), "{line}");
    }
}

/// What the daemon holds back when its config says so.
#[tokio::test]
async fn an_operator_may_forbid_files() {
    let site = Site::quiet().await;
    let body = "def handle(event, delivery):\n    if event['id'] == FIRST:\n        call('sg.download', attachment=1, file_path='x')\n    return {}\ndef told(msg):\n    if msg['method'] == 'start':\n        note(granted=msg['params']['granted'])";
    let body = body.replace("FIRST", &site.truth()[0].to_string());
    let studio = Studio::new(&site).actor("porter", &body, "permissions = { upload = false }");
    let daemon = Daemon::start(&studio).await;
    let all = site.truth().len() as u64;
    daemon
        .plugin_when("porter", "all handled", |plugin| {
            plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let book = studio.book("porter");
    let granted = book
        .iter()
        .find(|line| !line["granted"].is_null())
        .expect("it started");
    assert_eq!(granted["granted"]["upload"], false);
    let refused = book
        .iter()
        .find(|line| line["call"] == "sg.download")
        .expect("it tried");
    assert_eq!(refused["error"]["code"], -32012);
    assert_eq!(
        refused["error"]["data"]["needed"],
        "[plugin.porter]\npermissions = { upload = true }"
    );
}
