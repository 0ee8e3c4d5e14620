//! The search for a key in everything that was written: plain, JSON-escaped, URL-encoded, and inside any base64 text.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Files in which a key may stand: those that the config names.
const KEY_FILES: &str = "key";

/// Fails when a key stands in any file below a folder but the key files; returns how many bytes were searched.
pub(crate) fn search(folder: &Path, key: &str) -> u64 {
    let (searched, found) = find(folder, key);
    assert!(found.is_empty(), "the key stands in {found:?}");
    searched
}

/// How many bytes were searched, and the files in which a key stands, but for the key files.
pub(crate) fn find(folder: &Path, key: &str) -> (u64, Vec<PathBuf>) {
    let (mut searched, mut found) = (0, Vec::new());
    let finder = finder(key);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be listed is gone by now, or a folder that a test took the rights away from.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
            let is_key = path.extension().is_some_and(|found| found == KEY_FILES);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !is_key {
                let bytes = fs::read(&path).unwrap_or_default();
                searched += bytes.len() as u64;
                if finder.is_match(&bytes) {
                    found.push(path);
                }
            }
        }
    }
    (searched, found)
}

fn finder(key: &str) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(forms(key))
        .expect("a few short texts")
}

/// What is searched for: written here once more, so that it is not what the daemon looks for by accident.
fn forms(key: &str) -> Vec<String> {
    let json = serde_json::to_string(key).expect("JSON");
    let json = json[1..json.len() - 1].to_owned();
    let twice = serde_json::to_string(&json).expect("JSON");
    let mut forms = vec![key.to_owned(), twice[1..twice.len() - 1].to_owned(), json];
    for kept in ["", "-._~", "-._~/"] {
        let url = key.bytes().map(|byte| {
            if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        });
        let url: String = url.collect();
        forms.extend([url.replace("%20", "+"), url]);
    }
    // Base64 depends on how many bytes stand before; the first and last letters hold bits of the neighbours.
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode("x".repeat(before) + key);
        let (first, last) = ([0, 2, 3][before], text.len() - 1);
        let text = text[first..last].to_owned();
        forms.extend([text.replace('+', "-").replace('/', "_"), text]);
    }
    forms
}

#[test]
fn a_key_is_found_in_every_form() {
    let key = "k\"ey of/the test";
    for text in [
        key.to_owned(),
        serde_json::json!({"a": key}).to_string(),
        "http://x/?k=k%22ey%20of%2Fthe%20test&y".to_owned(),
        "http://x/k%22ey%20of/the%20test&y".to_owned(),
        "k%22ey+of%2fthe+test".to_owned(),
        serde_json::json!({"a": serde_json::json!({"b": key}).to_string()}).to_string(),
        STANDARD_NO_PAD.encode(format!("user:{key}:more")),
        STANDARD_NO_PAD.encode(format!("use:{key}")),
        STANDARD_NO_PAD.encode(format!("users:{key}+")),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(find(dir.path(), key).1.is_empty());
        fs::create_dir(dir.path().join("deep")).expect("a folder");
        fs::write(dir.path().join("deep/file"), &text).expect("a file");
        assert_eq!(find(dir.path(), key).1.len(), 1, "not found: {text}");
    }
}
