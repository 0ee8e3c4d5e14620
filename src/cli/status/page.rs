//! The page that `status` prints: problems first, each with since when, why, and what to type. Pure.
//!
//! In: what the daemon said. Out: lines of at most [`COLUMNS`]; only a command, a path or a name that is longer alone stands out.
//! Never: the same trouble twice (an alert that a plugin's row tells), what would steer a terminal.

use std::time::Duration;

use anstyle::Style;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    admin::{
        Status,
        status::{AlertReport, Overall},
    },
    cli::output::{counted, paint},
    clock::Unix,
    plugin::report::PluginReport,
    text::{shorten, without_controls, wrap},
    way::word,
};

/// A terminal that is not large.
const COLUMNS: usize = 100;
/// Where WHY begins.
const WHY: usize = 52;
/// So many lines of it are shown.
const WHY_LINES: usize = 4;
/// Files that are no plugins, alerts: so many unless all are asked for.
const FEW: usize = 5;
/// The remedy of who knows no better one, which is this page.
const THIS: &str = "sgeventd status";
/// Kinds of alerts that the row of their plugin tells.
const TOLD_BY_ROWS: [&str; 4] = ["disabled", "start", "unkillable", "missing"];

/// What is shown, and for whom.
pub(super) struct Shown<'a> {
    /// Everything, also what is well.
    pub(super) all: bool,
    pub(super) now: Unix,
    /// For times of day.
    pub(super) zone: TimeZone,
    /// A command, so that it reaches the daemon that was asked.
    pub(super) command: &'a dyn Fn(&str) -> String,
}

/// The page, line by line.
pub(super) fn page(status: &Status, shown: &Shown<'_>) -> Vec<String> {
    let mut page = Page {
        lines: Vec::new(),
        shown,
    };
    page.head(status);
    page.config(status);
    if shown.all {
        for (what, how) in &status.containment.held {
            page.line(format!("  holds     {what}: {how}"));
        }
        for lack in &status.containment.lacks {
            page.block("  lacks     ", lack);
        }
    }
    page.plugins(status);
    page.alerts(status);
    page.dead_letters(status);
    page.not_plugins(status);
    page.lines
}

struct Page<'a> {
    lines: Vec<String>,
    shown: &'a Shown<'a>,
}

