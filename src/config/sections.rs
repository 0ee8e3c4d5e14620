//! Each section of the file in one short function: a line per key, with its parser and its default.
//!
//! Never: a rule that needs two keys (`check.rs`), a look at the disk (`load.rs`).

use super::{
    key::KeySource,
    plugin::{PluginLayer, check_name},
    read::{Field, Section, Wrong},
    types::{
        Admin, Alerts, Config, ControlGroups, Gap, Log, LogFormat, Mail, MailServer, MailTls,
        Nudge, Order, PluginPath, Plugins, Poll, Retention, Rotate, Script, Settle, Site, State,
        Telemetry, TrafficLog,
    },
    value::{
        Parsed, boolean, duration, key_source, list, log_level, mail_address, one_of, path,
        program, site_url, size, socket_address, span, start_from, text, url, whole,
    },
};

/// The whole file.
pub(super) fn read_config(s: &mut Section<'_>) -> Config {
    Config {
        site: s.section("site", site),
        scripts: s.named("scripts", |_, field| field.table(script)),
        poll: s.section("poll", poll),
        gap: s.section("gap", gap),
        state: s.section("state", state),
        retention: s.section("retention", retention),
        plugins: s.section("plugins", plugins),
        plugin: s.named("plugin", plugin),
        order: s.section("order", order),
        log: s.section("log", log),
        mail: s.opt("mail", |field| field.table(mail)),
        alerts: s.section("alerts", alerts),
        admin: s.section("admin", admin),
        telemetry: s.section("telemetry", telemetry),
        ..Config::default()
    }
}

fn site(s: &mut Section<'_>) -> Site {
    let d = Site::default();
    Site {
        url: s.required(
            "url",
            site_url,
            "\"https://studio.shotgrid.autodesk.com\"",
            d.url,
        ),
        script: s.required("script", text, "\"sgeventd\"", d.script),
        key: s.required(
            "key",
            key_source,
            "{ file = \"/etc/sgeventd/site.key\" }",
            d.key,
        ),
        proxy: s.opt("proxy", url(&["http", "https"])),
        proxy_password: s.opt("proxy_password", key_source),
        ca_file: s.opt("ca_file", path),
        timeout: s.key("timeout", span, d.timeout),
        max_retry_wait: s.key("max_retry_wait", span, d.max_retry_wait),
        max_calls: s.key("max_calls", whole(1..=256), d.max_calls),
        session_uuid: s.key("session_uuid", boolean, d.session_uuid),
    }
}

fn script(s: &mut Section<'_>) -> Script {
    Script {
        key: s.required(
            "key",
            key_source,
            "{ file = \"/etc/sgeventd/NAME.key\" }",
            Site::default().key,
        ),
    }
}

fn poll(s: &mut Section<'_>) -> Poll {
    let d = Poll::default();
    Poll {
        interval: s.key("interval", span, d.interval),
        max_interval: s.key("max_interval", span, d.max_interval),
        // Less than ten leaves too little room beside the anchor, which stands in every page.
        page: s.key("page", whole(10..=5000), d.page),
        start_from: s.key("start_from", start_from, d.start_from),
        nudge: s.opt("nudge", |field| field.table(nudge)),
    }
}

fn nudge(s: &mut Section<'_>) -> Nudge {
    Nudge {
        token: s.required(
            "token",
            key_source,
            "{ file = \"/etc/sgeventd/nudge.key\" }",
            Site::default().key,
        ),
    }
}

fn gap(s: &mut Section<'_>) -> Gap {
    let d = Gap::default();
    Gap {
        timeout: s.key("timeout", span, d.timeout),
        give_up: s.key("give_up", span, d.give_up),
        hold: s.key("hold", duration, d.hold),
    }
}

fn state(s: &mut Section<'_>) -> State {
    let d = State::default();
    State {
        dir: s.key("dir", path, d.dir),
        settle: s.section("settle", settle),
    }
}

fn settle(s: &mut Section<'_>) -> Settle {
    let d = Settle::default();
    Settle {
        wait: s.key("wait", duration, d.wait),
        count: s.key("count", whole(1..=100_000), d.count),
    }
}

fn retention(s: &mut Section<'_>) -> Retention {
    let d = Retention::default();
    Retention {
        age: s.key("age", span, d.age),
        size: s.key("size", size, d.size),
        orphan: s.key("orphan", span, d.orphan),
    }
}

fn control_groups(field: &Field<'_>) -> Parsed<ControlGroups> {
    match field.as_text() {
        Some("auto") => Ok(ControlGroups::Auto),
        Some("none") => Ok(ControlGroups::None),
        Some(text) if text.starts_with('/') => path(field).map(ControlGroups::At),
        _ => Err(Wrong::allowed(
            r#""auto", "none", or the folder of a control group of version 2 such as "/sys/fs/cgroup/sgeventd""#,
        )),
    }
}

fn plugins(s: &mut Section<'_>) -> Plugins {
    let sample = || PluginPath {
        path: "/etc/sgeventd/plugins".into(),
        layer: PluginLayer::default(),
    };
    Plugins {
        paths: s
            .opt("paths", list(plugin_path))
            .unwrap_or_else(|| vec![sample()]),
        user: s.opt("user", text),
        control_groups: s.opt("control_groups", control_groups).unwrap_or_default(),
        python: s.opt("python", program),
        defaults: s
            .opt("defaults", |field| field.table(PluginLayer::read))
            .unwrap_or_default(),
    }
}

