//! What in a folder is a plugin, what is not, and what each is called. Blocks on disk: runs on a thread of its own.
//!
//! In: the folders in order, the names that files have had. Out: [`Found`], and every other file with its reason.
//! Never: a process, a decision about a running plugin.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::ident::PluginName;

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: PluginName,
    /// The entry of `plugins.paths` it was found in; none for one made by `command`.
    pub path_index: Option<usize>,
    /// What is executed.
    pub command: Vec<String>,
    /// The file whose change restarts it, when it is one.
    pub file: Option<PathBuf>,
    /// Other files whose change restarts it: globs below `base`.
    pub watch: Vec<String>,
    /// What relative things are relative to.
    pub base: PathBuf,
    /// `rust`, `python`, `shell`, as far as the file tells; empty otherwise.
    pub language: &'static str,
}

/// Inode, size, mode, and the times of the last change of the content and of the inode.
pub(super) type Sample = (u64, u64, u32, (i64, i64), (i64, i64));

/// What a file's bytes said, kept for as long as its sample stays: a look costs one call a file.
pub type Judged = BTreeMap<PathBuf, (Sample, Result<Found, String>)>;

/// The sample of a file.
pub(super) fn sample(path: &Path) -> io::Result<Sample> {
    let meta = fs::metadata(path)?;
    Ok((
        meta.ino(),
        meta.size(),
        meta.mode(),
        (meta.mtime(), meta.mtime_nsec()),
        (meta.ctime(), meta.ctime_nsec()),
    ))
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Plugins, by name.
    pub plugins: BTreeMap<PluginName, Found>,
    /// Everything else, with the reason.
    pub not_plugins: BTreeMap<PathBuf, String>,
    /// Folders that cannot be read, with the reason.
    pub missing: BTreeMap<PathBuf, String>,
}

/// Looks into all folders. `had`: which file had which name, so that it keeps it.
#[must_use]
pub fn discover(
    folders: &[PathBuf],
    had: &BTreeMap<PathBuf, PluginName>,
    judged: &mut Judged,
) -> Discovered {
    let mut found = Discovered::default();
    let mut candidates = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        match entries(folder) {
            Ok(paths) => {
                for path in paths {
                    match cached(judged, &path, folder, index) {
                        Ok(one) => candidates.push((path, one)),
                        Err(reason) => {
                            found.not_plugins.insert(path, reason);
                        }
                    }
                }
            }
            Err(error) => {
                let reason = why(&error);
                found.missing.insert(folder.clone(), reason);
            }
        }
    }
    name_them(candidates, had, &mut found);
    found
}

/// The file that had a name keeps it; else the earlier folder's does, and the other is called `folder/stem`.
fn name_them(
    candidates: Vec<(PathBuf, Found)>,
    had: &BTreeMap<PathBuf, PluginName>,
    found: &mut Discovered,
) {
    let kept: BTreeSet<PluginName> = candidates
        .iter()
        .filter_map(|(path, _)| had.get(path).cloned())
        .collect();
    let (old, new): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|(path, _)| had.contains_key(path));
    for (path, mut one) in old.into_iter().chain(new) {
        if let Some(name) = had.get(&path) {
            one.name = name.clone();
        } else if kept.contains(&one.name) || found.plugins.contains_key(&one.name) {
            let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
            one.name = PluginName::new(format!("{}/{}", folder.display(), one.name));
        }
        if let Some(other) = found.plugins.get(&one.name) {
            let reason = format!("{} has the name {} already", other.base.display(), one.name);
            found.not_plugins.insert(path, reason);
            continue;
        }
        found.plugins.insert(one.name.clone(), one);
    }
}

/// The system's reason in an operator's words.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        kind => kind.to_string(),
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let all = fs::read_dir(folder)?;
    let mut paths: Vec<PathBuf> = all.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn cached(judged: &mut Judged, path: &Path, folder: &Path, index: usize) -> Result<Found, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {}", why(&error));
    let mut now = sample(path).map_err(unreadable)?;
    if let Ok(inner) = sample(&path.join("plugin.toml")) {
        now.1 ^= inner.0 ^ inner.1;
        now.3 = inner.3;
        now.4 = inner.4;
    }
    if let Some((then, result)) = judged.get(path)
        && *then == now
        && result
            .as_ref()
            .map_or(true, |found| found.path_index == Some(index))
    {
        return result.clone();
    }
    let result = judge(path, folder, index);
    judged.insert(path.to_owned(), (now, result.clone()));
    result
}

