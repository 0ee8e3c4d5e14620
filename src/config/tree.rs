//! A config file as a plain tree with places: TOML's many spellings of a table become one.
//!
//! In: text. Out: a [`Node`], and every syntax error.
//! Never: a meaning of any key.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, TomlError, Value};

use super::source::Source;

/// After this many syntax errors the file is something else than a config.
const MAX_SYNTAX_ERRORS: usize = 20;

/// A value and the bytes it stands at.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Option<Range<usize>>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) name_span: Option<Range<usize>>,
    pub(super) node: Node,
}

impl Node {
    /// The value in the words of a message.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Text(text) if text.chars().count() > 60 => {
                format!("{:?}…", text.chars().take(60).collect::<String>())
            }
            Kind::Text(text) => format!("\"{text}\""),
            Kind::Integer(number) => number.to_string(),
            Kind::Float(number) => number.to_string(),
            Kind::Boolean(value) => value.to_string(),
            Kind::Time(time) => format!("the time {time}"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
        }
    }

    /// The value as JSON; a time becomes its text.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Text(text) | Kind::Time(text) => text.as_str().into(),
            Kind::Integer(number) => (*number).into(),
            Kind::Float(number) => (*number).into(),
            Kind::Boolean(value) => (*value).into(),
            Kind::List(nodes) => nodes.iter().map(Self::to_json).collect(),
            Kind::Table(entries) => {
                let members = entries.iter().map(|e| (e.name.clone(), e.node.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}

/// The tree of a text, as much of it as can be read, and its syntax errors in order.
///
/// Behind a syntax error the line is left out and the rest read on, so that one run shows all.
pub(super) fn read_tree(source: &Source<'_>) -> (Option<Node>, Vec<TomlError>) {
    let mut text = source.text.to_owned();
    let mut errors: Vec<TomlError> = Vec::new();
    loop {
        let error = match Document::parse(text.as_str()) {
            Ok(document) => {
                let root = table(document.as_table(), None);
                return (may_go_on(source, &errors).then_some(root), errors);
            }
            Err(error) => error,
        };
        let at = error.span().map_or(text.len(), |span| span.start);
        let line = source.line_span(at.min(source.text.len()));
        let is_known = text[line.clone()].trim().is_empty() || follows(source, &errors, at);
        if is_known || errors.len() == MAX_SYNTAX_ERRORS {
            return (
                None,
                if errors.is_empty() {
                    vec![error]
                } else {
                    errors
                },
            );
        }
        errors.push(error);
        text.replace_range(line.clone(), &" ".repeat(line.len()));
    }
}

/// True for an error right below the last one: most likely the same mistake, seen again.
fn follows(source: &Source<'_>, errors: &[TomlError], at: usize) -> bool {
    let last = errors.last().and_then(TomlError::span);
    last.is_some_and(|last| source.place(at).line <= source.place(last.start).line + 1)
}

/// The rest means something only while no header of a section was left out.
fn may_go_on(source: &Source<'_>, errors: &[TomlError]) -> bool {
    let spans = errors.iter().filter_map(TomlError::span);
    spans
        .into_iter()
        .all(|span| !source.line(span.start).trim_start().starts_with('['))
}

fn table(table: &dyn TableLike, span: Option<Range<usize>>) -> Node {
    let entries = table.iter().map(|(name, item)| Entry {
        name: name.to_owned(),
        name_span: table.get_key_value(name).and_then(|(key, _)| key.span()),
        node: item_node(item),
    });
    Node {
        kind: Kind::Table(entries.collect()),
        span,
    }
}

fn item_node(item: &Item) -> Node {
    match item {
        Item::None => Node {
            kind: Kind::Table(Vec::new()),
            span: None,
        },
        Item::Value(value) => value_node(value),
        Item::Table(inner) => table(inner, inner.span()),
        Item::ArrayOfTables(tables) => {
            let nodes = tables.iter().map(|inner| table(inner, inner.span()));
            Node {
                kind: Kind::List(nodes.collect()),
                span: tables.span(),
            }
        }
    }
}

fn value_node(value: &Value) -> Node {
    let kind = match value {
        Value::String(text) => Kind::Text(text.value().clone()),
        Value::Integer(number) => Kind::Integer(*number.value()),
        Value::Float(number) => Kind::Float(*number.value()),
        Value::Boolean(value) => Kind::Boolean(*value.value()),
        Value::Datetime(time) => Kind::Time(time.value().to_string()),
        Value::Array(array) => Kind::List(array.iter().map(value_node).collect()),
        Value::InlineTable(inner) => return table(inner, inner.span()),
    };
    Node {
        kind,
        span: value.span(),
    }
}
