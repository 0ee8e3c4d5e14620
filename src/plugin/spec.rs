//! How a plugin's process is started: program, arguments, environment.
//!
//! Never: a key, a variable that the allow-list does not name, a look at the plugin's file system (the shim searches for its program).

use std::{ffi::OsString, path::Path};

use super::{discovery::Found, setup::Launch};
use crate::{
    config::{EnvValue, PluginSettings, Transport},
    ident::PluginName,
    process::{Limits, SpawnSpec},
    secret::redact,
};

/// What a plugin sees of the daemon's own environment.
const HANDED_ON: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"];
/// Of these, what says who the daemon's user is: another user has its own.
const WHO: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];
/// What it never sees, whatever the operator lists.
const NEVER: [&str; 2] = ["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"];

/// Where a plugin lives.
pub struct Places<'a> {
    /// Its data.
    pub data: &'a Path,
    /// Its temporary files.
    pub tmp: &'a Path,
    /// The Python SDK.
    pub sdk: &'a Path,
}

/// The process of a plugin.
#[must_use]
pub fn launch(
    found: &Found,
    name: &PluginName,
    settings: &PluginSettings,
    places: &Places<'_>,
    ours: &[(OsString, OsString)],
) -> Launch {
    let env = match environment(name, settings, places, ours) {
        Ok(env) => env,
        Err(error) => return Launch::Impossible(error),
    };
    let Some((first, args)) = found.command.split_first() else {
        return Launch::Impossible("its command is empty".to_owned());
    };
    let limits = settings.limits.effective();
    Launch::Spec(Box::new(SpawnSpec {
        program: first.into(),
        base: found.base.clone(),
        args: args.iter().map(OsString::from).collect(),
        cwd: settings
            .cwd
            .clone()
            .unwrap_or_else(|| places.data.to_owned()),
        env,
        umask: settings.umask,
        limits: Limits {
            memory: Some(limits.memory),
            open_files: limits.open_files,
            processes: Some(limits.processes),
            nice: limits.nice,
            cpu_time: Some(limits.cpu_time.as_secs()).filter(|seconds| *seconds > 0),
            file_size: limits.file_size,
            core: limits.core,
        },
        fd34: settings.transport == Transport::Fd34,
        // What only the machine can tell is filled in when it is started.
        user: None,
        empties: None,
        number: None,
        group: None,
    }))
}

