//! What in a folder is a plugin, and what is not. Blocks on disk: runs on a thread of its own.
//!
//! In: a folder. Out: a [`Found`] for every plugin, and every other file with its reason.
//! Never: a process, a decision about a running plugin; what it is called beside others (`names.rs`).

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    string::FromUtf8Error,
};

use super::file::{self, Sample, sample};
use crate::{ident::PluginName, text::nearest};

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: PluginName,
    /// The entry of `plugins.paths` it was found in; none for one made by `command`.
    pub path_index: Option<usize>,
    /// The file or folder in a plugin path that it is; none for one made by `command`.
    pub place: Option<PathBuf>,
    /// What is executed.
    pub command: Vec<String>,
    /// The program, or the script of an interpreter: what people know it by, and whose change restarts it.
    pub file: Option<PathBuf>,
    /// Other files whose change restarts it: globs below `base`.
    pub watch: Vec<String>,
    /// What relative things are relative to.
    pub base: PathBuf,
    /// `rust`, `python`, `shell`, as far as the file tells; empty otherwise.
    pub language: &'static str,
}

/// What a file's bytes said, kept for as long as its sample stays: a look costs one call a file.
pub type Judged = BTreeMap<PathBuf, (Sample, Result<Found, String>)>;

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

/// What is in a folder.
pub(super) type Inside = (Vec<Found>, BTreeMap<PathBuf, String>);

/// Looks into a folder.
///
/// # Errors
/// When it cannot be read.
pub(super) fn discover(folder: &Path, judged: &mut Judged) -> io::Result<Inside> {
    let (mut plugins, mut not_plugins) = Inside::default();
    for path in entries(folder)? {
        match cached(judged, &path, folder) {
            Ok(found) => plugins.push(found),
            Err(reason) => {
                not_plugins.insert(path, reason);
            }
        }
    }
    judged.retain(|path, _| {
        not_plugins.contains_key(path) || plugins.iter().any(|one| one.place.as_ref() == Some(path))
    });
    Ok((plugins, not_plugins))
}

/// The plugin that one file or folder is, wherever it lies.
///
/// # Errors
/// Why it is none, in an operator's words.
pub fn look_at(path: &Path) -> Result<Found, String> {
    judge(path, path.parent().unwrap_or(Path::new("/")))
}

/// The system's reason in an operator's words.
#[must_use]
pub fn why(error: &io::Error) -> String {
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

fn cached(judged: &mut Judged, path: &Path, folder: &Path) -> Result<Found, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {}", why(&error));
    let mut now = sample(path).map_err(unreadable)?;
    if let Ok(inner) = sample(&path.join("plugin.toml")) {
        now.1 ^= inner.0 ^ inner.1;
        now.3 = inner.3;
        now.4 = inner.4;
    }
    if let Some((then, result)) = judged.get(path)
        && *then == now
    {
        return result.clone();
    }
    let result = judge(path, folder);
    judged.insert(path.to_owned(), (now, result.clone()));
    result
}

/// The name of a file or folder; one that nobody can type or print is no name of a plugin.
fn typed(path: &Path) -> Result<&str, String> {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_str().ok_or("its name is not UTF-8")?;
    if name.contains(char::is_control) {
        return Err("its name has control characters".to_owned());
    }
    Ok(name)
}

fn judge(path: &Path, folder: &Path) -> Result<Found, String> {
    let name = typed(path)?;
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
    let found = |name: &str, command: Vec<String>, base: &Path| Found {
        name: PluginName::new(name),
        path_index: None,
        place: Some(path.to_owned()),
        command,
        file: None,
        watch: Vec::new(),
        base: base.to_owned(),
        language: "",
    };
    let meta = fs::metadata(path).map_err(|error| format!("cannot be read: {}", why(&error)))?;
    if meta.is_dir() {
        let (command, watch) = folder_manifest(path)?;
        let mut one = found(name, command, path);
        one.watch = watch;
        complete(&mut one);
        return Ok(one);
    }
    if !meta.is_file() {
        return Err("neither a file nor a folder".to_owned());
    }
    let head =
        file::head(path, HEAD).map_err(|error| format!("cannot be read: {}", why(&error)))?;
    let is_program = head.starts_with(b"#!") || head.starts_with(b"\x7fELF");
    let is_executable = meta.mode() & 0o111 != 0;
    match (is_program, is_executable) {
        (true, true) => Ok(Found {
            language: language(path),
            file: Some(path.to_owned()),
            ..found(&stem, vec![path.display().to_string()], folder)
        }),
        (true, false) => Err(format!(
            "it is a program, but not executable: chmod +x {}",
            path.display()
        )),
        (false, true) => Err("executable, but neither ELF nor a script with a first line such as #!/usr/bin/env python3".to_owned()),
        (false, false) => Err("not a program".to_owned()),
    }
}

