//! `plugins enable` and `plugins disable`: a plugin works again where it stopped, or rests.

use super::{
    Exit,
    args::{DisableArgs, EnableArgs, PluginsCommand},
    exit::Failure,
    output::{data, json, talk},
    reach,
};
use crate::{
    admin::{AdminClient as _, Enabled},
    ident::PluginName,
    way::word,
};

/// Runs a verb of `plugins`.
pub(super) fn run(command: &PluginsCommand) -> Result<Exit, Failure> {
    match command {
        PluginsCommand::Enable(args) => reach::wait(enable(args)),
        PluginsCommand::Disable(args) => reach::wait(disable(args)),
    }
}

async fn enable(args: &EnableArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let plugin = PluginName::new(args.name.as_str());
    let enabled = client.plugin_enable(plugin, args.skip_event).await;
    let enabled = enabled.map_err(|error| reach::failed(&error))?;
    if args.json {
        data(&json(&enabled)?);
    } else {
        data(&words(&args.name, &enabled));
        let disable = format!("sgeventd plugins disable {}", word(&args.name));
        let redrive = enabled
            .dead_letter
            .map(|letter| format!("sgeventd dead redrive {letter}"));
        for command in [Some(disable), redrive].into_iter().flatten() {
            talk(&format!("undo: {}", reach::command(&args.reach, &command)));
        }
    }
    Ok(Exit::Done)
}

fn words(name: &str, enabled: &Enabled) -> String {
    let mut text = match enabled.resumes_at {
        Some(event) => format!("{name} is enabled and goes on at event {event}"),
        None => format!("{name} is enabled"),
    };
    if let Some(event) = enabled.skipped {
        let letter = enabled.dead_letter;
        let letter = letter
            .map(|letter| format!(" {letter}"))
            .unwrap_or_default();
        text.push_str(&format!("; event {event} is dead letter{letter} now"));
    }
    text
}

async fn disable(args: &DisableArgs) -> Result<Exit, Failure> {
    let client = reach::daemon(&args.reach).await?;
    let done = client
        .plugin_disable(PluginName::new(args.name.as_str()))
        .await;
    done.map_err(|error| reach::failed(&error))?;
    data(&format!("{} is disabled; its events wait", args.name));
    let enable = format!("sgeventd plugins enable {}", word(&args.name));
    talk(&format!("undo: {}", reach::command(&args.reach, &enable)));
    Ok(Exit::Done)
}
