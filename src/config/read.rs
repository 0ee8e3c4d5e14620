//! The typed reader: sections hand out keys by name and parser, and whatever nobody asked for is a mistake.
//!
//! In: a tree. Out: values or defaults; findings and places on the side.
//! Never: a stop at the first mistake, knowledge of any particular key.

use std::{cell::RefCell, collections::BTreeMap, ops::Range, path::PathBuf};

use super::{
    finding::{Excerpt, Finding, Severity},
    source::{Places, Source},
    tree::{Entry, Kind, Node},
};
use crate::text::nearest;

/// Why a parser refuses a value.
#[derive(Debug)]
pub(super) struct Wrong {
    found: Option<String>,
    allowed: String,
    hint: Option<String>,
    is_secret: bool,
}

impl Wrong {
    /// The value is not what is allowed.
    pub(super) fn allowed(allowed: impl Into<String>) -> Self {
        Self {
            found: None,
            allowed: allowed.into(),
            hint: None,
            is_secret: false,
        }
    }

    /// What was found, where the bare value would not say it.
    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// What to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// True when the value must not be shown.
    pub(super) fn is_of_secret(&self) -> bool {
        self.is_secret
    }

    /// The value must not be shown.
    pub(super) fn secret(mut self, found: &str) -> Self {
        self.is_secret = true;
        self.found(found)
    }
}

/// One run over one document.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    folder: PathBuf,
    is_partial: bool,
    findings: RefCell<Vec<Finding>>,
    places: RefCell<Places>,
}

impl<'a> Reader<'a> {
    /// A run over a source; relative paths start at the folder. Of a partial text nothing is called missing.
    pub(super) fn new(source: Source<'a>, folder: PathBuf, is_partial: bool) -> Self {
        Self {
            source,
            folder,
            is_partial,
            findings: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// Notes a mistake at a span.
    pub(super) fn report(
        &self,
        key: &str,
        span: Option<&Range<usize>>,
        message: String,
        hint: Option<String>,
    ) {
        self.note(key, span, message, hint, false);
    }

    fn note(
        &self,
        key: &str,
        span: Option<&Range<usize>>,
        message: String,
        hint: Option<String>,
        is_secret: bool,
    ) {
        self.findings.borrow_mut().push(Finding {
            severity: Severity::Error,
            place: span.map(|span| self.source.place(span.start)),
            key: key.to_owned(),
            message,
            hint,
            excerpt: span.map(|span| Excerpt::at(&self.source, span, is_secret)),
        });
    }

    fn wrong(&self, key: &str, node: &Node, wrong: Wrong) {
        let found = wrong.found.unwrap_or_else(|| node.describe());
        let message = format!("`{key}` is {found}; allowed: {}", wrong.allowed);
        self.note(
            key,
            node.span.as_ref(),
            message,
            wrong.hint,
            wrong.is_secret,
        );
    }

    /// What was noted, and the places of all keys that were read.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Places) {
        (self.findings.into_inner(), self.places.into_inner())
    }
}

/// A value on its way to a parser.
pub(super) struct Field<'r> {
    pub(super) node: &'r Node,
    /// Its whole name.
    pub(super) key: String,
    reader: &'r Reader<'r>,
}

impl<'r> Field<'r> {
    /// The path as named, from the file's folder on when it is relative.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.reader.folder.join(path)
    }

    /// The text of the value, when it is one.
    pub(super) fn as_text(&self) -> Option<&'r str> {
        match &self.node.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads the value as a table of keys.
    pub(super) fn table<T>(&self, read: impl FnOnce(&mut Section<'r>) -> T) -> Result<T, Wrong> {
        let Kind::Table(entries) = &self.node.kind else {
            return Err(Wrong::allowed("a table { … }"));
        };
        let mut section = Section {
            reader: self.reader,
            path: self.key.clone(),
            entries,
            span: self.node.span.clone(),
            known: Vec::new(),
        };
        let value = read(&mut section);
        section.finish();
        Ok(value)
    }

    /// Reads the value as a list; a wrong item is reported at its own place and left out.
    pub(super) fn list<T>(
        &self,
        parse: impl Fn(&Field<'r>) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let Kind::List(nodes) = &self.node.kind else {
            return Err(Wrong::allowed("a list [ … ]"));
        };
        let items = nodes.iter().enumerate();
        Ok(items
            .filter_map(|(index, node)| {
                let key = format!("{}[{index}]", self.key);
                Field {
                    node,
                    key,
                    reader: self.reader,
                }
                .parse(&parse)
            })
            .collect())
    }

    /// Runs a parser, notes the place, reports what is wrong.
    fn parse<T>(&self, parse: impl FnOnce(&Field<'r>) -> Result<T, Wrong>) -> Option<T> {
        if let Some(span) = &self.node.span {
            let place = self.reader.source.place(span.start);
            self.reader
                .places
                .borrow_mut()
                .insert(self.key.clone(), place);
        }
        parse(self)
            .map_err(|wrong| self.reader.wrong(&self.key, self.node, wrong))
            .ok()
    }
}

/// A table whose keys are asked for one by one.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    path: String,
    entries: &'r [Entry],
    span: Option<Range<usize>>,
    known: Vec<&'static str>,
}