/// What may stand in `plugin.toml`.
const KEYS: [&str; 2] = ["command", "watch"];

/// `plugin.toml` of a folder: `command`, relative to it, and `watch`.
fn folder_manifest(folder: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    let manifest = folder.join("plugin.toml");
    let text = file::text(&manifest).map_err(|error| no_manifest(&error))?;
    let document: toml_edit::DocumentMut = text
        .parse()
        .map_err(|error| format!("{}: {error}", manifest.display()))?;
    if let Some((key, _)) = document.iter().find(|(key, _)| !KEYS.contains(key)) {
        let near = nearest(key, KEYS).map(|near| format!("; did you mean `{near}`?"));
        return Err(format!(
            "{}: `{key}` is no key; allowed here: command, watch (all else stands in [plugin.NAME] of the daemon's config){}",
            manifest.display(),
            near.unwrap_or_default()
        ));
    }
    let list = |key: &str| -> Result<Vec<String>, String> {
        let Some(item) = document.get(key) else {
            return Ok(Vec::new());
        };
        let wrong = || format!("{}: `{key}` must be a list of texts", manifest.display());
        let array = item.as_array().ok_or_else(wrong)?;
        array
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect()
    };
    let command = list("command")?;
    if command.is_empty() {
        return Err(format!(
            "{}: `command` is missing or empty",
            manifest.display()
        ));
    }
    Ok((command, list("watch")?))
}

/// Why the text of a `plugin.toml` is not there.
fn no_manifest(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "a folder without plugin.toml".to_owned();
    }
    let what = match error.get_ref() {
        Some(inner) if inner.is::<FromUtf8Error>() => "it is not UTF-8 text".to_owned(),
        Some(inner) => format!("it is {inner}"),
        None => why(error),
    };
    format!("plugin.toml cannot be read: {what}")
}

/// Finds the main file of a command, what it is written in, and makes an interpreter's script absolute: the process starts
/// in another folder.
pub(super) fn complete(found: &mut Found) {
    let Some((first, words)) = found.command.split_first_mut() else {
        return;
    };
    if let Some((language, index)) = script(first, words, &found.base) {
        let script = found.base.join(&words[index]);
        words[index] = script.display().to_string();
        found.language = language;
        found.file = Some(script);
        return;
    }
    let main = found.base.join(first);
    found.language = language(&main);
    found.file = main.is_file().then_some(main);
}

/// Programs that run a script, and what it is written in; a version may follow.
const INTERPRETERS: [(&str, &str); 22] = [
    ("python", "python"),
    ("pypy", "python"),
    ("uv", "python"),
    ("sh", "shell"),
    ("bash", "shell"),
    ("dash", "shell"),
    ("zsh", "shell"),
    ("ksh", "shell"),
    ("fish", "shell"),
    ("node", ""),
    ("nodejs", ""),
    ("deno", ""),
    ("bun", ""),
    ("ruby", ""),
    ("perl", ""),
    ("php", ""),
    ("lua", ""),
    ("tclsh", ""),
    ("Rscript", ""),
    ("java", ""),
    ("dotnet", ""),
    ("env", ""),
];

fn interpreter(first: &str) -> Option<(&'static str, &'static str)> {
    let stem = Path::new(first).file_name()?.to_str()?;
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.iter().find(|(name, _)| *name == stem).copied()
}

/// True for a program that runs a script.
pub(super) fn is_interpreter(first: &str) -> bool {
    interpreter(first).is_some()
}

/// The language and the word that is the script of an interpreter: the first one that names a file. Later ones are its data.
fn script(first: &str, words: &[String], base: &Path) -> Option<(&'static str, usize)> {
    let (stem, language) = interpreter(first)?;
    for (index, word) in words.iter().enumerate() {
        // Its program stands in the command itself or in a module: there is no script.
        if ["-c", "-e", "-m"].contains(&word.as_str()) {
            return None;
        }
        if base.join(word).is_file() {
            let language = if stem == "env" {
                self::language(&base.join(word))
            } else {
                language
            };
            return Some((language, index));
        }
    }
    None
}

/// So much of a file tells what it is.
const HEAD: u64 = 256;

