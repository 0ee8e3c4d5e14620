//! What a check shows: a line a scenario, and below it what was found, wrapped for 80 columns. Pure.

use std::collections::BTreeSet;

use crate::{
    check::{FindingReport, Outcome, Report, SCENARIOS, ScenarioReport},
    cli::output::paint,
};

/// A terminal's width.
const WIDTH: usize = 80;
/// Names of scenarios and rules stand in a column of this width.
const NAME: usize = 15;
/// Where the text of a finding begins.
const INDENT: usize = 17;

/// The scenarios.
pub(super) fn list() -> Vec<String> {
    let line = |name: &str, title: &str| format!("{name:<NAME$} {title}");
    let all = SCENARIOS.iter();
    all.map(|one| line(one.name, one.title)).collect()
}

/// The whole report.
pub(super) fn report(report: &Report) -> Vec<String> {
    let version = report.version.as_deref().unwrap_or_default();
    let head = format!("{} {version}", report.plugin);
    let mut lines = vec![format!("{}  {}", head.trim_end(), report.file)];
    if !report.events.is_empty() {
        lines.extend(wrapped("events:", 8, &report.events.join(", ")));
    }
    for unmade in &report.unmade {
        let text = format!("{}: {}", unmade.subscription, unmade.why);
        let found = wrapped("none:", 8, &text);
        lines.extend(
            found
                .into_iter()
                .map(|line| paint::text(paint::WARN, &line)),
        );
    }
    lines.push(String::new());
    let mut told = BTreeSet::new();
    for one in &report.scenarios {
        scenario(&mut lines, one, &mut told);
    }
    if lines.last().is_some_and(|last| !last.is_empty()) {
        lines.push(String::new());
    }
    lines.push(verdict(report));
    lines
}

fn verdict(report: &Report) -> String {
    let seconds = report.elapsed_ms as f64 / 1000.0;
    let counts = format!(
        "{} passed, {} failed, {} not applicable, in {seconds:.1} s",
        report.passed, report.failed, report.not_applicable
    );
    if report.ok {
        format!("{}: {counts}", paint::text(paint::OK, "good"))
    } else {
        format!("{}: {counts}", paint::text(paint::BAD, "bad"))
    }
}

fn scenario<'a>(
    lines: &mut Vec<String>,
    one: &'a ScenarioReport,
    told: &mut BTreeSet<(&'a str, &'a str)>,
) {
    let (style, word) = match one.outcome {
        Outcome::Passed => (paint::OK, "ok"),
        Outcome::Failed => (paint::BAD, "FAIL"),
        Outcome::NotApplicable => (paint::WARN, "-"),
    };
    // Padded first: colours have no width.
    let word = paint::text(style, &format!("{word:<4}"));
    let (name, title) = (one.name, one.title);
    match &one.why {
        Some(why) => {
            let rest = wrapped("", INDENT + 4, &format!("not applicable: {why}"));
            let rest = rest.join("\n");
            lines.push(format!("{word} {name:<NAME$} {}", rest.trim_start()));
        }
        None => lines.push(format!("{word} {name:<NAME$} {title}")),
    }
    for found in &one.findings {
        let is_told = !told.insert((found.rule, &found.what));
        finding(lines, found, is_told);
    }
}

/// `is_told`: the same was found by a scenario before.
fn finding(lines: &mut Vec<String>, found: &FindingReport, is_told: bool) {
    let mut say = |label: &str, text: &str| lines.extend(wrapped(label, INDENT, text));
    let label = format!("     {}", found.weight);
    say(&label, &format!("{}: {}", found.rule, found.what));
    if is_told {
        return lines.push("       as above".to_owned());
    }
    for (label, text) in [("sent", &found.sent), ("came", &found.came)] {
        if let Some(text) = text {
            say(&format!("       {label}"), text);
        }
    }
    for (line, label) in found
        .log
        .iter()
        .zip(["log"].into_iter().chain(std::iter::repeat("")))
    {
        say(&format!("       {label}"), line);
    }
    if !found.seen.is_empty() {
        say("       seen in", &found.seen.join(", "));
    }
    if found.weight == "fault" {
        say("       expected", found.expected);
        say("       to mend", found.mend);
    }
    say("       see", &format!("PROTOCOL.md {}", found.section));
    lines.push(String::new());
}

/// A label and a text beside it, broken between words, and within a word that is longer than a line.
fn wrapped(label: &str, indent: usize, text: &str) -> Vec<String> {
    let room = WIDTH - indent;
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let last = rows.last_mut().expect("there is one from the start");
            let used = last.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= room {
                if gap == 1 {
                    last.push(' ');
                }
                last.extend(word);
                break;
            }
            if word.len() <= room {
                rows.push(String::new());
                continue;
            }
            // Too long for any line: it begins here, so that little room is lost.
            let fits = room.saturating_sub(used + gap);
            if fits == 0 {
                rows.push(String::new());
                continue;
            }
            if gap == 1 {
                last.push(' ');
            }
            last.extend(word.drain(..fits));
            rows.push(String::new());
        }
    }
    let mut labels = std::iter::once(label).chain(std::iter::repeat(""));
    let line = |row: String| {
        let label = labels.next().unwrap_or_default();
        let line = format!("{label:<indent$}{row}");
        line.trim_end().to_owned()
    };
    rows.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_terminal_and_no_text_is_lost() {
        let long = format!("{} and {}", "word ".repeat(30).trim_end(), "x".repeat(300));
        let lines = wrapped("     fault", INDENT, &long);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        let text: String = lines
            .iter()
            .flat_map(|line| line.chars().skip(INDENT))
            .collect();
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(squeezed(&text), squeezed(&long));
        assert!(lines[0].starts_with("     fault       word word"));
    }

    #[test]
    fn the_list_fits_a_terminal() {
        for line in list() {
            // In a report a word stands before it.
            assert!(line.chars().count() <= WIDTH - 5, "{line}");
        }
    }
}
