//! What is said of a plugin that does not work, as alerts: what happened, what happens by itself, what a person can do.

use super::life::Cause;
use crate::{
    alert::{Alert, CauseKey, Grade},
    ident::{EventId, PluginName},
    journal::NewDead,
    way::word,
};

/// The alerts that end when a plugin works again, by the last part of their keys.
pub const LASTING: [&str; 5] = ["start", "disabled", "invalid", "unkillable", "missing"];

/// What a person can do about a plugin that is disabled, what mends it as a rule first.
#[must_use]
pub fn ways_out(plugin: &PluginName, cause: &Cause, file: &str) -> Vec<String> {
    let edit = by_mending(file, &cause.sentence());
    let enable = enabling(plugin);
    match cause {
        Cause::Operator => vec![enable],
        Cause::Itself(_) => vec![enable, edit],
        Cause::OnError { .. } => {
            let skip = format!("{enable} --skip-event");
            vec![edit, enable, skip]
        }
        Cause::Manifest(_) | Cause::CrashLoop(_) | Cause::Failing(_) => vec![edit, enable],
    }
}

fn enabling(plugin: &PluginName) -> String {
    format!("sgeventd plugins enable {}", word(plugin.as_str()))
}

/// What ends most troubles of a plugin.
#[must_use]
pub fn by_change(file: &str) -> String {
    format!("edit {file}: it starts again when the file changes")
}

/// What ends that the config says `enabled = false`.
#[must_use]
pub fn by_config(plugin: &PluginName) -> String {
    let daemon = std::process::id();
    let section = plugin.section();
    format!("enabled = true in {section} of the config, then kill -HUP {daemon}")
}

/// What ends a trouble that such an error is.
#[must_use]
pub fn by_mending(file: &str, error: &str) -> String {
    chmod(file, error).unwrap_or_else(|| by_change(file))
}

/// The command that an error ends with when the file alone is to be made executable.
fn chmod(file: &str, error: &str) -> Option<String> {
    let command = format!("chmod +x {file}");
    first_line(error).ends_with(&command).then_some(command)
}

fn mend(file: &str, error: &str) -> String {
    chmod(file, error).unwrap_or_else(|| format!("edit {file}"))
}

/// It gets no events until somebody acts, or until it is tried again.
#[must_use]
pub fn disabled(plugin: &PluginName, cause: &Cause, file: &str) -> Alert {
    let by_itself = match cause {
        Cause::Manifest(_) | Cause::OnError { .. } | Cause::Operator => {
            "It starts again when its file changes; it goes on where it stopped, and no event is lost."
        }
        Cause::Itself(_) | Cause::CrashLoop(_) | Cause::Failing(_) => {
            "It starts again when its file changes, and is tried once an hour; no event is lost."
        }
    };
    let sentence = format!("{plugin} is disabled: {}", first_line(&cause.sentence()));
    let remedy = match cause {
        Cause::Manifest(_) => format!("edit {file}"),
        _ => enabling(plugin),
    };
    lasting(plugin, "disabled", sentence, by_itself, remedy)
}

/// What the kernel refuses to start is not mended by a second try.
#[must_use]
pub fn no_start(plugin: &PluginName, file: &str, error: &str) -> Alert {
    let sentence = format!("{plugin} cannot be started: {}", first_line(error));
    let by_itself = "It is tried again, and at once when its file changes; no event is lost.";
    lasting(plugin, "start", sentence, by_itself, mend(file, error))
}

/// A changed file does not work.
#[must_use]
pub fn invalid(plugin: &PluginName, file: &str, error: &str) -> Alert {
    let first = first_line(error);
    let sentence = format!("the changed {file} does not work, the old one goes on: {first}");
    let by_itself = "The next change of the file is tried again.";
    lasting(plugin, "invalid", sentence, by_itself, mend(file, error))
}

/// Its file was moved away or deleted.
#[must_use]
pub fn missing(plugin: &PluginName, file: &str) -> Alert {
    let sentence = format!("{plugin} gets no events: {file} is gone");
    let by_itself = "It goes on where it stopped as soon as the file is back; no event is lost.";
    lasting(
        plugin,
        "missing",
        sentence,
        by_itself,
        format!("ls -l {file}"),
    )
}

/// What makes two reports of a script's key the same cause.
#[must_use]
pub fn key_of(plugin: &PluginName, script: &str) -> CauseKey {
    CauseKey::of_plugin(plugin, &format!("key/{script}"))
}

/// The site does not take the key of a script that the plugin has of its own.
#[must_use]
pub fn key_refused(plugin: &PluginName, script: &str, message: &str) -> Alert {
    Alert {
        plugin: Some(plugin.clone()),
        by_itself: "Its calls fail; the key is tried once a minute. A new key is read when the daemon starts.".to_owned(),
        remedy: format!("edit [scripts.{script}] key of the config, or the file that it names"),
        ..Alert::new(
            key_of(plugin, script),
            "key",
            Grade::Error,
            format!("the site refuses the key of script {script}, as which {plugin} calls: {message}"),
        )
    }
}

/// Its process is not to be ended.
#[must_use]
pub fn unkillable(plugin: &PluginName, pid: i32) -> Alert {
    let sentence = format!("{plugin} does not die, not even by SIGKILL");
    let by_itself = "No new process is started before the old one is gone.";
    lasting(plugin, "unkillable", sentence, by_itself, stuck(pid))
}

/// It gave up an event.
#[must_use]
pub fn dead_letter(plugin: &PluginName, event_id: Option<EventId>, dead: &NewDead) -> Alert {
    let which = event_id.map_or_else(|| "an event".to_owned(), |id| format!("event {id}"));
    let (reason, error) = (&dead.reason, first_line(&dead.error));
    let sentence = format!("{plugin} gave up {which} ({reason}): {error}");
    let key = CauseKey::of_plugin(plugin, "dead_letter");
    Alert {
        plugin: Some(plugin.clone()),
        excerpt: Some(dead.error.to_string()),
        by_itself: "The event is kept as a dead letter; the plugin goes on.".to_owned(),
        remedy: format!("sgeventd dead list --plugin {}", word(plugin.as_str())),
        ..Alert::new(key, "dead_letter", Grade::Error, sentence)
    }
}

/// Shows what a process waits for that no signal ends.
#[must_use]
pub fn stuck(pid: i32) -> String {
    format!("ps -o pid,stat,wchan:32,args -p {pid}")
}

fn lasting(
    plugin: &PluginName,
    kind: &'static str,
    sentence: String,
    by_itself: &str,
    remedy: String,
) -> Alert {
    let key = CauseKey::of_plugin(plugin, kind);
    Alert {
        plugin: Some(plugin.clone()),
        by_itself: by_itself.to_owned(),
        remedy,
        ..Alert::new(key, kind, Grade::Error, sentence)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_command() {
        for (name, shown) in [
            ("render_submit", "render_submit"),
            ("a/b-c.2", "a/b-c.2"),
            ("é", "é"),
            ("with space", "'with space'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            let ways = ways_out(&PluginName::new(name), &Cause::Operator, "/p/a.py");
            assert_eq!(ways, [format!("sgeventd plugins enable {shown}")]);
        }
    }
}