fn environment(
    name: &PluginName,
    settings: &PluginSettings,
    places: &Places<'_>,
    ours: &[(OsString, OsString)],
) -> Result<Vec<(OsString, OsString)>, String> {
    let is_handed_on = |name: &str| {
        let is_theirs = settings.user.is_none() || !WHO.contains(&name);
        let is_listed = HANDED_ON.contains(&name) && is_theirs || name.starts_with("LC_");
        (is_listed || settings.pass_env.iter().any(|listed| listed == name))
            && !NEVER.contains(&name)
    };
    let mut env: Vec<(OsString, OsString)> = ours
        .iter()
        .filter(|(name, value)| {
            // A key in our own environment is found by its value, whatever the variable is called.
            let value = value.to_string_lossy();
            is_handed_on(&name.to_string_lossy()) && redact(&value) == value
        })
        .cloned()
        .collect();
    let mut pythonpath = vec![places.sdk.to_owned()];
    pythonpath.extend(settings.pythonpath.iter().cloned());
    let pythonpath = std::env::join_paths(pythonpath).map_err(|error| error.to_string())?;
    let set: [(&str, OsString); 6] = [
        ("TMPDIR", places.tmp.into()),
        ("SGEVENTD_PLUGIN", name.as_str().into()),
        ("SGEVENTD_PROTOCOLS", "1".into()),
        ("PYTHONUNBUFFERED", "1".into()),
        ("PYTHONIOENCODING", "utf-8".into()),
        ("PYTHONPATH", pythonpath),
    ];
    let mut put = |name: OsString, value: OsString| {
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    };
    for (name, value) in set {
        put(name.into(), value);
    }
    for (name, value) in &settings.env {
        let value = match value {
            EnvValue::Text(text) => text.clone(),
            EnvValue::Key(_) if !settings.direct => {
                return Err(format!(
                    "`env.{name}` is a key, which only a plugin with direct = true is handed"
                ));
            }
            EnvValue::Key(source) => {
                let key = source
                    .load()
                    .map_err(|error| format!("`env.{name}`: {error}"))?;
                key.expose().to_owned()
            }
        };
        put(name.into(), value.into());
    }
    if let Some(venv) = &settings.venv {
        put("VIRTUAL_ENV".into(), venv.into());
        let path = env.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
        let mut folders = vec![venv.join("bin")];
        folders.extend(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
        env.retain(|(name, _)| name != "PATH");
        env.push(("PATH".into(), path));
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &[&str]) -> Found {
        Found {
            name: PluginName::new("p"),
            path_index: None,
            place: None,
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            file: None,
            watch: Vec::new(),
            base: "/nowhere".into(),
            language: "",
        }
    }

    fn spec(settings: &PluginSettings, ours: &[(&str, &str)]) -> SpawnSpec {
        let ours: Vec<_> = ours.iter().map(|(n, v)| (n.into(), v.into())).collect();
        let places = Places {
            data: Path::new("/data"),
            tmp: Path::new("/tmp/p"),
            sdk: Path::new("/sdk"),
        };
        match launch(
            &found(&["/bin/sh", "-c"]),
            &PluginName::new("p"),
            settings,
            &places,
            &ours,
        ) {
            Launch::Spec(spec) => *spec,
            Launch::Impossible(error) => panic!("{error}"),
        }
    }

    fn value<'a>(spec: &'a SpawnSpec, name: &str) -> Option<&'a str> {
        let found = spec.env.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str())
    }

    #[test]
    fn the_manual_names_every_variable() {
        let manual = include_str!("../../protocol/v1/PROTOCOL.md");
        let settings = PluginSettings {
            venv: Some("/venv".into()),
            ..PluginSettings::default()
        };
        let spec = spec(&settings, &HANDED_ON.map(|name| (name, "x")));
        for (name, _) in &spec.env {
            let name = name.to_string_lossy();
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn another_user_is_not_told_of_the_daemons_home() {
        let ours = [("HOME", "/root"), ("USER", "root"), ("PATH", "/bin")];
        let mut settings = PluginSettings {
            user: Some("nobody".into()),
            ..PluginSettings::default()
        };
        let told = spec(&settings, &ours);
        let told = ["HOME", "USER", "PATH"].map(|name| value(&told, name).map(str::to_owned));
        assert_eq!(told, [None, None, Some("/bin".to_owned())]);
        settings.pass_env = vec!["HOME".into()];
        assert_eq!(value(&spec(&settings, &ours), "HOME"), Some("/root"));
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let key = crate::secret::Secret::new("a-key-that-nobody-may-see");
        let ours = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("NOTIFY_SOCKET", "/run/x"),
            ("SITE_KEY", key.expose()),
            ("LANG", key.expose()),
            ("STUDIO", "yes"),
            ("OTHER", "no"),
        ];
        let settings = PluginSettings {
            pass_env: vec!["STUDIO".into(), "NOTIFY_SOCKET".into(), "SITE_KEY".into()],
            ..PluginSettings::default()
        };
        let spec = spec(&settings, &ours);
        assert_eq!(value(&spec, "STUDIO"), Some("yes"));
        assert_eq!(value(&spec, "LC_ALL"), Some("C"));
        assert_eq!(value(&spec, "SGEVENTD_PLUGIN"), Some("p"));
        assert_eq!(value(&spec, "PYTHONPATH"), Some("/sdk"));
        for name in ["OTHER", "NOTIFY_SOCKET", "SITE_KEY", "LANG"] {
            assert_eq!(value(&spec, name), None, "{name}");
        }
    }
}