impl Page<'_> {
    fn line(&mut self, line: String) {
        self.lines.push(line.trim_end().to_owned());
    }

    /// A text behind a label, wrapped beneath itself.
    fn block(&mut self, label: &str, text: &str) {
        let indent = label.chars().count();
        for (index, row) in rows(text, COLUMNS - indent).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.line(format!("{label:indent$}{row}"));
        }
    }

    /// What to type, one under the other.
    fn remedies<'r>(&mut self, remedies: impl IntoIterator<Item = &'r String>) {
        let is_this = |remedy: &str| remedy.split(" -c ").next() == Some(THIS);
        let known = remedies.into_iter().filter(|remedy| !is_this(remedy));
        for (index, remedy) in known.enumerate() {
            let label = if index == 0 { "Next:" } else { "   or" };
            let remedy = (self.shown.command)(remedy);
            self.line(format!("    {label}  {remedy}"));
        }
    }

    fn head(&mut self, status: &Status) {
        let (style, word) = match status.state {
            Overall::Ok => (paint::OK, "ok"),
            Overall::Degraded => (paint::WARN, "degraded"),
            Overall::Down => (paint::BAD, "down"),
        };
        let (dot, word) = (paint::text(style, "●"), paint::text(style, word));
        self.line(format!("{dot} sgeventd {}  {word}", status.version));
        let site = &status.site;
        let head = site.head.map(|head| format!(" · head {head}"));
        let gaps = (site.gaps > 0).then(|| {
            let oldest = age(Duration::from_millis(site.oldest_gap_ms));
            format!(" · {}, the oldest {oldest}", counted(site.gaps, "gap"))
        });
        let reason = site.reason.as_ref().map(|reason| format!(": {reason}"));
        let parts = [
            reason,
            Some(format!(" · {:.0} ms", site.latency_ms)),
            head,
            gaps,
        ];
        let parts: String = parts.into_iter().flatten().collect();
        self.block("  site      ", &format!("{}{parts}", site.state));
        if let Some(from) = site.accept_from {
            let accept = (self.shown.command)(&format!("sgeventd site accept --from {from}"));
            self.line(format!("    Next:  if it was restored: {accept}"));
        }
        let journal = &status.journal;
        self.block(
            "  journal   ",
            &format!(
                "{} · {} events · on disk to {}",
                journal.state, journal.rows, journal.seq
            ),
        );
        let counts = by_state(&status.plugins);
        self.block("  plugins   ", &format!("{}{counts}", status.plugins.len()));
    }

    fn config(&mut self, status: &Status) {
        let config = &status.config;
        if config.error.is_some() {
            // Its alert says what is wrong with it.
            self.block(
                "  config    ",
                "the file is invalid: the old config goes on",
            );
        } else if config.is_newer {
            self.block("  config    ", "the file is newer than what runs");
            self.line(format!("    Next:  kill -HUP {}", status.pid));
        } else if !config.needs_restart.is_empty() {
            let keys = config.needs_restart.join(", ");
            let text = format!("changed, and applied by a restart only: {keys}");
            self.block("  config    ", &text);
        }
        for warning in &config.warnings {
            self.block("  config    ", warning);
        }
    }

    fn plugins(&mut self, status: &Status) {
        let shown = |plugin: &&PluginReport| self.shown.all || !plugin.ok;
        let mut plugins: Vec<&PluginReport> = status.plugins.iter().filter(shown).collect();
        plugins.sort_by_key(|plugin| urgency(plugin));
        let hidden = status.plugins.len() - plugins.len();
        if !plugins.is_empty() {
            self.line(String::new());
            self.line(format!(
                "  {:<20} {:<11} {:>6} {:>8}  WHY",
                "PLUGIN", "STATE", "SINCE", "WAITING"
            ));
        }
        let is_table = !plugins.is_empty();
        for plugin in plugins {
            self.row(plugin);
        }
        if is_table && hidden > 0 {
            let all = (self.shown.command)("sgeventd status --all");
            self.line(format!("  … {hidden} more need no look: {all}"));
        }
    }

    fn row(&mut self, plugin: &PluginReport) {
        let (style, mark) = mark(plugin);
        let since = age(self.shown.now - plugin.since);
        let name = plugin.name.as_str();
        let head = format!(
            "{name:<20} {:<11} {since:>6} {:>8}  ",
            plugin.state, plugin.waiting
        );
        let reason = plugin.reason.as_deref().unwrap_or_default();
        // A traceback is in the log, and in the dead letter.
        let mut why = reason.lines().next().unwrap_or_default();
        if why.is_empty() && plugin.subscriptions.is_empty() && plugin.state == "ok" {
            why = "subscribed to nothing: it gets no events";
        }
        let mark = paint::text(style, mark);
        let mut rows = rows(why, COLUMNS - WHY).into_iter();
        let first = rows.next().unwrap_or_default();
        self.line(format!("{mark} {head}{first}"));
        for row in rows {
            self.line(format!("{:WHY$}{row}", ""));
        }
        if let Some(complaint) = plugin.complaint.as_ref().filter(|_| self.shown.all) {
            let (at, ago) = (self.clock(complaint.at), age(self.shown.now - complaint.at));
            let text = format!("{} (at {at}, {ago} ago)", complaint.what);
            self.block("    Told:  ", &text);
        }
        self.remedies(plugin.remedy.iter().chain(&plugin.other_remedies));
    }

    fn alerts(&mut self, status: &Status) {
        let is_told = |alert: &&AlertReport| {
            let whose = alert.plugin.as_deref();
            let mut rows = status.plugins.iter();
            let row = rows.find(|plugin| Some(plugin.name.as_str()) == whose);
            let kind = alert.cause.rsplit('/').next().unwrap_or_default();
            row.is_some_and(|row| !row.ok) && TOLD_BY_ROWS.contains(&kind)
        };
        let alerts: Vec<&AlertReport> = status.alerts.iter().filter(|one| !is_told(one)).collect();
        if alerts.is_empty() {
            return;
        }
        self.line(String::new());
        let few = if self.shown.all { alerts.len() } else { FEW };
        let mark = paint::text(paint::BAD, "!");
        for alert in alerts.iter().take(few) {
            let since = age(self.shown.now - alert.since);
            let text = format!(
                "{} (since {}, {since})",
                alert.sentence,
                self.clock(alert.since)
            );
            for (index, row) in rows(&text, COLUMNS - 2).into_iter().enumerate() {
                let mark = if index == 0 { mark.as_str() } else { " " };
                self.line(format!("{mark} {row}"));
            }
            self.remedies(&alert.remedy);
        }
        self.rest(alerts.len(), few);
    }

    fn dead_letters(&mut self, status: &Status) {
        let total: u64 = status.dead_letters.values().sum();
        if total == 0 {
            return;
        }
        self.line(String::new());
        let each: Vec<String> = status
            .dead_letters
            .iter()
            .map(|(plugin, count)| format!("{plugin} {count}"))
            .collect();
        self.block("  dead letters  ", &format!("{total}: {}", each.join(", ")));
        let list = match status.dead_letters.first_key_value() {
            Some((plugin, _)) if each.len() == 1 => {
                format!("sgeventd dead list --plugin {}", word(plugin.as_str()))
            }
            _ => "sgeventd dead list".to_owned(),
        };
        self.remedies([&list]);
    }

    fn not_plugins(&mut self, status: &Status) {
        let all = &status.not_plugins;
        if all.is_empty() {
            return;
        }
        self.line(String::new());
        self.line("  files in plugin paths that are no plugins".to_owned());
        let few = if self.shown.all { all.len() } else { FEW };
        for file in all.iter().take(few) {
            self.line(format!("    {}", without_controls(&file.path)));
            self.block("      ", &file.reason);
        }
        self.rest(all.len(), few);
    }

    fn rest(&mut self, all: usize, shown: usize) {
        if all > shown {
            let command = (self.shown.command)("sgeventd status --all");
            self.line(format!("  … and {} more: {command}", all - shown));
        }
    }

    fn clock(&self, at: Unix) -> String {
        let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
        let at = at.to_zoned(self.shown.zone.clone());
        at.strftime("%H:%M:%S").to_string()
    }
}

