//! A whole daemon in one thread under virtual time, driven by a seed: `simulate --seeds 1000`, or `simulate --seed 7` for
//! one seed with its story.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_types,
    reason = "a program for a terminal, which says how long it took"
)]

mod chance;
mod check;
mod coverage;
mod plan;
mod process;
mod queue;
mod reach;
mod shrink;
mod site;
mod story;
mod world;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::Instant,
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};

use self::{
    coverage::{Coverage, Reached},
    plan::Plan,
    world::{Outcome, World},
};

/// A third of the time goes to small pieces of memory.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What was run.
#[derive(Debug, Default)]
struct Sum {
    seeds: u64,
    steps: u64,
    virtual_ms: u64,
    journaled: u64,
    crashes: u64,
    fewest: Option<u64>,
    coverage: Coverage,
    failed: Vec<(u64, String)>,
}

/// So many seeds are a round of the measure of one core's pace.
const PACE_SEEDS: u64 = 60;
const PACE_ROUNDS: u64 = 5;

/// What may be asked for.
const OPTIONS: &str = "--seeds N, --first N, --seed N, --lines N, --all, --coverage, --at-least N, --rare, --proof FOLDER";

/// What was asked for.
struct Wanted {
    first: u64,
    seeds: u64,
    /// One seed, with its story.
    one: Option<u64>,
    /// Lines of a story.
    lines: usize,
    /// A failure ends nothing.
    goes_on: bool,
    /// Everything that the machines can do must be done.
    is_full: bool,
    /// Fewer seeds than this for each second of a core are a failure.
    at_least: u64,
    /// Seeds that do what the first thousand do not are named.
    shows_rare: bool,
    /// The folder for the yardstick's line.
    proof: Option<PathBuf>,
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self {
            first: 1,
            seeds: 1000,
            one: None,
            lines: 60,
            goes_on: false,
            is_full: false,
            at_least: 0,
            shows_rare: false,
            proof: None,
        };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().unwrap_or_default();
                let number = text.parse::<u64>();
                number.map_err(|_| format!("{argument} {text}: allowed: a number"))
            };
            match argument.as_str() {
                "--seeds" => wanted.seeds = number()?,
                "--first" => wanted.first = number()?,
                "--seed" => wanted.one = Some(number()?),
                "--lines" => wanted.lines = usize::try_from(number()?).unwrap_or(usize::MAX),
                "--all" => wanted.goes_on = true,
                "--coverage" => wanted.is_full = true,
                "--at-least" => wanted.at_least = number()?,
                "--rare" => wanted.shows_rare = true,
                "--proof" => wanted.proof = arguments.next().map(PathBuf::from),
                other => return Err(format!("{other}: allowed: {OPTIONS}")),
            }
        }
        Ok(wanted)
    }
}