impl<'r> Section<'r> {
    /// Reads a whole document.
    pub(super) fn root<T>(
        reader: &'r Reader<'r>,
        root: &'r Node,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        Field {
            node: root,
            key: String::new(),
            reader,
        }
        .table(read)
        .ok()
    }

    /// The key's value; none when it is absent or wrong (then a finding says so).
    pub(super) fn opt<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Field<'r>) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        self.field(entry).parse(parse)
    }

    /// The key's value, or the default.
    pub(super) fn key<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Field<'r>) -> Result<T, Wrong>,
        default: T,
    ) -> T {
        self.opt(name, parse).unwrap_or(default)
    }

    /// The key's value; its absence is a finding, and `instead` goes on in its place.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Field<'r>) -> Result<T, Wrong>,
        example: &str,
        instead: T,
    ) -> T {
        if !self.reader.is_partial && !self.entries.iter().any(|entry| entry.name == name) {
            let key = join(&self.path, name);
            let message = format!("`{key}` is missing; it has no default");
            self.reader.report(
                &key,
                self.span.as_ref(),
                message,
                Some(format!("{name} = {example}")),
            );
        }
        self.key(name, parse, instead)
    }

    /// A section that is read with its defaults when it is absent.
    pub(super) fn section<T>(&mut self, name: &'static str, read: impl Fn(&mut Self) -> T) -> T {
        if let Some(value) = self.opt(name, |field| field.table(&read)) {
            return value;
        }
        read(&mut Section {
            reader: self.reader,
            path: join(&self.path, name),
            entries: &[],
            span: None,
            known: Vec::new(),
        })
    }

    /// A section of sections under free names, such as `[plugin.NAME]`.
    pub(super) fn named<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str, &Field<'r>) -> Result<T, Wrong>,
    ) -> BTreeMap<String, T> {
        let read_all = |field: &Field<'r>| field.table(|section| section.all(&read));
        self.opt(name, read_all).unwrap_or_default()
    }

    /// Every key of the table, whatever its name, by one parser.
    pub(super) fn all<T>(
        &mut self,
        read: &impl Fn(&str, &Field<'r>) -> Result<T, Wrong>,
    ) -> BTreeMap<String, T> {
        let entries = std::mem::take(&mut self.entries);
        let values = entries.iter().filter_map(|entry| {
            let value = self.field(entry).parse(|field| read(&entry.name, field))?;
            Some((entry.name.clone(), value))
        });
        values.collect()
    }

    fn field(&self, entry: &'r Entry) -> Field<'r> {
        Field {
            node: &entry.node,
            key: join(&self.path, &entry.name),
            reader: self.reader,
        }
    }

    /// Reports every key that nobody asked for.
    fn finish(self) {
        for entry in self.entries {
            if self.known.contains(&entry.name.as_str()) {
                continue;
            }
            let key = join(&self.path, &entry.name);
            let what = if self.path.is_empty() {
                "section"
            } else {
                "key"
            };
            let message = format!(
                "`{key}` is no {what}; allowed here: {}",
                self.known.join(", ")
            );
            let near = nearest(&entry.name, self.known.iter().copied());
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            self.reader
                .report(&key, entry.name_span.as_ref(), message, hint);
        }
    }
}

/// The whole name of a key below a path; a name that TOML would quote is quoted.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let name = if is_bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}
