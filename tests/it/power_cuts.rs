//! A power cut at any moment: what was handed out is in the journal, what was told to be settled is settled, and the file is whole.
//!
//! The real daemon and the witness run under a recorder of all that they do to files (`tests/proof/interpose.c`), through loads,
//! stops and kills. Then the record is cut at random places (`tests/proof/lost_power.rs`), and the daemon's own code opens what is
//! left; some of it the daemon itself, which goes on until it is done, and the re-checker judges that.
//!
//! `make power-cut CUTS=5000` cuts more often; `SGEVENTD_SEED` draws other places.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use sgeventd::{
    event::Body,
    ident::Seq,
    journal::{Engine as _, JournalError, Sqlite, StateDir},
};

use crate::support::{
    Daemon, Site, Studio,
    interpose::{Trace, What},
    interposed::Interposed,
    is_alive,
    lost_power::Disk,
    plugin,
    proof::{monotonic_s, number},
    until, with_in_environment,
    yardstick::Yardstick,
};

/// Cuts in an ordinary run of the tests.
const CUTS: u64 = 100;
/// One of so many is also opened by the daemon itself; three at least.
const A_DAEMON_EACH: u64 = 250;
/// So many event ids a second; one in twelve is never committed, one in four late.
const RATE: f64 = 30.0;
/// Events that come at once, and how often in one run of the daemon.
const BULK: u32 = 25;
const BULKS: u32 = 6;

/// What was recorded, and where.
struct Recorded {
    trace: Trace,
    state: PathBuf,
    book: PathBuf,
}

/// What was told to others before a cut.
#[derive(Default)]
struct Told {
    /// The witness's book.
    book: Vec<u8>,
    /// Events of it that `status` counted as settled.
    settled: u64,
    /// The crashes before this one.
    crashes: Vec<Value>,
}

/// What the cuts came to.
#[derive(Default)]
struct Sum {
    corrupt: u64,
    /// Cuts after which something was missing that somebody had been told of, and the most that was.
    lost: u64,
    worst: u64,
    /// Cuts after which a plugin stood beyond the journal's end.
    ahead: u64,
    words: Vec<String>,
}

/// What was found behind a cut.
struct Found {
    ids: BTreeSet<i64>,
    settled: u64,
    is_ahead: bool,
    /// Rows that the lock file knows of and the journal does not.
    claimed: u64,
}

fn cuts() -> u64 {
    number("SGEVENTD_CUTS").unwrap_or(CUTS)
}

/// Runs the daemon four times, with two stops and two kills under load.
async fn record(site: &Site, trace: &Path) -> Recorded {
    let studio = Studio::new(site);
    let recorder = Interposed::recorded(&studio, trace);
    let book = studio.book_of("witness");
    let keys = recorder.line();
    let studio = studio.plugin(
        "witness",
        &["witness.py", &book.display().to_string()],
        &keys,
    );
    for run in 0..4 {
        let daemon = recorder.start(&studio).await;
        for _ in 0..BULKS {
            site.order(&json!({"verb": "bulk", "count": BULK}));
            site.order(&json!({"verb": "work", "late_ms": 120}));
            site.order(&json!({"verb": "abandon"}));
            let before = studio.witnessed().len();
            note_settled(&daemon, trace).await;
            until("half of it is handed out", || {
                studio.witnessed().len() >= before + BULK as usize / 2
            })
            .await;
            note_settled(&daemon, trace).await;
        }
        if run % 2 == 0 {
            assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
        } else {
            daemon.kill().await;
            Trace::note(
                trace,
                &json!({"at": monotonic_s(), "cursors": null}).to_string(),
            );
        }
        // Who is left writes on into the record.
        let state = studio.path("state").display().to_string();
        until("the witness ended", || {
            !with_in_environment(&state).into_iter().any(is_alive)
        })
        .await;
    }
    let folder = &recorder.folder;
    let (state, book) = (
        folder.join("state"),
        folder.join(book.file_name().expect("a name")),
    );
    let mut trace = Trace::read(trace);
    // Ours, made before the record began.
    let stderr = folder.join("stderr.txt");
    trace.records.retain(|record| record.path != stderr);
    Recorded { trace, state, book }
}

