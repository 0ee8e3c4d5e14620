//! From a file to a config: syntax, keys, rules, and what this machine says to it.
//!
//! In: a path. Out: [`Loaded`]: a config that is whole in any case, and everything there is to say about the file.
//! Never: a stop at the first mistake, a key's value kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    check,
    finding::{Excerpt, Finding, Severity},
    look,
    read::{Reader, Section},
    sections::read_config,
    source::Source,
    tree::read_tree,
    types::Config,
};

/// A config and what was found while reading it.
#[derive(Debug)]
pub struct Loaded {
    config: Config,
    findings: Vec<Finding>,
}

impl Loaded {
    /// Of a file that cannot be read.
    fn unread(finding: Finding) -> Self {
        Self {
            config: Config::default(),
            findings: vec![finding],
        }
    }

    /// Where the daemon of this file listens, as far as its mistakes leave that known; else all findings.
    ///
    /// # Errors
    /// When a mistake is about the socket, or so much of the file cannot be read that it may have named another one.
    pub fn socket(self) -> Result<PathBuf, Vec<Finding>> {
        const KEY: &str = "admin.socket";
        let mut errors = self.findings.iter().filter(|finding| finding.is_error());
        let is_given = self.config.places.contains_key(KEY);
        // A mistake without a key is one of the file as a whole, such as text that is no TOML.
        let hides_it = errors.any(|finding| match &*finding.key {
            "" => !is_given,
            key => key == KEY || key == "admin",
        });
        if hides_it {
            return Err(self.findings);
        }
        Ok(self.config.admin.socket)
    }

    /// All findings, in the order of the file.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The config, whole in any case.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Adds what somebody else found about a key.
    pub fn add(&mut self, severity: Severity, key: &str, message: String) {
        let mut finding = Finding::of_file(severity, message, None);
        finding.place = self.config.places.get(key).cloned();
        finding.key = key.to_owned();
        self.findings.push(finding);
        sort(&mut self.findings);
    }

    /// The config and the lesser findings, as `run` takes it.
    ///
    /// # Errors
    /// All findings, when one of them is an error.
    pub fn accept(self) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
        self.below(Severity::Error)
    }

    /// As [`Loaded::accept`], but what is not ready on this machine is refused too, as `check-config` does.
    ///
    /// # Errors
    /// All findings, when one is more than a warning.
    pub fn accept_ready(self) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
        self.below(Severity::Unready)
    }

    fn below(self, limit: Severity) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
        if self
            .findings
            .iter()
            .any(|finding| finding.severity >= limit)
        {
            return Err(self.findings);
        }
        Ok((self.config, self.findings))
    }
}

/// Reads a file; looks at nothing that it names.
#[must_use]
pub fn read(path: &Path) -> Loaded {
    match read_text(path) {
        Ok(text) => parse(&text, path),
        Err(finding) => Loaded::unread(*finding),
    }
}

/// Reads a file, and looks at the folders and keys that it names.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(finding) => return Loaded::unread(*finding),
    };
    let mut loaded = parse(&text, path);
    let source = Source {
        file: path.into(),
        text: &text,
    };
    let seen = look::look(&loaded.config);
    loaded.findings.extend(
        seen.into_iter()
            .map(|noted| noted.into_finding(&loaded.config, &source)),
    );
    sort(&mut loaded.findings);
    loaded
}

/// Reads a text as if it stood in the file; looks at nothing else.
#[must_use]
pub fn parse(text: &str, path: &Path) -> Loaded {
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let source = Source {
        file: path.into(),
        text,
    };
    let (root, errors) = read_tree(&source);
    let mut findings: Vec<Finding> = errors.iter().map(|error| syntax(&source, error)).collect();
    let Some(root) = root else {
        return Loaded {
            config: Config::default(),
            findings,
        };
    };
    let reader = Reader::new(
        Source {
            file: path.into(),
            text,
        },
        folder_of(&file),
        !errors.is_empty(),
    );
    let config = Section::root(&reader, &root, read_config).unwrap_or_default();
    let (found, places) = reader.into_parts();
    let config = Config {
        file,
        places,
        ..config
    };
    findings.extend(found);
    let noted = check::rules(&config);
    findings.extend(
        noted
            .into_iter()
            .map(|noted| noted.into_finding(&config, &source)),
    );
    sort(&mut findings);
    Loaded { config, findings }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

/// In the order of the file; what has no place comes first.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        finding
            .place
            .as_ref()
            .map(|place| (place.line, place.column))
    });
}

fn syntax(source: &Source<'_>, error: &toml_edit::TomlError) -> Finding {
    let span = error.span().unwrap_or(source.text.len()..source.text.len());
    let message = format!(
        "this is not TOML: {}",
        error.message().trim_end().replace('\n', ", ")
    );
    let hint = error
        .message()
        .contains("duplicate")
        .then(|| "each key and each [section] may stand once in the file".to_owned());
    Finding {
        severity: Severity::Error,
        place: Some(source.place(span.start)),
        key: String::new(),
        message,
        hint,
        excerpt: Some(Excerpt::at(source, &span, false)),
    }
}

fn read_text(path: &Path) -> Result<String, Box<Finding>> {
    let name = path.display();
    let (message, hint) = match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(error) => {
                let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count()
                    + 1;
                (
                    format!("{name}:{line}: the file is not UTF-8 from this line on"),
                    "save it as UTF-8".to_owned(),
                )
            }
        },
        Err(error) => unreadable(path, &error),
    };
    Err(Box::new(Finding::of_file(
        Severity::Error,
        message,
        Some(hint),
    )))
}

fn unreadable(path: &Path, error: &io::Error) -> (String, String) {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => (
            format!("there is no config file {name}"),
            "name another one with --config, or try `sgeventd demo`, which needs none".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not read the config file {name}"),
            format!("it holds no keys, so it may be open to all: chmod 644 {name}"),
        ),
        io::ErrorKind::IsADirectory => (
            format!("{name} is a folder, not a config file"),
            format!("the file in it: {name}/sgeventd.toml"),
        ),
        _ => (
            format!("cannot read the config file {name}: {}", error.kind()),
            "is the file server there?".to_owned(),
        ),
    }
}