/// What a file is written in, as far as its first line tells: `rust` for a program, `python`, `shell`, or nothing.
fn language(file: &Path) -> &'static str {
    let head = file::head(file, HEAD).unwrap_or_default();
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
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    };

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
        put(&at("slip/plugin.toml"), "comand = ['run.sh']\n", 0o644);
        put(
            &at("other/plugin.toml"),
            "command = ['run.sh']\ntransport = 'fd34'\n",
            0o644,
        );
        fs::create_dir_all(at("plain")).expect("a folder");
        let (plugins, not_plugins) =
            discover(&dir.path().join("a"), &mut Judged::new()).expect("a folder");
        let names: Vec<_> = plugins.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["boxed", "notes"]);
        let boxed = &plugins[0];
        assert_eq!((boxed.command.len(), boxed.watch.len()), (2, 1));
        let reason = |name: &str| not_plugins[&at(name)].clone();
        assert!(reason("forgot.sh").contains("chmod +x"));
        assert!(reason("readme").contains("#!"));
        assert!(reason("empty").contains("`command`"), "{}", reason("empty"));
        assert!(reason("plain").contains("plugin.toml"));
        assert!(reason("helper.py").contains("not a program"));
        for (name, parts) in [
            (
                "slip",
                &[
                    "slip/plugin.toml",
                    "`comand`",
                    "allowed here: command, watch",
                    "did you mean `command`?",
                ][..],
            ),
            ("other", &["`transport`", "[plugin.NAME]"]),
        ] {
            for part in parts {
                assert!(reason(name).contains(part), "{part}: {}", reason(name));
            }
        }
        assert!(!reason("other").contains("did you mean"));
        assert_eq!(not_plugins.len(), 9);
        assert!(discover(&dir.path().join("gone"), &mut Judged::new()).is_err());
    }

    #[test]
    fn a_plugin_toml_that_cannot_be_read_is_not_one_that_is_missing() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name).join("plugin.toml");
        for name in ["none", "latin", "pipe"] {
            fs::create_dir(dir.path().join(name)).expect("a folder");
        }
        fs::write(at("latin"), b"command = ['caf\xe9']\n").expect("a file");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        fs::create_dir_all(at("nested")).expect("a folder");
        for (name, expected) in [
            ("none", "a folder without plugin.toml"),
            ("latin", "plugin.toml cannot be read: it is not UTF-8 text"),
            (
                "pipe",
                "plugin.toml cannot be read: it is not a regular file",
            ),
            (
                "nested",
                "plugin.toml cannot be read: it is not a regular file",
            ),
        ] {
            let why = look_at(&dir.path().join(name)).expect_err("no plugin");
            assert_eq!(why, expected, "{name}");
        }
        // Root may read everything.
        let denied = no_manifest(&io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            denied,
            "plugin.toml cannot be read: this user may not read it"
        );
    }

    #[test]
    fn a_name_that_nobody_can_type_is_no_plugins() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
        let controls = "its name has control characters";
        for (name, expected) in [
            (&b"a\nb.sh"[..], Some(controls)),
            (&b"a\x1b[2Jb.sh"[..], Some(controls)),
            (&b"caf\xe9.sh"[..], Some("its name is not UTF-8")),
            ("with space é.sh".as_bytes(), None),
        ] {
            put(&at(name), "#!/bin/sh\n", 0o755);
            let mut judged = Judged::new();
            let (_, not_plugins) = discover(dir.path(), &mut judged).expect("a folder");
            let reason = not_plugins.get(&at(name)).map(String::as_str);
            assert_eq!(reason, expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn the_script_of_an_interpreter_is_the_plugins_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        put(&at("main.py"), "x = 1\n", 0o644);
        put(&at("data.txt"), "x", 0o644);
        put(&at("run.sh"), "#!/bin/sh\n", 0o755);
        for (command, file, language) in [
            (
                &["python3", "-X", "dev", "main.py", "data.txt"][..],
                Some("main.py"),
                "python",
            ),
            (
                &["/usr/bin/python3.11", "main.py"],
                Some("main.py"),
                "python",
            ),
            (&["python3", "-m", "main", "data.txt"], None, ""),
            (&["env", "A=b", "python3", "main.py"], Some("main.py"), ""),
            (&["bash", "run.sh"], Some("run.sh"), "shell"),
            // A program's words are its own.
            (&["./run.sh", "data.txt"], Some("./run.sh"), "shell"),
            (&["task_status", "data.txt"], None, ""),
        ] {
            let mut one = Found {
                name: PluginName::new("p"),
                path_index: None,
                place: None,
                command: command.iter().map(|&word| word.to_owned()).collect(),
                file: None,
                watch: Vec::new(),
                base: dir.path().to_owned(),
                language: "",
            };
            complete(&mut one);
            assert_eq!(one.file, file.map(&at), "{command:?}");
            assert_eq!(one.language, language, "{command:?}");
            let is_absolute = one.command.contains(&at("main.py").display().to_string());
            assert_eq!(is_absolute, file == Some("main.py"), "{command:?}");
        }
    }
}
