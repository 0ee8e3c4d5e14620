//! Several places at once, on real folders.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

/// Longer than a hanging folder is waited for.
const ENOUGH: Duration = Duration::from_secs(30);

fn put(path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, "#!/bin/sh\n").expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

fn wanted(folders: &[&Path]) -> Wanted {
    Wanted {
        folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
        ..Wanted::default()
    }
}

/// Waits for what is seen to be so.
fn see(seen: &mut mpsc::Receiver<Seen>, holds: impl Fn(&Seen) -> bool) -> Seen {
    let end = Instant::now() + ENOUGH;
    let mut last = None;
    while Instant::now() < end {
        match seen.try_recv() {
            Ok(seen) if holds(&seen) => return seen,
            Ok(seen) => last = Some(seen),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("never seen: {last:?}");
}

fn names(seen: &Seen) -> Vec<String> {
    seen.found.plugins.keys().map(ToString::to_string).collect()
}

#[test]
fn what_never_rests_holds_up_nothing_else() {
    let glance = |files: &[(&str, u8)]| {
        let plugin = |&(name, content): &(&str, u8)| {
            let found = Found {
                name: PluginName::new(name),
                path_index: None,
                place: Some(name.into()),
                command: Vec::new(),
                file: None,
                watch: Vec::new(),
                base: PathBuf::new(),
                language: "",
            };
            let main = [content; 32];
            let globs = BTreeMap::new();
            (found, Identity { main, globs })
        };
        Glance {
            plugins: files.iter().map(plugin).collect(),
            ..Glance::default()
        }
    };
    let told = glance(&[("gone", 1), ("quiet", 1), ("restless", 1), ("saved", 1)]);
    let last = glance(&[("quiet", 1), ("restless", 2), ("saved", 2)]);
    let now = glance(&[("new", 1), ("quiet", 1), ("restless", 3), ("saved", 2)]);
    let steady = glance(&[("quiet", 1), ("restless", 1), ("saved", 2)]);
    assert_eq!(now.steady(&last, &told), steady);
    let next = glance(&[("new", 1), ("quiet", 1), ("restless", 4), ("saved", 2)]);
    let steady = glance(&[("new", 1), ("quiet", 1), ("restless", 1), ("saved", 2)]);
    assert_eq!(next.steady(&now, &steady), steady);
    assert_eq!(now.steady(&now, &told), now, "all of it rests");
}

#[test]
fn a_folder_that_is_not_there_is_said_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let gone = dir.path().join("gone");
    let (_looker, mut all) = Looker::start(wanted(&[&gone]), BTreeMap::new()).expect("threads");
    let seen = see(&mut all, |_| true);
    assert_eq!(seen.found.missing[&gone], "it is not there");
    assert_eq!(wanted(&[&gone]).survey().missing[&gone], "it is not there");
}

#[test]
fn names_outlive_the_thread_that_gave_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    put(&a.join("x.sh"));
    put(&b.join("x/plugin.toml"));
    fs::write(b.join("x/plugin.toml"), "command = ['/bin/true']\n").expect("a file");
    let had = BTreeMap::from([(PluginName::new("x"), b.join("x"))]);
    let (_looker, mut all) = Looker::start(wanted(&[&a, &b]), had).expect("threads");
    let seen = see(&mut all, |seen| seen.found.plugins.len() == 2);
    assert_eq!(names(&seen), ["a/x", "x"]);
    let x = &seen.found.plugins[&PluginName::new("x")];
    assert_eq!(
        (x.place.clone(), x.path_index),
        (Some(b.join("x")), Some(1))
    );
}

/// A folder whose thread has looked once, or never.
fn known(folder: &Path, since: Instant, has_looked: bool) -> (Place, Known) {
    let look = || {
        let inside = discover(folder, &mut BTreeMap::new()).expect("a folder");
        let plugins = inside.0.into_iter();
        Glance {
            plugins: plugins.map(|one| (one, Identity::default())).collect(),
            ..Glance::default()
        }
    };
    let known = Known {
        wake: sync_channel(1).0,
        since,
        glance: has_looked.then(look),
        is_away: false,
    };
    (Place::Folder(folder.to_owned()), known)
}

/// A folder that hangs: a FUSE file system would need rights, so the thread itself is held at its look by the lock that it needs.
#[test]
fn a_folder_that_does_not_answer_is_missing_and_keeps_its_plugins() {
    let dir = tempfile::tempdir().expect("a folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    put(&a.join("one.sh"));
    put(&b.join("two.sh"));
    let shared = Arc::new(Shared::default());
    shared.lock().wanted = wanted(&[&a, &b]);
    let (words, _inbox) = sync_channel(WORDS);
    let mut collector = Collector {
        shared: Arc::downgrade(&shared),
        words,
        places: BTreeMap::new(),
        had: BTreeMap::new(),
        told: None,
    };
    let now = Instant::now();
    let ago = now.checked_sub(PATIENCE).expect("a machine that is up");
    collector
        .places
        .extend([known(&a, now, true), known(&b, ago, false)]);
    collector.find_away(&shared);
    assert!(collector.places.values().all(Known::is_settled));
    let seen = collector.gather(&shared);
    assert_eq!(names(&seen), ["one"]);
    assert!(seen.found.missing[&b].contains("not answered"), "{seen:?}");
    // It had answered before, and hangs now: what it said holds on.
    collector.places.extend([known(&b, ago, true)]);
    shared.lock().busy.insert(Place::Folder(b.clone()), ago);
    collector.find_away(&shared);
    let seen = collector.gather(&shared);
    assert_eq!(names(&seen), ["one", "two"]);
    assert!(seen.found.missing.contains_key(&b));
}

#[test]
fn a_command_is_looked_at_where_its_program_or_script_is() {
    for (command, place) in [
        (&["/opt/a/run", "/data/book"][..], "/opt/a"),
        (
            &["/usr/bin/python3", "/mnt/x/main.py", "/data/book"],
            "/mnt/x",
        ),
        (&["python3", "main.py"], "/base"),
        (&["task_status"], "/base"),
    ] {
        let text = format!("[plugin.p]\ncommand = {command:?}\n");
        let site = "[site]\nurl = 'https://x.example'\nscript = 's'\nkey = { file = '/k' }\n";
        let loaded = crate::config::parse(&(site.to_owned() + &text), Path::new("/base/x.toml"));
        let wanted = Wanted::of(loaded.config());
        let expected = Place::Commands(place.into());
        assert_eq!(place_of(&wanted.commands[0]), expected, "{command:?}");
    }
}
