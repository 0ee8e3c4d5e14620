//! The file: TOML, typed, with its defaults, and every mistake in it at once, each with its place.
//!
//! In: a file. Out: a [`Config`] and [`Finding`]s; per plugin the settings that hold, each with the line it comes from.
//! Never: a key's value (only where it is: [`KeySource`]), a default that is not in `sample.toml`, the state of anything that runs.

mod check;
mod diff;
mod duration;
mod finding;
mod key;
mod load;
mod look;
mod plugin;
mod read;
mod sections;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod value;

pub(crate) use check::way_back;
pub use diff::{Diff, applied, diff};
pub use finding::{Excerpt, Finding, Severity};
pub use key::{KeyError, KeySource, KeyUse};
pub use load::{Loaded, load, parse, read};
pub use plugin::{
    Delivery, DeliveryLayer, EffectivePlugin, Emails, EnvValue, KillScope, Limits, LimitsLayer,
    Mode, OnError, Permissions, PermissionsLayer, PluginLayer, PluginSettings, TrafficDetail,
    Transport,
};
pub use source::{Place, Places};
pub use types::{
    Admin, Alerts, Config, ControlGroups, Gap, Log, LogFormat, Mail, MailServer, MailTls, Nudge,
    Order, PluginPath, Plugins, Poll, Retention, Rotate, Script, Settle, Site, StartFrom, State,
    Telemetry, TrafficLog,
};

pub use duration::{read_duration, read_size, write_duration, write_size};
pub use plugin::LaneOrder;

/// The file as it is shipped: every key with its default.
pub const SAMPLE: &str = include_str!("sample.toml");
