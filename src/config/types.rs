//! The sections of the config as plain data. Defaults are those of `sample.toml`; a test holds the two together.
//!
//! Never: how they are read (`sections.rs`), the keys of one plugin (`plugin.rs`).

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use url::Url;

use super::{
    key::{KeySource, KeyUse},
    plugin::PluginLayer,
    source::Places,
};
use crate::{clock::Unix, ident::EventId};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The whole file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where the file was, made absolute; empty when there was none.
    pub file: PathBuf,
    /// `[site]`
    pub site: Site,
    /// `[scripts.NAME]`: script users besides `site.script`.
    pub scripts: BTreeMap<String, Script>,
    /// `[poll]`
    pub poll: Poll,
    /// `[gap]`
    pub gap: Gap,
    /// `[state]`
    pub state: State,
    /// `[retention]`
    pub retention: Retention,
    /// `[plugins]`
    pub plugins: Plugins,
    /// `[plugin.NAME]`, as written; [`Config::plugin`] lays the layers over each other.
    pub plugin: BTreeMap<String, PluginLayer>,
    /// `[order]`
    pub order: Order,
    /// `[log]`
    pub log: Log,
    /// `[mail]`; none: no mail.
    pub mail: Option<Mail>,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[admin]`
    pub admin: Admin,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// Where each key that was given stands.
    pub places: Places,
}

/// `[site]`: the server and our session on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Its address, without a path.
    pub url: Url,
    /// The script user that reads the event log.
    pub script: String,
    /// That script's key.
    pub key: KeySource,
    /// An HTTP proxy, without its password.
    pub proxy: Option<Url>,
    /// The proxy's password.
    pub proxy_password: Option<KeySource>,
    /// Roots to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// One call, whole.
    pub timeout: Duration,
    /// Longest pause between attempts while the site is away.
    pub max_retry_wait: Duration,
    /// Calls under way at once, all plugins together.
    pub max_calls: usize,
    /// A plugin's writes carry the `session_uuid` of its event.
    pub session_uuid: bool,
}

/// `[scripts.NAME]`: another script user.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Its key.
    pub key: KeySource,
}

/// `[poll]`: how the event log is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// While events flow.
    pub interval: Duration,
    /// While the site is idle.
    pub max_interval: Duration,
    /// Rows asked for at once; the site may allow less.
    pub page: u32,
    /// Where an empty journal begins.
    pub start_from: StartFrom,
    /// The endpoint that a webhook of the site may call.
    pub nudge: Option<Nudge>,
}

/// `poll.nudge`
#[derive(Debug, Clone, PartialEq)]
pub struct Nudge {
    /// What signs the webhook's calls.
    pub token: KeySource,
}

/// Where events begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At the newest.
    Latest,
    /// At the oldest there is.
    Oldest,
    /// At this id.
    EventId(EventId),
    /// At this time.
    Time(Unix),
}

/// `[gap]`: ids that have not appeared.
#[derive(Debug, Clone, PartialEq)]
pub struct Gap {
    /// How long a gap is young: asked with every poll.
    pub timeout: Duration,
    /// When it is given up.
    pub give_up: Duration,
    /// How long what is behind a young gap is held back.
    pub hold: Duration,
}

/// `[state]`
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The state directory.
    pub dir: PathBuf,
    /// How long a settlement waits for company.
    pub settle: Settle,
}

/// `state.settle`
#[derive(Debug, Clone, PartialEq)]
pub struct Settle {
    /// At most this long,
    pub wait: Duration,
    /// or until this many are there.
    pub count: usize,
}

/// `[retention]`: how long the journal keeps what.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Bodies older than this go.
    pub age: Duration,
    /// Bodies beyond this many bytes go.
    pub size: u64,
    /// A plugin that is gone this long holds nothing back.
    pub orphan: Duration,
}

/// `[plugins]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plugins {
    /// Where plugins are looked for, in order.
    pub paths: Vec<PluginPath>,
    /// The user that plugins run as; none: the daemon's.
    pub user: Option<String>,
    /// Where control groups for plugins are taken from.
    pub control_groups: ControlGroups,
    /// The interpreter for `.py` files without one.
    pub python: Option<PathBuf>,
    /// Keys of `[plugin.NAME]` for all.
    pub defaults: PluginLayer,
}

/// Where control groups for plugins are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ControlGroups {
    /// From the daemon's own, when it was handed to it.
    #[default]
    Auto,
    /// From nowhere.
    None,
    /// From this folder.
    At(PathBuf),
}

/// An entry of `plugins.paths`.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginPath {
    /// The folder.
    pub path: PathBuf,
    /// Keys of `[plugin.NAME]` for all in it.
    pub layer: PluginLayer,
}