fn judge(path: &Path, folder: &Path, index: usize) -> Result<Found, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') {
        return Err("its name begins with a dot".to_owned());
    }
    if name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".bak")
        || name.starts_with('#')
    {
        return Err("an editor left it behind".to_owned());
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let found = |command, file, watch, base: &Path| Found {
        name: PluginName::new(stem.as_ref()),
        path_index: Some(index),
        command,
        file,
        watch,
        base: base.to_owned(),
        language: "",
    };
    let meta = fs::metadata(path).map_err(|error| format!("cannot be read: {}", why(&error)))?;
    if meta.is_dir() {
        let (command, watch) = folder_manifest(path)?;
        let mut one = found(command, None, watch, path);
        one.name = PluginName::new(name.as_ref());
        let main = path.join(&one.command[0]);
        one.language = language(&main);
        one.file = main.is_file().then_some(main);
        return Ok(one);
    }
    if !meta.is_file() {
        return Err("neither a file nor a folder".to_owned());
    }
    let head = head(path).map_err(|error| format!("cannot be read: {}", why(&error)))?;
    let is_program = head.starts_with(b"#!") || head.starts_with(b"\x7fELF");
    let is_executable = meta.mode() & 0o111 != 0;
    match (is_program, is_executable) {
        (true, true) => Ok(Found {
            language: language(path),
            ..found(
                vec![path.display().to_string()],
                Some(path.to_owned()),
                Vec::new(),
                folder,
            )
        }),
        (true, false) => Err(format!(
            "it is a program, but not executable: chmod +x {}",
            path.display()
        )),
        (false, true) => Err("executable, but neither ELF nor a script with a first line such as #!/usr/bin/env python3".to_owned()),
        (false, false) => Err("not a program".to_owned()),
    }
}

/// `plugin.toml` of a folder: `command`, relative to it, and `watch`.
fn folder_manifest(folder: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    let file = folder.join("plugin.toml");
    let text = fs::read_to_string(&file).map_err(|_| "a folder without plugin.toml".to_owned())?;
    let document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let list = |key: &str| -> Result<Vec<String>, String> {
        let Some(item) = document.get(key) else {
            return Ok(Vec::new());
        };
        let wrong = || format!("{}: `{key}` must be a list of texts", file.display());
        let array = item.as_array().ok_or_else(wrong)?;
        array
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect()
    };
    let command = list("command")?;
    if command.is_empty() {
        return Err(format!("{}: `command` is missing or empty", file.display()));
    }
    Ok((command, list("watch")?))
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut head = Vec::new();
    fs::File::open(path)?.take(256).read_to_end(&mut head)?;
    Ok(head)
}

/// What a file is written in, as far as its first line tells: `rust` for a program, `python`, `shell`, or nothing.
#[must_use]
pub fn language(file: &Path) -> &'static str {
    let head = head(file).unwrap_or_default();
    if head.starts_with(b"\x7fELF") {
        return "rust";
    }
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    if first.contains("python") {
        "python"
    } else if first.trim_end().ends_with("sh") {
        "shell"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn put(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn every_file_is_a_plugin_or_has_a_reason() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join("a").join(name);
        put(&at("notes.sh"), "#!/bin/sh\n", 0o755);
        put(&at("forgot.sh"), "#!/bin/sh\n", 0o644);
        put(&at("helper.py"), "x = 1\n", 0o644);
        put(&at(".hidden"), "#!/bin/sh\n", 0o755);
        put(&at("notes.sh~"), "#!/bin/sh\n", 0o755);
        put(&at("readme"), "hello", 0o755);
        put(
            &at("boxed/plugin.toml"),
            "command = ['run.sh', '-v']\nwatch = ['*.py']\n",
            0o644,
        );
        put(&at("empty/plugin.toml"), "watch = 3\n", 0o644);
        fs::create_dir_all(at("plain")).expect("a folder");
        let missing = dir.path().join("gone");
        let found = discover(
            &[dir.path().join("a"), missing.clone()],
            &BTreeMap::new(),
            &mut Judged::new(),
        );
        let names: Vec<_> = found.plugins.keys().map(PluginName::as_str).collect();
        assert_eq!(names, ["boxed", "notes"]);
        let boxed = &found.plugins[&PluginName::new("boxed")];
        assert_eq!((boxed.command.len(), boxed.watch.len()), (2, 1));
        let reason = |name: &str| found.not_plugins[&at(name)].clone();
        assert!(reason("forgot.sh").contains("chmod +x"));
        assert!(reason("readme").contains("#!"));
        assert!(reason("empty").contains("`command`"), "{}", reason("empty"));
        assert!(reason("plain").contains("plugin.toml"));
        assert!(reason("helper.py").contains("not a program"));
        assert_eq!(found.not_plugins.len(), 7);
        assert!(found.missing.contains_key(&missing));
    }

    #[test]
    fn the_same_stem_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, two) = (dir.path().join("a/x.sh"), dir.path().join("b/x.sh"));
        put(&one, "#!/bin/sh\n", 0o755);
        put(&two, "#!/bin/sh\n", 0o755);
        let folders = [dir.path().join("a"), dir.path().join("b")];
        let found = discover(&folders, &BTreeMap::new(), &mut Judged::new());
        let file =
            |found: &Discovered, name: &str| found.plugins[&PluginName::new(name)].file.clone();
        assert_eq!(file(&found, "x"), Some(one.clone()));
        assert_eq!(file(&found, "b/x"), Some(two.clone()));
        let had = BTreeMap::from([(two.clone(), PluginName::new("x"))]);
        let found = discover(&folders, &had, &mut Judged::new());
        assert_eq!(file(&found, "x"), Some(two));
        assert_eq!(file(&found, "a/x"), Some(one));
    }
}
