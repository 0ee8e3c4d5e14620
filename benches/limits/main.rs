//! How fast it is, against bare loops that do only the unavoidable part, measured in the same run: `make bench`.
//!
//! In: names of parts, `cargo bench --bench limits -- journal idle`; none means all. Out: a table on stdout, `bench/latest.json`
//! in cargo's target folder. Never: part of the tests.

mod bench;
mod catch_up;
mod crowd;
mod deliveries;
mod idle;
mod journal;
mod latency;
mod machine;
mod plugin;
mod process;
mod report;
mod sandbox;
mod stage;
mod starts;
mod unwanted;
mod wire;

use std::process::ExitCode;

use bench::{Bench, Part, target};
use machine::Machine;
use report::Report;

/// All parts, in the order of the table.
fn parts() -> Vec<Part> {
    let part = |name, rows| Part { name, rows };
    vec![
        part("journal", journal::rows),
        part("deliveries", deliveries::rows),
        part("latency", latency::rows),
        part("catch-up", catch_up::rows),
        part("unwanted", unwanted::rows),
        part("idle", idle::idle),
        part("growth", idle::growth),
        part("crowd", crowd::rows),
        part("starts", starts::many),
        part("restart", starts::again),
        part("sandbox", sandbox::rows),
    ]
}

/// The daemon starts its plugins through its own binary, which is this one where it runs inside: it says `__shim` then.
fn is_hidden() -> bool {
    std::env::args().nth(1).is_some_and(|word| word == "__shim")
}

#[expect(clippy::print_stdout, reason = "the table is the program's result")]
fn main() -> ExitCode {
    if let Some(done) = plugin::run() {
        return done;
    }
    if is_hidden() {
        return sgeventd::cli::main();
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let bench = Bench::new(std::env::args().skip(1));
    let mut rows = Vec::new();
    for part in parts().iter().filter(|part| bench.wants(part)) {
        bench.say(part.name);
        rows.extend((part.rows)(&bench));
    }
    let report = Report {
        machine: Machine::look(),
        rows,
    };
    println!("{}", report.table());
    let folder = target().join("bench");
    let json = serde_json::to_string_pretty(&report).expect("plain data is JSON");
    std::fs::create_dir_all(&folder).expect("cargo's target folder is ours");
    std::fs::write(folder.join("latest.json"), json + "\n").expect("a file in it");
    ExitCode::SUCCESS
}
