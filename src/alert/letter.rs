//! Mails as text: a subject that is enough to decide to get up, at most 40 lines of 78 columns. Pure.
//!
//! In: causes. Out: [`Letter`]s. Never: HTML, a secret, a line break in a header.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest as _, Sha256};

use super::cause::{Alert, Cause};
use crate::{
    clock::Unix,
    telemetry::clean,
    text::{shorten, without_controls, wrap},
    way::Way,
};

const COLUMNS: usize = 78;
const MAX_LINES: usize = 40;
/// A traceback keeps its first line and its last ones: these say what and where.
const MAX_EXCERPT: usize = 14;
const MAX_SUBJECT: usize = 180;

/// What all mails of this daemon have in common.
#[derive(Debug, Clone)]
pub struct Context {
    /// This machine.
    pub host: String,
    /// The site's short name, such as `mill`.
    pub site: String,
    /// The dashboard, without a slash at its end.
    pub url: Option<String>,
    /// For times in texts.
    pub zone: TimeZone,
    /// How commands reach this daemon.
    pub way: Way,
}

/// One mail to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The recipient.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The id of this mail, without its brackets.
    pub message_id: String,
    /// The first mail about the same cause.
    pub about: Option<String>,
    /// When it was written.
    pub time: Unix,
}

impl Letter {
    /// Says that the day's limit is reached with this mail.
    pub(super) fn say_last(&mut self, max: usize) {
        self.body.push_str(&format!(
            "\nThis is number {max} of at most {max} mails a day; no more until tomorrow.\n`sgeventd status` shows the rest.\n"
        ));
    }
}

/// The first mail about a cause.
pub(super) fn first(context: &Context, cause: &Cause, digest: Duration, now: Unix) -> Letter {
    let alert = &cause.alert;
    let mut page = Page::default();
    page.paragraph(&opening(context, cause, now));
    page.facts(&alert.facts);
    if let Some(excerpt) = &alert.excerpt {
        page.excerpt(excerpt);
    }
    page.paragraph(&alert.by_itself);
    page.commands(context, alert);
    let every = words(digest);
    page.paragraph(&if cause.lasts {
        format!("You get this once, then one summary every {every} while it lasts, and one mail when it is over.")
    } else {
        format!("If it happens again you get one summary every {every}.")
    });
    letter(
        context,
        &alert.sentence,
        page,
        root_id(context, cause),
        None,
        now,
    )
}

/// The one mail that a cause is over.
pub(super) fn recovered(context: &Context, cause: &Cause, lasted: Duration, now: Unix) -> Letter {
    let mut page = Page::default();
    page.paragraph(&format!(
        "It is over since {} on {}, after {}. It was: {}.",
        clock(context, now),
        context.host,
        words(lasted),
        cause.alert.sentence
    ));
    page.commands(context, &cause.alert);
    let root = root_id(context, cause);
    let id = format!("over.{root}");
    letter(
        context,
        &format!("RECOVERED: {}", cause.alert.sentence),
        page,
        id,
        Some(root),
        now,
    )
}

/// One mail about many causes that began together.
pub(super) fn several(context: &Context, causes: &[&Cause], now: Unix) -> Letter {
    list(
        context,
        causes,
        now,
        &format!("{} problems at once", causes.len()),
        "began",
    )
}

/// What lasts and what came again, in one mail.
pub(super) fn digest(context: &Context, causes: &[&Cause], now: Unix) -> Letter {
    if let [cause] = causes {
        return again(context, cause, now);
    }
    let lasting = causes.iter().filter(|cause| cause.lasts).count();
    let repeated = match causes.len() - lasting {
        0 => String::new(),
        1 => "1 error came again".to_owned(),
        several => format!("{several} errors came again"),
    };
    let title = match (lasting, repeated.is_empty()) {
        (0, _) => repeated,
        (1, false) => format!("1 problem lasts, {repeated}"),
        (lasting, false) => format!("{lasting} problems last, {repeated}"),
        (lasting, true) => format!("{lasting} problems last"),
    };
    list(context, causes, now, &title, "summary")
}

/// A digest of one cause: in the thread of its first mail.
fn again(context: &Context, cause: &Cause, now: Unix) -> Letter {
    let mut page = Page::default();
    page.paragraph(&opening(context, cause, now));
    page.facts(&cause.alert.facts);
    page.paragraph(&cause.alert.by_itself);
    page.commands(context, &cause.alert);
    let root = root_id(context, cause);
    let id = format!("{}.{root}", now.0);
    let title = if cause.lasts {
        format!("STILL: {}", cause.alert.sentence)
    } else {
        format!("AGAIN ({} times): {}", cause.news, cause.alert.sentence)
    };
    letter(context, &title, page, id, Some(root), now)
}

