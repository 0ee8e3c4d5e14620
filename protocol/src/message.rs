//! The messages of both sides, field by field: they are the manual.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::manifest::Manifest;

/// Params of `initialize`, daemon to plugin: the first message. It changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Initialize {
    /// Versions of the protocol that the daemon speaks.
    pub protocol: Supported,
    /// Who asks.
    pub daemon: Program,
    /// Whom the daemon takes the plugin for.
    pub plugin: PluginInfo,
    /// What the daemon allows.
    pub limits: Limits,
    /// What the daemon can do besides version 1, by name; the value is `true`, and of a later feature maybe an object. The name alone
    /// counts: an absent one is not supported, an unknown one is ignored.
    #[serde(default)]
    pub features: BTreeMap<String, Value>,
}

/// Versions of the protocol.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Supported {
    /// All that are spoken.
    pub supported: Vec<u32>,
}

/// A program with its version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A plugin as the daemon knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PluginInfo {
    /// Its identity in the daemon.
    pub name: String,
    /// Counts the starts of its process.
    pub generation: u32,
    /// Why it was started.
    pub reason: Reason,
}

/// Why a process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The daemon started.
    Boot,
    /// The last process ended by itself.
    Crash,
    /// Its files or config changed, or its file came while the daemon ran.
    Changed,
    /// An operator enabled or restarted it.
    Enabled,
    /// It was disabled; see whether it works again.
    Probe,
    /// A check, no event will come.
    Check,
}

/// What the daemon allows a plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// The longest line in either direction, bytes.
    pub line_bytes: u64,
    /// The longest result of a call, bytes.
    pub result_bytes: u64,
    /// Calls at work at once.
    pub calls: u32,
    /// Calls that may wait besides.
    pub queued_calls: u32,
}

/// Result of `initialize`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Initialized {
    /// The version the plugin chose.
    pub protocol: u32,
    /// What it declares.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "crate::published::Declared"))]
    pub manifest: Manifest,
    /// What it can do besides version 1, by name, with `true`; what it cannot do is left out.
    #[serde(default)]
    pub features: BTreeMap<String, Value>,
}

/// Params of `start`, daemon to plugin: from its answer on, events come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The operator's `config` table for this plugin, as it is.
    pub config: Value,
    /// What the plugin may do.
    pub granted: Granted,
    /// Its own folders.
    pub paths: Paths,
    /// The site.
    pub site: SiteInfo,
    /// Log records below this level are dropped: `debug`, `info`, `warning` or `error`.
    pub log_level: String,
}

/// What a plugin may do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Granted {
    /// Grants for calls to the site, such as `find` or `update:Task.sg_status_list`.
    pub sg: Vec<String>,
    /// It may upload and download.
    pub upload: bool,
    /// It may call the site outside an event.
    pub background: bool,
}

/// A plugin's own folders.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Paths {
    /// Kept.
    pub data: String,
    /// Emptied at every start.
    pub tmp: String,
}

/// The site.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SiteInfo {
    /// Its address.
    pub url: String,
}

/// Result of `start`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Started {
    /// Why the plugin does not want to run here; an operator reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable: Option<String>,
}

/// `params.delivery` of `event`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Delivery {
    /// 1 for the first; above 1 it is a redelivery.
    pub attempt: u32,
    /// The time to answer.
    pub deadline_ms: u64,
    /// Journal rows after this one.
    pub behind: u64,
    /// Ids of the subscriptions that matched.
    #[serde(rename = "match", default)]
    pub matched: Vec<std::sync::Arc<str>>,
    /// An operator asked for it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// What the last attempt wanted to see again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<RawValue>>,
}

/// `_meta` of `event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventMeta {
    /// W3C's trace context: one trace for each event of the site, whoever handles it; in it one span for each attempt of a plugin.
    #[cfg_attr(test, schemars(regex(pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")))]
    pub traceparent: String,
}

/// `_meta` of a plugin's call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallMeta {
    /// The id of the open event request that the call belongs to.
    #[serde(default)]
    pub parent: Option<u64>,
    /// One of the plugin's scripts.
    #[serde(default)]
    pub script: Option<String>,
    /// One of the logins it may act for.
    #[serde(default)]
    pub sudo_as_login: Option<String>,
}

/// Params of a plugin's call, as far as the daemon looks before it knows the method.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CallParams {
    /// About the call itself.
    #[serde(default, rename = "_meta")]
    pub meta: CallMeta,
}

/// Params of the notification `log`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Log {
    /// `debug`, `info`, `warning`, `error` or `critical`; none, and one that is not known: `info`.
    #[serde(default)]
    pub level: Option<String>,
    /// The text.
    pub message: String,
    /// More, by name.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub fields: Option<Box<RawValue>>,
}

/// Params of the notification `alert`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Alert {
    /// What a person must know.
    pub message: String,
    /// `warning` or `error`; none: `error`.
    #[serde(default)]
    pub level: Option<String>,
}

/// Params of the notification `pause`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pause {
    /// At most ten minutes.
    pub for_ms: u64,
    /// For people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Params of the notification `unhealthy`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unhealthy {
    /// For people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Params of the notification `$/progress`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Progress {
    /// The open event request.
    pub id: u64,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
    /// 0 to 100.
    #[serde(default)]
    pub percent: Option<f64>,
    /// The deadline moves by so much from now.
    #[serde(default)]
    pub extend_ms: Option<u64>,
}

/// Params of the notification `$/cancel`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cancel {
    /// The open request, as its sender wrote it.
    pub id: Box<RawValue>,
}
