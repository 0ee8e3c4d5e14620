//! `dead`: events that plugins gave up, to be looked at, handed out once more, or forgotten.

use jsonrpsee::core::client::Client;

use super::{
    Exit,
    args::{DeadCommand, DeadDropArgs, DeadIdsArgs, DeadListArgs, DeadShowArgs, ReachArgs},
    ask::confirm,
    exit::Failure,
    output::{counted, data, json, talk},
    reach,
};
use crate::{
    admin::{AdminClient as _, Letter},
    ident::PluginName,
    telemetry::{tame, utc},
    text::shorten,
};

/// So many letters are asked for at once: each may have a body of megabytes.
const PAGE: usize = 50;
/// A line is no longer, but that so much of an error stands in it in any case.
const COLUMNS: usize = 100;
const ERROR_CHARS: usize = 24;

/// Runs a verb of `dead`.
pub(super) fn run(command: &DeadCommand) -> Result<Exit, Failure> {
    match command {
        DeadCommand::List(args) => reach::wait(list(args)),
        DeadCommand::Show(args) => reach::wait(show(args)),
        DeadCommand::Redrive(args) => reach::wait(redrive(args)),
        DeadCommand::Drop(args) => reach::wait(drop_letters(args)),
    }
}

async fn list(args: &DeadListArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let plugin = args.plugin.as_deref().map(PluginName::new);
    let mut after = 0;
    loop {
        let page = client.dead(plugin.clone(), after, PAGE).await;
        let page = page.map_err(|error| reach::failed(&error))?;
        for letter in &page {
            after = letter.id;
            let line = if args.json {
                json(letter)?
            } else {
                line(letter)
            };
            // Nobody reads any more.
            if !data(&line) {
                return Ok(Exit::Done);
            }
        }
        if page.len() < PAGE {
            return Ok(Exit::Done);
        }
    }
}

fn line(letter: &Letter) -> String {
    let head = tame(&format!(
        "{:>6}  {}  {}  event {}  {}, {}: ",
        letter.id,
        utc(letter.at),
        letter.plugin,
        letter.event_id,
        letter.reason,
        tries(letter.attempts),
    ));
    let error = letter.error.lines().next().unwrap_or_default();
    let room = COLUMNS.saturating_sub(head.chars().count());
    format!("{head}{}", shorten(&tame(error), room.max(ERROR_CHARS)))
}

/// How often it was tried, in words.
fn tries(attempts: u32) -> String {
    match attempts {
        0 => "never handed out".to_owned(),
        count => format!("after {}", counted(count as usize, "attempt")),
    }
}

async fn show(args: &DeadShowArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let letter = find(&client, &args.reach, args.id).await?;
    if args.json {
        data(&json(&letter)?);
    } else {
        data(&whole(&letter));
        for (what, verb) in [("once more", "redrive"), ("forget it", "drop")] {
            let command = format!("sgeventd dead {verb} {}", letter.id);
            talk(&format!(
                "{what}: {}",
                reach::command(&args.reach, &command)
            ));
        }
    }
    Ok(Exit::Done)
}

async fn find(client: &Client, reach: &ReachArgs, id: i64) -> Result<Letter, Failure> {
    let found = client.dead(None, id.saturating_sub(1), 1).await;
    let mut found = found.map_err(|error| reach::failed(&error))?;
    let found = found.pop().filter(|letter| letter.id == id);
    found.ok_or_else(|| {
        Failure::words(Exit::No, format!("there is no dead letter {id}")).hint(format!(
            "{} shows all; the number stands first, the event's id after it",
            reach::command(reach, "sgeventd dead list")
        ))
    })
}

fn whole(letter: &Letter) -> String {
    let version = letter.version.as_deref().unwrap_or("of no version");
    let event = letter
        .event
        .as_ref()
        .and_then(|event| serde_json::to_string_pretty(event).ok());
    let text = format!(
        "dead letter {}: event {} {} (seq {})\nplugin    {} {version}\ngiven up  {}, {}, {}\n\n{}\n\n{}",
        letter.id,
        letter.event_id,
        letter.event_type,
        letter.seq.0,
        letter.plugin,
        utc(letter.at),
        letter.reason,
        tries(letter.attempts),
        letter.error.trim_end(),
        event.as_deref().unwrap_or("its body was pruned before"),
    );
    let lines: Vec<String> = text.lines().map(tame).collect();
    lines.join("\n")
}

async fn redrive(args: &DeadIdsArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let count = client.dead_redrive(args.ids.clone()).await;
    let count = count.map_err(|error| reach::failed(&error))?;
    data(&format!(
        "{count} of {} are handed out once more; this cannot be undone",
        args.ids.len()
    ));
    if count == args.ids.len() {
        return Ok(Exit::Done);
    }
    talk(&format!(
        "the rest are not there, have no event any more, or find no room: {}",
        reach::command(&args.reach, "sgeventd dead list")
    ));
    Ok(Exit::No)
}

async fn drop_letters(args: &DeadDropArgs) -> Result<Exit, Failure> {
    let letters = &args.letters;
    let client = reach::daemon(&letters.reach).await?;
    let effect = format!(
        "Forgets {} for good, with event and error. This cannot be undone.",
        counted(letters.ids.len(), "dead letter")
    );
    if !confirm(&effect, args.yes)? {
        return Ok(Exit::No);
    }
    let count = client.dead_drop(letters.ids.clone()).await;
    let count = count.map_err(|error| reach::failed(&error))?;
    data(&format!("{count} of {} are forgotten", letters.ids.len()));
    let is_all = count == letters.ids.len() as u64;
    Ok(if is_all { Exit::Done } else { Exit::No })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_in_a_letter_steers_a_terminal() {
        let letter: Letter = serde_json::from_value(json!({
            "id": 1, "plugin": "p\u{1b}[2J", "event_id": 7, "seq": 7, "event_type": "T", "reason": "attempts", "attempts": 1, "at": 0,
            "error": "no \u{202e}such\nTraceback\u{1b}[31m", "version": "1\u{9b}2", "event": { "description": "\u{202e}" },
        }))
        .expect("a letter");
        for text in [line(&letter), whole(&letter)] {
            let is_odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(is_odd), "{text:?}");
            assert!(text.contains("\\u{202e}such"), "{text:?}");
        }
        assert!(whole(&letter).contains("such\nTraceback"));
    }
}