fn list(context: &Context, causes: &[&Cause], now: Unix, title: &str, id: &str) -> Letter {
    let mut page = Page::default();
    page.paragraph(&format!(
        "{title}, on {} at {}.",
        context.host,
        clock(context, now)
    ));
    let mut shown: Vec<&&Cause> = causes.iter().collect();
    shown.sort_by_key(|cause| (std::cmp::Reverse(cause.alert.grade), cause.since));
    for cause in shown.iter().take(12) {
        let times = if cause.count > 1 {
            format!(" ({} times)", cause.count)
        } else {
            String::new()
        };
        page.line(&shorten(
            &format!(
                "{}  {}{times}",
                clock(context, cause.since),
                cause.alert.sentence
            ),
            COLUMNS,
        ));
        page.line(&format!(
            "         {}",
            shorten(&cause.alert.remedy, COLUMNS - 9)
        ));
    }
    if shown.len() > 12 {
        page.line(&format!("… and {} more", shown.len() - 12));
    }
    page.gap();
    let overview = Alert::new(
        causes[0].alert.key.clone(),
        "list",
        causes[0].alert.grade,
        title,
    );
    page.commands(context, &overview);
    let id = format!(
        "{id}.{}@{}",
        short_hash(&format!("{}{title}", now.0)),
        context.host
    );
    letter(context, title, page, id, None, now)
}

fn opening(context: &Context, cause: &Cause, now: Unix) -> String {
    let alert = &cause.alert;
    let mut text = format!("{}.", alert.sentence);
    let since = clock(context, cause.since);
    let ago = now - cause.since;
    let when = if ago < Duration::from_secs(60) {
        since
    } else {
        format!("{since} ({} ago)", words(ago))
    };
    text.push_str(&format!(
        " It {} at {when} on {}.",
        if cause.lasts { "began" } else { "happened" },
        context.host
    ));
    if cause.count > 1 {
        text.push_str(&format!(
            " It was seen {} times, last at {}.",
            cause.count,
            clock(context, cause.last)
        ));
    }
    match alert.waits {
        Some(1) => text.push_str(" 1 event waits for it and is not lost."),
        Some(waits) if waits > 1 => {
            text.push_str(&format!(" {waits} events wait for it and none is lost."));
        }
        _ => {}
    }
    text
}

fn letter(
    context: &Context,
    title: &str,
    page: Page,
    message_id: String,
    about: Option<String>,
    time: Unix,
) -> Letter {
    let subject = format!("[sgeventd {}] {title}", context.site);
    let subject: String = clean(&subject)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let body = page.finish();
    Letter {
        to: String::new(),
        subject: shorten(&subject, MAX_SUBJECT),
        body: clean(&body).into_owned(),
        message_id,
        about,
        time,
    }
}

/// The same for every mail about one life of a cause.
fn root_id(context: &Context, cause: &Cause) -> String {
    format!(
        "{}@{}",
        short_hash(&format!("{}/{}", cause.alert.key, cause.since.0)),
        context.host
    )
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(10)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn clock(context: &Context, at: Unix) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.to_zoned(context.zone.clone())
        .strftime("%H:%M:%S")
        .to_string()
}

/// A duration as people say it.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (value, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    if seconds == 3_600 {
        return "hour".to_owned();
    }
    format!("{value} {unit}{}", if value == 1 { "" } else { "s" })
}

/// A body as it grows.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.lines.push(line.trim_end().to_owned());
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn paragraph(&mut self, text: &str) {
        if !text.is_empty() {
            self.lines.extend(wrap(text, COLUMNS));
            self.gap();
        }
    }

    fn facts(&mut self, facts: &[(&str, String)]) {
        for (label, text) in facts {
            let wrapped = wrap(text, COLUMNS - 9);
            for (index, row) in wrapped.iter().take(3).enumerate() {
                let label = if index == 0 { label } else { "" };
                self.line(&format!("{label:<9}{row}"));
            }
        }
        self.gap();
    }

    /// Indented, and cut in its middle when it is long.
    fn excerpt(&mut self, text: &str) {
        let rows: Vec<&str> = text.trim_end().lines().collect();
        let cut = rows.len().saturating_sub(MAX_EXCERPT);
        for (index, row) in rows.iter().enumerate() {
            match index {
                1 if cut > 0 => self.line(&format!("    … {cut} lines …")),
                index if index >= 1 && index < 1 + cut => {}
                _ => self.line(&format!(
                    "  {}",
                    shorten(&without_controls(row), COLUMNS - 2)
                )),
            }
        }
        self.gap();
    }

    fn commands(&mut self, context: &Context, alert: &Alert) {
        let host = &context.host;
        if alert.remedy.starts_with("edit ") {
            self.line(&format!("  on {host}: {}", alert.remedy));
        } else if !alert.remedy.is_empty() {
            self.line(&format!("  ssh {host} {}", alert.remedy));
        }
        if let Some(url) = &context.url {
            let path = alert
                .plugin
                .as_ref()
                .map(|plugin| format!("/p/{plugin}"))
                .unwrap_or_default();
            self.line(&format!("  {url}{path}"));
        }
        self.gap();
    }

    fn finish(mut self) -> String {
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        if self.lines.len() > MAX_LINES - 3 {
            // Three lines are left for the notice of the last mail of a day.
            self.lines.truncate(MAX_LINES - 4);
            self.lines.push("…".to_owned());
        }
        self.lines.join("\n") + "\n"
    }
}
