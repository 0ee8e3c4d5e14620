//! Every mutant of the simulator still applies to the code, and its last result is kept beside it: it was found.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// So many there must be at least.
const MUTANTS_MIN: usize = 25;
/// Each is found within so many seeds, which `tests/simulate/mutate` tries.
const SEEDS_MAX: u64 = 10_000;

#[test]
fn each_applies_and_was_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/simulate/mutants");
    let results = fs::read_to_string(folder.join("results.json")).expect("results.json");
    let results: BTreeMap<String, Value> = serde_json::from_str(&results).expect("JSON");
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "patch") {
            continue;
        }
        count += 1;
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read(&path).expect("a patch");
        let mut patch = Command::new("patch");
        let patch = patch
            .args(["--dry-run", "--batch", "--silent", "-p1", "-i"])
            .arg(&path);
        let applies = patch
            .current_dir(root)
            .status()
            .expect("patch, which Debian has in `patch`");
        assert!(
            applies.success(),
            "{name} does not apply any more: write it anew"
        );
        let result = results.get(&name);
        let result =
            result.unwrap_or_else(|| panic!("{name} was never tried: make mutants NAMES={name}"));
        let hash: String = Sha256::digest(&text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            result["sha256"], hash,
            "{name} has changed: make mutants NAMES={name}"
        );
        let seed = result["seed"].as_u64();
        assert!(
            seed.is_some_and(|seed| seed <= SEEDS_MAX),
            "{name} is not found within {SEEDS_MAX} seeds"
        );
    }
    assert_eq!(count, results.len(), "a result without a patch");
    assert!(count >= MUTANTS_MIN, "{count} mutants");
}
