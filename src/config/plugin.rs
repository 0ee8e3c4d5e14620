//! The keys of `[plugin.NAME]`: one table, four layers (built in, `[plugins] defaults`, path, plugin), the last wins.
//!
//! In: layers as written. Out: [`EffectivePlugin`], with the line that each key comes from.
//! Never: the manifest (whoever has it lays it under the operator's [`DeliveryLayer`]).

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    key::KeySource,
    read::{Field, Section, Wrong, join},
    source::Places,
    types::{Config, StartFrom},
    value::{
        Parsed, boolean, command, duration, json_table, key_source, list, mail_address, map,
        one_of, path, program, size, size_or_zero, some, span, start_from, text, umask, variable,
        whole,
    },
};
use crate::ident::PluginName;

/// Declares a layer (every key may be absent) and the settings it comes to, each key in one line.
macro_rules! layer {
    (
        $(#[$layer_doc:meta])* $layer:ident => $(#[$doc:meta])* $full:ident {
            $($(#[$key_doc:meta])+ $name:ident: $kind:ty = $default:expr, $parse:expr;)+
        }
    ) => {
        $(#[$layer_doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $layer { $($(#[$key_doc])+ pub $name: Option<$kind>,)+ }

        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $full { $($(#[$key_doc])+ pub $name: $kind,)+ }

        impl $layer {
            /// Reads the keys of a table.
            pub(super) fn read(section: &mut Section<'_>) -> Self {
                Self { $($name: section.opt(stringify!($name), $parse),)+ }
            }

            /// This layer with another one laid over it: what the upper one says, wins.
            #[must_use]
            pub fn under(&self, upper: &Self) -> Self {
                Self { $($name: upper.$name.clone().or_else(|| self.$name.clone()),)+ }
            }

            /// What holds: the layer, and the defaults where it is silent.
            #[must_use]
            pub fn effective(&self) -> $full {
                $full { $($name: self.$name.clone().unwrap_or_else(|| $default),)+ }
            }
        }

        impl Default for $full {
            fn default() -> Self { $layer::default().effective() }
        }
    };
}

layer! {
    /// Keys of `delivery` that were given; the manifest's lie under the operator's.
    DeliveryLayer =>
    /// How events are handed to a plugin.
    Delivery {
        /// Lanes at work at once; 1 with [`LaneOrder::All`].
        max_in_flight: u32 = 1, whole(1..=256);
        /// Which events keep their order.
        order: LaneOrder = LaneOrder::All, one_of(&LaneOrder::WORDS);
        /// The time for one event.
        timeout: Duration = Duration::from_secs(120), span;
        /// The longest that `$/progress` may make of it.
        ceiling: Duration = Duration::from_secs(1800), span;
        /// After so many an event becomes a dead letter.
        max_attempts: u32 = 5, whole(1..=1000);
        /// What a failed attempt means.
        on_error: OnError = OnError::Retry, one_of(&OnError::WORDS);
    }
}

layer! {
    /// Keys of `permissions` that were given.
    PermissionsLayer =>
    /// What a plugin may ask of the site.
    Permissions {
        /// Calls: `*`, `find`, `update:Task.sg_status_list`, `rpc:NAME` …
        sg: Vec<String> = vec!["*".to_owned()], list(text);
        /// Uploads and downloads.
        upload: bool = true, boolean;
        /// Calls outside of an event.
        background: bool = false, boolean;
    }
}

layer! {
    /// Keys of `limits` that were given.
    LimitsLayer =>
    /// What a plugin's processes may use.
    Limits {
        /// Bytes of memory.
        memory: u64 = 1 << 30, size;
        /// Open files.
        open_files: u64 = 1024, whole(16..=1_048_576);
        /// Processes and threads.
        processes: u64 = 256, whole(1..=1_048_576);
        /// Added to the nice value.
        nice: i32 = 5, whole(-20..=19);
        /// Longest line that is read, in bytes.
        line: u64 = 16 << 20, size;
        /// Its share of the processors beside others, 100 as a rule; in a control group only.
        cpu_weight: u32 = 100, whole(1..=10_000);
        /// Hundredths of one processor that it may use at most, 0 for all; in a control group only.
        cpu_percent: u32 = 0, whole(0..=100_000);
        /// Processor time, whole seconds, after which a process is ended; zero: no bound.
        cpu_time: Duration = Duration::ZERO, duration;
        /// The largest file that it may write, in bytes; none: no bound.
        file_size: Option<u64> = None, some(size);
        /// The largest core dump, in bytes; zero: no core dumps.
        core: u64 = 0, size_or_zero;
    }
}

layer! {
    /// Keys of a plugin as written in one place.
    PluginLayer =>
    /// All settings of one plugin.
    PluginSettings {
        /// A program and its arguments, instead of a file found in the paths.
        command: Option<Vec<String>> = None, some(command);
        /// False: it is off.
        enabled: bool = true, boolean;
        /// Script users it may act as, the first by default; empty: `site.script`.
        scripts: Vec<String> = Vec::new(), list(text);
        /// Logins it may act for.
        sudo: Vec<String> = Vec::new(), list(text);
        /// Variables of its environment; laid over each other by variable.
        env: BTreeMap<String, EnvValue> = BTreeMap::new(), map(variable_name, env_value);
        /// Variables handed on from the daemon's environment.
        pass_env: Vec<String> = Vec::new(), list(variable);
        /// Handed to the plugin as it is.
        config: serde_json::Map<String, serde_json::Value> = serde_json::Map::new(), json_table;
        /// Plugins that must have settled an event first.
        after: Vec<PluginName> = Vec::new(), list(plugin_name);
        /// Where a name that is seen for the first time begins.
        start_from: StartFrom = StartFrom::Latest, start_from;
        /// Older events are passed over; zero: none are.
        max_age: Duration = Duration::ZERO, duration;
        /// What becomes of its writes.
        mode: Mode = Mode::Live, one_of(&Mode::WORDS);
        /// An upstream-style plugin talks to the site by itself.
        direct: bool = false, boolean;
        /// Who gets mail about it.
        emails: Emails = Emails::Default, emails;
        /// How events are handed to it; as written, the manifest belongs under it.
        delivery: DeliveryLayer = DeliveryLayer::default(), |f| f.table(DeliveryLayer::read);
        /// What it may ask of the site; as written, the manifest limits it further.
        permissions: PermissionsLayer = PermissionsLayer::default(), |f| f.table(PermissionsLayer::read);
        /// What its processes may use.
        limits: LimitsLayer = LimitsLayer::default(), |f| f.table(LimitsLayer::read);
        /// Roots for upload and download besides its own folders.
        files: Vec<PathBuf> = Vec::new(), list(path);
        /// Which descriptors carry the protocol.
        transport: Transport = Transport::Stdio, one_of(&Transport::WORDS);
        /// What the traffic log says of it; none: as `[log.traffic]`.
        traffic: Option<TrafficDetail> = None, some(one_of(&TrafficDetail::WORDS));
        /// What is ended when it is stopped.
        kill: KillScope = KillScope::Group, one_of(&KillScope::WORDS);
        /// The user it runs as; none: `plugins.user`, else the daemon's.
        user: Option<String> = None, some(text);
        /// The interpreter for a `.py` file; none: `plugins.python`, else `python3`.
        python: Option<PathBuf> = None, some(program);
        /// A virtual environment; its python is used.
        venv: Option<PathBuf> = None, some(path);
        /// Folders put on python's path.
        pythonpath: Vec<PathBuf> = Vec::new(), list(path);
        /// Its working directory; none: its own data folder.
        cwd: Option<PathBuf> = None, some(path);
        /// Its file mode mask.
        umask: u32 = 0o022, umask;
    }
}

/// Declares the words of a closed set, in the order of the variants.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            const WORDS: [(&'static str, Self); [$($word),+].len()] = [$(($word, Self::$variant)),+];

            /// The word as it stands in the file.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// Which events of a plugin keep their order.
    LaneOrder {
        /// All: one lane.
        All = "all",
        /// Those of one entity.
        Entity = "entity",
        /// Those of one project.
        Project = "project",
        /// None.
        None = "none",
    }
}

words! {
    /// What a failed attempt means.
    OnError {
        /// Again later, then a dead letter.
        Retry = "retry",
        /// The plugin is disabled at this event.
        Stop = "stop",
        /// A dead letter at once.
        Skip = "skip",
    }
}

words! {
    /// What becomes of a plugin's writes.
    Mode {
        /// They are sent.
        Live = "live",
        /// They are checked and logged.
        DryRun = "dry_run",
        /// They are also kept for the report.
        Shadow = "shadow",
    }
}

words! {
    /// Which descriptors carry the protocol.
    Transport {
        /// 0 and 1.
        Stdio = "stdio",
        /// 3 and 4.
        Fd34 = "fd34",
    }
}

words! {
    /// How much the traffic log says.
    TrafficDetail {
        /// Nothing.
        Off = "off",
        /// One line a message, without the message.
        Headers = "headers",
        /// With the message.
        Bodies = "bodies",
    }
}

words! {
    /// What is ended when a plugin is stopped.
    KillScope {
        /// All that it started.
        Group = "group",
        /// Only itself.
        Process = "process",
    }
}

/// Who gets mail about a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emails {
    /// The recipients of `[mail] to`.
    Default,
    /// Nobody.
    Nobody,
    /// These.
    To(Vec<String>),
}

/// The value of a variable in a plugin's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// As it is.
    Text(String),
    /// A key, for a plugin that is `direct`.
    Key(KeySource),
}

/// What holds for one plugin.
#[derive(Debug, Clone)]
pub struct EffectivePlugin {
    /// Its name.
    pub name: PluginName,
    /// All its settings.
    pub settings: PluginSettings,
    /// Where each key that was given stands, by its name within the plugin, such as `delivery.timeout`.
    pub origins: Places,
}

impl Config {
    /// What holds for a plugin; `path_index` is the entry of `plugins.paths` it was found in, none for one made by `command`.
    #[must_use]
    pub fn plugin(&self, name: &PluginName, path_index: Option<usize>) -> EffectivePlugin {
        let of_all = PluginLayer {
            user: self.plugins.user.clone().map(Some),
            python: self.plugins.python.clone().map(Some),
            ..PluginLayer::default()
        };
        let mut layer = of_all.laid_under(&self.plugins.defaults);
        let mut prefixes = vec!["plugins.defaults".to_owned()];
        if let Some((index, found)) =
            path_index.and_then(|index| Some((index, self.plugins.paths.get(index)?)))
        {
            layer = layer.laid_under(&found.layer);
            prefixes.push(format!("plugins.paths[{index}]"));
        }
        if let Some(own) = self.plugin.get(name.as_str()) {
            layer = layer.laid_under(own);
            prefixes.push(join("plugin", name.as_str()));
        }
        let mut origins = Places::new();
        for key in ["user", "python"] {
            let place = self.places.get(&format!("plugins.{key}")).cloned();
            origins.extend(place.map(|place| (key.to_owned(), place)));
        }
        for prefix in prefixes {
            origins.extend(below(&self.places, &format!("{prefix}.")));
        }
        EffectivePlugin {
            name: name.clone(),
            settings: layer.effective(),
            origins,
        }
    }
}

impl PluginLayer {
    /// As [`PluginLayer::under`], but tables of known keys are merged key by key.
    pub(super) fn laid_under(&self, upper: &Self) -> Self {
        let mut both = self.under(upper);
        both.delivery = merge(&self.delivery, &upper.delivery, DeliveryLayer::under);
        both.permissions = merge(
            &self.permissions,
            &upper.permissions,
            PermissionsLayer::under,
        );
        both.limits = merge(&self.limits, &upper.limits, LimitsLayer::under);
        both.env = merge(&self.env, &upper.env, |lower, upper| {
            lower
                .iter()
                .chain(upper)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        });
        both
    }
}

fn merge<T: Clone>(lower: &Option<T>, upper: &Option<T>, both: impl Fn(&T, &T) -> T) -> Option<T> {
    match (lower, upper) {
        (Some(lower), Some(upper)) => Some(both(lower, upper)),
        (one, other) => other.clone().or_else(|| one.clone()),
    }
}

/// The places below a prefix, by what follows it.
fn below(places: &Places, prefix: &str) -> Places {
    let from_prefix = places.range(prefix.to_owned()..);
    let those = from_prefix
        .map_while(|(key, place)| Some((key.strip_prefix(prefix)?.to_owned(), place.clone())));
    those.collect()
}

/// A name that can be a plugin's: it becomes a folder of the state directory.
pub(super) fn plugin_name(field: &Field<'_>) -> Parsed<PluginName> {
    let text = text(field)?;
    check_name(&text).map_err(Wrong::allowed)?;
    Ok(PluginName::new(text))
}

/// What is allowed, when the name is not.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let parts: Vec<&str> = name.split('/').collect();
    let is_part = |part: &&str| {
        !part.is_empty() && !part.starts_with('.') && !part.chars().any(char::is_control)
    };
    if parts.len() <= 2 && parts.iter().all(is_part) && name.len() <= 200 {
        return Ok(());
    }
    Err("a plugin's name: a file stem, or \"folder/stem\" when two have the same".to_owned())
}

fn variable_name(name: &str) -> Result<(), String> {
    let is_ours =
        name.starts_with("SGEVENTD_") || matches!(name, "NOTIFY_SOCKET" | "CREDENTIALS_DIRECTORY");
    if is_ours {
        return Err("a variable that the daemon does not set or hold back itself".to_owned());
    }
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    if is_name {
        Ok(())
    } else {
        Err("the name of an environment variable".to_owned())
    }
}

fn env_value(field: &Field<'_>) -> Parsed<EnvValue> {
    match field.as_text() {
        Some(text) if !text.contains('\0') => Ok(EnvValue::Text(text.to_owned())),
        _ if matches!(field.node.kind, super::tree::Kind::Table(_)) => {
            key_source(field).map(EnvValue::Key)
        }
        _ => Err(Wrong::allowed("a text in quotes")),
    }
}

fn emails(field: &Field<'_>) -> Parsed<Emails> {
    match field.node.kind {
        super::tree::Kind::Boolean(true) => Ok(Emails::Default),
        super::tree::Kind::Boolean(false) => Ok(Emails::Nobody),
        super::tree::Kind::List(_) => field.list(mail_address).map(Emails::To),
        _ => Err(Wrong::allowed(
            r#"true, false, or a list such as ["pipeline@studio.example"]"#,
        )),
    }
}
