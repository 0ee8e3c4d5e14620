//! A whole daemon in one thread under virtual time, driven by a seed: `simulate --seeds 1000`, or `simulate --seed 7` for
//! one seed with its story.

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
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Instant,
};

use self::{
    coverage::Coverage,
    plan::Plan,
    world::{Outcome, World},
};

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

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut first, mut seeds, mut one, mut shows_table) = (1, 1000, None, false);
    let mut lines = 60;
    let mut goes_on = false;
    let mut shows_rare = false;
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--seeds" => seeds = number().unwrap_or(seeds),
            "--first" => first = number().unwrap_or(first),
            "--lines" => lines = number().map_or(lines, |number: u64| number as usize),
            "--seed" => one = number(),
            "--all" => goes_on = true,
            "--rare" => shows_rare = true,
            "--coverage" => shows_table = true,
            other => {
                eprintln!(
                    "unknown argument {other}; allowed: --seeds N, --first N, --seed N, --lines N, --all, --rare, --coverage"
                );
                return ExitCode::from(2);
            }
        }
    }
    if let Some(seed) = one {
        return tell_one(seed, lines);
    }
    let began = Instant::now();
    let sum = run_many(first, seeds, goes_on);
    if shows_table {
        print!("{}", sum.coverage.table());
    }
    let reached = coverage::judge(&sum.coverage);
    println!("{reached}");
    if shows_rare {
        println!(
            "seeds for what the first thousand do not: {:?}",
            sum.coverage.rare(1000)
        );
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "simulate: {} seeds, {} steps, {seconds:.1} s ({:.0} seeds/s); {} h of virtual time, {} events, {} crashes; fewest steps {}",
        sum.seeds,
        sum.steps,
        sum.seeds as f64 / seconds,
        sum.virtual_ms / 3_600_000,
        sum.journaled,
        sum.crashes,
        sum.fewest.unwrap_or(0),
    );
    let mut failed = sum.failed;
    failed.sort();
    for (seed, wrong) in &failed {
        println!("seed {seed}: {wrong}");
    }
    match failed.first() {
        None => ExitCode::SUCCESS,
        Some(_) if goes_on => ExitCode::FAILURE,
        Some((seed, _)) => tell_one(*seed, lines),
    }
}

/// Runs seeds on all cores until one fails, or all of them.
fn run_many(first: u64, seeds: u64, goes_on: bool) -> Sum {
    let (next, stops) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || {
        let mut sum = Sum::default();
        while !stops.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= first + seeds {
                break;
            }
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
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.virtual_ms += outcome.virtual_ms;
        self.journaled += outcome.journaled as u64;
        self.crashes += outcome.crashes;
        let fewest = self.fewest.unwrap_or(u64::MAX).min(outcome.steps);
        self.fewest = Some(fewest);
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
