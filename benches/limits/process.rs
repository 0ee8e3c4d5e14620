//! What the kernel says of a process that is measured.
//!
//! In: its id. Out: seconds, MiB. Never: another process.

use std::fs;

/// Seconds on a processor so far, its own and the kernel's for it.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = read(pid, "stat");
    // The name in parentheses may hold anything: fields are counted behind it.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let ticks = |field: usize| -> f64 {
        let text = rest.split_whitespace().nth(field - 3).expect("a field");
        text.parse().expect("a number")
    };
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let per_second = per_second.ok().flatten().expect("every Linux has one") as f64;
    // utime and stime: fields 14 and 15 of proc_pid_stat(5).
    (ticks(14) + ticks(15)) / per_second
}

/// Resident memory in MiB.
pub(crate) fn resident(pid: u32) -> f64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: f64 = kib.expect("it runs").trim().parse().expect("a number");
    kib / 1024.0
}

fn read(pid: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs")
}