/// Writes down what the daemon says is settled: from here on it must last.
async fn note_settled(daemon: &Daemon, trace: &Path) {
    let status = daemon.status().await.unwrap_or_default();
    if let Some(report) = plugin(&status, "witness") {
        let ok = report["counts"]["ok"].as_u64().expect("a number");
        Trace::note(trace, &json!({"settled": ok}).to_string());
    }
}

impl Told {
    /// Adds what a record tells.
    fn add(&mut self, recorded: &Recorded, index: usize) {
        let record = &recorded.trace.records[index];
        let data = recorded.trace.data(record);
        match record.what {
            What::Write if record.path == recorded.book => self.book.extend(data),
            What::Note => {
                let note: Value = serde_json::from_slice(data).expect("JSON");
                match note["settled"].as_u64() {
                    Some(settled) => self.settled = settled,
                    None => self.crashes.push(note),
                }
            }
            _ => {}
        }
    }

    fn handed(&self) -> impl Iterator<Item = i64> {
        let lines = self.book.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines.map(|line| {
            let line: Value = serde_json::from_slice(line).expect("a line is whole");
            line["event"].as_i64().expect("an id")
        })
    }
}

/// Cuts at random places of the record and looks at what is left; what `keep` takes is handed to it as well.
fn cut(
    recorded: &Recorded,
    lies: fn(&Path) -> bool,
    mut keep: impl FnMut(u64, &Told, &dyn Fn(&Path)),
) -> Sum {
    let stage = tempfile::tempdir().expect("a folder");
    let seed = number("SGEVENTD_SEED").unwrap_or(9);
    let mut random = fastrand::Rng::with_seed(seed);
    let end = recorded.trace.records.len();
    let mut places: Vec<_> = (0..cuts()).map(|_| random.usize(..=end)).collect();
    places.sort_unstable();
    let mut disk = Disk::new(&recorded.trace, lies);
    let (mut told, mut told_to) = (Told::default(), 0);
    let mut sum = Sum::default();
    for (number, place) in (0..).zip(places) {
        disk.play(place);
        for index in told_to..place {
            told.add(recorded, index);
        }
        told_to = place;
        let leave = |to: &Path| {
            let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003) + number);
            disk.cut(&mut random, &recorded.state, to);
        };
        let left = stage.path().join("left");
        leave(&left);
        sum.add(number, &told, look(&left));
        fs::remove_dir_all(&left).expect("our own folder");
        keep(number, &told, &leave);
    }
    sum
}

impl Sum {
    fn add(&mut self, number: u64, told: &Told, found: Result<Found, String>) {
        let found = match found {
            Ok(found) => found,
            Err(what) => {
                self.corrupt += 1;
                self.words.push(format!("cut {number}: {what}"));
                return;
            }
        };
        let handed = told.handed().filter(|id| !found.ids.contains(id)).count() as u64;
        let unsettled = told.settled.saturating_sub(found.settled);
        let missing = handed + unsettled + found.claimed;
        self.ahead += u64::from(found.is_ahead);
        self.lost += u64::from(missing > 0);
        self.worst = self.worst.max(missing);
        if missing > 0 || found.is_ahead {
            let (claimed, is_ahead) = (found.claimed, found.is_ahead);
            self.words.push(format!(
                "cut {number}: {handed} handed out, {unsettled} settled, {claimed} known of are gone; ahead: {is_ahead}"
            ));
        }
    }
}

/// Opens a state directory as the daemon does, and reads all of it.
fn look(state: &Path) -> Result<Found, String> {
    let directory = StateDir::open(state).map_err(|error| error.to_string())?;
    let engine = Sqlite::open(&directory.database()).map_err(|error| error.to_string())?;
    read(&engine, &directory).map_err(|error| error.to_string())
}

