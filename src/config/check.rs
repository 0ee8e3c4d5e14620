//! Rules that need more than one key.
//!
//! In: a config that was read. Out: notes by the name of a key.
//! Never: a change of the config, a look at the disk (`look.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{Excerpt, Finding, Severity},
    plugin::{EnvValue, PluginLayer},
    read::join,
    source::Source,
    types::{Config, MailTls},
};
use crate::{ident::PluginName, text::nearest};

/// Something to say about a key.
pub(super) struct Noted {
    severity: Severity,
    key: String,
    message: String,
    hint: Option<String>,
}

impl Noted {
    /// A mistake.
    pub(super) fn error(key: impl Into<String>, message: String) -> Self {
        Self {
            severity: Severity::Error,
            key: key.into(),
            message,
            hint: None,
        }
    }

    /// Less than a mistake.
    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// What to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Gives the note the place of its key, when the file names it.
    pub(super) fn into_finding(self, config: &Config, source: &Source<'_>) -> Finding {
        let place = config.places.get(&self.key).cloned();
        let excerpt = place.as_ref().map(|place| {
            let lines = source.text.split_inclusive('\n').take(place.line - 1);
            let start: usize = lines.map(str::len).sum();
            let before = source.line(start).chars().take(place.column - 1);
            let at = start + before.map(char::len_utf8).sum::<usize>();
            Excerpt::at(source, &(at..source.line_span(at).end), false)
        });
        Finding {
            severity: self.severity,
            place,
            key: self.key,
            message: self.message,
            hint: self.hint,
            excerpt: excerpt.map(|excerpt| Excerpt {
                width: 1,
                ..excerpt
            }),
        }
    }
}

/// What can be said from the file alone.
pub(super) fn rules(config: &Config) -> Vec<Noted> {
    let mut noted = Vec::new();
    order_of_spans(config, &mut noted);
    mail(config, &mut noted);
    listeners(config, &mut noted);
    paths(config, &mut noted);
    for (prefix, layer) in layers(config) {
        scripts(config, &prefix, layer, &mut noted);
        own_keys(config, &prefix, layer, &mut noted);
    }
    noted.extend(circle(config));
    noted
}

/// Every layer of plugin keys with the name it stands under.
pub(super) fn layers(config: &Config) -> Vec<(String, &PluginLayer)> {
    let mut layers = vec![("plugins.defaults".to_owned(), &config.plugins.defaults)];
    let paths = config.plugins.paths.iter().enumerate();
    layers.extend(paths.map(|(index, entry)| (format!("plugins.paths[{index}]"), &entry.layer)));
    layers.extend(
        config
            .plugin
            .iter()
            .map(|(name, layer)| (join("plugin", name), layer)),
    );
    layers
}

fn order_of_spans(config: &Config, noted: &mut Vec<Noted>) {
    if config.poll.max_interval < config.poll.interval {
        noted.push(Noted::error(
            "poll.max_interval",
            "`poll.max_interval` is shorter than `poll.interval`; allowed: as long or longer"
                .to_owned(),
        ));
    }
    if config.gap.give_up < config.gap.timeout {
        noted.push(Noted::error(
            "gap.give_up",
            "`gap.give_up` is shorter than `gap.timeout`; allowed: as long or longer".to_owned(),
        ));
    }
    if config.gap.hold > config.gap.timeout {
        noted.push(Noted::error("gap.hold", "`gap.hold` is longer than `gap.timeout`; allowed: at most as long, for a late gap holds nothing".to_owned()));
    }
    for (prefix, layer) in layers(config) {
        let Some(delivery) = &layer.delivery else {
            continue;
        };
        let settings = delivery.effective();
        if delivery.ceiling.is_some() && settings.ceiling < settings.timeout {
            noted.push(Noted::error(
                format!("{prefix}.delivery.ceiling"),
                format!("`{prefix}.delivery.ceiling` is shorter than `timeout`; allowed: as long or longer"),
            ));
        }
    }
}

fn mail(config: &Config, noted: &mut Vec<Noted>) {
    let Some(mail) = &config.mail else { return };
    if mail.username.is_some() && mail.password.is_none() {
        let message = "`mail.username` is set and `mail.password` is not; allowed: both or neither";
        noted.push(
            Noted::error("mail.username", message.to_owned())
                .hint("password = { file = \"/etc/sgeventd/mail.key\" }"),
        );
    }
    if mail.username.is_none() && mail.password.is_some() {
        let message = "`mail.password` is set and `mail.username` is not; allowed: both or neither";
        noted.push(Noted::error("mail.password", message.to_owned()).hint("username = \"…\""));
    }
    if mail.username.is_some() && mail.tls == MailTls::Off {
        let message = "`mail.tls` is \"off\" with a username; allowed: \"required\", so that the password is not sent in the clear";
        noted.push(Noted::error("mail.tls", message.to_owned()));
    }
    if mail.to.is_empty() && config.places.contains_key("mail.to") {
        let message =
            "`mail.to` is empty: only plugins with `emails = [ … ]` of their own send mail";
        noted.push(Noted::error("mail.to", message.to_owned()).severity(Severity::Warning));
    }
}

