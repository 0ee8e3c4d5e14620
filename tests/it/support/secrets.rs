//! The search for a key in everything that was written: plain, JSON-escaped, URL-encoded, and inside any base64 text.

use std::{fs, path::Path};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The one file in which the key may stand.
const KEY_FILE: &str = "site.key";

/// Fails when a key stands in any file below a folder but the key file; returns how many bytes were searched.
pub(crate) fn search(folder: &Path, key: &str) -> u64 {
    let mut searched = 0;
    let finder = AhoCorasick::new(forms(key)).expect("a few short texts");
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be listed is gone by now, or a folder that a test took the rights away from.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("its kind"));
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && entry.file_name() != KEY_FILE {
                let bytes = fs::read(&path).unwrap_or_default();
                searched += bytes.len() as u64;
                let found = finder.find(&bytes);
                assert!(found.is_none(), "the key stands in {}", path.display());
            }
        }
    }
    searched
}

fn forms(key: &str) -> Vec<String> {
    let json = serde_json::to_string(key).expect("JSON");
    let mut forms = vec![
        key.to_owned(),
        json.trim_matches('"').to_owned(),
        utf8_percent_encode(key, NON_ALPHANUMERIC).to_string(),
    ];
    // Base64 depends on how many bytes stand before; the first and last letters hold bits of the neighbours.
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode("x".repeat(before) + key);
        let (first, last) = ([0, 2, 3][before], text.len() - 1);
        forms.push(text[first..last].to_owned());
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
        STANDARD_NO_PAD.encode(format!("user:{key}:more")),
        STANDARD_NO_PAD.encode(format!("use:{key}")),
        STANDARD_NO_PAD.encode(format!("users:{key}+")),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        search(dir.path(), key);
        fs::create_dir(dir.path().join("deep")).expect("a folder");
        fs::write(dir.path().join("deep/file"), &text).expect("a file");
        let found = std::panic::catch_unwind(|| search(dir.path(), key));
        assert!(found.is_err(), "not found: {text}");
    }
}
