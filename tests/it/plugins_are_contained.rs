//! What a plugin may use and see: its user, its folders, its limits, its control group; and what it starts goes with it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use serde_json::{Value, json};

use crate::support::{Daemon, Site, Studio, is_alive, need, until};

/// What every captive of these tests can do.
const TOOLS: &str = r#"
import resource, subprocess

def get(path):
    try:
        with open(path, 'rb') as file:
            return 'read' if file.read(64) else 'empty'
    except OSError as error:
        return error.strerror

def escape(lower=False):
    """Leaves a process in a session of its own, without an environment, whose parent has ended."""
    hide = (lambda: resource.setrlimit(10, (5, 5))) if lower else None
    line = 'setsid env -i sleep 300 >/dev/null 2>&1 & echo $!'
    done = subprocess.run(['sh', '-c', line], stdout=subprocess.PIPE, preexec_fn=hide)
    return int(done.stdout)
"#;

/// A user without a name, and the plugins' user, whose group the daemon's is in.
const DAEMON: u32 = 64_001;
const PLUGINS: u32 = 64_002;

/// All that a captive of another user does with its first event.
const CAPTIVE: &str = r#"
def handle(event, delivery):
    if event['id'] != FIRST:
        return {}
    daemon, tmp = os.getppid(), os.environ['TMPDIR']
    mask = os.umask(0o77)
    os.umask(mask)
    here = os.stat('.')
    with open('/proc/self/status') as status:
        told = dict(line.rstrip().split(':\t', 1) for line in status if ':\t' in line)
    note(
        who=[os.getuid(), os.getgid(), sorted(os.getgroups())], umask=mask, cwd=os.getcwd(), data=[here.st_uid, here.st_mode & 0o777],
        home=os.environ.get('HOME'), user=os.environ.get('USER'), nice=os.nice(0), tmp=os.listdir(tmp), caps=told['CapEff'],
        bounding=told['CapBnd'], no_new_privs=told['NoNewPrivs'], oom=open('/proc/self/oom_score_adj').read().strip(),
        core=resource.getrlimit(resource.RLIMIT_CORE), files=resource.getrlimit(resource.RLIMIT_NOFILE),
    )
    open(os.path.join(tmp, 'left'), 'w').close()
    for name in ['environ', 'mem', 'maps', 'auxv', 'stack', 'fd/0', 'cwd/sgeventd.toml', 'root/etc/passwd', 'cmdline', 'stat']:
        note(tried=name, got=get(f'/proc/{daemon}/{name}'))
    for path in ['KEY', 'STATE/journal.db', 'STATE']:
        note(tried=path, got=get(path))
    with open('mine.mov', 'wb') as file:
        file.write(b'mine')
    project = {'type': 'Project', 'id': 1}
    version = call('sg.create', entity_type='Version', data={'code': 'v', 'project': project})['result']['id']
    sent = call('sg.upload', entity_type='Version', entity_id=version, path='mine.mov')
    call('sg.download', attachment=sent['result'], file_path='back.mov')
    back = os.stat('back.mov')
    note(back=[back.st_uid, open('back.mov').read()])
    theirs = call('sg.upload', entity_type='Version', entity_id=version, path='GRANTED/theirs.mov')
    note(theirs=theirs.get('error'))
    note(escaped=escape())
    return {}
"#;

fn line<'b>(book: &'b [Value], key: &str) -> &'b Value {
    let found = book.iter().find(|line| !line[key].is_null());
    found.unwrap_or_else(|| panic!("nothing of {key}: {book:#?}"))
}

