//! A state directory that cannot be used: the words, the exit code, an untouched file, and nothing lost.
//!
//! | what | where |
//! |---|---|
//! | each refusal in words, network file systems, owners | `src/journal/lock.rs` |
//! | foreign, short and newer files | `src/journal/sqlite/tests.rs` |
//! | what waits while there is no room | `src/journal/handle_tests.rs` |
//! | exit codes, hints and the way back, with the real binary | here |
//! | a read-only disk, a second daemon, another site | here |
//! | a full disk | `a_full_disk_holds_ingest_alone.rs` |
//! | flipped bytes, a lost log | `damage_is_never_silent.rs` |
//! | a directory that is moved away, other programs that open the database | `others_touch_the_state.rs` |

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    time::Duration,
};

use nix::unistd::{Uid, gethostname};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::support::{Daemon, Site, Studio, disk::Disk, need};

/// Who must refuse does so at once.
const SOON: Duration = Duration::from_secs(1);
/// Debian's user for nobody.
const NOBODY: u32 = 65534;
/// Root writes everywhere; without this right modes hold for it too.
const AS_ANYBODY: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

/// Whoever waits for something does so each time; a machine that is busy is not in all of them.
const TRIES: u32 = 3;

/// Starts a daemon that must refuse; its exit code, what it said on stderr, and how long that took.
async fn refusal(studio: &Studio, by: &[&str]) -> (Option<i32>, String, Duration) {
    refusal_with(studio, by, &[]).await
}

async fn refusal_with(
    studio: &Studio,
    by: &[&str],
    environment: &[(&str, String)],
) -> (Option<i32>, String, Duration) {
    let mut quickest = Duration::MAX;
    let (mut code, mut said) = (None, String::new());
    for _ in 0..TRIES {
        let before = studio.stderr().len();
        let (config, began) = (studio.config(), Instant::now());
        let daemon = Daemon::spawn_with(studio, &config, by, environment);
        code = daemon.exit().await;
        quickest = quickest.min(began.elapsed());
        said = studio.stderr().split_off(before);
        if quickest < SOON {
            break;
        }
    }
    assert!(quickest < SOON, "{quickest:?}");
    assert!(said.contains("error: "), "{said}");
    for noise in ["os error", "Err(", "Some(", "panicked"] {
        assert!(!said.contains(noise), "{noise} in {said}");
    }
    (code, said, quickest)
}

/// A studio whose witness has seen everything, with the daemon stopped.
async fn after_a_run(site: &Site) -> Studio {
    let studio = Studio::new(site).witness();
    goes_on(site, &studio).await;
    studio
}

/// Starts the daemon, which must bring everything, each once and in order.
async fn goes_on(site: &Site, studio: &Studio) {
    let daemon = Daemon::start(studio).await;
    daemon.delivered(studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
}

/// The run's line.
fn judge(studio: &Studio, site: &Site, (run, row): (&str, u32), took: Duration) {
    let run = studio.recheck(site, run, &[row]);
    run.told_and_over(&[]);
    run.with("refused_s", took.as_secs_f64()).judge();
}

/// The files of the state by name.
fn below(studio: &Studio) -> BTreeSet<OsString> {
    let files = fs::read_dir(studio.path("state")).expect("a folder");
    files.flatten().map(|entry| entry.file_name()).collect()
}

fn hash(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).expect("a file")).to_vec()
}

#[tokio::test]
async fn a_folder_above_it_that_is_missing_is_named() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness().state("gone/state");
    let (code, said, _) = refusal(&studio, &[]).await;
    assert_eq!(code, Some(73), "{said}");
    let gone = studio.path("gone");
    let words = format!(
        "{} does not exist; create it, or set [state] dir",
        gone.display()
    );
    assert!(said.contains(&words), "{said}");
    fs::create_dir(gone).expect("a folder");
    goes_on(&site, &studio).await;
}

#[tokio::test]
async fn a_directory_without_write_rights_is_refused_with_the_remedy() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let state = studio.path("state");
    fs::create_dir(&state).expect("a folder");
    let mode = |mode| fs::set_permissions(&state, fs::Permissions::from_mode(mode));
    mode(0o500).expect("its mode");
    let by: &[&str] = if Uid::effective().is_root() {
        &AS_ANYBODY
    } else {
        &[]
    };
    let (code, said, took) = refusal(&studio, by).await;
    assert_eq!(code, Some(73), "{said}");
    let remedy = format!("`chmod u+rwx {}`", state.display());
    assert!(
        said.contains("cannot write to the state directory"),
        "{said}"
    );
    assert!(said.contains(&remedy), "{said}");
    mode(0o700).expect("its mode");
    goes_on(&site, &studio).await;
    judge(&studio, &site, ("read-only-rights", 8), took);
}