/// `[order]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// In these folders each file waits for the one before it, by name.
    pub upstream: Vec<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A level, or levels by part: `info,sgeventd::ingest=debug`.
    pub level: String,
    /// The shape of a line.
    pub format: LogFormat,
    /// A file; none: standard error.
    pub file: Option<PathBuf>,
    /// A folder with a file per plugin besides.
    pub per_plugin: Option<PathBuf>,
    /// When files are rotated.
    pub rotate: Rotate,
    /// `[log.traffic]`
    pub traffic: TrafficLog,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, journald under systemd, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// The line of upstream's daemon, for log shippers that read it.
    Upstream,
    /// Native fields to journald.
    Journald,
}

/// `log.rotate`: every file of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotate {
    /// At this size,
    pub size: u64,
    /// or at this age.
    pub age: Duration,
    /// Old files kept.
    pub keep: u32,
}

/// `[log.traffic]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrafficLog {
    /// The file; none: off.
    pub file: Option<PathBuf>,
    /// With the messages themselves.
    pub bodies: bool,
    /// Of these plugins; none: all.
    pub plugins: Option<Vec<String>>,
}

/// `[mail]`
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// Who takes our mail.
    pub server: MailServer,
    /// How it is encrypted; always [`MailTls::Required`] with a username.
    pub tls: MailTls,
    /// Roots to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// The default recipients.
    pub to: Vec<String>,
    /// The login.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<KeySource>,
    /// One summary this often after the first mail about a cause.
    pub digest: Duration,
    /// Mails a day to one recipient.
    pub max_per_day: u32,
}

/// `mail.server`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailServer {
    /// `smtp://host:port`
    Smtp {
        /// The host.
        host: String,
        /// The port, 25 when not named.
        port: u16,
    },
    /// `smtps://host:port`
    Smtps {
        /// The host.
        host: String,
        /// The port, 465 when not named.
        port: u16,
    },
    /// This machine's `sendmail`.
    Sendmail,
}

/// `mail.tls`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS when the server offers it.
    Auto,
    /// No mail without TLS.
    Required,
    /// Never.
    Off,
}

/// `[alerts]`
#[derive(Debug, Clone, PartialEq)]
pub struct Alerts {
    /// A plugin this far behind is an alert.
    pub lag: Duration,
    /// The address that gets the same alerts as JSON; it is a secret.
    pub webhook: Option<KeySource>,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// The unix socket.
    pub socket: PathBuf,
    /// Who may use it besides root and the daemon's user.
    pub group: String,
    /// Dashboard and metrics, on loopback.
    pub http: Option<SocketAddr>,
    /// Needed for changes over HTTP.
    pub token: Option<KeySource>,
    /// What mails link to.
    pub url: Option<Url>,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Telemetry {
    /// Where traces go; none: nowhere.
    pub otlp: Option<Url>,
}

/// A constant address as a URL.
pub(super) fn sample_url() -> Url {
    Url::parse("https://studio.shotgrid.autodesk.com").expect("a constant that parses")
}

impl Default for Site {
    fn default() -> Self {
        Self {
            url: sample_url(),
            script: "sgeventd".to_owned(),
            key: KeySource::new(KeyUse::File("/etc/sgeventd/site.key".into())),
            proxy: None,
            proxy_password: None,
            ca_file: None,
            timeout: MINUTE,
            max_retry_wait: MINUTE,
            max_calls: 8,
            session_uuid: true,
        }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(5),
            page: 500,
            start_from: StartFrom::Latest,
            nudge: None,
        }
    }
}

impl Default for Gap {
    fn default() -> Self {
        Self {
            timeout: 5 * MINUTE,
            give_up: DAY,
            hold: Duration::ZERO,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: "/var/lib/sgeventd".into(),
            settle: Settle::default(),
        }
    }
}

impl Default for Settle {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(100),
            count: 256,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: 14 * DAY,
            size: 10 << 30,
            orphan: 30 * DAY,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            file: None,
            per_plugin: None,
            rotate: Rotate::default(),
            traffic: TrafficLog::default(),
        }
    }
}

impl Default for Rotate {
    fn default() -> Self {
        Self {
            size: 64 << 20,
            age: DAY,
            keep: 10,
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: MailServer::Sendmail,
            tls: MailTls::Auto,
            ca_file: None,
            from: "sgeventd@localhost".to_owned(),
            to: Vec::new(),
            username: None,
            password: None,
            digest: HOUR,
            max_per_day: 10,
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            lag: 15 * MINUTE,
            webhook: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: crate::way::PACKAGED.into(),
            group: "sgeventd".to_owned(),
            http: None,
            token: None,
            url: None,
        }
    }
}
