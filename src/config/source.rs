//! The text of a config file: places in it, and lines as they may be shown.
//!
//! Never: a line shown with a key, password or token in it.

use std::{collections::BTreeMap, fmt, ops::Range, path::Path, sync::Arc};

/// Where something stands in a file. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Where each key that was given stands, by its whole name, such as `poll.interval`.
pub type Places = BTreeMap<String, Place>;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One file's text and name.
pub(super) struct Source<'a> {
    pub(super) file: Arc<Path>,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The place of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.before(offset);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            file: Arc::clone(&self.file),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }

    /// The line that holds the offset, without its newline.
    pub(super) fn line(&self, offset: usize) -> &str {
        &self.text[self.line_span(offset)]
    }

    /// The bytes of the line that holds the offset, without its newline.
    pub(super) fn line_span(&self, offset: usize) -> Range<usize> {
        let offset = self.before(offset).len();
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[offset..]
            .find('\n')
            .map_or(self.text.len(), |at| offset + at);
        start..end
    }

    /// The text before an offset that may lie past the end or inside a character.
    fn before(&self, offset: usize) -> &str {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

/// The line with every value that belongs to a secret's name starred out, the same number of characters long.
pub(super) fn without_secrets(line: &str) -> String {
    let mut shown: Vec<char> = line.chars().collect();
    let all = shown.clone();
    for at in (0..all.len()).filter(|&at| all[at] == '=') {
        if is_secret_name(&word_before(&all, at)) {
            star_value(&mut shown, at + 1);
        }
    }
    star_userinfo(&mut shown);
    shown.into_iter().collect()
}

/// True for names that hold secrets: `key`, `password`, `SGDAEMON_X_KEY` …
fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["key", "password", "passwd", "token", "secret"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn word_before(line: &[char], at: usize) -> String {
    let word: Vec<char> = line[..at]
        .iter()
        .rev()
        .skip_while(|c| c.is_whitespace() || matches!(c, '"' | '\''))
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        .copied()
        .collect();
    word.into_iter().rev().collect()
}

/// Stars the literal that begins after `from`; a table is left, its own keys are looked at by themselves.
fn star_value(line: &mut [char], from: usize) {
    let Some(start) = (from..line.len()).find(|&at| !line[at].is_whitespace()) else {
        return;
    };
    let (start, quote) = match line[start] {
        '{' | '[' => return,
        quote @ ('"' | '\'') => (start + 1, Some(quote)),
        _ => (start, None),
    };
    for c in &mut line[start..] {
        let ends = quote.map_or(matches!(*c, ',' | '}' | '#' | ' '), |quote| *c == quote);
        if ends {
            return;
        }
        *c = '*';
    }
}

/// Stars the password of `scheme://user:password@host`.
fn star_userinfo(line: &mut [char]) {
    let text: String = line.iter().collect();
    let Some(scheme) = text.find("://") else {
        return;
    };
    let start = text[..scheme].chars().count() + 3;
    let end = (start..line.len())
        .find(|&at| matches!(line[at], '/' | '"' | '\'' | ' '))
        .unwrap_or(line.len());
    let Some(at) = (start..end).rev().find(|&at| line[at] == '@') else {
        return;
    };
    if let Some(colon) = (start..at).find(|&i| line[i] == ':') {
        line[colon + 1..at].fill('*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_out_of_lines() {
        for (line, shown) in [
            (r#"key = "abc" # c"#, r#"key = "***" # c"#),
            (r#"key = "abc"#, r#"key = "***"#),
            (r#"key = abc"#, r#"key = ***"#),
            (r#"n = { token = 'x y' }"#, r#"n = { token = '***' }"#),
            (
                r#"env = { A_KEY = "k", B = "v" }"#,
                r#"env = { A_KEY = "*", B = "v" }"#,
            ),
            (r#"key = { file = "/k" }"#, r#"key = { file = "/k" }"#),
            (
                r#"proxy = "http://u:pw@p:1""#,
                r#"proxy = "http://u:**@p:1""#,
            ),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }

    #[test]
    fn places_count_from_one_and_survive_odd_offsets() {
        let source = Source {
            file: Path::new("f").into(),
            text: "a\nbé\n",
        };
        assert_eq!(source.place(2).to_string(), "f:2:1");
        assert_eq!(source.place(4).to_string(), "f:2:2");
        assert_eq!(source.place(99).to_string(), "f:3:1");
        assert_eq!(source.line(3), "bé");
    }
}
