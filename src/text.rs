//! Text for people: wrapped, shortened, without what a terminal would obey; and what a wrong name was meant to be. Pure.
//!
//! Never: a secret taken out (`telemetry::clean`), a colour.

/// Of the names that there are, so many are told.
const TOLD_MAX: usize = 8;

/// Words in lines of at most so many columns; a longer word stands alone, for it may be a path to be copied.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in without_controls(text).split_whitespace() {
        let line = lines.last_mut().expect("there is always a last line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= columns {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The text in at most so many characters, with an ellipsis when it was longer.
#[must_use]
pub fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars()
        .take(max.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// The text with a blank for each control character.
#[must_use]
pub fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The known name that a wrong one was most likely meant to be.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Two slips in a short name, one in three letters of a longer one, is as far as a typo goes.
    let reach = 2.max(name.chars().count() / 3);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|&(distance, known)| distance <= reach && distance < known.chars().count())
        .min()
        .map(|(_, known)| known)
}

/// What there is in place of a name that is not there: the one that was meant, else some of all.
#[must_use]
pub fn instead(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("did you mean {near}?");
    }
    let told = known[..known.len().min(TOLD_MAX)].join(", ");
    match known.len().saturating_sub(TOLD_MAX) {
        0 if known.is_empty() => "there is none at all".to_owned(),
        0 => format!("there are: {told}"),
        more => format!("there are: {told} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_name() {
        let known = ["render_submit", "stops", "a"];
        for (name, expected) in [
            ("stpos", "did you mean stops?"),
            ("rendersubmit", "did you mean render_submit?"),
            ("nosuch", "there are: render_submit, stops, a"),
            ("b", "there are: render_submit, stops, a"),
        ] {
            assert_eq!(instead(name, &known), expected, "{name}");
        }
        assert_eq!(instead("x", &[]), "there is none at all");
        let many: Vec<String> = (10..30).map(|n| format!("plugin_{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = instead("nosuch", &many);
        assert!(said.ends_with("plugin_17 and 12 more"), "{said}");
    }

    #[test]
    fn words_stay_whole_and_nothing_steers_a_terminal() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("/a/long/path x", 4), ["/a/long/path", "x"]);
        assert_eq!(wrap("a\u{1b}[31m\nb", 80), ["a [31m b"]);
        assert_eq!(shorten("abcdef", 4), "abc…");
    }
}
