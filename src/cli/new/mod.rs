//! `new`: a folder with a plugin that works, its test and a README; `sdk`: the packages that plugins and their tests build on.
//!
//! In: a name and a language. Out: files, and what to type next. Never: a file of somebody's overwritten.

mod template;

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    Exit,
    args::{Lang, NewArgs, SdkArgs, SdkLang},
    exit::Failure,
    output::{data, talk},
};
use crate::sdk::{self, Sdk, UnpackError};
use template::{NAME, Template};

/// Longer names make tables unreadable.
const NAME_MAX: usize = 64;

/// What a plugin may be called: what the daemon finds, a section of the config can be named by, and every language can say.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_good = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_word)
        && text.len() <= NAME_MAX;
    if is_good {
        return Ok(text.to_owned());
    }
    Err(format!(
        "allowed: a letter, then letters, digits, _ and -, {NAME_MAX} at most, such as task_status"
    ))
}

/// Makes the folder.
pub(super) fn run(args: &NewArgs) -> Result<Exit, Failure> {
    let folder = args.into.join(&args.name);
    refuse_what_is_there(&folder)?;
    let template = Template::of(args.lang);
    for file in template.files {
        let path = folder.join(file.name.replace(NAME, &args.name));
        let text = file.text.replace(NAME, &args.name);
        write(&path, &text, file.mode).map_err(|error| cannot(&path, &error))?;
    }
    if args.lang == Lang::Rust {
        sdk::unpack(Sdk::Rust, &folder.join("sdk")).map_err(|error| unpacked(&error))?;
    }
    data(&folder.display().to_string());
    tell(args, &template, &folder);
    Ok(Exit::Done)
}

fn tell(args: &NewArgs, template: &Template, folder: &Path) {
    let folder = quoted(&folder.display().to_string());
    let above = args.into.canonicalize().unwrap_or(args.into.clone());
    let paths = serde_json::to_string(&above.display().to_string()).unwrap_or_default();
    talk(&format!(
        "a plugin in {}; its file: {}",
        template.language, template.main
    ));
    talk(&format!("  test it:   cd {folder} && {}", template.test));
    talk(&format!("  check it:  sgeventd check {folder}"));
    talk(&format!(
        "  run it:    [plugins] paths = [{paths}] in sgeventd.toml, then sgeventd run -c sgeventd.toml"
    ));
}

/// Lays an SDK down and says where.
pub(super) fn lay_down(args: &SdkArgs) -> Result<Exit, Failure> {
    let (sdk, usual) = match args.lang {
        SdkLang::Python => (Sdk::Python, "python"),
        SdkLang::Rust => (Sdk::Rust, "rust"),
    };
    let folder = match &args.into {
        Some(folder) => folder.clone(),
        None => cache()?.join(usual),
    };
    sdk::unpack(sdk, &folder).map_err(|error| unpacked(&error))?;
    data(&folder.display().to_string());
    Ok(Exit::Done)
}

/// Where what can be made again lies: a folder for each version, so that two daemons do not undo each other's files.
fn cache() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let base =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let version = concat!("sgeventd/sdk-", env!("CARGO_PKG_VERSION"));
    base.map(|base| base.join(version)).ok_or_else(|| {
        Failure::words(Exit::No, "neither HOME nor XDG_CACHE_HOME names a folder")
            .hint("name one with --into DIR")
    })
}

fn refuse_what_is_there(folder: &Path) -> Result<(), Failure> {
    let hint = "take another name, or another place with --into DIR";
    let taken = |what: &str| {
        let words = format!(
            "{} {what}; allowed: a new or empty folder",
            folder.display()
        );
        Err(Failure::words(Exit::No, words).hint(hint))
    };
    match fs::read_dir(folder) {
        Ok(mut inside) => match inside.next() {
            None => Ok(()),
            Some(_) => taken("is there already, and not empty"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if folder.is_file() => taken("is there, as a file"),
        Err(error) => Err(cannot(folder, &error)),
    }
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    // A strict umask takes bits of others away; the owner must be able to run it all the same.
    let found = file.metadata()?.permissions().mode();
    file.set_permissions(fs::Permissions::from_mode(found | (mode & 0o700)))
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    let words = format!("cannot write {}: {error}", path.display());
    Failure::words(exit(error), words)
}

fn unpacked(error: &UnpackError) -> Failure {
    Failure::new(exit(&error.source), error)
}

fn exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        _ => Exit::Io,
    }
}

/// As a shell reads it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+,:@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_language_can_say() {
        let long = "x".repeat(NAME_MAX + 1);
        for (text, is_good) in [
            ("task_status", true),
            ("Task-2", true),
            ("x", true),
            ("", false),
            (".hidden", false),
            ("-x", false),
            ("2nd", false),
            ("a/b", false),
            ("..", false),
            ("a b", false),
            ("a.py", false),
            ("straße", false),
            ("notes~", false),
            (&*long, false),
        ] {
            assert_eq!(name(text).is_ok(), is_good, "{text:?}");
        }
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        for (text, expected) in [
            ("/a/b-c.d", "/a/b-c.d"),
            ("/a b", "'/a b'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