fn main() -> ExitCode {
    let wanted = match Wanted::read(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(error) => {
            eprintln!("simulate: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = wanted.one {
        return tell_one(seed, wanted.lines);
    }
    let began = Instant::now();
    let mut seeds: Vec<u64> = (wanted.first..wanted.first + wanted.seeds).collect();
    if wanted.is_full {
        seeds.extend(coverage::RARE);
    }
    let mut sum = run_many(&seeds, wanted.goes_on);
    let reached = coverage::judge(&sum.coverage);
    if wanted.is_full {
        print!("{}", sum.coverage.table());
    }
    println!("{reached}");
    if wanted.shows_rare {
        println!(
            "seeds for what the first thousand do not: {:?}",
            sum.coverage.rare(1000)
        );
    }
    sum.failed.sort();
    for (seed, wrong) in &sum.failed {
        println!("seed {seed}: {wrong}");
    }
    if let (Some((seed, _)), false) = (sum.failed.first(), wanted.goes_on) {
        tell_one(*seed, wanted.lines);
    }
    let seconds = began.elapsed().as_secs_f64();
    if let Some(folder) = &wanted.proof
        && let Err(error) = sum.keep(folder, seconds, &reached)
    {
        eprintln!("simulate: cannot write to {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    println!("{}", sum.line(seconds));
    let is_slow = wanted.at_least > 0 && is_slower_than(wanted.at_least as f64);
    let is_short = sum.fewest.is_some_and(|steps| steps < world::STEPS_MIN);
    if is_short {
        eprintln!("simulate: a seed had {:?} steps only", sum.fewest);
    }
    let is_missed = is_slow || is_short || (wanted.is_full && !reached.is_full());
    if sum.failed.is_empty() && !is_missed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs seeds on all cores until one fails, or all of them.
fn run_many(seeds: &[u64], goes_on: bool) -> Sum {
    let (next, stops) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut sum = Sum::default();
        while !stops.load(Relaxed) {
            let Some(seed) = seeds.get(next.fetch_add(1, Relaxed)).copied() else {
                break;
            };
            sum.coverage.seed = seed;
            let outcome = run(&Plan::of(seed), &mut sum.coverage);
            sum.add(&outcome);
            if let Some(wrong) = outcome.wrong {
                sum.failed.push((seed, wrong));
                stops.store(!goes_on, Relaxed);
            }
        }
        sum
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().fold(Sum::default(), |mut all, thread| {
            let part = thread.join().expect("a run may fail and not panic");
            all.merge(part);
            all
        })
    })
}

/// Whether one core does fewer seeds a second, and says how many. It runs alone, for threads share the memory and may share
/// a core, and the best of a few rounds counts: what else the machine does makes a round longer, never shorter.
fn is_slower_than(least: f64) -> bool {
    let rounds = (0..PACE_ROUNDS).map(|round| {
        let mut coverage = Coverage::default();
        let before = worked(UsageWho::RUSAGE_THREAD);
        for seed in round * PACE_SEEDS..(round + 1) * PACE_SEEDS {
            run(&Plan::of(seed), &mut coverage);
        }
        PACE_SEEDS as f64 / (worked(UsageWho::RUSAGE_THREAD) - before)
    });
    let pace = rounds.fold(0.0, f64::max);
    println!("simulate: {pace:.0} seeds/s on one core alone; at least {least:.0}");
    pace < least
}

/// Processor time so far, in seconds.
fn worked(whose: UsageWho) -> f64 {
    let usage = getrusage(whose).expect("a process knows its own time");
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

fn run(plan: &Plan, coverage: &mut Coverage) -> Outcome {
    World::new(plan, coverage, 0).run()
}

/// One seed with the shortest story that fails.
fn tell_one(seed: u64, lines: usize) -> ExitCode {
    let plan = Plan::of(seed);
    let mut coverage = Coverage::default();
    let outcome = run(&plan, &mut coverage);
    let Some(wrong) = outcome.wrong else {
        println!(
            "seed {seed}: nothing is wrong; {} steps, {} events, {} crashes",
            outcome.steps, outcome.journaled, outcome.crashes
        );
        return ExitCode::SUCCESS;
    };
    println!("seed {seed} fails: {wrong}");
    println!("the shortest story found:");
    println!("{}", shrink::shortest(plan, &wrong, lines));
    println!("again: make simulate SEED={seed}");
    ExitCode::FAILURE
}

impl Sum {
    /// The last line: how much was run, and how fast.
    fn line(&self, seconds: f64) -> String {
        format!(
            "simulate: {} seeds, {} steps, {seconds:.1} s ({:.0} seeds/s, {:.0} of a core); {} h of virtual time, {} events, {} crashes; {} seeds failed",
            self.seeds,
            self.steps,
            self.seeds as f64 / seconds,
            self.of_a_core(),
            self.virtual_ms / 3_600_000,
            self.journaled,
            self.crashes,
            self.failed.len(),
        )
    }

    /// Seeds for each second that a core worked: other programs beside take none of it.
    fn of_a_core(&self) -> f64 {
        self.seeds as f64 / worked(UsageWho::RUSAGE_SELF)
    }

    /// The line of the yardstick, as all runs about faults have it.
    fn keep(&self, folder: &Path, seconds: f64, reached: &Reached) -> std::io::Result<()> {
        let line = serde_json::json!({
            "run": "simulate",
            "rows": [],
            "lost": null, "dup": null, "dup_bound": null, "order": null, "stuck": null,
            "alerts": null, "quiet": null,
            "more": {
                "failed": self.failed.len(),
                "seeds": self.seeds,
                "steps": self.steps,
                "seconds": seconds,
                "seeds_per_second_of_a_core": self.of_a_core(),
                "virtual_hours": self.virtual_ms / 3_600_000,
                "events": self.journaled,
                "crashes": self.crashes,
                "fewest_steps": self.fewest,
                "transitions": reached.to_string(),
            },
        });
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("simulate.json"), line.to_string())
    }

    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.virtual_ms += outcome.virtual_ms;
        self.journaled += outcome.journaled as u64;
        self.crashes += outcome.crashes;
        if outcome.wrong.is_none() {
            let fewest = self.fewest.unwrap_or(u64::MAX).min(outcome.steps);
            self.fewest = Some(fewest);
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.virtual_ms += other.virtual_ms;
        self.journaled += other.journaled;
        self.crashes += other.crashes;
        self.fewest = self.fewest.into_iter().chain(other.fewest).min();
        self.coverage.add(&other.coverage);
        self.failed.extend(other.failed);
    }
}
