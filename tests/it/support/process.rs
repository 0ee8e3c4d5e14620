//! Processes of this machine, as `/proc` shows them.

use std::fs;

/// True while a process lives; a zombie does not.
pub(crate) fn is_alive(pid: i64) -> bool {
    // The third field, after the name in parentheses: Z has ended.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The processes with a text in their environment: a folder's name finds all that plugins of it started.
pub(crate) fn with_in_environment(text: &str) -> Vec<i64> {
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i64>().ok());
    pids.filter(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environ).contains(text)
    })
    .collect()
}
