//! Paths of plugins as they come: each is a regular file below a granted folder or nothing, whatever is swapped meanwhile.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::*;

#[path = "../../../../tests/proof/yardstick.rs"]
#[expect(dead_code, reason = "the tests of the whole daemon use the rest")]
mod yardstick;

use yardstick::Yardstick;

/// A studio: `data` is the plugin's own, `granted` the operator's, `outside` nobody's; `state` holds the data.
struct Studio(tempfile::TempDir, FileRoots);

impl Studio {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in [
            "state/plugins/p/data/sub",
            "state/plugins/q/data",
            "granted/sub",
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in [
            "state/plugins/p/data/a.mov",
            "state/plugins/p/data/sub/b.mov",
            "state/plugins/q/data/c.mov",
            "state/journal.db",
            "granted/d.mov",
            "site.key",
            "outside.mov",
        ] {
            fs::write(at(file), file).unwrap();
        }
        let roots = FileRoots {
            user: None,
            base: at("state/plugins/p/data"),
            own: vec![at("state/plugins/p/data"), at("state/plugins/p/tmp")],
            granted: vec![at("granted")],
            state: at("state"),
            kept_back: vec![at("site.key")],
            umask: 0o022,
        };
        Self(dir, roots)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn data(&self, path: &str) -> PathBuf {
        self.at("state/plugins/p/data").join(path)
    }

    /// The words for a path, without the studio's own folder.
    fn said(&self, path: &str) -> String {
        let opened = self.1.open(path);
        let words = opened.map_or_else(
            |error| error.to_string(),
            |(_, size)| format!("{size} bytes"),
        );
        words.replace(self.0.path().to_str().unwrap(), "")
    }
}

#[test]
fn a_path_is_a_regular_file_below_a_granted_folder_or_nothing() {
    let mut studio = Studio::new();
    symlink("a.mov", studio.data("link.mov")).unwrap();
    symlink("../../../..", studio.data("up")).unwrap();
    symlink(studio.at("granted"), studio.at("granted/loop")).unwrap();
    fs::hard_link(studio.at("site.key"), studio.data("harmless.txt")).unwrap();
    fs::hard_link(studio.at("state/journal.db"), studio.at("granted/db")).unwrap();
    nix::unistd::mkfifo(&studio.data("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(studio.data("socket")).unwrap();
    let far = studio.at("granted/d.mov").display().to_string();
    let outside = studio.at("outside.mov").display().to_string();
    let other = studio
        .at("state/plugins/q/data/c.mov")
        .display()
        .to_string();
    for (path, words) in [
        ("a.mov", "26 bytes"),
        ("./sub//b.mov", "30 bytes"),
        (&far, "13 bytes"),
        ("", "\"\" is no path of a file"),
        ("a.mov\0.png", "\"a.mov\\0.png\" is no path of a file"),
        (
            "../../etc/passwd",
            "\"../../etc/passwd\" goes up by `..`, which no path may",
        ),
        (
            "sub/../a.mov",
            "\"sub/../a.mov\" goes up by `..`, which no path may",
        ),
        (
            "link.mov",
            "\"link.mov\" goes through a symbolic link; name the file itself",
        ),
        (
            "up/outside.mov",
            "\"up/outside.mov\" goes through a symbolic link; name the file itself",
        ),
        (
            "harmless.txt",
            "\"harmless.txt\" is the daemon's own and is never handed out",
        ),
        ("pipe", "\"pipe\" is a pipe; allowed: regular files"),
        ("socket", "\"socket\" is a socket; allowed: regular files"),
        ("sub", "\"sub\" is a folder; allowed: regular files"),
        (".", "\".\" is a folder; allowed: regular files"),
        ("none.mov", "\"none.mov\" is not there"),
        ("a.mov/x", "\"a.mov/x\" is not there"),
    ] {
        assert_eq!(studio.said(path), words, "{path:?}");
    }
    let refused = studio.said(&outside);
    assert!(
        refused.contains("is in none of the granted folders"),
        "{refused}"
    );
    assert!(
        studio.said(&other).contains("none of the granted"),
        "{other}"
    );
    let looped = studio.at("granted/loop/d.mov").display().to_string();
    assert!(studio.said(&looped).contains("symbolic link"));
    let database = studio.at("granted/db").display().to_string();
    assert!(studio.said(&database).contains("the daemon's own"));

    // Whatever the operator grants.
    studio.1.granted = vec!["/".into()];
    let kept = studio.said(&other);
    assert!(kept.contains("the daemon's own"), "{kept}");
    for (path, words) in [
        (
            &*format!("/proc/{}/environ", std::process::id()),
            "is the kernel's own",
        ),
        ("/dev/null", "is a device"),
        ("/dev/zero", "is a device"),
    ] {
        let said = studio.said(path);
        assert!(said.contains(words), "{path}: {said}");
    }
    assert_eq!(studio.said(&outside), "11 bytes");
}

#[test]
fn a_folder_that_is_written_otherwise_is_found() {
    let studio = Studio::new();
    symlink(studio.at("granted"), studio.at("mount")).unwrap();
    let mut roots = studio.1.clone();
    roots.granted = vec![studio.at("mount")];
    for path in ["mount/d.mov", "granted/d.mov"] {
        let path = studio.at(path).display().to_string();
        assert_eq!(roots.open(&path).unwrap().1, 13, "{path}");
    }
    // Its own folder is no root any more when a link stands in its place.
    fs::rename(studio.data(""), studio.at("moved")).unwrap();
    symlink(studio.at(""), studio.at("state/plugins/p/data")).unwrap();
    assert!(roots.open("outside.mov").is_err());
}

#[test]
fn old_kernels_refuse_the_same() {
    let studio = Studio::new();
    symlink("a.mov", studio.data("link.mov")).unwrap();
    symlink("../../../..", studio.data("up")).unwrap();
    let step = |path: &str| {
        let root = open(
            studio.data(""),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        );
        let found = step_by_step(
            root.unwrap(),
            Path::new(path),
            OFlags::PATH | OFlags::CLOEXEC,
        );
        found.map_err(|kind| FileError::new(path, kind).to_string())
    };
    let found = step("sub/b.mov").unwrap();
    assert_eq!(fstat(&found).unwrap().st_size, 30);
    for path in ["link.mov", "up/outside.mov", "up"] {
        assert!(step(path).unwrap_err().contains("symbolic link"), "{path}");
    }
    assert!(step("sub/../a.mov").unwrap_err().contains("goes up"));
    assert!(step("none/b.mov").unwrap_err().contains("is not there"));
}

/// Looks at a path while it is something else every other moment.
const LOOKS: u32 = 10_000;

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Itself,
    Refused,
    Escape,
}

/// Looks at a path below the data while traps take its place in turn; what came of it is a line of the yardstick.
fn race(run: &str, studio: &Studio, place: &str, traps: &[&str], look: impl Fn() -> Look) {
    let (place, aside) = (studio.data(place), studio.data("aside"));
    let traps: Vec<PathBuf> = traps.iter().map(|trap| studio.data(trap)).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let watched = is_over.clone();
    let swapper = thread::spawn(move || {
        for trap in traps.iter().cycle() {
            if watched.load(Ordering::Relaxed) {
                return;
            }
            fs::rename(&place, &aside).unwrap();
            fs::rename(trap, &place).unwrap();
            fs::rename(&place, trap).unwrap();
            fs::rename(&aside, &place).unwrap();
        }
    });
    let looks: Vec<Look> = (0..LOOKS).map(|_| look()).collect();
    is_over.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    let count = |what: Look| looks.iter().filter(|look| **look == what).count();
    let (itself, refused, escapes) = (
        count(Look::Itself),
        count(Look::Refused),
        count(Look::Escape),
    );
    let mut run = Yardstick::of(run, &[42])
        .with("tries", LOOKS)
        .with("itself", itself)
        .with("refused", refused)
        .with("escapes", escapes);
    run.is_violated = escapes > 0;
    run.judge();
    assert!(itself > 0 && refused > 0, "nothing was swapped");
}

#[test]
fn a_link_that_comes_and_goes_leads_nowhere() {
    let studio = Studio::new();
    fs::write(studio.at("b.mov"), "what nobody may see").unwrap();
    symlink(studio.at(""), studio.data("trap")).unwrap();
    race(
        "swapped-folder",
        &studio,
        "sub",
        &["trap"],
        || match studio.1.open("sub/b.mov") {
            Ok((_, 30)) => Look::Itself,
            Ok(_) => Look::Escape,
            Err(_) => Look::Refused,
        },
    );
}

/// The file itself becomes a link, a pipe, a hard link to a key, and a file again.
#[test]
fn a_file_that_is_swapped_all_the_time_is_itself_or_nothing() {
    let studio = Studio::new();
    symlink(studio.at("site.key"), studio.data("link")).unwrap();
    nix::unistd::mkfifo(&studio.data("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::hard_link(studio.at("site.key"), studio.data("hard")).unwrap();
    symlink("/proc/self/environ", studio.data("environ")).unwrap();
    let traps = ["link", "pipe", "hard", "environ"];
    race("swapped-file", &studio, "a.mov", &traps, || {
        match studio.1.open("a.mov") {
            Ok((file, 26)) if file.metadata().unwrap().len() == 26 => Look::Itself,
            Ok(_) => Look::Escape,
            Err(_) => Look::Refused,
        }
    });
}

/// Files are written while their folder becomes a link to elsewhere and a folder again.
#[test]
fn nothing_is_written_behind_a_folder_that_is_swapped() {
    let studio = Studio::new();
    fs::create_dir(studio.at("prey")).unwrap();
    symlink(studio.at("prey"), studio.data("trap")).unwrap();
    let prey = studio.at("prey/new.mov");
    race("swapped-target", &studio, "sub", &["trap"], || {
        let Ok(target) = studio.1.target("sub/new.mov") else {
            return Look::Refused;
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        openat(&target.folder, &target.name, flags, mode).unwrap();
        if prey.exists() {
            Look::Escape
        } else {
            Look::Itself
        }
    });
}

#[test]
fn a_new_file_needs_a_granted_folder_and_a_name() {
    let studio = Studio::new();
    symlink(studio.at("outside.mov"), studio.data("link.mov")).unwrap();
    let said = |path: &str| match studio.1.target(path) {
        Ok(target) => target.name.display().to_string(),
        Err(error) => error.to_string(),
    };
    for (path, words) in [
        ("new.mov", "new.mov"),
        ("sub/new.mov", "new.mov"),
        ("a.mov", "a.mov"),
        ("sub", "\"sub\" is a folder; allowed: regular files"),
        ("new/", "\"new/\" is a folder; allowed: regular files"),
        (".", "\".\" is a folder; allowed: regular files"),
        (
            "none/new.mov",
            "the folder of \"none/new.mov\" is not there",
        ),
        (
            "../new.mov",
            "\"../new.mov\" goes up by `..`, which no path may",
        ),
        (
            "link.mov",
            "\"link.mov\" is a symbolic link; allowed: regular files",
        ),
    ] {
        assert_eq!(said(path), words, "{path:?}");
    }
    let mut roots = studio.1.clone();
    roots.granted = vec!["/".into()];
    for path in [
        "site.key",
        "state/journal.db",
        "state/new",
        "state/plugins/q/data/c.mov",
    ] {
        let path = studio.at(path).display().to_string();
        let error = roots.target(&path).unwrap_err().to_string();
        assert!(error.contains("the daemon's own"), "{error}");
    }
}