/// The lines of a text, a few at most, none too long.
fn rows(text: &str, columns: usize) -> Vec<String> {
    let mut rows = wrap(text, columns);
    if rows.len() > WHY_LINES {
        rows.truncate(WHY_LINES);
        if let Some(last) = rows.last_mut() {
            *last = shorten(&format!("{last} …"), columns.max(last.chars().count()));
        }
    }
    rows.iter().map(|row| shorten(row, columns)).collect()
}

/// What needs a person most comes first.
fn urgency(plugin: &PluginReport) -> u8 {
    match (plugin.ok, mark(plugin).1) {
        (false, "✗") => 0,
        (false, _) => 1,
        (true, _) => 2,
    }
}

fn mark(plugin: &PluginReport) -> (Style, &'static str) {
    match (plugin.state.as_str(), plugin.ok) {
        ("ok", true) => (paint::OK, "✓"),
        ("off", _) => (Style::new(), "-"),
        ("behind" | "paused" | "starting" | "stopping", true) => (paint::WARN, "~"),
        ("retrying" | "restarting" | "starting" | "stopping", false) => (paint::WARN, "!"),
        _ => (paint::BAD, "✗"),
    }
}

/// ` · 1 disabled · 2 ok`: how many are in each state, those that need a look first.
fn by_state(plugins: &[PluginReport]) -> String {
    let mut states: Vec<(bool, &str)> = plugins
        .iter()
        .map(|plugin| (plugin.ok, plugin.state.as_str()))
        .collect();
    states.sort_unstable();
    let counts = states.chunk_by(|one, next| one == next);
    let words = counts.map(|same| format!(" · {} {}", same.len(), same[0].1));
    words.collect()
}

