//! From a tracing event to a [`Record`]: its own fields over those of the spans around it.
//!
//! Never: a value of a field with a secret's name, a value without bound, a format.

use std::{fmt, sync::Arc};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record as SpanRecord},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{queue::Queue, redact::is_secret_name};
use crate::{
    clock::{Clock, Unix},
    secret::MASK,
};

/// 32 KiB: a long traceback with locals; what is beyond is cut.
const MAX_TEXT: usize = 32 << 10;

/// A value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Natural(u64),
    Number(f64),
    Boolean(bool),
}

/// One line of the log, before it has a shape.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) time: Unix,
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) message: String,
    /// The fields of the spans from the outermost in, then the event's own; a later name replaces an earlier one.
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// The field as text, when it is there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.fields.iter().find(|(known, _)| *known == name) {
            Some((_, Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// What it holds in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.fields.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len() + 48,
            _ => 48,
        });
        128 + self.message.len() + texts.sum::<usize>()
    }
}

/// The layer that turns tracing's events into records on the queue.
pub(super) struct Collector {
    pub(super) queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    all: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let value = if is_secret_name(name) {
            Value::Text(MASK.to_owned())
        } else {
            value
        };
        if name == "message" {
            self.message = match value {
                Value::Text(text) => text,
                other => other.to_string(),
            };
            return;
        }
        match self.all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.all.push((name, value)),
        }
    }

    fn extend(&mut self, other: &Self) {
        for (name, value) in &other.all {
            self.all.retain(|(known, _)| known != name);
            self.all.push((name, value.clone()));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(cut(format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(cut(value.to_owned())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Natural(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Number(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Boolean(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, Value::Text(cut(value.to_string())));
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Natural(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
        }
    }
}

/// Cuts a text at the bound, and says so.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        let lost = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({lost} bytes more)"));
    }
    text
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &SpanRecord<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        fields.extend(&own);
        let meta: &'static Metadata<'static> = event.metadata();
        self.queue.push_log(Record {
            time: Clock::unix(),
            level: *meta.level(),
            target: meta.target(),
            message: own.message,
            fields: fields.all,
        });
    }
}
