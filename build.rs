//! Lists the files of the SDKs, so that the binary carries them.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));

    let python = files(&root.join("sdk-python"), "sgeventd");
    write(&out.join("sdk_python.rs"), &python);

    let mut rust = Vec::new();
    for part in [
        "protocol/Cargo.toml",
        "protocol/src",
        "sdk-rust/Cargo.toml",
        "sdk-rust/README.md",
        "sdk-rust/src",
    ] {
        rust.extend(files(&root, part));
    }
    let workspace = out.join("sdk_workspace.toml");
    let text = fs::read_to_string(root.join("Cargo.toml")).expect("our own manifest");
    fs::write(&workspace, workspace_of(&text)).expect("cargo's folder can be written");
    rust.push(("Cargo.toml".to_owned(), workspace));
    write(&out.join("sdk_rust.rs"), &rust);
}

/// The files at or below a path, by their names below `root`.
fn files(root: &Path, below: &str) -> Vec<(String, PathBuf)> {
    println!("cargo:rerun-if-changed={}", root.join(below).display());
    let mut found = Vec::new();
    let mut waiting = vec![root.join(below)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder of ours").flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        } else if path.extension().is_some_and(is_source) {
            let name = path.strip_prefix(root).expect("it is below");
            found.push((name.display().to_string(), path));
        }
    }
    found.sort();
    found
}

fn is_source(end: &std::ffi::OsStr) -> bool {
    ["py", "typed", "rs", "toml", "md"]
        .iter()
        .any(|known| end == *known)
}

fn write(list: &Path, files: &[(String, PathBuf)]) {
    let mut text = String::from("[\n");
    for (name, path) in files {
        writeln!(text, "    ({name:?}, include_str!({path:?})),").expect("writing to a string");
    }
    text.push(']');
    fs::write(list, text).expect("cargo's folder can be written");
}

/// The manifest above the two crates of the Rust SDK where they lie in a plugin's folder: what they inherit, as it stands here.
fn workspace_of(manifest: &str) -> String {
    let mut text =
        String::from("[workspace]\nmembers = [\"protocol\", \"sdk-rust\"]\nresolver = \"3\"\n\n");
    let mut is_inherited = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inherited = line.starts_with("[workspace.");
        }
        if is_inherited {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}