fn read(engine: &Sqlite, directory: &StateDir) -> Result<Found, JournalError> {
    let damaged = |what: String| Err(JournalError::Corrupt(what.into()));
    let mut reader = engine.reader()?;
    let last = reader.extent()?.last;
    let (mut ids, mut seqs) = (BTreeSet::new(), Vec::new());
    loop {
        let page = reader.page(Seq(seqs.len() as u64), 500, usize::MAX)?;
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(|event| event.facts.event_id.0));
        seqs.extend(page.iter().map(|event| event.seq));
    }
    if !seqs.iter().copied().eq((1..=last.0).map(Seq)) || ids.len() != seqs.len() {
        return damaged(format!(
            "{} rows of {} events, and the last is {last}",
            seqs.len(),
            ids.len()
        ));
    }
    let bodies = reader.bodies(&seqs)?;
    if !bodies.iter().all(|body| matches!(body, Body::Here(_))) {
        return damaged("a body is missing".to_owned());
    }
    let plugins = reader.plugins()?;
    let is_ahead = plugins.iter().any(|plugin| {
        let mut open = plugin.cursor.open.iter().map(|entry| entry.seq);
        plugin.cursor.position > last || open.any(|seq| seq > last)
    });
    let claimed = directory
        .missing(last)
        .map_or(0, |rows| rows.end().0 + 1 - rows.start().0);
    Ok(Found {
        ids,
        settled: plugins.iter().map(|plugin| plugin.counts.ok).sum(),
        is_ahead,
        claimed,
    })
}

/// The files whose syncs do nothing in the control; the folder's syncs and those of a new database hold.
fn is_data(path: &Path) -> bool {
    path.ends_with("journal.db") || path.ends_with("journal.db-wal")
}

/// A studio in which the daemon finds what a cut left; its witness remembers what it was told.
fn studio_after(site: &Site, told: &Told, leave: &dyn Fn(&Path)) -> Studio {
    let studio = Studio::new(site).witness();
    leave(&studio.path("state"));
    fs::write(studio.book_of("witness"), &told.book).expect("a file");
    let marks = told.crashes.iter().map(|mark| format!("{mark}\n"));
    fs::write(studio.path("crashes.jsonl"), marks.collect::<String>()).expect("a file");
    studio.crashed();
    studio
}

/// The daemon goes on from there until all is done, and the re-checker judges it.
async fn go_on(site: &Site, studio: Studio) -> Yardstick {
    let daemon = Daemon::start(&studio).await;
    daemon.all_done(site, &studio).await;
    assert_eq!(daemon.stop().await, Some(0), "{}", studio.log());
    let run = studio.recheck(site, "power-cut", &[4]);
    assert!(!run.is_violated, "{run:?}");
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_told_is_lost_and_no_file_is_damaged() {
    let begun = tokio::time::Instant::now();
    let seconds = |time: Duration| (time.as_secs_f64() * 10.0).round() / 10.0;
    let stage = tempfile::tempdir().expect("a folder");
    let site = Site::start(RATE, 5).await;
    let recorded = record(&site, &stage.path().join("trace")).await;
    let recorded_after = begun.elapsed();
    site.sandbox.quiet();

    let daemons = (cuts() / A_DAEMON_EACH).max(3).min(cuts());
    let each = cuts() / daemons;
    let mut studios = Vec::new();
    let synced = cut(
        &recorded,
        |_| false,
        |number, told, leave| {
            // In the middle of its share: the first and the last cuts may be in nobody's work.
            if number % each == each / 2 && number / each < daemons {
                studios.push(studio_after(&site, told, leave));
            }
        },
    );
    assert!(synced.words.is_empty(), "{}", synced.words.join("\n"));
    let control = cut(&recorded, is_data, |_, _, _| {});
    let cut_s = seconds(begun.elapsed() - recorded_after);

    let handed = (0..recorded.trace.records.len()).fold(Told::default(), |mut told, index| {
        told.add(&recorded, index);
        told
    });
    let mut yardstick = Yardstick::of("power-cut", &[4])
        .with("cuts", cuts())
        .with("daemons", studios.len())
        .with("records", recorded.trace.records.len())
        .with("handed", handed.handed().count())
        .with("corrupt", synced.corrupt)
        .with("ahead", synced.ahead)
        .with("worst", synced.worst)
        .with("control_corrupt", control.corrupt)
        .with("control_lost", control.lost)
        .with("record_s", seconds(recorded_after))
        .with("cut_s", cut_s);
    yardstick.lost = Some(synced.lost);
    let runs = stream::iter(studios).map(|studio| go_on(&site, studio));
    let runs: Vec<_> = runs.buffer_unordered(2).collect().await;
    for run in runs {
        yardstick.add(run);
    }
    yardstick.with("all_s", seconds(begun.elapsed())).judge();
    // A disk that drops syncs must be found out, else the cuts prove nothing.
    assert!(
        control.corrupt * 8 > cuts(),
        "{} of {}",
        control.corrupt,
        cuts()
    );
}