fn listeners(config: &Config, noted: &mut Vec<Noted>) {
    let site = &config.site;
    let is_here = site
        .url
        .host_str()
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if site.url.scheme() == "http" && !is_here {
        let message =
            "`site.url` is not encrypted: the script key and all data can be read on the way";
        noted.push(
            Noted::error("site.url", message.to_owned())
                .severity(Severity::Warning)
                .hint("https://"),
        );
    }
    if site.proxy.is_none() && site.proxy_password.is_some() {
        noted.push(Noted::error(
            "site.proxy_password",
            "`site.proxy_password` is set and `site.proxy` is not; allowed: with a proxy only"
                .to_owned(),
        ));
    }
    if config.admin.http.is_none() && config.poll.nudge.is_some() {
        let message = "`poll.nudge` needs a listener and `admin.http` is not set; allowed: with `admin.http` only";
        noted.push(
            Noted::error("poll.nudge", message.to_owned())
                .hint("[admin]\nhttp = \"127.0.0.1:4141\""),
        );
    }
}

fn paths(config: &Config, noted: &mut Vec<Noted>) {
    let mut seen = BTreeMap::new();
    for (index, entry) in config.plugins.paths.iter().enumerate() {
        if let Some(first) = seen.insert(&entry.path, index) {
            let key = format!("plugins.paths[{index}]");
            let message = format!(
                "`{key}` is {} again, as in `plugins.paths[{first}]`; allowed: each folder once",
                entry.path.display()
            );
            noted.push(Noted::error(key, message));
        }
    }
    for (index, path) in config.order.upstream.iter().enumerate() {
        if !seen.contains_key(path) {
            let key = format!("order.upstream[{index}]");
            let message = format!(
                "`{key}` is {}; allowed: a folder of `plugins.paths`",
                path.display()
            );
            noted.push(Noted::error(key, message));
        }
    }
}

fn scripts(config: &Config, prefix: &str, layer: &PluginLayer, noted: &mut Vec<Noted>) {
    let known: BTreeSet<&str> = config
        .scripts
        .keys()
        .map(String::as_str)
        .chain([config.site.script.as_str()])
        .collect();
    for (index, script) in layer.scripts.iter().flatten().enumerate() {
        if known.contains(script.as_str()) {
            continue;
        }
        let key = format!("{prefix}.scripts[{index}]");
        let all: Vec<&str> = known.iter().copied().collect();
        let message = format!(
            "`{key}` is \"{script}\", whose key is nowhere; allowed: {}",
            all.join(", ")
        );
        let hint = nearest(script, known.iter().copied()).map_or_else(
            || format!("add the missing lines:\n[{}]\nkey = {{ file = \"/etc/sgeventd/{script}.key\" }}", join("scripts", script)),
            |near| format!("did you mean \"{near}\"?"),
        );
        noted.push(Noted::error(key, message).hint(hint));
    }
}

/// No plugin is given a key, but one that talks to the site by itself.
fn own_keys(config: &Config, prefix: &str, layer: &PluginLayer, noted: &mut Vec<Noted>) {
    let defaults = config.plugins.defaults.direct.unwrap_or(false);
    if layer.direct.unwrap_or(defaults) {
        return;
    }
    for (name, value) in layer.env.iter().flatten() {
        if matches!(value, EnvValue::Key(_)) {
            let key = join(&format!("{prefix}.env"), name);
            let message = format!(
                "`{key}` would hand a key to the plugin; allowed: only with `direct = true`"
            );
            noted.push(
                Noted::error(key, message)
                    .hint("plugins need no key: their calls go through the daemon"),
            );
        }
    }
}

/// A circle of `after`, if there is one: each plugin of it would wait for itself.
fn circle(config: &Config) -> Option<Noted> {
    let after: BTreeMap<PluginName, Vec<PluginName>> = config
        .plugin
        .keys()
        .map(|name| PluginName::new(name.as_str()))
        .map(|name| (name.clone(), config.plugin(&name, None).settings.after))
        .collect();
    let circle = after.keys().find_map(|start| way_back(start, &after))?;
    let names: Vec<&str> = circle
        .iter()
        .chain(circle.first())
        .map(PluginName::as_str)
        .collect();
    let key = format!("{}.after", join("plugin", circle.first()?.as_str()));
    let message = format!(
        "`{key}` makes a circle: {}; allowed: plugins that do not wait for this one",
        names.join(" → ")
    );
    Some(Noted::error(key, message))
}

/// The way from a plugin along `after` back to itself.
pub(crate) fn way_back<Links>(
    start: &PluginName,
    after: &BTreeMap<PluginName, Links>,
) -> Option<Vec<PluginName>>
where
    for<'a> &'a Links: IntoIterator<Item = &'a PluginName>,
{
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in way
            .last()
            .and_then(|last| after.get(last))
            .into_iter()
            .flatten()
        {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
    }
    None
}
