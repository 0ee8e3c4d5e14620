//! Power cuts inside of transactions, for every engine that writes files: whatever survives of what was not synced, the engine opens
//! again with what the model has before or after that transaction, never between, and with all that was answered.
//!
//! A process of its own runs random transactions under a recorder of all that it does to its files (`tests/proof/interpose.c`).
//! Then the record is cut at random places. `SGEVENTD_CUTS=5000` sets how many.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

#[path = "../../tests/proof/interpose.rs"]
mod interpose;
#[path = "../../tests/proof/lost_power.rs"]
mod lost_power;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use self::{
    interpose::{Trace, What},
    lost_power::Disk,
};
use super::{
    conformance::{Seen, aim, differences, see, steps},
    *,
};

/// Cuts in an ordinary run of the tests.
const CUTS: usize = 240;
/// So many cuts fall into one sequence of transactions.
const CUTS_A_CASE: usize = 6;
/// Tells the recorded process where to write.
const FOLDER: &str = "CRASHES_FOLDER";
const TRACE: &str = "INTERPOSE_TRACE";

/// An engine that can be opened again after a crash.
trait Crashable {
    /// The test that the recorded process runs, without the module's path.
    const CHILD: &'static str;

    /// Opens what is in a folder, or makes it.
    fn open(folder: &Path) -> Result<Box<dyn Engine>, String>;

    /// True for the files whose syncs are dropped to see that the cuts bite.
    fn is_data(path: &Path) -> bool;
}

struct OnSqlite;

impl Crashable for OnSqlite {
    const CHILD: &'static str = "sqlite_under_the_recorder";

    fn open(folder: &Path) -> Result<Box<dyn Engine>, String> {
        let engine = Sqlite::open(&folder.join(DATABASE));
        engine
            .map(|engine| Box::new(engine) as Box<dyn Engine>)
            .map_err(|error| error.to_string())
    }

    fn is_data(path: &Path) -> bool {
        path.ends_with(DATABASE) || path.ends_with("journal.db-wal")
    }
}

/// A transaction, and whether the engine is closed and opened after it.
type Step = (Vec<Op>, bool);

/// The same transactions for the same number, in every process; and what the model has before the first and after each.
fn case(number: usize) -> (Vec<Step>, Vec<Seen>) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let mut steps = steps().new_tree(&mut runner).unwrap().current();
    let mut model = Model::new();
    let mut reader = model.reader().unwrap();
    let mut seen = vec![see(reader.as_mut()).unwrap()];
    for (ops, _) in &mut steps {
        let head = seen.last().unwrap().ingest.head.as_ref();
        aim(ops, head.map(|head| head.event_id));
        model.commit(ops).unwrap();
        seen.push(see(reader.as_mut()).unwrap());
    }
    (steps, seen)
}

fn cuts() -> usize {
    let asked = env::var("SGEVENTD_CUTS").unwrap_or_default();
    match asked.as_str() {
        "" => CUTS,
        asked => asked.parse().expect("SGEVENTD_CUTS is a number"),
    }
}

fn folder_of(folder: &Path, case: usize) -> PathBuf {
    folder.join(case.to_string())
}

/// What the recorded process does: all cases, with a note after each answer.
fn write_all<C: Crashable>() {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("a folder"));
    let trace = PathBuf::from(env::var_os(TRACE).expect("a trace"));
    for number in 0..cuts().div_ceil(CUTS_A_CASE) {
        let folder = folder_of(&folder, number);
        std::fs::create_dir(&folder).unwrap();
        std::fs::File::open(folder.parent().unwrap())
            .and_then(|parent| parent.sync_all())
            .unwrap();
        let mut engine = C::open(&folder).unwrap();
        Trace::note(&trace, "open");
        for (count, (ops, is_reopened)) in case(number).0.into_iter().enumerate() {
            engine.commit(&ops).unwrap();
            Trace::note(&trace, "answered");
            // Now and then the log is carried over as well, by this engine or by the next.
            engine.housekeep(is_reopened && count % 2 == 0).unwrap();
            if is_reopened {
                drop(engine);
                engine = C::open(&folder).unwrap();
            }
        }
        Trace::note(&trace, "end");
    }
}