#[tokio::test]
async fn the_directory_of_another_user_is_refused_with_both_names() {
    if !Uid::effective().is_root() {
        need("root, to run as another user");
        return;
    }
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let (state, config) = (studio.path("state"), studio.config());
    // All but the state is the other user's own.
    chown(studio.path(""), Some(NOBODY), Some(NOBODY)).expect("root may");
    for path in [&config, &studio.path("site.key")] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    fs::create_dir(&state).expect("a folder");
    let number = NOBODY.to_string();
    let by = [
        "setpriv",
        "--reuid",
        &number,
        "--regid",
        &number,
        "--clear-groups",
    ];
    let (code, said, took) = refusal(&studio, &by).await;
    assert_eq!(code, Some(73), "{said}");
    let dir = state.display();
    let words = format!(
        "user nobody cannot write to the state directory {dir} (permission denied); `chown -R nobody {dir}`, or start as its owner"
    );
    assert!(said.contains(&words), "{said}");
    assert_eq!(
        fs::read_dir(&state).expect("a folder").count(),
        0,
        "it left something"
    );
    // The remedy works.
    chown(&state, Some(NOBODY), Some(NOBODY)).expect("root may");
    fs::remove_file(studio.path("stderr.txt")).expect("a file");
    let daemon = Daemon::spawn_by(&studio, &config, &by);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    judge(&studio, &site, ("read-only-other-user", 8), took);
}

#[tokio::test]
async fn a_read_only_disk_is_refused() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let disk = Disk::mount(&studio.path("state"), 4);
    disk.remount("ro");
    let words = disk.enter();
    let by: Vec<&str> = words.iter().map(String::as_str).collect();
    let (code, said, took) = refusal(&studio, &by).await;
    assert_eq!(code, Some(73), "{said}");
    let dir = studio.path("state").display().to_string();
    assert!(
        said.contains(&dir) && said.contains("mount it writable, or set [state] dir"),
        "{said}"
    );
    disk.remount("rw");
    let daemon = Daemon::spawn_by(&studio, &studio.config(), &by);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    disk.copy_out();
    judge(&studio, &site, ("read-only-disk", 8), took);
}

#[tokio::test]
async fn a_network_file_system_is_refused_before_anything_is_made() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let plan = [("SGEVENTD_FAILPOINTS", "start.statfs=error".to_owned())];
    let (code, said, took) = refusal_with(&studio, &[], &plan).await;
    assert_eq!(code, Some(73), "{said}");
    let dir = studio.path("state").display().to_string();
    assert!(
        said.contains(&format!("{dir} is on a network file system (NFS)")),
        "{said}"
    );
    assert!(below(&studio).is_empty(), "it left something");
    goes_on(&site, &studio).await;
    judge(&studio, &site, ("state-on-nfs", 14), took);
}

#[tokio::test]
async fn a_second_daemon_hears_who_is_there() {
    let site = Site::quiet().await;
    let studio = Studio::new(&site).witness();
    let daemon = Daemon::start(&studio).await;
    let (code, said, took) = refusal(&studio, &[]).await;
    assert_eq!(code, Some(75), "{said}");
    let host = gethostname().expect("a name");
    let who = format!(
        "is in use by process {} on {}",
        daemon.pid(),
        host.display()
    );
    assert!(said.contains(&who), "{said}");
    site.work(3);
    daemon.delivered(&studio, &site.truth()).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    assert_eq!(studio.witnessed(), site.truth(), "in order, each once");
    judge(&studio, &site, ("second-daemon", 14), took);
}

#[tokio::test]
async fn a_database_that_is_not_ours_to_use_is_refused_and_left_alone() {
    let site = Site::quiet().await;
    let studio = after_a_run(&site).await;
    let path = studio.path("state/journal.db");
    let good = fs::read(&path).expect("a database");
    let newer = {
        let mut bytes = good.clone();
        // SQLite's user_version.
        bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        bytes
    };
    let other = {
        let mut bytes = good.clone();
        // SQLite's application_id.
        bytes[68..72].copy_from_slice(b"GPKG");
        bytes
    };
    let corrupt = {
        let mut bytes = good.clone();
        bytes[4096..40_960].fill(0xA5);
        bytes
    };
    let mut slowest = Duration::ZERO;
    for (bytes, words) in [
        (other, "it is another program's SQLite database"),
        (corrupt, "is damaged"),
        (Vec::new(), "it is empty"),
        (
            b"a letter to the studio\n".repeat(99),
            "it is no SQLite database",
        ),
        (
            newer,
            "has version 99; this sgeventd knows versions up to 3: install the newer sgeventd again",
        ),
    ] {
        fs::write(&path, bytes).expect("a file");
        let before = (hash(&path), below(&studio));
        let (code, said, took) = refusal(&studio, &[]).await;
        slowest = slowest.max(took);
        assert_eq!(code, Some(65), "{said}");
        let named = said.contains(&path.display().to_string());
        assert!(named && said.contains(words), "{words}: {said}");
        let after = (hash(&path), below(&studio));
        assert!(after == before, "{words}: something was changed");
    }
    fs::write(&path, good).expect("a file");
    site.work(3);
    goes_on(&site, &studio).await;
    judge(&studio, &site, ("not-ours", 11), slowest);
}

#[tokio::test]
async fn the_state_of_another_site_is_refused() {
    let (site, other) = (Site::quiet().await, Site::quiet().await);
    let studio = after_a_run(&site).await;
    let path = studio.path("state/journal.db");
    let before = hash(&path);
    let (url, wrong) = (site.sandbox.url(), other.sandbox.url());
    let studio = studio.url(&wrong);
    let (code, said, _) = refusal(&studio, &[]).await;
    assert_eq!(code, Some(65), "{said}");
    let dir = studio.path("state").display().to_string();
    let words = format!("error: the state directory {dir} belongs to {url}, not to {wrong}");
    assert!(said.contains(&words) && said.contains("hint: "), "{said}");
    assert!(hash(&path) == before, "the file was changed");
    let studio = studio.url(url);
    site.work(3);
    goes_on(&site, &studio).await;
}