/// A plugin that runs as another user than its daemon: what it is, what it sees, what is left of it.
async fn another_user(name: &str, by: &[&str], daemon_user: u32, data_mode: u32) {
    let site = Site::quiet().await;
    let studio = Studio::new(&site);
    fs::create_dir(studio.path("granted")).expect("a folder");
    let path = |name: &str| studio.path(name).display().to_string();
    let body = CAPTIVE
        .replace("FIRST", &site.truth()[0].to_string())
        .replace("GRANTED", &path("granted"))
        .replace("STATE", &path("state"))
        .replace("KEY", &path("site.key"));
    let keys = format!(
        "user = \"{PLUGINS}\"\numask = \"027\"\nfiles = [{:?}]\n",
        path("granted")
    );
    let studio = studio
        .file("captive.book", "", 0o666)
        .file("granted/theirs.mov", "not for plugins", 0o600)
        .actor("captive", &format!("{TOOLS}{body}"), &keys)
        .witness();
    let config = studio.config();
    give_away(&studio, daemon_user);
    let daemon = Daemon::spawn_by(&studio, &config, by);
    let all = site.truth().len() as u64;
    let report = daemon
        .plugin_when("captive", "all handled", |plugin| {
            plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    let escaped = line(&studio.book("captive"), "escaped")["escaped"].as_i64();
    let escaped = escaped.expect("a process");
    assert!(
        is_alive(escaped),
        "it is the plugin's as long as that lives"
    );
    // Once more: what it left in its folder for temporary files is gone.
    assert!(studio.path("state/plugins/captive/tmp/left").exists());
    let pid = i32::try_from(report["pid"].as_i64().expect("a process")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    daemon
        .plugin_when("captive", "started again", |plugin| {
            plugin["generation"].as_u64() >= Some(2) && plugin["state"] == "ok"
        })
        .await;
    until("what it left is gone", || !is_alive(escaped)).await;
    assert!(!studio.path("state/plugins/captive/tmp/left").exists());
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());

    let book = studio.book("captive");
    let found = line(&book, "who");
    let expected = json!([PLUGINS, PLUGINS, [PLUGINS]]);
    assert_eq!(found["who"], expected, "{found}");
    assert_eq!(found["umask"], 0o27);
    assert_eq!(
        (&found["home"], &found["user"]),
        (&json!("/"), &json!(PLUGINS.to_string()))
    );
    let data = studio.path("state/plugins/captive/data");
    assert_eq!(found["cwd"], data.display().to_string());
    assert_eq!(found["data"][1], data_mode, "{found}");
    assert_eq!(found["tmp"], json!([]), "{found}");
    for set in ["caps", "bounding"] {
        // Leaving the bounding set takes CAP_SETPCAP, which a usual daemon has not; nothing can be had from it any more.
        let is_kept = set == "bounding" && daemon_user != 0;
        let bits = found[set].as_str().unwrap_or("none").trim_matches('0');
        assert!(is_kept || bits.is_empty(), "{set}: {found}");
    }
    assert_eq!(found["no_new_privs"], "1", "{found}");
    assert_eq!(
        (&found["oom"], &found["nice"]),
        (&json!("500"), &json!(5)),
        "{found}"
    );
    assert_eq!(
        (&found["core"], &found["files"]),
        (&json!([0, 0]), &json!([1024, 1024]))
    );
    for tried in book.iter().filter(|line| !line["tried"].is_null()) {
        let is_for_all = tried["tried"] == "cmdline" || tried["tried"] == "stat";
        assert_eq!(tried["got"] == "read", is_for_all, "{tried}");
    }
    assert_eq!(
        line(&book, "back")["back"],
        json!([PLUGINS, "mine"]),
        "the plugin's own rights"
    );
    let theirs = line(&book, "theirs")["theirs"]["message"].to_string();
    assert!(
        theirs.contains("by the plugin's user"),
        "what its user may not read is not read for it: {theirs}"
    );
    studio.recheck(&site, name, &[28]).judge();
}

/// Hands the studio to the daemon's user; others may pass through.
fn give_away(studio: &Studio, user: u32) {
    let mut folders = vec![studio.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
            std::os::unix::fs::chown(entry.path(), Some(user), Some(user)).expect("root may");
        }
        std::os::unix::fs::chown(&folder, Some(user), Some(user)).expect("root may");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).expect("its mode");
    }
}

#[tokio::test]
async fn a_daemon_of_root_starts_plugins_as_their_own_user() {
    if !Uid::effective().is_root() {
        return need("root, which alone may become another user");
    }
    another_user("contained-by-root", &[], 0, 0o700).await;
}

/// As the packaged unit starts it: no root, three capabilities, in the group of the plugins' user.
#[tokio::test]
async fn a_daemon_with_three_capabilities_starts_plugins_as_their_own_user() {
    if !Uid::effective().is_root() {
        return need("root, to hand on capabilities");
    }
    let (user, groups) = (DAEMON.to_string(), format!("{DAEMON},{PLUGINS}"));
    let by = [
        "setpriv",
        &format!("--reuid={user}"),
        &format!("--regid={user}"),
        &format!("--groups={groups}"),
        "--inh-caps=-all,+setuid,+setgid,+kill",
        "--ambient-caps=-all,+setuid,+setgid,+kill",
        "--bounding-set=-all,+setuid,+setgid,+kill",
    ];
    another_user("contained-by-capabilities", &by, DAEMON, 0o770).await;
}