/// An age in one number.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser as _;

    use super::*;
    use crate::{
        admin::status::{ConfigReport, ContainmentReport, JournalReport, NotPlugin},
        cli::Args,
        ident::{EventId, PluginName, Seq},
        ingest::SiteReport,
        journal::NewDead,
        plugin::{life::Cause, report::Complaint, told},
    };

    const NOW: Unix = Unix(1_700_000_000_000);

    fn plugin(name: &str, state: &str, reason: &str, remedies: &[&str]) -> PluginReport {
        let mut remedies = remedies.iter().map(|&remedy| remedy.to_owned());
        PluginReport {
            state: state.to_owned(),
            ok: reason.is_empty(),
            since: NOW.moved(-360_000),
            waiting: 1204,
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            remedy: remedies.next(),
            other_remedies: remedies.collect(),
            subscriptions: vec!["every event".to_owned()],
            ..PluginReport::of(&PluginName::new(name), "/p/x.py")
        }
    }

    fn alert(cause: &str, plugin: Option<&str>, sentence: &str, remedy: &str) -> AlertReport {
        AlertReport {
            cause: cause.to_owned(),
            plugin: plugin.map(str::to_owned),
            sentence: sentence.to_owned(),
            remedy: Some(remedy.to_owned()),
            since: NOW.moved(-7_200_000),
            count: 1,
        }
    }

    fn status() -> Status {
        let enable = "sgeventd plugins enable render_submit";
        let skip = format!("{enable} --skip-event");
        let edit = "edit /p/render_submit.py: it starts again when the file changes";
        let loops = "it stops at event 17, which failed: KeyError: 'sg_cut_in', and a long story of how that came about, told in more than one line\nTraceback: here";
        let lag = "thumbnailer is 22 min behind";
        Status {
            version: "1.0.0".to_owned(),
            pid: 42,
            started_at: NOW,
            state: Overall::Degraded,
            site: SiteReport {
                state: "ok".to_owned(),
                latency_ms: 42.4,
                head: Some(EventId(184)),
                gaps: 2,
                oldest_gap_ms: 40_000,
                ..SiteReport::default()
            },
            journal: JournalReport {
                state: "ok".to_owned(),
                rows: 7,
                seq: 9,
                ..JournalReport::default()
            },
            plugins: vec![
                PluginReport {
                    complaint: Some(Complaint {
                        at: NOW.moved(-7_200_000),
                        what: "the chat is away".to_owned(),
                    }),
                    ..plugin("notify_chat", "ok", "", &[])
                },
                plugin("silent", "starting", "no answer to `initialize` for more than 10 s", &[]),
                plugin("render_submit", "disabled", loops, &[edit, enable, &skip]),
            ],
            not_plugins: vec![NotPlugin {
                path: "/p/forgot.sh".to_owned(),
                reason: "not executable: chmod +x /p/forgot.sh".to_owned(),
            }],
            dead_letters: BTreeMap::from([(PluginName::new("notify_chat"), 1)]),
            alerts: vec![
                alert("plugin/render_submit/disabled", Some("render_submit"), "told", enable),
                alert("plugin/thumbnailer/lag", Some("thumbnailer"), lag, THIS),
            ],
            config: ConfigReport {
                warnings: vec!["/etc/x.toml:9: [plugin.ghost] is for a plugin that is not there; there are: notify_chat, render_submit, silent".to_owned()],
                ..ConfigReport::default()
            },
            traffic_log: None,
            containment: ContainmentReport::default(),
        }
    }

    fn lines(all: bool) -> Vec<String> {
        let shown = Shown {
            all,
            now: NOW,
            zone: TimeZone::UTC,
            command: &|words| words.replace("sgeventd", "S"),
        };
        let lines = page(&status(), &shown);
        let plain = |line: &String| anstream::adapter::strip_str(line).to_string();
        lines.iter().map(plain).collect()
    }

    #[test]
    fn what_needs_a_person_stands_there_with_what_to_type() {
        let expected = "\
● sgeventd 1.0.0  degraded
  site      ok · 42 ms · head 184 · 2 gaps, the oldest 40s
  journal   ok · 7 events · on disk to 9
  plugins   3 · 1 disabled · 1 starting · 1 ok
  config    /etc/x.toml:9: [plugin.ghost] is for a plugin that is not there; there are: notify_chat,
            render_submit, silent

  PLUGIN               STATE        SINCE  WAITING  WHY
✗ render_submit        disabled        6m     1204  it stops at event 17, which failed: KeyError:
                                                    'sg_cut_in', and a long story of how that came
                                                    about, told in more than one line
    Next:  edit /p/render_submit.py: it starts again when the file changes
       or  S plugins enable render_submit
       or  S plugins enable render_submit --skip-event
! silent               starting        6m     1204  no answer to `initialize` for more than 10 s
  … 1 more need no look: S status --all

! thumbnailer is 22 min behind (since 20:13:20, 2h)

  dead letters  1: notify_chat 1
    Next:  S dead list --plugin notify_chat

  files in plugin paths that are no plugins
    /p/forgot.sh
      not executable: chmod +x /p/forgot.sh";
        assert_eq!(lines(false).join("\n"), expected);
    }

    #[test]
    fn all_shows_what_is_well_too_and_nothing_is_too_wide() {
        let all = lines(true);
        let well = "✓ notify_chat          ok              6m     1204";
        let told = "    Told:  the chat is away (at 20:13:20, 2h ago)";
        let is_there = all.windows(2).any(|two| two == [well, told]);
        assert!(is_there, "{all:#?}");
        for line in lines(false).iter().chain(&all) {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }

    #[test]
    fn every_way_out_of_a_disabled_plugin_is_a_command_or_names_the_file() {
        let why = || "why".to_owned();
        for cause in [
            Cause::Manifest(why()),
            Cause::Itself(why()),
            Cause::CrashLoop(why()),
            Cause::Failing(why()),
            Cause::OnError {
                event_id: EventId(17),
                error: why(),
            },
            Cause::Operator,
        ] {
            let name = PluginName::new("a");
            let alert = told::disabled(&name, &cause, "/p/a.py");
            let mut ways = told::ways_out(&name, &cause, "/p/a.py");
            let can_enable = ways.iter().any(|way| way == "sgeventd plugins enable a");
            assert!(can_enable, "{cause:?}: {ways:?}");
            ways.push(alert.remedy);
            for way in ways.iter().filter(|way| !way.starts_with("edit /p/a.py")) {
                let parsed = Args::try_parse_from(way.split(' '));
                assert!(parsed.is_ok(), "{cause:?}: {way}");
            }
        }
    }

    #[test]
    fn every_alert_of_a_plugin_has_what_mends_it() {
        let name = PluginName::new("a");
        let dead = NewDead {
            seq: Seq(1),
            reason: "attempts".into(),
            error: "KeyError\nTraceback".into(),
            attempts: 5,
            at: NOW,
            version: None,
        };
        let letter = told::dead_letter(&name, Some(EventId(17)), &dead);
        assert_eq!(letter.sentence, "a gave up event 17 (attempts): KeyError");
        assert_eq!(letter.remedy, "sgeventd dead list --plugin a");
        assert!(Args::try_parse_from(letter.remedy.split(' ')).is_ok());
        for alert in [
            told::no_start(&name, "/p/a.py", "why"),
            told::invalid(&name, "/p/a.py", "why"),
        ] {
            assert_eq!(alert.remedy, "edit /p/a.py", "{}", alert.sentence);
        }
        let why = "it is a program, but not executable: chmod +x /p/a.py";
        for alert in [
            told::no_start(&name, "/p/a.py", why),
            told::invalid(&name, "/p/a.py", why),
        ] {
            assert_eq!(alert.remedy, "chmod +x /p/a.py", "{}", alert.sentence);
        }
        let missing = told::missing(&name, "/p/a.py");
        assert_eq!(missing.remedy, "ls -l /p/a.py");
        // What a plugin says of itself is no command.
        let said = "exit 1; last words on stderr: \"chmod +x /p/b.py\"";
        let remedy = told::invalid(&name, "/p/a.py", said).remedy;
        assert_eq!(remedy, "edit /p/a.py");
        assert!(Args::try_parse_from(crate::alert::COMPLAINTS.split(' ')).is_ok());
    }
}