/// Runs it recorded, cuts, and holds what is found against the model; how many cuts were wrong.
fn cut_all<C: Crashable>(lies: fn(&Path) -> bool) -> Vec<String> {
    let stage = tempfile::tempdir().unwrap();
    let folder = stage.path().canonicalize().unwrap().join("traced");
    let trace = stage.path().join("trace");
    std::fs::create_dir(&folder).unwrap();
    let child = format!("{}::{}", module_path!(), C::CHILD);
    let (_, child) = child.split_once("::").expect("the crate's name");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(FOLDER, &folder)
        .envs(interpose::environment(&folder, &trace))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_dir_all(&folder).unwrap();

    let trace = Trace::read(&trace);
    let mut disk = Disk::new(&trace, lies);
    let mut wrong = Vec::new();
    let mut begin = 0;
    for number in 0..cuts().div_ceil(CUTS_A_CASE) {
        let is_end = |index: &usize| {
            let record = &trace.records[*index];
            record.what == What::Note && trace.data(record) == b"end"
        };
        let end = (begin..trace.records.len()).find(is_end);
        let end = end.expect("a note at the end of each case");
        let mut random = fastrand::Rng::with_seed(number as u64);
        let mut places: Vec<_> = (0..CUTS_A_CASE)
            .map(|_| random.usize(begin..=end))
            .collect();
        places.sort_unstable();
        let (steps, seen) = case(number);
        for place in places {
            disk.play(place);
            let notes = trace.records[begin..place].iter();
            let notes = notes.filter(|record| record.what == What::Note).count();
            let answered = notes.saturating_sub(1);
            let left = stage.path().join("left");
            disk.cut(&mut random, &folder_of(&folder, number), &left);
            if let Err(what) = look::<C>(&left, &steps, &seen, answered) {
                wrong.push(format!("case {number}, record {place}: {what}"));
            }
            std::fs::remove_dir_all(&left).unwrap();
        }
        begin = end + 1;
        disk.play(begin);
    }
    wrong
}

/// Opens what is left, compares it, and goes on from there.
fn look<C: Crashable>(
    left: &Path,
    steps: &[Step],
    seen: &[Seen],
    answered: usize,
) -> Result<(), String> {
    let mut engine = C::open(left)?;
    let state = |engine: &dyn Engine| {
        let mut reader = engine.reader().map_err(|error| error.to_string())?;
        see(reader.as_mut()).map_err(|error| error.to_string())
    };
    let found = state(engine.as_ref())?;
    let next = (answered + 1).min(steps.len());
    let Some(now) = (answered..=next).find(|count| seen[*count] == found) else {
        let words = differences(&found, &seen[answered]);
        return Err(format!(
            "neither {answered} nor {next} of its transactions:{words}"
        ));
    };
    if let Some((ops, _)) = steps.get(now) {
        engine.commit(ops).map_err(|error| error.to_string())?;
        if state(engine.as_ref())? != seen[now + 1] {
            return Err("it does not go on as the model does".to_owned());
        }
    }
    Ok(())
}

#[test]
#[ignore = "a part of the test below, in a process of its own"]
fn sqlite_under_the_recorder() {
    write_all::<OnSqlite>();
}

#[test]
fn a_crash_inside_a_transaction_leaves_it_whole_or_not_at_all() {
    let wrong = cut_all::<OnSqlite>(|_| false);
    println!("crashes on SQLite: {} cuts, {} wrong", cuts(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let wrong = cut_all::<OnSqlite>(OnSqlite::is_data);
    println!("without syncs: {} cuts, {} wrong", cuts(), wrong.len());
    assert!(
        wrong.len() * 8 > cuts(),
        "only {} of {}",
        wrong.len(),
        cuts()
    );
}
