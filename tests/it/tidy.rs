//! Reads our own tree: every file says its job first, arrows between folders go one way, nothing is left over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Words that mark what was left for later; in halves, so that this file passes.
const LEFT_OVER: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("HA", "CK"),
];
/// A file above this asks for its second job.
const LINES_MAX: usize = 640;

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The files of our tree below a folder, by their ending.
pub(crate) fn files(below: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == end) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_file_says_its_job_first() {
    for below in ["src", "protocol/src", "sdk-rust/src", "tests/it"] {
        for path in files(below, "rs") {
            let text = fs::read_to_string(&path).expect("a file");
            assert!(
                text.starts_with("//!"),
                "{} has no module doc",
                path.display()
            );
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn nothing_is_left_over() {
    for (below, end) in [
        ("src", "rs"),
        ("protocol", "rs"),
        ("sdk-rust", "rs"),
        ("sdk-python", "py"),
        ("tests", "rs"),
        ("docs", "md"),
    ] {
        for path in files(below, end) {
            let text = fs::read_to_string(&path).expect("a file");
            for word in LEFT_OVER {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
        }
    }
}

/// The folder of `src` that a file belongs to, or the file's own name.
fn folder(path: &Path) -> Option<String> {
    let below = path.strip_prefix(root().join("src")).ok()?;
    let first = below.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

#[test]
fn arrows_between_folders_go_one_way() {
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files("src", "rs") {
        let name = path.display().to_string();
        if name.contains("tests") || name.contains("conformance") || name.contains("bench") {
            continue;
        }
        let from = folder(&path).expect("a folder");
        let text = fs::read_to_string(&path).expect("a file");
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let used = needs.entry(from.clone()).or_default();
        let tree = code.replace("use crate::{\n", "use crate::\n    ");
        for part in tree.split("crate::").skip(1) {
            let word: String = part
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            used.insert(word);
        }
        used.extend(listed(code));
        used.remove(&from);
    }
    let known: BTreeSet<String> = needs.keys().cloned().collect();
    for used in needs.values_mut() {
        used.retain(|word| known.contains(word));
    }
    // Take away what needs nothing any more, until nothing is left; what stays is a knot.
    while let Some(leaf) = needs
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(name, _)| name.clone())
    {
        needs.remove(&leaf);
        needs.values_mut().for_each(|used| {
            used.remove(&leaf);
        });
    }
    assert!(needs.is_empty(), "folders that need each other: {needs:#?}");
}

/// The first words inside `use crate::{ … }`.
fn listed(code: &str) -> Vec<String> {
    let Some((_, rest)) = code.split_once("use crate::{\n") else {
        return Vec::new();
    };
    let body = rest.split("\n};").next().unwrap_or_default();
    let top = body
        .lines()
        .filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    top.filter_map(|line| {
        let word: String = line
            .trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        (!word.is_empty()).then_some(word)
    })
    .collect()
}