/// A folder, or a table with a folder and keys for all plugins in it.
fn plugin_path(field: &Field<'_>) -> Parsed<PluginPath> {
    if field.as_text().is_some() {
        return Ok(PluginPath {
            path: path(field)?,
            layer: PluginLayer::default(),
        });
    }
    let allowed =
        || Wrong::allowed("a path in quotes, or { path = \"…\", and keys of [plugin.NAME] }");
    field
        .table(|s| PluginPath {
            path: s.required("path", path, "\"/opt/studio/plugins\"", "/".into()),
            layer: PluginLayer::read(s),
        })
        .map_err(|_| allowed())
}

fn plugin(name: &str, field: &Field<'_>) -> Parsed<PluginLayer> {
    check_name(name)
        .map_err(|allowed| Wrong::allowed(allowed).found(format!("named \"{name}\"")))?;
    field.table(PluginLayer::read)
}

fn order(s: &mut Section<'_>) -> Order {
    Order {
        upstream: s.key("upstream", list(path), Vec::new()),
    }
}

fn log(s: &mut Section<'_>) -> Log {
    const FORMATS: [(&str, LogFormat); 5] = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("upstream", LogFormat::Upstream),
        ("journald", LogFormat::Journald),
    ];
    let d = Log::default();
    Log {
        level: s.key("level", log_level, d.level),
        format: s.key("format", one_of(&FORMATS), d.format),
        file: s.opt("file", path),
        per_plugin: s.opt("per_plugin", path),
        rotate: s.section("rotate", rotate),
        traffic: s.section("traffic", traffic),
    }
}

fn rotate(s: &mut Section<'_>) -> Rotate {
    let d = Rotate::default();
    Rotate {
        size: s.key("size", size, d.size),
        age: s.key("age", span, d.age),
        keep: s.key("keep", whole(0..=10_000), d.keep),
    }
}

fn traffic(s: &mut Section<'_>) -> TrafficLog {
    TrafficLog {
        file: s.opt("file", path),
        bodies: s.key("bodies", boolean, false),
        plugins: s.opt("plugins", list(text)),
    }
}

fn mail(s: &mut Section<'_>) -> Mail {
    const TLS: [(&str, MailTls); 3] = [
        ("auto", MailTls::Auto),
        ("required", MailTls::Required),
        ("off", MailTls::Off),
    ];
    let d = Mail::default();
    Mail {
        server: s.required(
            "server",
            mail_server,
            "\"smtp://mail.studio.example:587\"",
            d.server,
        ),
        tls: s.key("tls", one_of(&TLS), d.tls),
        ca_file: s.opt("ca_file", path),
        from: s.required("from", mail_address, "\"sgeventd@studio.example\"", d.from),
        to: s.required(
            "to",
            list(mail_address),
            "[\"pipeline@studio.example\"]",
            d.to,
        ),
        username: s.opt("username", text),
        password: s.opt("password", key_source),
        digest: s.key("digest", span, d.digest),
        max_per_day: s.key("max_per_day", whole(1..=10_000), d.max_per_day),
    }
}

fn mail_server(field: &Field<'_>) -> Parsed<MailServer> {
    if field.as_text() == Some("sendmail") {
        return Ok(MailServer::Sendmail);
    }
    let allowed = || Wrong::allowed(r#"smtp://host:port, smtps://host:port, or "sendmail""#);
    let url = url(&["smtp", "smtps"])(field).map_err(|wrong| {
        if wrong.is_of_secret() {
            wrong
        } else {
            allowed()
        }
    })?;
    if !url.username().is_empty() || !matches!(url.path(), "" | "/") {
        return Err(allowed().hint("the login goes into username and password = { file = \"…\" }"));
    }
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    Ok(match url.scheme() {
        "smtps" => MailServer::Smtps {
            host,
            port: url.port().unwrap_or(465),
        },
        _ => MailServer::Smtp {
            host,
            port: url.port().unwrap_or(25),
        },
    })
}

fn alerts(s: &mut Section<'_>) -> Alerts {
    let address = |s: &mut Section<'_>| {
        s.required(
            "url",
            key_source,
            "{ file = \"/etc/sgeventd/webhook.url\" }",
            Site::default().key,
        )
    };
    Alerts {
        lag: s.key("lag", span, Alerts::default().lag),
        webhook: s.opt("webhook", |field| field.table::<KeySource>(address)),
    }
}

fn admin(s: &mut Section<'_>) -> Admin {
    let d = Admin::default();
    Admin {
        socket: s.key("socket", path, d.socket),
        group: s.key("group", text, d.group),
        http: s.opt("http", socket_address),
        token: s.opt("token", key_source),
        url: s.opt("url", url(&["https", "http"])),
    }
}

fn telemetry(s: &mut Section<'_>) -> Telemetry {
    Telemetry {
        otlp: s.opt("otlp", url(&["http", "https"])),
    }
}
