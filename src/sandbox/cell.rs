//! Cells: one value of a row, small, in the one form in which it is kept and compared.
//!
//! In: values that were checked. Out: their order, their JSON.
//! Never: the name of a link, which is looked up when it is read.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt::Write as _,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    name::{Name, known},
    value::seconds,
};

/// What a link points at.
#[derive(Debug, Clone, Copy, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    /// The entity type.
    pub(super) kind: Name,
    /// The id.
    pub(super) id: i64,
}

impl PartialEq for Link {
    /// Ids first: lists are long and of one type.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.kind == other.kind
    }
}

impl Hash for Link {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.kind.hash(state);
    }
}

impl Link {
    /// A link to an entity.
    pub(super) fn new(kind: Name, id: i64) -> Self {
        Self { kind, id }
    }

    /// Reads `{"type", "id"}` of a type that there is.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let kind = known(value["type"].as_str()?)?;
        Some(Self::new(kind, value["id"].as_i64()?))
    }

    /// Without a name.
    pub(super) fn bare(&self) -> Value {
        json!({"type": self.kind, "id": self.id})
    }
}

/// A value. Days are text, moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Cell<'a> {
    /// Nothing.
    #[default]
    Null,
    /// A checkbox.
    Bool(bool),
    /// A number, a percentage, a duration.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text, an element of a list, a day.
    Text(Cow<'a, str>),
    /// A point in time.
    Moment(i64),
    /// One link.
    Link(Link),
    /// Links.
    Links(Cow<'a, [Link]>),
    /// Whatever has no order: files, lists of tags.
    Json(Arc<Value>),
}

/// A value that is kept.
pub(super) type Kept = Cell<'static>;

/// What a row has where nothing was written.
pub(super) static NULL: Kept = Cell::Null;

impl<'a> Cell<'a> {
    /// Text.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Text, or nothing.
    pub(super) fn maybe(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// The same without a copy.
    pub(super) fn lent(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(yes) => Cell::Bool(*yes),
            Self::Int(number) => Cell::Int(*number),
            Self::Float(number) => Cell::Float(*number),
            Self::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Self::Moment(at) => Cell::Moment(*at),
            Self::Link(link) => Cell::Link(*link),
            Self::Links(links) => Cell::Links(Cow::Borrowed(links)),
            Self::Json(value) => Cell::Json(value.clone()),
        }
    }

    /// The same, to keep.
    pub(super) fn kept(self) -> Kept {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(yes) => Cell::Bool(yes),
            Self::Int(number) => Cell::Int(number),
            Self::Float(number) => Cell::Float(number),
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Moment(at) => Cell::Moment(at),
            Self::Link(link) => Cell::Link(link),
            Self::Links(links) => Cell::Links(Cow::Owned(links.into_owned())),
            Self::Json(value) => Cell::Json(value),
        }
    }

    /// True for nothing, and for a list without a link.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Links(links) => links.is_empty(),
            _ => false,
        }
    }

    /// The text in it.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number in it.
    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number in it.
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "numbers of fields have 32 bits")]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The link in it.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::Link(link) => Some(*link),
            _ => None,
        }
    }

    /// The links in it: one, some or none.
    pub(super) fn links(&self) -> &[Link] {
        match self {
            Self::Link(link) => std::slice::from_ref(link),
            Self::Links(links) => links,
            _ => &[],
        }
    }

    /// Numbers by size, text by letters, moments by time; nothing and mixtures have no order.
    pub(super) fn order(&self, other: &Cell<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Cell::Int(b)) | (Self::Moment(a), Cell::Moment(b)) => Some(a.cmp(b)),
            (Self::Int(_) | Self::Float(_), Cell::Int(_) | Cell::Float(_)) => {
                self.as_f64()?.partial_cmp(&other.as_f64()?)
            }
            (Self::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Cell::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// As JSON, links bare.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(yes) => (*yes).into(),
            Self::Int(number) => (*number).into(),
            Self::Float(number) => json!(number),
            Self::Text(text) => (**text).into(),
            Self::Moment(at) => seconds(*at).into(),
            Self::Link(link) => link.bare(),
            Self::Links(links) => links.iter().map(Link::bare).collect(),
            Self::Json(value) => (**value).clone(),
        }
    }

    /// Appends it as JSON; links as the caller writes them.
    pub(super) fn write(&self, out: &mut String, link: impl Fn(&Link, &mut String)) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Self::Int(number) => number_text(out, *number),
            Self::Float(_) => out.push_str(&self.json().to_string()),
            Self::Text(text) => quote(out, text),
            Self::Moment(at) => quote(out, &seconds(*at)),
            Self::Link(one) => link(one, out),
            Self::Links(links) => {
                out.push('[');
                for (index, one) in links.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    link(one, out);
                }
                out.push(']');
            }
            Self::Json(value) => out.push_str(&value.to_string()),
        }
    }
}

impl From<&Value> for Kept {
    /// Of what a schema or the program itself says: no check, no moments.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Cell::Null,
            Value::Bool(yes) => Cell::Bool(*yes),
            Value::Number(number) => number.as_i64().map_or_else(
                || Cell::Float(number.as_f64().unwrap_or_default()),
                Cell::Int,
            ),
            Value::String(text) => Cell::text(text.clone()),
            value => Cell::Json(Arc::new(value.clone())),
        }
    }
}

/// Appends a number.
pub(super) fn number_text(out: &mut String, number: i64) {
    let written = write!(out, "{number}");
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// Appends text as a string of JSON.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push_str(text);
    } else {
        let quoted = Value::from(text).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
    out.push('"');
}
