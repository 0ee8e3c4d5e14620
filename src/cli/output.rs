//! Printing: data to stdout, talk to stderr; a closed pipe is quiet, colours only where a person looks.

use std::io::Write as _;

use super::{Exit, exit::Failure};

/// Prints a line of data; false when nobody reads any more.
pub(super) fn data(line: &str) -> bool {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Data as one line of JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Exit::Io, &error))
}

/// A number with its noun, which takes an `s`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Prints a line of talk.
pub(super) fn talk(line: &str) {
    // Nobody is left to be told that stderr is closed.
    let _closed = writeln!(anstream::stderr().lock(), "{line}");
}

/// Colours by meaning; never the only carrier of it.
pub(super) mod paint {
    use anstyle::{AnsiColor, Style};

    /// Good.
    pub(crate) const OK: Style = AnsiColor::Green.on_default();
    /// Needs a look.
    pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
    /// Needs a person.
    pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

    /// The text in a style.
    #[must_use]
    pub(crate) fn text(style: Style, text: &str) -> String {
        format!("{style}{text}{style:#}")
    }
}
