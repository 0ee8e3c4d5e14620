//! journald's native protocol: one datagram a record, so that `journalctl PLUGIN=render_submit` works.
//!
//! Never: a wait of more than a second for a journald that hangs; a record that is too long is sent cut.

use std::{io, os::unix::net::UnixDatagram, path::Path, time::Duration};

use tracing::Level;

use super::{collect::Record, redact::clean};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// A datagram may be longer, but the kernel's default buffer is about this.
const MAX_TEXT: usize = 48 << 10;

/// An open socket.
#[derive(Debug)]
pub(super) struct Journald(UnixDatagram);

impl Journald {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self(socket))
    }

    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        self.0.send(&datagram(record)).map(drop)
    }
}

/// The record in journald's words.
pub(super) fn datagram(record: &Record) -> Vec<u8> {
    let priority = match record.level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    };
    let mut out = Vec::new();
    put(&mut out, "MESSAGE", &message(record));
    put(&mut out, "PRIORITY", priority);
    put(
        &mut out,
        "SYSLOG_IDENTIFIER",
        record.text("plugin").unwrap_or("sgeventd"),
    );
    put(&mut out, "TARGET", record.target);
    for (name, value) in &record.fields {
        put(&mut out, &field_name(name), &value.to_string());
    }
    out
}

/// What `journalctl` shows without options: the message, and the one field without which it says little.
fn message(record: &Record) -> String {
    match record.text("error") {
        Some(error) => format!("{}: {error}", record.message),
        None => record.message.clone(),
    }
}

/// Upper case, digits and underscores, at most 64, not beginning with an underscore or a digit.
fn field_name(name: &str) -> String {
    let upper: String = name
        .chars()
        .take(60)
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    match upper.as_str() {
        "MESSAGE" | "PRIORITY" | "SYSLOG_IDENTIFIER" | "TARGET" => format!("F_{upper}"),
        _ if upper.starts_with(|c: char| c == '_' || c.is_ascii_digit()) => format!("F{upper}"),
        _ => upper,
    }
}

fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = clean(value);
    let end = (0..=MAX_TEXT.min(value.len()))
        .rev()
        .find(|&at| value.is_char_boundary(at))
        .unwrap_or(0);
    let value = &value[..end];
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}
