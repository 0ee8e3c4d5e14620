//! Lists the Python SDK's files, so that the binary carries them.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("sdk-python/sgeventd");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort();
    let mut list = String::from("[\n");
    for name in files {
        let path = root.join(&name);
        writeln!(
            list,
            "    ({name:?}, include_str!({:?})),",
            path.display().to_string()
        )
        .expect("writing to a string");
    }
    list.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("sdk_python.rs");
    fs::write(out, list).expect("cargo's folder can be written");
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the SDK is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "__pycache__") {
                collect(root, &path, files);
            }
        } else if path
            .extension()
            .is_some_and(|end| end == "py" || end == "typed")
        {
            let name = path.strip_prefix(root).expect("it is below");
            files.push(name.display().to_string());
        }
    }
}