/// Without the capabilities it is said, and the plugin does not run as the daemon instead.
#[tokio::test]
async fn a_daemon_that_may_not_change_the_user_starts_no_plugin_as_itself() {
    if !Uid::effective().is_root() {
        return need("root, to become a user that may not");
    }
    let site = Site::quiet().await;
    let keys = format!("user = \"{PLUGINS}\"");
    let studio = Studio::new(&site)
        .file("captive.book", "", 0o666)
        .actor("captive", "", &keys)
        .witness();
    let config = studio.config();
    give_away(&studio, DAEMON);
    let (user, groups) = (DAEMON.to_string(), format!("{DAEMON},{PLUGINS}"));
    let by = [
        "setpriv",
        &format!("--reuid={user}"),
        &format!("--regid={user}"),
        &format!("--groups={groups}"),
        "--bounding-set=-all",
    ];
    let daemon = Daemon::spawn_by(&studio, &config, &by);
    let report = daemon
        .plugin_when("captive", "said", |plugin| plugin["state"] == "restarting")
        .await;
    let reason = report["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("cannot run as the user 64002") && reason.contains("CAP_SETUID"),
        "{report}"
    );
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(studio.book("captive").is_empty(), "it never ran");
}

/// Of the same user as the daemon: what it may read is what the documents say, and no more.
#[tokio::test]
async fn a_plugin_of_the_daemons_user_sees_no_environment_and_no_memory_of_it() {
    let site = Site::quiet().await;
    let body = "
def handle(event, delivery):
    if event['id'] == FIRST:
        for name in ['environ', 'mem', 'maps', 'auxv', 'fd/0', 'cmdline']:
            note(tried=name, got=get(f'/proc/{os.getppid()}/{name}'))
    return {}
";
    let body = body.replace("FIRST", &site.truth()[0].to_string());
    let studio = Studio::new(&site)
        .file("captive.book", "", 0o666)
        .actor("captive", &format!("{TOOLS}{body}"), "")
        .witness();
    let config = studio.config();
    let is_root = Uid::effective().is_root();
    // Root reads everything: a daemon of root without a second user has no secret from its plugins.
    let by = [
        "setpriv",
        "--reuid=64001",
        "--regid=64001",
        "--clear-groups",
        "--bounding-set=-all",
    ];
    if is_root {
        give_away(&studio, DAEMON);
    }
    let by = if is_root { &by[..] } else { &[] };
    let daemon = Daemon::spawn_by(&studio, &config, by);
    let all = site.truth().len() as u64;
    daemon
        .plugin_when("captive", "all handled", |plugin| {
            plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    let status = daemon.status().await.expect("it answers");
    let lacks = status["containment"]["lacks"].to_string();
    assert!(
        lacks.contains("could read the script key: set plugins.user"),
        "{lacks}"
    );
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    for tried in studio
        .book("captive")
        .iter()
        .filter(|line| !line["tried"].is_null())
    {
        assert_eq!(
            tried["got"] == "read",
            tried["tried"] == "cmdline",
            "{tried}"
        );
    }
    let said = studio.log();
    let count = said
        .matches("could read the script key: set plugins.user")
        .count();
    assert_eq!(count, 1, "said once: {said}");
}

/// A group of version 2 of the test's own; gone with it.
struct Tree(PathBuf);

impl Tree {
    fn make(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut points = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind) = (fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(point))
        });
        let folder = points
            .next()?
            .join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(Self(folder))
    }

    fn groups(&self) -> Vec<String> {
        let below = fs::read_dir(&self.0).expect("a group").flatten();
        let below = below.filter(|entry| entry.path().is_dir());
        below
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What was killed is in its group until it is reaped.
        for _ in 0..400 {
            for group in self.groups() {
                let _gone = fs::write(self.0.join(&group).join("cgroup.kill"), "1");
                let _populated = fs::remove_dir(self.0.join(group));
            }
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[tokio::test]
async fn a_control_group_holds_what_hides_from_everything_else() {
    let Some(tree) = Tree::make("sgeventd-it") else {
        return need("control groups of version 2 that may be written");
    };
    let site = Site::quiet().await;
    let body = "
def handle(event, delivery):
    if event['id'] == FIRST:
        note(escaped=escape(lower=True), group=open('/proc/self/cgroup').read())
    return {}
";
    let body = format!("{TOOLS}{body}").replace("FIRST", &site.truth()[0].to_string());
    let section = format!(
        "[plugins]\ncontrol_groups = {:?}\n",
        tree.0.display().to_string()
    );
    let studio = Studio::new(&site)
        .actor("captive", &body, "")
        .actor("spared", &body, "kill = \"process\"")
        .witness();
    let text = studio.text("state").replace("[plugins]\n", &section);
    let config = studio.path("sgeventd.toml");
    fs::write(&config, text).expect("a config");
    let daemon = Daemon::spawn(&studio, &config);
    let all = site.truth().len() as u64;
    for name in ["captive", "spared"] {
        daemon
            .plugin_when(name, "all handled", |plugin| {
                plugin["counts"]["ok"].as_u64() >= Some(all)
            })
            .await;
    }
    let escaped = |name: &str| {
        line(&studio.book(name), "escaped")["escaped"]
            .as_i64()
            .expect("a process")
    };
    let (captive, spared) = (escaped("captive"), escaped("spared"));
    let group = line(&studio.book("captive"), "group")["group"].to_string();
    assert!(group.contains(".p.captive.1"), "{group}");
    let status = daemon.status().await.expect("it answers");
    let held = status["containment"]["held"]["left_behind"].to_string();
    assert!(held.contains("cgroup.kill"), "{status}");
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    until("what hid is gone", || !is_alive(captive)).await;
    until("its groups are gone", || {
        tree.groups().iter().all(|name| name.contains(".s."))
    })
    .await;
    assert!(is_alive(spared), "what is spared lives on");
    kill(
        Pid::from_raw(spared.try_into().expect("a pid")),
        Signal::SIGKILL,
    )
    .expect("it lives");
    studio.recheck(&site, "contained-by-group", &[28]).judge();
}

/// Without control groups: what took another number to be found by nobody is a child of the daemon, and ended as such.
#[tokio::test]
async fn what_hides_from_its_number_is_ended_by_the_daemon() {
    let site = Site::quiet().await;
    let body = "
def handle(event, delivery):
    if event['id'] == FIRST:
        note(escaped=escape(lower=True))
    return {}
";
    let body = format!("{TOOLS}{body}").replace("FIRST", &site.truth()[0].to_string());
    let studio = Studio::new(&site).actor("captive", &body, "").witness();
    let daemon = Daemon::start(&studio).await;
    let all = site.truth().len() as u64;
    daemon
        .plugin_when("captive", "all handled", |plugin| {
            plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    let escaped = line(&studio.book("captive"), "escaped")["escaped"]
        .as_i64()
        .expect("a process");
    until("it is ended", || !is_alive(escaped)).await;
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert!(
        studio
            .log()
            .contains("a process that hid from its plugin is ended"),
        "{}",
        studio.log()
    );
    studio
        .recheck(&site, "hides-from-its-number", &[28])
        .judge();
}

/// Freezes processes as a dead file server does: the freezer of version 1 holds even a SIGKILL back.
struct Freezer(PathBuf);

impl Freezer {
    fn make() -> Option<Self> {
        let folder = format!("/sys/fs/cgroup/freezer/sgeventd-it-{}", std::process::id());
        fs::create_dir(&folder).ok()?;
        Some(Self(folder.into()))
    }

    fn hold(&self, pid: i64) {
        self.write("cgroup.procs", &pid.to_string());
        self.write("freezer.state", "FROZEN");
    }

    fn let_go(&self) {
        self.write("freezer.state", "THAWED");
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).expect("a group of our own");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _gone = fs::write(self.0.join("freezer.state"), "THAWED");
        let _populated = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn one_that_cannot_be_killed_gets_no_second_process() {
    let Some(freezer) = Freezer::make() else {
        return need("the freezer of control groups of version 1");
    };
    let site = Site::quiet().await;
    let studio = Studio::new(&site).actor("captive", "", "").witness();
    let daemon = Daemon::start(&studio).await;
    let all = site.truth().len() as u64;
    let report = daemon
        .plugin_when("captive", "all handled", |plugin| {
            plugin["state"] == "ok" && plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    let pid = report["pid"].as_i64().expect("a process");
    daemon.delivered(&studio, &site.truth()).await;
    freezer.hold(pid);
    // A restart that waits for nothing: another config.
    studio.edit_config("[plugin.captive]", "[plugin.captive]\nemails = false");
    daemon.signal(Signal::SIGHUP);
    // The changed one shakes hands beside it, then the old one is to go.
    let report = daemon
        .plugin_when("captive", "unkillable", |plugin| {
            plugin["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("not even by SIGKILL"))
        })
        .await;
    assert_eq!(
        (&report["state"], &report["ok"]),
        (&json!("stopping"), &json!(false)),
        "{report}"
    );
    assert!(is_alive(pid));
    let status = daemon.status().await.expect("it answers");
    let alerts = status["alerts"].to_string();
    assert!(
        alerts.contains("captive does not die, not even by SIGKILL"),
        "{alerts}"
    );
    // The changed one has shaken hands beside it, and that is all: it is not started while the old one lives.
    let asked_others = |method: &str| {
        let book = studio.book("captive");
        let mut lines = book.iter();
        lines.any(|line| line["method"] == method && line["pid"] != pid)
    };
    assert!(asked_others("initialize"), "{:#?}", studio.book("captive"));
    // Others go on.
    let handed = studio.handed("captive").len();
    site.work(10);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(
        studio.handed("captive").len(),
        handed,
        "no other process of it is handed anything"
    );
    assert!(!asked_others("start"), "{:#?}", studio.book("captive"));
    freezer.let_go();
    let all = site.truth().len() as u64;
    daemon
        .plugin_when("captive", "goes on with what waited", |plugin| {
            plugin["state"] == "ok" && plugin["counts"]["ok"].as_u64() >= Some(all)
        })
        .await;
    assert!(!is_alive(pid));
    assert!(asked_others("start"), "its turn has come");
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(&site, "unkillable", &[27]);
    run.told_and_over(&["unkillable"]);
    run.judge();
}

/// A daemon at the limit of its own files: it lives, says so, serves who is there, and takes up the rest when there is room.
#[tokio::test]
async fn a_daemon_without_free_descriptors_goes_on_and_recovers() {
    let site = Site::quiet().await;
    let mut studio = Studio::new(&site).witness();
    let names: Vec<String> = (0..16).map(|number| format!("crowd{number}")).collect();
    for name in &names {
        studio = studio.actor(name, "", "enabled = false");
    }
    let config = studio.config();
    let daemon = Daemon::spawn_by(&studio, &config, &["prlimit", "--nofile=64:1024"]);
    daemon.status_when("it answers", |_| true).await;
    daemon.delivered(&studio, &site.truth()).await;
    let text = fs::read_to_string(&config).expect("a config");
    let crowded = text.replace("enabled = false", "enabled = true");
    fs::write(&config, &crowded).expect("a config");
    daemon.signal(Signal::SIGHUP);
    // Plugins do not take the last ones: its socket, its journal and its log go on.
    let why = "sgeventd has too few free file descriptors";
    let waits = |plugin: &&Value| {
        let is_said = plugin["reason"] == why && plugin["remedy"].is_string();
        plugin["state"] == "starting" && is_said
    };
    daemon
        .status_when("it says so, and of whom", |status| {
            let all = status["plugins"].as_array().into_iter().flatten();
            status["alerts"].to_string().contains(why) && all.filter(waits).count() >= 8
        })
        .await;
    site.work(10);
    daemon.delivered(&studio, &site.truth()).await;
    fs::write(&config, text).expect("a config");
    daemon.signal(Signal::SIGHUP);
    daemon
        .status_when("those that are left work, and no alert stays", |status| {
            let plugins = status["plugins"].as_array().into_iter().flatten();
            let is_right = |plugin: &Value| plugin["state"] == "off" || plugin["state"] == "ok";
            let is_over = status["alerts"].as_array().is_some_and(Vec::is_empty);
            is_over && plugins.clone().count() == 17 && plugins.into_iter().all(is_right)
        })
        .await;
    // With room for them they start, and none of the time without it counts against them.
    let pid = daemon.pid().to_string();
    let more = std::process::Command::new("prlimit")
        .args(["--nofile=1024", "--pid", &pid])
        .status();
    assert!(more.expect("prlimit").success());
    fs::write(&config, crowded).expect("a config");
    daemon.signal(Signal::SIGHUP);
    for name in &names {
        let report = daemon
            .plugin_when(name, "works", |plugin| plugin["state"] == "ok")
            .await;
        assert_eq!(report["restarts"], 0, "{report}");
    }
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(&site, "out-of-descriptors", &[31]);
    run.told_and_over(&["descriptors"]);
    run.judge();
}
